"""Beginning a multipart upload so that the owner's next attempt knows it; see `records`."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from typing import Any

from tradewind.errors import RetryError
from tradewind.move.store import OWNER, Unfinished
from tradewind.systems.s3.errors import code_of
from tradewind.systems.s3.records import (
    CLAIM_SECONDS,
    Listing,
    Record,
    intent_key,
    listing_of,
    record_key,
)

__all__ = ["abort", "begin", "is_empty", "settled"]

_GONE = ("NoSuchUpload", "NoSuchKey", "404")
_SETTLE_SECONDS, _PAUSE_SECONDS = 3.0, 0.1


def begin(
    client: Any,
    bucket: str,
    key: str,
    metadata: Mapping[str, str],
    create: Callable[[], Mapping[str, Any]],
) -> tuple[str, Record | None]:
    """Begin an upload, and record whose it is: an intent, the upload, the record.

    Args:
        client: Of S3.
        bucket: The bucket.
        key: The object.
        metadata: The object's; it has the owner.
        create: Sends CreateMultipartUpload.

    Returns:
        The upload's id, and its record where there is one, which goes with the upload.

    Raises:
        RetryError: Recording it took too long, so that another attempt may have aborted it.
        botocore.exceptions.ClientError: The server refused it.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    place = intent_key(key, metadata)
    if place is None:
        return str(create()["UploadId"]), None
    started = time.monotonic()
    intent = client.create_multipart_upload(Bucket=bucket, Key=place)["UploadId"]
    try:
        answer = create()
    except ClientError as error:
        if 400 <= error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) < 500:
            # It was not begun. After any other error it may have been: the next attempt looks.
            abort(client, bucket, place, intent)
        raise
    upload = str(answer["UploadId"])
    record: Record | None = None
    try:
        where = record_key(key, upload, metadata) or ""
        recorded = client.create_multipart_upload(Bucket=bucket, Key=where)["UploadId"]
        record = Record(key, recorded, place=where)
        if time.monotonic() - started > CLAIM_SECONDS:
            raise RetryError(
                f"s3://{bucket}/{key}: the server took longer than {CLAIM_SECONDS:.0f} s to begin "
                "an upload. Nothing was written; try again."
            )
    except BaseException:
        if abort(client, bucket, key, upload):
            abort(client, bucket, place, intent)
            if record is not None:
                abort(client, bucket, record.place, record.id)
        raise
    if answer.get("ResponseMetadata", {}).get("RetryAttempts"):
        # botocore sent it again: the first one may have been begun too, its answer lost.
        with contextlib.suppress(ClientError, BotoCoreError):
            _abort_lost(client, bucket, key, metadata[OWNER])
    abort(client, bucket, place, intent)
    return upload, record


def _abort_lost(client: Any, bucket: str, key: str, owner: str) -> None:
    pages = client.get_paginator("list_multipart_uploads").paginate(Bucket=bucket, Prefix=key)
    listing = listing_of(pages, key)
    asked = listing.in_question()
    told, _ = listing.told(asked, lambda key, upload: is_empty(client, bucket, key, upload))
    for left in told:
        if left.id in asked and left.key == key and left.owner == owner:
            abort(client, bucket, key, left.id)


def settled(listed: Callable[[], Listing], empty: Callable[[str, str], bool]) -> list[Unfinished]:
    """Tell whose uploads are; wait a moment for owners that are just recording theirs.

    Args:
        listed: Lists them.
        empty: Tells of a key and an id whether that upload has no parts.
    """
    listing = listed()
    asked = listing.in_question()
    last = time.monotonic() + _SETTLE_SECONDS
    if not asked:
        return listing.told(asked, empty)[0]
    while True:
        # Again, as records are listed after uploads: one may have come in between.
        listing = listed()
        found, sure = listing.told(asked, empty)
        if sure or time.monotonic() > last:
            return found
        asked = listing.in_question()
        time.sleep(_PAUSE_SECONDS)


def is_empty(client: Any, bucket: str, key: str, upload: str) -> bool:
    """Tell whether an upload is there and has no parts."""
    from botocore.exceptions import ClientError

    try:
        answer = client.list_parts(Bucket=bucket, Key=key, UploadId=upload, MaxParts=1)
    except ClientError as error:
        if code_of(error) in _GONE:
            return False
        raise
    return not answer.get("Parts")


def abort(client: Any, bucket: str, key: str, upload: str) -> bool:
    """Abort an upload where the server can be reached; tell whether it is gone."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        client.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload)
    except ClientError as error:
        return code_of(error) in _GONE
    except BotoCoreError:
        return False  # the owner's next attempt discards it
    return True
