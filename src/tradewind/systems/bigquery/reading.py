"""Rows of one table: as Arrow by several streams of the Storage Read API, else as JSON by REST."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from tradewind.errors import SetupError
from tradewind.move.batches import Batches
from tradewind.move.types import UnfitValueError
from tradewind.systems.bigquery.cells import batch_of, iso_interval
from tradewind.systems.bigquery.connection import TableName
from tradewind.systems.bigquery.errors import PATIENCE, patient, translated
from tradewind.systems.bigquery.types import Column, arrow_schema, kind_of

if TYPE_CHECKING:
    from google.cloud.bigquery import Client

__all__ = ["read_json", "read_streams"]

_AHEAD = 2
"""Messages of a stream that are in memory before they are asked for."""
_PAGE_ROWS = 10_000


def read_streams(
    reader: Any,
    project: str,
    table: TableName,
    columns: Sequence[Column],
    *,
    streams: int,
    where: str | None,
    system: str,
) -> Batches | None:
    """Read a snapshot of a table as Arrow, in turns from each stream.

    Source: https://cloud.google.com/bigquery/docs/reference/storage

    Args:
        reader: A client of the Storage Read API; closed with the batches.
        project: Whose quota is used.
        table: The table.
        columns: Those that are read, in this order.
        streams: How many streams are asked for; the service may give fewer.
        where: A condition in SQL that rows have to meet.
        system: The system and object, for messages.

    Returns:
        The batches; None where this service gives a column in another type than it should.
    """
    from google.cloud.bigquery_storage_v1 import types

    schema = arrow_schema(columns, system=system)
    made: Any = types
    options = made.ReadSession.TableReadOptions(
        selected_fields=[str(column["name"]) for column in columns], row_restriction=where or ""
    )
    path = f"projects/{table.project}/datasets/{table.dataset}/tables/{table.table}"
    with translated(system):
        session = reader.create_read_session(
            parent=f"projects/{project}",
            read_session=made.ReadSession(
                table=path, data_format=made.DataFormat.ARROW, read_options=options
            ),
            max_stream_count=streams,
            timeout=PATIENCE,
        )
    names = [one.name for one in session.streams]
    serialized = session.arrow_schema.serialized_schema
    if not serialized:
        reader.transport.close()
        return Batches(schema, iter(()))
    theirs = pa.ipc.read_schema(pa.py_buffer(serialized))
    if not all(_is_expected(theirs.field(str(one["name"])).type, one) for one in columns):
        reader.transport.close()
        return None
    feeds = [_Feed(reader, name, system) for name in names]

    def close() -> None:
        for feed in feeds:
            feed.stop()
        reader.transport.close()

    def generate() -> Iterator[pa.RecordBatch]:
        open_feeds = list(feeds)
        while open_feeds:
            for feed in list(open_feeds):
                message = feed.next()
                if message is None:
                    open_feeds.remove(feed)
                    continue
                batch = pa.ipc.read_record_batch(pa.py_buffer(message), theirs)
                yield _told(batch, schema)

    return Batches(schema, generate(), on_close=close)


class _Feed:
    """One stream, read ahead by a thread of its own."""

    def __init__(self, reader: Any, name: str, system: str) -> None:
        self._reader = reader
        self._name = name
        self._system = system
        self._queue: queue.Queue[bytes | BaseException | None] = queue.Queue(_AHEAD)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tradewind-bigquery", daemon=True)
        self._begun = False

    def next(self) -> bytes | None:
        if not self._begun:
            self._begun = True
            self._thread.start()
        found = self._queue.get()
        if isinstance(found, BaseException):
            raise found
        return found

    def stop(self) -> None:
        self._stopped.set()

    def _run(self) -> None:
        try:
            with translated(self._system):
                # The client goes on behind the last row where a stream breaks.
                for message in self._reader.read_rows(self._name):
                    self._put(message.arrow_record_batch.serialized_record_batch)
            self._put(None)
        except _StoppedError:
            return
        except BaseException as error:
            with contextlib.suppress(_StoppedError):
                self._put(error)

    def _put(self, what: bytes | BaseException | None) -> None:
        while not self._stopped.is_set():
            try:
                self._queue.put(what, timeout=0.1)
            except queue.Full:
                continue
            return
        raise _StoppedError


class _StoppedError(Exception):
    """Nobody reads any more."""


def _is_expected(kind: pa.DataType, column: Column) -> bool:
    """Whether Arrow's type is the one that the documentation says, for a column's values."""
    if column.get("mode") == "REPEATED" and (
        pa.types.is_list(kind) or pa.types.is_large_list(kind)
    ):
        kind = kind.value_type
    word = kind_of(column)
    if word == "RECORD":
        return pa.types.is_struct(kind) and all(
            _is_expected(kind.field(n).type, one) for n, one in enumerate(column["fields"])
        )
    if word in ("STRING", "JSON", "GEOGRAPHY"):
        return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))
    return True


def _told(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    arrays = []
    for field in schema:
        array = batch.column(batch.schema.get_field_index(field.name))
        if pa.types.is_interval(array.type):
            array = pa.array([_interval(value) for value in array.to_pylist()], pa.string())
        if array.type != field.type:
            try:
                array = array.cast(field.type)
            except pa.ArrowInvalid as error:
                raise UnfitValueError(
                    field.name,
                    str(error),
                    where=f"{field.type} of Arrow",
                    remedy="Convert it in the query, like CAST(column AS STRING).",
                ) from error
        arrays.append(array)
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _interval(value: Any) -> str | None:
    if value is None:
        return None
    return iso_interval(value.months, value.days, value.nanoseconds // 1000)


def read_json(
    client: Client, table: TableName, columns: Sequence[Column], *, system: str
) -> Batches:
    """Read a table by ``tabledata.list``, page by page.

    Args:
        client: The client.
        table: A table that does not change meanwhile.
        columns: Those that are read, in this order; all of the table's in its order.
        system: The system and object, for messages.
    """
    from google.cloud.bigquery import SchemaField, Table

    schema = arrow_schema(columns, system=system)
    fields: Any = [SchemaField.from_api_repr(dict(column)) for column in columns]

    def generate() -> Iterator[pa.RecordBatch]:
        with translated(system):
            listed = client.list_rows(
                Table(str(table), schema=fields),
                selected_fields=fields,
                page_size=_PAGE_ROWS,
                retry=patient(),
                timeout=PATIENCE,
            )
            for page in listed.pages:
                rows = page.raw_page.get("rows", [])
                if rows:
                    yield batch_of(rows, columns, schema, system=system)
            if listed.total_rows is not None and listed.total_rows != listed.num_results:
                raise SetupError(
                    f"{system}: {listed.total_rows} rows were promised, {listed.num_results} came. "
                    "Read again."
                )

    return Batches(schema, generate())
