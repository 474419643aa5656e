"""What S3 says of one object beyond `Store.head`: headers, checksum, tags; and why it refuses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tradewind.concealing import concealing
from tradewind.errors import InputError, RetryError, SetupError, TradewindError
from tradewind.move.store import Described, ObjectInfo
from tradewind.systems.s3.errors import code_of, told

__all__ = ["describe", "problem", "put_tags", "tags_of"]

_HEADERS = (
    "ContentType",
    "ContentEncoding",
    "CacheControl",
    "ContentDisposition",
    "ContentLanguage",
    "Expires",
    "WebsiteRedirectLocation",
)
_CHECKSUMS = ("CRC64NVME", "CRC32C", "CRC32")
_ARCHIVES = ("GLACIER", "DEEP_ARCHIVE")
_UNSUPPORTED = ("NotImplemented", "MethodNotAllowed", "501", "405")


@concealing()
def describe(store: Any, key: str, version: str | None = None) -> Described | None:
    """Describe one version of an object; None where there is none.

    Raises:
        InputError: It is archived, or the version is not one.
        SetupError: The bucket is missing, or it may not be read.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    chosen = {"VersionId": version} if version else {}
    try:
        answer = store.client.head_object(
            Bucket=store.bucket, Key=key, ChecksumMode="ENABLED", **chosen
        )
    except (ClientError, BotoCoreError) as error:
        if code_of(error) in ("404", "NoSuchKey", "NoSuchVersion"):
            store.check()  # a HEAD has no body that would tell a bucket from a key
            return None
        if code_of(error) == "403":
            store.check()  # nor one that would tell a wrong secret from a missing permission
        raise problem(error, store.uri(key), doing="look at it") from error
    if answer.get("StorageClass") in _ARCHIVES and 'ongoing-request="false"' not in answer.get(
        "Restore", ""
    ):
        raise InputError(_archived(store.uri(key), answer["StorageClass"]))
    info = ObjectInfo(
        key=key,
        size=answer["ContentLength"],
        etag=answer["ETag"].strip('"'),
        modified=answer.get("LastModified"),
        content_type=answer.get("ContentType"),
        content_encoding=answer.get("ContentEncoding"),
        metadata={name.lower(): text for name, text in answer.get("Metadata", {}).items()},
    )
    headers = {name: answer[name] for name in _HEADERS if answer.get(name)}
    return Described(info, headers, _whole_checksum(answer))


@concealing()
def tags_of(store: Any, key: str, version: str | None = None) -> dict[str, str]:
    """Read an object's tags; none where the server knows no tags."""
    from botocore.exceptions import BotoCoreError, ClientError

    chosen = {"VersionId": version} if version else {}
    try:
        answer = store.client.get_object_tagging(Bucket=store.bucket, Key=key, **chosen)
    except (ClientError, BotoCoreError) as error:
        if code_of(error) in _UNSUPPORTED:
            return {}
        raise problem(error, store.uri(key), doing="read its tags") from error
    return {tag["Key"]: tag["Value"] for tag in answer["TagSet"]}


@concealing()
def put_tags(store: Any, key: str, tags: Mapping[str, str]) -> None:
    """Give an object its tags."""
    from botocore.exceptions import BotoCoreError, ClientError

    tag_set = [{"Key": name, "Value": value} for name, value in sorted(tags.items())]
    try:
        store.client.put_object_tagging(Bucket=store.bucket, Key=key, Tagging={"TagSet": tag_set})
    except (ClientError, BotoCoreError) as error:
        raise problem(error, store.uri(key), doing="write its tags") from error


def _whole_checksum(answer: Mapping[str, Any]) -> tuple[str, str] | None:
    if answer.get("ChecksumType") != "FULL_OBJECT":
        return None
    for algorithm in _CHECKSUMS:
        if value := answer.get(f"Checksum{algorithm}"):
            return algorithm, value
    return None


def _archived(uri: str, storage_class: str) -> str:
    return (
        f"{uri} is archived ({storage_class}) and cannot be read. Restore it first (aws s3api "
        "restore-object), which takes minutes to hours, and copy then."
    )


def problem(
    error: Exception, objects: str, *, doing: str = "copy", create_only: bool = False
) -> TradewindError:
    """Say what an error of S3 means for a copy.

    Args:
        error: Of botocore.
        objects: What was copied where.
        doing: What was done.
        create_only: The target was not to be replaced.
    """
    response: dict[str, Any] = getattr(error, "response", {})
    said = response.get("Error", {})
    code = code_of(error)
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code == "NoSuchBucket" and said.get("BucketName"):
        return SetupError(
            f"{objects}: there is no bucket {said['BucketName']}. Create it, or correct its name."
        )
    if code in ("NoSuchKey", "NoSuchVersion", "404"):
        return InputError(f"{objects}: the source is not there. Correct its key or version.")
    if code == "InvalidObjectState":
        return InputError(_archived(objects, "its storage class says so"))
    if status == 412 and create_only:
        return InputError(
            f"{objects}: the target exists by now, or the source has changed. Choose another key, "
            "or allow it to be replaced."
        )
    if status == 412:
        return RetryError(f"{objects}: the source has changed while it was copied. Copy again.")
    if status == 403 and code in ("AccessDenied", "403", "Forbidden"):
        return SetupError(
            f"{objects}: cannot {doing}: refused ({code}). Grant them s3:GetObject and "
            "s3:GetObjectTagging on the source, s3:PutObject and s3:PutObjectTagging on the target "
            "(s3:PutObjectAcl for an ACL)."
        )
    return told(error, objects, doing)
