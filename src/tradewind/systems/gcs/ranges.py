"""An object of Google Cloud Storage as a file that is read anywhere, as Parquet wants it."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from tradewind.errors import RetryError

if TYPE_CHECKING:
    from tradewind.move.store import ObjectInfo
    from tradewind.systems.gcs.store import GCSStore

__all__ = ["ObjectFile"]


class ObjectFile(io.RawIOBase):
    """One version of an object, of which each read asks for just the bytes that it wants.

    Memory: what is asked for at once.

    Args:
        store: The bucket.
        info: The object, with the generation that is read.
    """

    def __init__(self, store: GCSStore, info: ObjectInfo) -> None:
        super().__init__()
        self._store = store
        self._info = info
        self._at = 0

    def readable(self) -> bool:
        """Tell that it is."""
        return True

    def seekable(self) -> bool:
        """Tell that it is."""
        return True

    def tell(self) -> int:
        """Tell where the next read begins."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Say where the next read begins."""
        begin = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._info.size}[whence]
        self._at = max(0, begin + offset)
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer, as far as there are bytes.

        Raises:
            RetryError: The object is another version by now, or gone.
        """
        view = memoryview(buffer).cast("B")
        size = min(len(view), self._info.size - self._at)
        if size <= 0:
            return 0
        answer = self._store.http.ask(
            "GET",
            self._store.object(self._info.key),
            {"alt": "media", "generation": str(self._info.etag)},
            # As it is stored: a body kept with gzip would be unpacked otherwise.
            headers={
                "Range": f"bytes={self._at}-{self._at + size - 1}",
                "Accept-Encoding": "gzip",
            },
        )
        where = self._store.uri(self._info.key)
        if answer.status == 404:
            raise RetryError(f"{where} was replaced or deleted while it was read. Try again.")
        found = answer.expect(206, 200).response.content
        if answer.status == 200:  # The whole of it, where a server knows no ranges.
            found = found[self._at : self._at + size]
        if len(found) != size:
            raise RetryError(f"{where}: {size} bytes were asked for, {len(found)} came. Try again.")
        view[:size] = found
        self._at += size
        return size
