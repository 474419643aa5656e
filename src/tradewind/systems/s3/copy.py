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

from tradewind.concealing import concealing
from tradewind.errors import RetryError, TradewindError
from tradewind.move.flow import CancelledError
from tradewind.move.store import Described, ServerCopy
from tradewind.systems.s3.begin import abort, begin
from tradewind.systems.s3.objects import describe, problem, tags_of
from tradewind.systems.s3.steps import check_steps

__all__ = ["Order", "Seen", "copy_from", "copy_within", "reaches"]

_OPTIONS = ("ServerSideEncryption", "SSEKMSKeyId", "BucketKeyEnabled", "StorageClass")
_PARTS = 10_000  # the most that an upload may have


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


def _options_of(store: Any) -> dict[str, Any]:
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


def copy_from(target: Any, wanted: ServerCopy) -> str | None:
    """Copy an object of another store, if one server has both; see `Store.copy_within`."""
    source, described = wanted.source, wanted.described
    if not reaches(source, target):
        return None
    key, version = described.info.key, wanted.version
    if wanted.create_only and not described.info.size and version is None and wanted.acl is None:
        return None  # nothing can be copied in ranges; an empty put knows the condition
    tagged = described.info.size > wanted.threshold or wanted.create_only
    order = Order(
        bucket=source.bucket,  # type: ignore[attr-defined]
        key=key,
        version=version,
        target_bucket=target.bucket,
        target_key=wanted.key,
        metadata=wanted.metadata,
        tags=tags_of(source, key, version) if tagged else None,
        acl=wanted.acl,
        options=_options_of(target),
        create_only=wanted.create_only,
        threshold=wanted.threshold,
        part_size=wanted.part_size,
        connections=wanted.connections,
    )
    try:
        return copy_within(target, order, described, copied=wanted.copied, stop=wanted.stop)
    except CancelledError:
        raise
    except TradewindError:
        # Other credentials may not see the source, or see another bucket of this name.
        if source.client is target.client or _readable(target, order, described):  # type: ignore[attr-defined]
            raise
        return None


def _readable(target: Any, order: Order, described: Described) -> bool:
    """Tell whether the target's credentials see the very source."""
    seen = Seen(target, order.bucket)
    try:
        found = describe(seen, order.key, order.version)
    except TradewindError:
        return False
    return found is not None and found.info.etag == described.info.etag


@concealing()
def copy_within(
    store: Any,
    order: Order,
    described: Described,
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
    check_steps(store.client, order.target_bucket, order.target_key, store.uri(order.target_key))
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


def _in_one(client: Any, order: Order, described: Described) -> str:
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
    described: Described,
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
    described: Described,
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

    def create() -> Any:
        return client.create_multipart_upload(
            **order.target,
            Metadata=dict(order.metadata),
            **described.headers,
            **options,
            **checksum,
        )

    upload, record = begin(client, order.target_bucket, order.target_key, order.metadata, create)
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
        abort(client, order.target_bucket, order.target_key, upload)
        if isinstance(error, _NotBegunError):
            copied(0)  # raises where the copy was asked to stop
        raise
    finally:
        if record is not None:
            abort(client, order.target_bucket, record.place, record.id)
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
