"""Writing one part: a format that pulls batches, in a thread that can be pushed."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING

from tradewind.move.batches import Batches
from tradewind.move.compression import compress

if TYPE_CHECKING:
    import pyarrow as pa

    from tradewind.move.format import Format
    from tradewind.move.store import ObjectInfo, Upload

__all__ = ["PartWriter"]


class _StoppedError(Exception):
    """The part was given up."""


class PartWriter:
    """One object that batches are encoded into, while others are open beside it.

    A format pulls its batches; with several parts open somebody has to push. So each part has a
    thread, in which the format pulls from here. At most one batch waits.

    Args:
        upload: The object.
        format: How to write.
        compression: ``gzip``, ``zstd`` or None.
        schema: What all batches have.
    """

    def __init__(
        self, upload: Upload, format: Format, compression: str | None, schema: pa.Schema
    ) -> None:
        self.rows = 0
        self.sent = 0
        self._upload = upload
        self._format = format
        self._compression = compression
        self._schema = schema
        self._wanted = threading.Semaphore(0)
        self._given = threading.Semaphore(0)
        self._next: pa.RecordBatch | None = None
        self._stopped = False
        self._ended = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="tradewind writes", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            encoded = self._format.encode(Batches(self._schema, self._batches()))
            chunks = compress(encoded, self._compression)
            try:
                for chunk in chunks:
                    self._upload.write(chunk)
                    self.sent += len(chunk)
            finally:
                if isinstance(chunks, Generator):
                    chunks.close()
        except BaseException as error:
            self._error = error
        finally:
            self._ended = True
            self._wanted.release()

    def _batches(self) -> Iterator[pa.RecordBatch]:
        while True:
            self._wanted.release()
            self._given.acquire()
            if self._stopped:
                raise _StoppedError
            batch, self._next = self._next, None
            if batch is None:
                return
            yield batch
            del batch

    def push(self, batch: pa.RecordBatch) -> None:
        """Hand over a batch; waits until the one before is encoded."""
        self._give(batch)
        self.rows += batch.num_rows

    def settle(self) -> None:
        """Wait until all that was pushed is encoded, so that `sent` is the same in each run."""
        self._wanted.acquire()
        self._wanted.release()
        self._check()

    def finish(self) -> ObjectInfo:
        """Write the end and complete the object."""
        self._give(None)
        self._thread.join()
        self._check()
        return self._upload.complete()

    def _give(self, batch: pa.RecordBatch | None) -> None:
        self._wanted.acquire()
        if self._ended:
            self._wanted.release()
            self._check()
            raise RuntimeError("The format ended before its batches did.")
        self._next = batch
        self._given.release()

    def _check(self) -> None:
        if self._error is not None:
            raise self._error

    def abort(self) -> None:
        """Give the object up."""
        self._stopped = True
        self._given.release()
        self._thread.join()
        self._upload.abort()
