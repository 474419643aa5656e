"""Writing one blob: in one request, or in blocks that are committed together."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tradewind.errors import InputError, RetryError
from tradewind.move.objects.parted_upload import PartedUpload
from tradewind.move.store import ObjectInfo
from tradewind.systems.azure.errors import code_of, translated

if TYPE_CHECKING:
    from azure.storage.blob import BlobClient

    from tradewind.systems.azure.container import Container

__all__ = ["AzureUpload"]

_MOST_BLOCKS = 50_000
_GONE = {"InvalidBlockList", "InvalidBlobOrBlock", "BlobNotFound"}
_LEASED = {"LeaseIdMissing", "LeaseAlreadyPresent"}
_CONDITIONS = {"ConditionNotMet", "BlobAlreadyExists", "TargetConditionNotMet"}


class AzureUpload(PartedUpload):
    """One blob, put in one request or committed from blocks."""

    def __init__(
        self,
        store: Container,
        key: str,
        settings: Any,
        metadata: dict[str, str],
        replaces: str | None,
        expected: bool,
    ) -> None:
        super().__init__(store._part_bytes, senders=store._connections)
        self._store = store
        self._key = key
        self._blob: BlobClient = store.client.get_blob_client(key)
        self._where = store.describe(key)
        self._settings = settings
        self._metadata = metadata
        self._replaces = replaces
        self._expected = expected
        self._token = secrets.token_hex(8)

    def _put(self, data: bytes, md5: bytes) -> ObjectInfo:
        try:
            return self._publish(
                len(data),
                md5,
                lambda options: self._blob.upload_blob(
                    data, overwrite=self._replaces is not None, validate_content=True, **options
                ),
            )
        except (InputError, RetryError):
            if self._replaces is not None or self._store.head(self._key) is not None:
                raise
            # Azurite takes blocks that somebody has staged for a blob, unless they are committed.
            return self._finish(0, 0, data, md5)

    def _begin(self) -> None:
        return

    def _send(self, number: int, offset: int, data: bytes) -> None:
        if number >= _MOST_BLOCKS:
            raise InputError(
                f"{self._where}: a blob has at most {_MOST_BLOCKS} blocks of {self._part_bytes} "
                "bytes. Choose larger part_bytes, or write the data in parts."
            )
        with translated(self._where, "write"):
            # With an MD5 that the store compares.
            self._blob.stage_block(self._id(number), data, validate_content=True)

    def _finish(self, number: int, offset: int, data: bytes, md5: bytes) -> ObjectInfo:
        from azure.storage.blob import BlobBlock

        if data:
            self._send(number, offset, data)
        blocks = [BlobBlock(self._id(index)) for index in range(number + bool(data))]
        return self._publish(
            offset + len(data), md5, lambda options: self._blob.commit_block_list(blocks, **options)
        )

    def _cancel(self) -> None:
        # The blocks stay, invisible: to throw them away at once an empty blob would have to stand
        # under the name for a moment, and somebody may be waiting for it.
        return

    def _id(self, number: int) -> str:
        # All of a blob's blocks have names of one length, and Azure's client encodes this one.
        return f"{self._token}{number:08d}"

    def _publish(
        self, size: int, md5: bytes, publish: Callable[[dict[str, Any]], Any]
    ) -> ObjectInfo:
        """Make the blob visible on the condition that was set, and look at what is there then."""
        from azure.core import MatchConditions
        from azure.core.exceptions import HttpResponseError

        self._settings.content_md5 = bytearray(md5)
        options: dict[str, Any] = {"metadata": self._metadata, "content_settings": self._settings}
        if self._replaces is None:
            options["match_condition"] = MatchConditions.IfMissing
        else:
            options["etag"] = f'"{self._replaces}"'
            options["match_condition"] = MatchConditions.IfNotModified
        etag = None
        with translated(self._where, "write"):
            try:
                etag = str(publish(options)["etag"]).strip('"')
            except HttpResponseError as error:
                if code_of(error) in _LEASED:
                    raise RetryError(
                        f"{self._where}: somebody holds a lease on it. Try again when it has "
                        "ended, or break it (az storage blob lease break)."
                    ) from error
                lost = error.status_code in (409, 412) or code_of(error) in _CONDITIONS
                if not lost and code_of(error) not in _GONE:
                    raise
                # Also the answer to a request that was repeated, its first answer having got lost.
                found = self._store.head(self._key)
                if found is None or not self._is_ours(found, size, md5):
                    raise self._lost(lost) from error
                return found
        found = self._store.head(self._key)
        if found is None or (found.etag == etag and not self._is_ours(found, size, md5)):
            has = f"{found.size} bytes with {found.checksum}" if found else "nothing"
            raise RetryError(
                f"{self._where}: the store has {has} and not the {size} bytes with md5:{md5.hex()} "
                "that were sent. Try again."
            )
        if found.etag != etag:
            raise RetryError(f"{self._where}: another writer replaced it at once. Try again.")
        return found

    def _is_ours(self, found: ObjectInfo, size: int, md5: bytes) -> bool:
        return (
            found.size == size
            and found.checksum == f"md5:{md5.hex()}"
            and found.etag != self._replaces
        )

    def _lost(self, by_condition: bool) -> Exception:
        if not by_condition or not self._expected:
            return RetryError(
                f"{self._where}: another writer took over, and this upload was given up. Try again."
            )
        if self._replaces is None:
            return InputError(
                f"{self._where} exists already. Choose another name, or allow that it is replaced."
            )
        return InputError(
            f"{self._where} is not the version {self._replaces} any more: somebody has replaced it."
        )
