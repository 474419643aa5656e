"""Copies within Google Cloud Storage, done by it: the data never leave it.

Source: https://cloud.google.com/storage/docs/json_api/v1/objects/rewrite
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING
from urllib.parse import quote

from tradewind.errors import InputError, RetryError

if TYPE_CHECKING:
    from tradewind.move.store import ObjectInfo
    from tradewind.systems.gcs.bucket import Bucket

__all__ = ["rewrite"]

_KEPT = (
    "cacheControl",
    "contentDisposition",
    "contentEncoding",
    "contentLanguage",
    "contentType",
    "customTime",
)
"""What of an object's own description goes with it, beside its user metadata."""


def rewrite(
    source: Bucket,
    info: ObjectInfo,
    target: Bucket,
    target_key: str,
    *,
    metadata: Mapping[str, str],
    create_only: bool,
    copied: Callable[[int], None],
) -> str | None:
    """Have the store copy an object, in as many steps as it wants.

    The storage class is the target bucket's default one.

    Args:
        source: Where from.
        info: The object, as `GCSStore.head` describes it.
        target: Where to; its credentials have to read the source.
        target_key: As what.
        metadata: User metadata of the copy.
        create_only: Whether it must not be there yet.
        copied: Is told how many bytes more are copied after each step, and may raise.

    Returns:
        The copy's generation; None where these credentials do not read the source.

    Raises:
        InputError: The target exists (`create_only`).
        RetryError: Source or target were replaced meanwhile.
    """
    target.check_key(target_key, writing=True)
    address = (
        f"{source.objects}/{quote(info.key, safe='')}/rewriteTo/"
        f"b/{quote(target.bucket, safe='')}/o/{quote(target_key, safe='')}"
    )
    fields = ",".join((*_KEPT, "generation"))
    answer = target.http.ask("GET", source.object(info.key), {"fields": fields})
    if answer.status in (401, 403, 404):
        return None
    described = answer.expect(200).json()
    if str(described["generation"]) != info.etag:
        raise RetryError(f"{source.uri(info.key)} was replaced while it was copied. Try again.")
    body = {name: described[name] for name in _KEPT if name in described}
    body["metadata"] = dict(metadata)
    found = None if create_only else target.head(target_key)
    query = {
        "sourceGeneration": str(info.etag),
        "ifGenerationMatch": (found and found.etag) or "0",
    }
    so_far = 0
    while True:
        answer = target.http.ask(
            "POST",
            address,
            query,
            json.dumps(body).encode(),
            {"Content-Type": "application/json; charset=UTF-8"},
        )
        if answer.status == 412:
            if create_only and not answer.repeated:
                raise InputError(
                    f"{target.uri(target_key)} exists. Choose another name, or allow it to be "
                    "replaced."
                )
            raise RetryError(f"{target.uri(target_key)} was replaced meanwhile. Try again.")
        if answer.status == 404:
            raise RetryError(f"{source.uri(info.key)} was deleted while it was copied. Try again.")
        told = answer.expect(200).json()
        copied(int(told.get("totalBytesRewritten", 0)) - so_far)
        so_far = int(told.get("totalBytesRewritten", 0))
        if told.get("done"):
            return str(told["resource"]["generation"])
        query["rewriteToken"] = told["rewriteToken"]
