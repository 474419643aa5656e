"""Copying within S3: the data never leave the server.

CopyObject takes at most 5 GiB; what is larger is put together from ranges by UploadPartCopy, which
carries neither content type nor metadata nor tags, so they are read and given again. See "Copying
objects" in the Amazon S3 User Guide.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from tradewind.errors import InputError, RetryError, SetupError, TradewindError
from tradewind.move.store import ObjectInfo
from tradewind.systems.s3.errors import code_of, told
from tradewind.systems.s3.records import record_key

__all__ = [
    "Description",
    "Order",
    "Seen",
    "copy_within",
    "describe",
    "options_of",
    "problem",
    "put_tags",
    "reaches",
    "tags_of",
]

_HEADERS = (
    "ContentType",
    "ContentEncoding",
    "CacheControl",
    "ContentDisposition",
    "ContentLanguage",
    "Expires",
    "WebsiteRedirectLocation",
)
_OPTIONS = ("ServerSideEncryption", "SSEKMSKeyId", "BucketKeyEnabled", "StorageClass")
_CHECKSUMS = ("CRC64NVME", "CRC32C", "CRC32")
_ARCHIVES = ("GLACIER", "DEEP_ARCHIVE")
_PARTS = 10_000  # the most that an upload may have
_UNSUPPORTED = ("NotImplemented", "MethodNotAllowed", "501", "405")


@dataclass(frozen=True)
class Description:
    """What S3 says of one version of an object.

    Args:
        info: The object.
        headers: What a client sees with it, by the names of the API's parameters.
        checksum: Algorithm and value over the whole object, None where S3 keeps none.
    """

    info: ObjectInfo
    headers: Mapping[str, Any]
    checksum: tuple[str, str] | None


@dataclass(frozen=True)
class Order:
    """One copy that is wanted.

    Args:
        bucket: Where from.
        key: What.
        version: Which version of it; None for the newest.
        target_bucket: Where to.
        target_key: As what.
        metadata: User metadata of the copy.
        tags: Tags of the source, needed above `threshold` only.
        acl: Canned ACL; None for the bucket's default.
        options: Encryption and storage class of the target.
        create_only: Fail where the target exists.
        threshold: Most bytes to copy in one request.
        part_size: Bytes a range; more where 10,000 of them would not do.
        connections: Ranges on their way at once.
    """

    bucket: str
    key: str
    version: str | None
    target_bucket: str
    target_key: str
    metadata: Mapping[str, str]
    tags: Mapping[str, str] | None
    acl: str | None
    options: Mapping[str, Any]
    create_only: bool
    threshold: int
    part_size: int
    connections: int

    @property
    def source(self) -> dict[str, str]:
        """The source as the API names it."""
        version = {"VersionId": self.version} if self.version else {}
        return {"Bucket": self.bucket, "Key": self.key, **version}

    @property
    def target(self) -> dict[str, str]:
        """The target as the API names it."""
        return {"Bucket": self.target_bucket, "Key": self.target_key}


def options_of(store: Any) -> dict[str, Any]:
    """Tell which of a store's options for new objects hold for copies too."""
    extra: Mapping[str, Any] = getattr(store, "_extra_args", {})
    return {name: extra[name] for name in _OPTIONS if name in extra}


def reaches(source: Any, target: Any) -> bool:
    """Tell whether one S3 server may hold both stores, so that it can copy by itself."""
    clients = [getattr(store, "client", None) for store in (source, target)]
    if not all(hasattr(client, "upload_part_copy") for client in clients):
        return False
    one, other = (str(client.meta.endpoint_url) for client in clients)  # type: ignore[union-attr]
    return one == other or all(".amazonaws.com" in endpoint for endpoint in (one, other))


def describe(store: Any, key: str, version: str | None = None) -> Description | None:
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
    return Description(info, headers, _whole_checksum(answer))


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


def put_tags(store: Any, key: str, tags: Mapping[str, str]) -> None:
    """Give an object its tags."""
    from botocore.exceptions import BotoCoreError, ClientError

    tag_set = [{"Key": name, "Value": value} for name, value in sorted(tags.items())]
    try:
        store.client.put_object_tagging(Bucket=store.bucket, Key=key, Tagging={"TagSet": tag_set})
    except (ClientError, BotoCoreError) as error:
        raise problem(error, store.uri(key), doing="write its tags") from error


