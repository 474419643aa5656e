"""Writing the parts of one attempt: several at once, each ended by what the data say alone."""

from __future__ import annotations

import contextlib
import secrets
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tradewind.errors import TradewindError
from tradewind.move.publish.manifest import Manifest, Part
from tradewind.move.publish.part_writer import PartWriter
from tradewind.move.publish.partitions import Partition, files_schema, folder, partitions
from tradewind.move.store import OWNER, ObjectInfo

if TYPE_CHECKING:
    import pyarrow as pa

    from tradewind.move.publish.destination import Destination, Parts
    from tradewind.owner import Owner

__all__ = ["ENDINGS", "Writing"]

_FINISHING = 4
_HELD = 32 << 20  # what a part holds at most: a row group, or some pieces and a part of an upload
_SLICES = 4
ENDINGS = {"gzip": ".gz", "zstd": ".zst"}


@dataclass
class _Open:
    """A part that is being written."""

    number: int
    key: str
    partition: Partition
    writer: PartWriter
    held: int = 0
    used: int = 0


class Writing:
    """All parts of one attempt.

    Args:
        target: Where to.
        parts: How to cut.
        prefix: What their keys begin with.
        owner: Whose they are.
        beside: Whether partitions stand there that stay: then nothing is written without rows.
        share: Which share of a move over several workers it is: its parts' numbers begin with it.
    """

    def __init__(
        self,
        target: Destination,
        parts: Parts,
        prefix: str,
        owner: Owner,
        *,
        beside: bool = False,
        share: int | None = None,
    ) -> None:
        self._target = target
        self._parts = parts
        self._prefix = prefix
        self._beside = beside
        self._owner = owner.digest
        self._run = owner.run_digest
        self._metadata = {**target.metadata, OWNER: owner.digest}
        self._token = f"{owner.digest}{secrets.token_hex(4)}"
        ending = "".join(
            [target.format.extensions[0]]
            + ([] if not target.compression else [ENDINGS[target.compression]])
        )
        first = "" if share is None else f"{share:05d}"
        self._name = f"part-{first}{{:05d}}-{self._token}{ending}"
        self._open: dict[Partition, _Open] = {}
        self._counts: dict[Partition, int] = {}
        self._begun = 0
        self._held = 0
        self._batch = 0
        self._done: dict[int, Part] = {}
        self._pool = ThreadPoolExecutor(_FINISHING, thread_name_prefix="tradewind ends")
        self._finishing: deque[tuple[_Open, Future[ObjectInfo]]] = deque()
        self._schema: pa.Schema | None = None

    # ------------------------------------------------------------------------------------- writing

    def write(self, schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> Manifest:
        """Write all; give the manifest that names it."""
        parts = self._parts
        self._schema = files_schema(schema, parts.by, keep=parts.keep)
        for batch in batches:
            if not batch.num_rows:
                continue
            self._batch += 1
            found = partitions(batch, parts.by) if parts.by else iter([((), batch)])
            for partition, rows in found:
                if parts.by and not parts.keep:
                    rows = rows.select([name for name in rows.schema.names if name not in parts.by])
                self._write(partition, rows)
        if not self._begun and not self._beside:
            # Nothing to partition: an object that tells the schema, beside where folders would be.
            self._opened(())
        while self._open:
            self._finish(next(iter(self._open)))
        while self._finishing:
            self._collect()
        self._pool.shutdown()
        target = self._target
        return Manifest(
            owner=self._owner,
            format=target.format.name,
            compression=target.compression,
            schema=schema,
            partition_columns=parts.by,
            kept=parts.keep,
            parts=tuple(self._done[number] for number in sorted(self._done)),
        )

    def _write(self, partition: Partition, batch: pa.RecordBatch) -> None:
        parts = self._parts
        step = batch.num_rows
        if parts.bytes is not None:
            # Small enough to end near the limit, and a matter of the data alone.
            pieces = -(-batch.nbytes * _SLICES // parts.bytes)
            step = max(1, batch.num_rows // max(1, pieces))
        at = 0
        while at < batch.num_rows:
            opened = self._opened(partition)
            writer = opened.writer
            room = batch.num_rows if parts.rows is None else parts.rows - writer.rows
            rows = batch.slice(at, min(step, room))
            writer.push(rows)
            at += rows.num_rows
            self._hold(opened, rows.nbytes)
            if parts.bytes is not None:
                writer.settle()
            if writer.rows == parts.rows or (parts.bytes and writer.sent >= parts.bytes):
                self._finish(partition)
            while parts.memory is not None and self._held > parts.memory and len(self._open) > 1:
                self._finish(self._least_needed())

    def _hold(self, opened: _Open, size: int) -> None:
        """Count what a part holds, by its rows alone."""
        more = min(size, _HELD - opened.held)
        opened.held += more
        self._held += more

    def _least_needed(self) -> Partition:
        """Choose the part to end before its time: a large one, so that there are few.

        Sorted data come back to no partition, so one that was passed by goes first.
        """
        idle = [one for one in self._open.values() if one.used < self._batch - 1]
        return max(idle or self._open.values(), key=lambda one: (one.held, -one.used)).partition

    def _opened(self, partition: Partition) -> _Open:
        if (known := self._open.get(partition)) is not None:
            known.used = self._batch
            return known
        if len(self._open) == self._parts.open:
            self._finish(self._least_needed())
        count = self._counts.get(partition, 0)
        self._counts[partition] = count + 1
        where = f"{folder(self._parts.by, partition)}/" if partition else ""
        key = where + self._name.format(count)
        target = self._target
        upload = target.store.upload(
            self._prefix + key, content_type=target.content_type, metadata=self._metadata
        )
        writer = PartWriter(upload, target.format, target.compression, self._schema)
        opened = _Open(self._begun, key, partition, writer, used=self._batch)
        self._open[partition] = opened
        self._begun += 1
        return opened

    def _finish(self, partition: Partition) -> None:
        """End a part; a few end beside the ones that are written."""
        while len(self._finishing) >= _FINISHING:
            self._collect()
        ending = self._open.pop(partition)
        self._held -= ending.held
        self._finishing.append((ending, self._pool.submit(ending.writer.finish)))

    def _collect(self) -> None:
        ended, future = self._finishing[0]
        info = future.result()
        self._finishing.popleft()
        self._done[ended.number] = Part(
            key=ended.key,
            size=info.size,
            rows=ended.writer.rows,
            etag=info.etag,
            checksum=info.checksum,
            partition=ended.partition or (None,) * len(self._parts.by),
            run=self._run,
        )

    # ------------------------------------------------------------------------------------ giving up

    def remove(self) -> None:
        """Remove all parts of this attempt, as far as the store lets."""
        finished = [part.key for part in self._done.values()]
        for ended, future in self._finishing:
            with contextlib.suppress(BaseException):
                future.result()
                finished.append(ended.key)
                continue
            with contextlib.suppress(TradewindError):
                ended.writer.abort()
            finished.append(ended.key)  # it may be there all the same
        for opened in self._open.values():
            with contextlib.suppress(TradewindError):
                opened.writer.abort()
        self._pool.shutdown()
        with contextlib.suppress(TradewindError):
            self._target.store.delete(self._prefix + key for key in finished)
            self._target.store.remove_made_folders()
