"""Copies within Azure Blob Storage, done by it: the data never leave it.

Source: https://learn.microsoft.com/rest/api/storageservices/copy-blob-from-url, which ends when the
copy is whole, and not before. The older Copy Blob shows an empty blob meanwhile.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from tradewind.errors import InputError, RetryError
from tradewind.systems.azure.blobs import spelled
from tradewind.systems.azure.errors import code_of, translated

if TYPE_CHECKING:
    from azure.storage.blob import BlobClient

    from tradewind.move.store import ObjectInfo, ServerCopy
    from tradewind.systems.azure.container import Container

__all__ = ["MOST_BYTES", "copy_from_url"]

MOST_BYTES = 256 << 20
"""The largest blob that one request copies."""

_LONGEST = timedelta(hours=1)
_SCOPE = "https://storage.azure.com/.default"
_UNREADABLE = {"CannotVerifyCopySource", "CopySourceNotVerified", "InvalidCopySource"}
_EXISTS = {"BlobAlreadyExists", "UnauthorizedBlobOverwrite"}
_CHANGED = {"ConditionNotMet", "TargetConditionNotMet", *_EXISTS}


def copy_from_url(source: Container, order: ServerCopy, target: Container) -> str | None:
    """Have the store copy a blob of at most `MOST_BYTES`.

    Args:
        source: Where from; its credentials make the source readable for the store.
        order: What is asked for.
        target: Where to.

    Returns:
        The copy's ETag; None where the store may not read the source.

    Raises:
        InputError: The copy exists (`create_only`).
        RetryError: Source or target were replaced meanwhile.
    """
    from azure.core import MatchConditions
    from azure.core.exceptions import HttpResponseError

    info = order.described.info
    target.check_key(order.key, writing=True)
    order.copied(0)
    before = None if order.create_only else target.head(order.key)
    options: dict[str, Any] = {"match_condition": MatchConditions.IfMissing}
    if before is not None:
        options = {
            "etag": f'"{before.etag}"',
            "match_condition": MatchConditions.IfNotModified,
        }
    metadata = {spelled(name): text for name, text in order.metadata.items()}
    where = target.describe(order.key)
    with translated(where, "copy to"):
        url, authorization = _readable(source.client.get_blob_client(info.key))
        if authorization:
            options["source_authorization"] = authorization
        try:
            done = target.client.get_blob_client(order.key).start_copy_from_url(
                url,
                metadata=metadata,
                requires_sync=True,
                source_etag=f'"{info.etag}"',
                source_match_condition=MatchConditions.IfNotModified,
                **options,
            )
        except HttpResponseError as error:
            code = code_of(error)
            if code in _UNREADABLE:
                return None
            if code not in _CHANGED and error.status_code != 412:
                raise
            there = target.head(order.key)
            if not _is_ours(there, before, info, order):
                now = source.head(info.key)
                if now is None or now.etag != info.etag:
                    raise RetryError(
                        f"{source.uri(info.key)} was replaced while it was copied. Try again."
                    ) from None
                raise _taken(where, order) from None
            done = {"etag": str(there and there.etag)}
    order.copied(info.size)
    return str(done["etag"]).strip('"')


def _is_ours(
    there: ObjectInfo | None, before: ObjectInfo | None, info: ObjectInfo, order: ServerCopy
) -> bool:
    """Tell whether a request that was repeated has been done the first time."""
    return (
        there is not None
        and there.etag != (before and before.etag)
        and there.size == info.size
        and there.checksum == info.checksum
        and order.metadata.items() <= there.metadata.items()
    )


def _taken(where: str, order: ServerCopy) -> InputError | RetryError:
    if order.create_only:
        return InputError(f"{where} exists. Choose another name, or allow it to be replaced.")
    return RetryError(f"{where} was replaced meanwhile. Try again.")


def _readable(blob: BlobClient) -> tuple[str, str | None]:
    """Make an address that the store may read the blob by for an hour, and what authorizes it."""
    credential: Any = blob.credential
    if hasattr(credential, "account_key"):
        from azure.storage.blob import BlobSasPermissions, generate_blob_sas

        signature = generate_blob_sas(
            str(blob.account_name),
            blob.container_name,
            blob.blob_name,
            account_key=credential.account_key,
            permission=BlobSasPermissions(read=True),
            expiry=datetime.now(UTC) + _LONGEST,
        )
        return f"{blob.url}?{signature}", None
    if hasattr(credential, "get_token"):
        return str(blob.url), f"Bearer {credential.get_token(_SCOPE).token}"
    return str(blob.url), None