def copy_within(
    store: Any,
    order: Order,
    described: Description,
    *,
    copied: Callable[[int], None],
    stop: threading.Event,
) -> str:
    """Copy one object within its server.

    Args:
        store: The target's, whose credentials do it.
        order: What is wanted.
        described: The source as it was found; another version of it is not copied.
        copied: Is told the bytes of each range that is done; may raise.
        stop: Ends it between two ranges.

    Returns:
        The ETag of the copy.

    Raises:
        InputError: The target exists, or the source is missing or archived.
        RetryError: The source has changed, or another attempt took over.
        SetupError: A bucket or a permission is missing.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    size = described.info.size
    objects = f"s3://{order.bucket}/{order.key} to {store.uri(order.target_key)}"
    try:
        # Of conditions on the target CompleteMultipartUpload's are known best: servers have them
        # for longer than CopyObject's, and Swift takes that one for a condition on the source.
        if size <= order.threshold and not (order.create_only and size):
            etag = _in_one(store.client, order, described)
            copied(size)
            return etag
        return _in_ranges(store.client, order, described, copied=copied, stop=stop)
    except (ClientError, BotoCoreError) as error:
        raise problem(error, objects, create_only=order.create_only) from error


def _in_one(client: Any, order: Order, described: Description) -> str:
    answer = client.copy_object(
        **order.target,
        CopySource=order.source,
        CopySourceIfMatch=_quoted(described.info.etag),
        MetadataDirective="REPLACE",  # the owner is added to what the source has
        Metadata=dict(order.metadata),
        **described.headers,
        **_optional(order),
    )
    return str(answer["CopyObjectResult"]["ETag"]).strip('"')


def _in_ranges(
    client: Any,
    order: Order,
    described: Description,
    *,
    copied: Callable[[int], None],
    stop: threading.Event,
) -> str:
    try:
        return _put_together(client, order, described, described.checksum, copied, stop)
    except _WholeChecksumError:
        # Versity's gateway tells for each range the checksum of all, and would store a wrong one.
        return _put_together(client, order, described, None, copied, stop)


def _put_together(
    client: Any,
    order: Order,
    described: Description,
    whole: tuple[str, str] | None,
    copied: Callable[[int], None],
    stop: threading.Event,
) -> str:
    size = described.info.size
    step = max(order.part_size, -(-size // _PARTS))
    checksum = {"ChecksumAlgorithm": whole[0], "ChecksumType": "FULL_OBJECT"} if whole else {}
    options = _optional(order)
    if order.tags:
        options["Tagging"] = urlencode(order.tags)
    upload = client.create_multipart_upload(
        **order.target, Metadata=dict(order.metadata), **described.headers, **options, **checksum
    )["UploadId"]
    place = record_key(order.target_key, upload, order.metadata)
    record = None
    broken = threading.Event()

    def copy_range(number: int, first: int, last: int) -> dict[str, Any]:
        if broken.is_set() or stop.is_set():
            raise _NotBegunError
        answer = client.upload_part_copy(
            **order.target,
            UploadId=upload,
            PartNumber=number,
            CopySource=order.source,
            CopySourceRange=f"bytes={first}-{last}",
            CopySourceIfMatch=_quoted(described.info.etag),
        )["CopyPartResult"]
        checksums = {name: answer[name] for name in answer if name.startswith("Checksum")}
        return {"PartNumber": number, "ETag": answer["ETag"], **checksums}

    ranges = [
        (number, first, min(first + step, size) - 1)
        for number, first in enumerate(range(0, size, step), 1)
    ]
    parts = []
    try:
        if place is not None:
            record = client.create_multipart_upload(Bucket=order.target_bucket, Key=place)
        with ThreadPoolExecutor(min(order.connections, len(ranges)), "copy-range") as pool:
            try:
                copies = [pool.submit(copy_range, *each) for each in ranges]
                for (_, first, last), copy in zip(ranges, copies, strict=True):
                    parts.append(copy.result())
                    if whole and len(ranges) > 1 and _tells(parts[-1], whole):
                        raise _WholeChecksumError
                    copied(last - first + 1)
            finally:
                broken.set()
                pool.shutdown(cancel_futures=True)
        condition = {"IfNoneMatch": "*"} if order.create_only else {}
        answer = client.complete_multipart_upload(
            **order.target, UploadId=upload, MultipartUpload={"Parts": parts}, **condition
        )
    except BaseException as error:
        _abort(client, order.target, upload)
        if isinstance(error, _NotBegunError):
            copied(0)  # raises where the copy was asked to stop
        raise
    finally:
        if record is not None and place is not None:
            at = {"Bucket": order.target_bucket, "Key": place}
            _abort(client, at, record["UploadId"])
    etag = str(answer["ETag"]).strip('"')
    _check_etag(etag, parts, encrypted="aws:kms" in str(answer.get("ServerSideEncryption")))
    return etag


class _NotBegunError(Exception):
    """A range that is no longer wanted."""


class _WholeChecksumError(Exception):
    """The server tells the checksum of the whole source for a part of it."""


def _tells(part: Mapping[str, Any], checksum: tuple[str, str]) -> bool:
    algorithm, value = checksum
    return part.get(f"Checksum{algorithm}") == value


def _abort(client: Any, at: Mapping[str, str], upload: str) -> None:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        client.abort_multipart_upload(**at, UploadId=upload)
    except (ClientError, BotoCoreError):
        return  # gone, or out of reach: the owner's next attempt discards it


def _check_etag(etag: str, parts: list[dict[str, Any]], *, encrypted: bool) -> None:
    """An ETag of parts is the MD5 of their MD5s, except where a key of KMS encrypts them."""
    digests = [part["ETag"].strip('"') for part in parts]
    if encrypted or not etag.endswith(f"-{len(parts)}") or any(len(d) != 32 for d in digests):
        return
    whole = hashlib.md5(b"".join(map(bytes.fromhex, digests)), usedforsecurity=False).hexdigest()
    if etag != f"{whole}-{len(parts)}":
        raise RetryError(
            f"S3 put the ranges together as {etag}, they are {whole}-{len(parts)}. Copy again."
        )


def _optional(order: Order) -> dict[str, Any]:
    return {**order.options, **({"ACL": order.acl} if order.acl else {})}


def _quoted(etag: str | None) -> str:
    return f'"{etag}"'


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


class Seen:
    """A bucket as the credentials of another store see it.

    Args:
        store: Whose credentials.
        bucket: Which bucket.
    """

    def __init__(self, store: Any, bucket: str) -> None:
        self.client = store.client
        self.bucket = bucket

    def uri(self, key: str = "") -> str:
        """Name an object."""
        return f"s3://{self.bucket}/{key}"

    def check(self) -> None:
        """Expect nothing: the owner of the bucket has looked at it."""
