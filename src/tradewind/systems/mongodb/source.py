"""Reading from MongoDB: a query or an aggregation pipeline, as JSON lines or as typed columns."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any, Literal, Self

import numpy as np
import pyarrow as pa

from tradewind.errors import InputError, SetupError
from tradewind.move.ahead import ahead
from tradewind.move.batches import Batches
from tradewind.move.document_source import DocumentSource
from tradewind.move.documents import Block, Unknown, json_lines
from tradewind.move.format import Format
from tradewind.move.interface import option
from tradewind.move.native import core
from tradewind.move.objects.schemas import declared_fields, named
from tradewind.move.source import Encoded
from tradewind.systems.mongodb.bson_lines import BsonLines, split
from tradewind.systems.mongodb.capped import capped_among, refuses_capped
from tradewind.systems.mongodb.connection import MongoConnection, named_errors, refuse_missing
from tradewind.systems.mongodb.extended_json import BsonValues
from tradewind.systems.mongodb.options import arguments_of
from tradewind.systems.mongodb.raw_documents import RawDocuments, Starts
from tradewind.systems.mongodb.transform import transformed

__all__ = ["MongoSource"]

_BLOCK = 1 << 20
_LINES_BLOCK = 4 << 20
_REPLY = 3 << 20
_SNAPSHOT_WIRE_VERSION = 13  # MongoDB 5.0
_WRITING_STAGES = {"$out", "$merge"}


class MongoSource(DocumentSource):
    """Documents of one MongoDB collection.

    The documents are read from one snapshot where the server offers that: a replica set or sharded
    cluster of MongoDB 5.0 or newer. A standalone server does not; there a document that is changed
    while it is read may be met before or after the change, and one that moves in the order of the
    index used may be met twice or not at all. Without `sort` the order is the server's natural one.

    Memory: three replies of the server of about 3 MB (16 MB each from a view, or with a larger
    `batch_size`), and one of them as columns and JSON, about 60 MB in all; for typed batches 4 MB
    of documents instead, as columns where ``tradewind-native`` makes them, as Python objects (some
    40 MB) where it does not. Longer documents (16 MiB is the server's limit) come on top,
    some copies of each: a dozen of 15 MB took 180 MB as JSON lines and 490 MB as Parquet.

    Args:
        connection: The deployment. Its URI may name the read preference.
        database: The database; the one that the connection names when not given.
        collection: The collection or view.
        query: What to find; all when not given.
        projection: Fields to give: a list of names, or MongoDB's own form.
        sort: ``[("field", 1), ...]`` or ``{"field": 1}``.
        limit: The most documents to read; 0 is all.
        hint: The index to use, as for `sort` or by name.
        pipeline: An aggregation pipeline instead of `query`, `projection` and `sort`.
        batch_size: Documents in a reply of the server; about 3 MB of them when not given.
        allow_disk_use: Whether stages that need much memory may use the server's disk.
        max_time: Seconds of work on the server after which it gives up; None is no limit.
        snapshot: Whether to read from one snapshot: True asks for it, False does without, None
            takes it where it is offered. A server keeps a snapshot for five minutes by default
            (``minSnapshotHistoryWindowInSeconds``); a longer read ends with an error. Capped
            collections, and views and pipelines that read one, are read without a snapshot, as
            MongoDB has it; the receipt says so.
        missing_ok: Whether a collection that is not there counts as an empty one.
        json: Extended JSON: ``relaxed`` for people and most programs, ``canonical`` keeps the exact
            BSON type of every number and date.
        schema: Columns and types of the batches, or names of types by field (see docs/values.md),
            of some fields; what the first documents have when not given. A format that is asked
            for JSON lines then gets them from the batches.
        sample: How many documents to look at where no schema is given.
        unknown: What to do with fields that the schema does not have: ``error``, or ``extra`` keeps
            them as JSON in a column ``_extra``.
        transform: Is handed an iterator of the documents (dicts as PyMongo decodes them) and gives
            what takes their place, as `MongoToS3Operator.transform` does.
    """

    decides = (
        "connection",
        "database",
        "collection",
        "query",
        "projection",
        "sort",
        "limit",
        "pipeline",
        "missing_ok",
        "json",
        "schema",
        "types",
        "sample",
        "unknown",
        "transform",
    )

    def __init__(
        self,
        connection: MongoConnection,
        *,
        database: str | None = None,
        collection: str,
        query: Mapping[str, Any] | None = None,
        projection: Mapping[str, Any] | Sequence[str] | None = None,
        sort: Mapping[str, Any] | Sequence[tuple[str, Any]] | None = None,
        limit: int = 0,
        hint: str | Sequence[tuple[str, Any]] | None = None,
        pipeline: Sequence[Mapping[str, Any]] | None = None,
        batch_size: int | None = None,
        allow_disk_use: bool = False,
        max_time: float | None = None,
        snapshot: bool | None = None,
        missing_ok: bool = False,
        json: Literal["relaxed", "canonical"] = "relaxed",
        schema: pa.Schema | Mapping[str, str] | str | None = None,
        sample: int = 1000,
        unknown: Unknown = "error",
        transform: Callable[[Iterator[dict[str, Any]]], Iterable[Any]] | None = None,
    ) -> None:
        self.connection = connection
        self.database = database or connection.database or ""
        self.collection = collection
        self.query = query
        self.projection = projection
        self.sort = sort
        self.limit = limit
        self.hint = hint
        self.pipeline = pipeline
        self.batch_size = batch_size
        self.allow_disk_use = allow_disk_use
        self.max_time = max_time
        self.snapshot = snapshot
        self.missing_ok = missing_ok
        self.json = json
        self.types = named(schema)
        self.schema = schema if isinstance(schema, pa.Schema) else None
        self.sample = sample
        self.unknown = unknown
        self.transform = transform
        self.notes: tuple[str, ...] = ()
        self._declared = declared_fields(self.types)
        self._late: list[str] = []  # fields that a reading before has met behind the first ones
        self._check()

    def _check(self) -> None:
        if not self.database:
            raise InputError(
                f"MongoDB at {self.connection.address}: no database is named. Name it in the "
                "connection, or as database."
            )
        if not self.collection:
            raise InputError(
                f"MongoDB at {self.connection.address}: no collection is named. Name it as "
                "collection."
            )
        if self.json not in ("relaxed", "canonical"):
            raise InputError(f"json={self.json!r} is not known. Choose 'relaxed' or 'canonical'.")
        if self.pipeline is None:
            return
        for name in ("query", "projection", "sort", "limit", "hint"):
            if getattr(self, name):
                raise InputError(
                    f"A pipeline takes the place of {name}=. Say it as a stage of the pipeline."
                )
        for stage in self.pipeline:
            if isinstance(stage, Mapping) and stage.keys() & _WRITING_STAGES:
                raise InputError(
                    f"The pipeline has a stage {next(iter(stage))}, which writes. Remove it: a "
                    "source only reads, and the target publishes."
                )

    def describe(self) -> str:
        """Name the deployment and the collection."""
        return f"MongoDB at {self.connection.address}: {self.database}.{self.collection}"

    def _documents(self) -> tuple[Generator[Block, None, None], BsonValues]:
        return self._blocks(), BsonValues(canonical=self.json == "canonical")

    def batches(self) -> Batches:
        """Read typed record batches; see `tradewind.move.documents` for the columns."""
        self.core = core()
        return super().batches()

    def encoded(self, format: Format) -> Encoded | None:
        """Read extended JSON lines; any other format is written from typed batches."""
        typed = self.schema is not None or self._declared
        if typed or format.name != "jsonl" or format != type(format)():
            return None
        counted = [0]
        self.core = core()
        return Encoded(self._lines(counted), rows=lambda: counted[0])

    def _lines(self, counted: list[int]) -> Iterator[bytes]:
        if self.transform is not None:
            values = BsonValues(canonical=self.json == "canonical")
            blocks = self._blocks()
            try:
                documents = (one for block in blocks for one in block.documents)
                for piece, count in json_lines(documents, values.dumps_any):
                    counted[0] += count
                    yield piece
            finally:
                blocks.close()
            return
        lines = BsonLines(canonical=self.json == "canonical")
        raw = self._raw()
        try:
            for reply in raw:
                for part, starts in split(reply, _LINES_BLOCK):
                    with named_errors(self.describe()):
                        piece = lines.encode(part, starts)
                    counted[0] += len(starts)
                    yield piece
        finally:
            raw.close()

    def _blocks(self) -> Generator[Block, None, None]:
        """Decode documents, in blocks whose borders depend on the documents alone."""
        where = self.describe()
        raw = self._raw()

        def decoded() -> Iterator[Block]:
            parts: list[bytes] = []
            ends: list[Starts] = []
            size = 0

            def block() -> Block:
                starts = np.concatenate([np.zeros(1, np.int64), *ends])[:-1]
                return Block(RawDocuments(b"".join(parts), starts, where), size)

            for reply in raw:
                # Replies end where time and server will have it; blocks must not.
                for part, starts in split(reply, _BLOCK // 8):
                    at, after = 0, np.append(starts[1:], len(part))
                    while at < len(part):
                        # Up to the document that makes a block full.
                        last = int(np.searchsorted(after, at + _BLOCK - size))
                        end = int(after[min(last, len(after) - 1)])
                        parts.append(part[at:end])
                        ends.append(after[(after > at) & (after <= end)] - at + size)
                        size += end - at
                        at = end
                        if size >= _BLOCK:
                            yield block()
                            parts, ends, size = [], [], 0
            if parts:
                yield block()

        try:
            if self.transform is None:
                yield from decoded()
            else:
                yield from transformed(decoded(), self.transform, block=_BLOCK)
        finally:
            raw.close()

    def _raw(self) -> Generator[bytes, None, None]:
        """Read the server's replies, one ahead of the reader."""
        return ahead(self._replies(), name=self.describe())

    def _replies(self) -> Iterator[bytes]:
        from pymongo.errors import OperationFailure

        where = self.describe()
        with ExitStack() as stack, named_errors(where):
            client = stack.enter_context(self.connection.open())
            hello = client.admin.command("hello")
            collection = client[self.database][self.collection]
            if not self.missing_ok:
                refuse_missing(collection.database, self.collection, where)
            met = capped_among(collection.database, self.collection, self.pipeline)
            snapshot = self._takes_snapshot(hello) and not self._is_capped(met)
            begun = False
            try:
                for data in self._read(client, collection, snapshot=snapshot):
                    begun = True
                    yield data
            except OperationFailure as error:
                # A user who may not list collections learns it from the server.
                if begun or not snapshot or not refuses_capped(error):
                    raise
                self._is_capped(self.collection)
                yield from self._read(client, collection, snapshot=False)

    def _read(self, client: Any, collection: Any, *, snapshot: bool) -> Iterator[bytes]:
        with ExitStack() as stack:
            options: dict[str, Any] = {}
            if snapshot:
                from pymongo.read_concern import ReadConcern

                options["session"] = stack.enter_context(client.start_session(snapshot=True))
                collection = collection.with_options(read_concern=ReadConcern())
            cursor = stack.enter_context(self._cursor(collection, options))
            size = count = 0
            for reply in cursor:
                data = bytes(reply)
                if self.pipeline is not None and not self.batch_size:
                    # Only the results show how large they are.
                    size, count = size + len(data), count + _count(data)
                    cursor.batch_size(max(1, _REPLY * count // size))
                yield data
                del reply, data

    def _cursor(self, collection: Any, options: dict[str, Any]) -> Any:
        milliseconds = None if self.max_time is None else max(1, round(self.max_time * 1000))
        if self.pipeline is not None:
            if milliseconds is not None:
                options["maxTimeMS"] = milliseconds
            if self.batch_size:
                options["batchSize"] = self.batch_size
            return collection.aggregate_raw_batches(
                list(self.pipeline), allowDiskUse=self.allow_disk_use, **options
            )
        sort = self.sort
        return collection.find_raw_batches(
            dict(self.query or {}),
            self.projection,
            sort=list(sort.items()) if isinstance(sort, Mapping) else sort or None,
            limit=self.limit,
            hint=self.hint,
            batch_size=self.batch_size or self._documents_in_a_reply(collection),
            allow_disk_use=self.allow_disk_use or None,
            max_time_ms=milliseconds,
            **options,
        )

    def _documents_in_a_reply(self, collection: Any) -> int:
        """Keep replies small: MongoDB makes them as large as 16 MB, and some are in memory."""
        from pymongo.errors import OperationFailure

        try:
            mean = collection.database.command("collStats", collection.name).get("avgObjSize")
        except OperationFailure:  # a view, or no permission for it
            return 0
        return max(1, _REPLY // int(mean)) if mean else 0

    def _takes_snapshot(self, hello: Mapping[str, Any]) -> bool:
        offered = ("setName" in hello or hello.get("msg") == "isdbgrid") and (
            hello.get("maxWireVersion", 0) >= _SNAPSHOT_WIRE_VERSION
        )
        if self.snapshot and not offered:
            raise SetupError(
                f"{self.describe()}: the server offers no snapshot. Run it as a replica set of "
                f"MongoDB 5.0 or newer, or read without one: {option('snapshot', False)}."
            )
        return offered and self.snapshot is not False

    def _is_capped(self, met: str | None) -> bool:
        """Whether a capped collection is read: MongoDB gives none of those from a snapshot."""
        if met is None:
            return False
        what = "it is" if met == self.collection else f"it reads {met},"
        if self.snapshot:
            raise InputError(
                f"{self.describe()}: {what} a capped collection, and MongoDB reads none of those "
                f"from a snapshot. Read it without one: {option('snapshot', False)}."
            )
        what = "is" if met == self.collection else f"reads {met},"
        self.notes = (
            f"{self.describe()} {what} a capped collection: it was read without a snapshot, and "
            "documents that were written or removed meanwhile may be among those read or not.",
        )
        return True

    @classmethod
    def from_uri(cls, uri: str, options: Mapping[str, str]) -> Self:
        """Make the source of ``mongodb://host/database``.

        Args:
            uri: A MongoDB URI with a database; its password comes from ``MONGODB_PASSWORD``.
            options: ``collection``, and as JSON ``query`` (a list is a pipeline), ``projection``,
                ``sort``, ``pipeline``; ``json``; ``batch_size``, ``limit``, ``max_time``;
                ``snapshot``, ``missing_ok`` and ``allow_disk_use`` (``true`` or ``false``);
                ``database`` instead of the URI's; ``schema`` (types of some fields as JSON, or the
                file that holds it), ``sample`` (documents), ``unknown``.

        Raises:
            InputError: An option is missing or not JSON.
        """
        connection = MongoConnection.from_uri(uri)
        return cls(connection, **arguments_of(connection, options))


def _count(reply: bytes) -> int:
    return sum(len(starts) for _, starts in split(reply, len(reply)))
