"""Objects of a store as a source: one, all below a prefix, or those that a glob matches.

Over 400 lines: the options, which are documented in full, and the roads of one source.
"""

from __future__ import annotations

import base64
import contextlib
import copy
import dataclasses
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Self

import pyarrow as pa

from tradewind.errors import InputError, SourceChangedError, TradewindError
from tradewind.move.ahead import ahead
from tradewind.move.batches import Batches
from tradewind.move.compression import COMPRESSIONS, decompress, format_of
from tradewind.move.division import Division
from tradewind.move.formats.csv import CsvFormat
from tradewind.move.formats.csv_checks import ROWLESS, EmptyFileError
from tradewind.move.formats.encodings import as_utf8
from tradewind.move.formats.infer import GUESSED
from tradewind.move.formats.jsonl import JsonLinesFormat
from tradewind.move.formats.options import FORMAT_OPTIONS, taken, with_options
from tradewind.move.loose import fixed_columns
from tradewind.move.objects.apart import Written
from tradewind.move.objects.joined_bytes import CsvBytes, LineBytes
from tradewind.move.objects.object_set import Chosen, choose
from tradewind.move.objects.opened import (
    RECORDIO,
    Opened,
    after,
    close_chunks,
    first_then,
    in_utf8,
    named_stream,
    naming,
    sniffed,
    whole_parquet,
    with_columns,
)
from tradewind.move.objects.schemas import (
    declared,
    declared_fields,
    fitted,
    named,
    same_columns,
    told,
    unknown,
    widened,
)
from tradewind.move.objects.shares import share_of, shares_of
from tradewind.move.objects.target import ObjectTarget
from tradewind.move.objects.uris import options_of, store_of
from tradewind.move.publish.manifest import read_manifest
from tradewind.move.publish.writing import ENDINGS
from tradewind.move.registry import FORMATS, load
from tradewind.move.source import Encoded, Source
from tradewind.move.store import Store

if TYPE_CHECKING:
    from tradewind.move.format import Format

__all__ = ["ObjectSource"]

_SELF_DESCRIBING = ("parquet", "recordio")


class ObjectSource(Source):
    """Objects of S3, Google Cloud Storage, Azure or this machine's files.

    What is listed at the start is what is read: an object that is replaced meanwhile is an error.
    Where that is because the whole prefix was published anew, it is a `SourceChangedError`, after
    which `tradewind.move.transfer` reads what stands by then.

    A manifest of `tradewind.move.objects.target` is honoured: only what it names is read, its
    schema holds for formats that have none, and its partition columns come back.

    Memory: three pieces of 4 MiB on their way from the store, what decompression holds (32 KB for
    gzip, at most 8 MB for zstd that is written here), and what the format's ``decode`` holds.

    Args:
        store: The bucket, container or folder.
        key: A key; a prefix (with ``/`` at its end, or of no object's own name): all below it but
            what begins with ``_`` or ``.``; or a glob (``*``, ``?``, ``[...]``, ``**``). What
            exists under the very name comes before a pattern, whole or folder by folder; ``[[]``
            stands for ``[`` in any case. Nothing else in it has a meaning: ``%20``, ``+``, ``#``
            are as they are, and composed and decomposed letters are different ones.
        format: The format or its name; by the objects' names, or else by their content, when not
            given.
        compression: ``gzip`` or ``zstd``; ``infer`` looks at each object's content; None for none.
        schema: Columns and types to read, or names of types by column, as docs/values.md tells: of
            CSV and JSON lines those of some columns, of other formats of all to read. What the
            first object has, when not given.
        format_options: Options of the format by name, like ``{"delimiter": ";"}``, where `format`
            is found by name or content.
        types: Names of types by column; another way to give them.

    Raises:
        InputError: An argument is wrong.
    """

    decides = ("store", "key", "format", "compression", "schema", "format_options", "types")

    def __init__(
        self,
        store: Store,
        key: str,
        *,
        format: Format | str | None = None,
        compression: str | None = "infer",
        schema: pa.Schema | Mapping[str, str] | str | None = None,
        format_options: Mapping[str, Any] | None = None,
        types: Mapping[str, str] | None = None,
    ) -> None:
        if isinstance(format, str):
            format = load(FORMATS, format, what="format")()
        if compression == "none":
            compression = None
        if compression not in (None, "infer", *COMPRESSIONS):
            raise InputError(
                f"There is no compression {compression!r}. Choose from: "
                f"{', '.join(COMPRESSIONS)}, infer, none."
            )
        self.store = store
        self.key = key
        self.format: Format | None = format  # type: ignore[assignment]
        self.compression = compression
        self.schema = schema if isinstance(schema, pa.Schema) else None
        self.format_options = dict(format_options or {})
        self.types = {**named(schema), **(types or {})}
        self._types = declared_fields(self.types)
        self._written: Written | None = None
        self._share: Mapping[str, Any] | None = None
        self._inside: pa.Schema | None = None  # of a share: what all objects have
        self._late: list[str] = []  # members that a reading before has met behind the first ones
        if self.format is not None:
            self.format = with_options(self.format, self.format_options)

    @classmethod
    def from_uri(cls, uri: str, options: Mapping[str, str]) -> Self:
        """Make one from ``s3://bucket/key`` and its like.

        Args:
            uri: See `tradewind.move.objects.uris.store_of`.
            options: ``format``, ``compression``, ``schema`` (columns and types as JSON, or the
                file that holds it; see docs/values.md), those of the format like ``delimiter``
                (`tradewind.move.formats.options`), and those of the store.

        Raises:
            InputError: Something of it is wrong.
        """
        given = dict(options)
        store, key = store_of(uri, given)
        keywords: dict[str, Any] = {
            name: given.pop(name) for name in ("format", "compression") if name in given
        }
        keywords["types"] = declared(given.pop("schema", ""))
        keywords["format_options"] = taken(given)
        if given:
            known = ("format", "compression", "schema", *FORMAT_OPTIONS, *options_of(uri))
            raise InputError(
                f"{store.uri(key)}: there is no option {', '.join(sorted(given))}. Choose from: "
                f"{', '.join(known)}."
            )
        return cls(store, key, **keywords)

    @property
    def own_format(self) -> Format | None:
        """The format that was given, with its options."""
        return self.format

    def describe(self) -> str:
        """Name the key, prefix or glob."""
        return self.store.uri(self.key)

    def refuse_target(self, target: object) -> None:
        """Refuse what a prefix or glob takes in; see `Source.refuse_target`."""
        self._written = None
        if isinstance(target, ObjectTarget):
            ending = f"{target.format.extensions[0]}{ENDINGS.get(target.compression or '', '')}"
            self._written = Written(target.store, target.key, target.parts, ending)
            self._written.check_pattern(self.store, self.key)

    def divide(self, number: int, by: str | None = None) -> Division:
        """Divide the objects into shares of about as many bytes; see `Source.divide`.

        Types that are told by the data are told here, by the first objects, for all shares alike.
        """
        if by is not None:
            raise InputError(
                f"{self.describe()}: objects are not divided by a column, but one by one. Leave "
                "out by."
            )
        chosen = self._choose()
        with self._read(chosen) as batches:
            schema = batches.schema.remove_metadata()
        told = base64.b64encode(schema.serialize().to_pybytes()).decode() if len(schema) else None
        return Division(
            tuple({**share, "schema": told} for share in shares_of(chosen, number)),
            consistent=True,
            why="each object is read in the version that was there when the plan was made, or the "
            "move fails",
        )

    def share(self, told: Mapping[str, Any]) -> ObjectSource:
        """Make the source of some of the objects; see `Source.share`."""
        made = copy.copy(self)
        made._share = told
        made._late = []
        if told["schema"] is not None:
            made._inside = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(told["schema"])))
        return made

    def _choose(self) -> list[Chosen]:
        chosen = choose(self.store, self.key)
        if self._share is not None:
            chosen = share_of(chosen, self._share, self.describe())
        if self._written is not None:
            self._written.check_chosen(chosen, self.store, self.key)
        return chosen

    # -------------------------------------------------------------------------------------- batches

    def batches(self) -> Batches:
        """Read typed record batches; see `Source.batches`."""
        return self._read(self._choose())

    def loose_batches(self, format: Format) -> Batches | None:
        """Read each value by its own type, where types would be told; see `Source`."""
        chosen = self._choose()
        declared = self.schema is not None or any(
            one.manifest is not None and one.manifest.schema is not None for one in chosen
        )
        return None if declared else self._read(chosen, format)

    def _read(self, chosen: list[Chosen], into: Format | None = None) -> Batches:
        first = self._open(chosen[0], self._inside, into)
        while first.empty:
            first.close()
            chosen = chosen[1:]
            if not chosen:
                if into is None and first.reason is not None:
                    raise first.reason
                return Batches(pa.schema([]), ())
            first = self._open(chosen[0], self._inside, into)
        if first.rowless:
            first = self._typed(first, chosen, into)
        if first.loose:
            return self._read_loose(chosen, first, into)
        schema = first.schema
        if len(chosen) > 1:
            try:
                schema = self._told(widened(schema), chosen[1:])
            except BaseException:
                first.close()
                raise

        def generate() -> Iterator[pa.RecordBatch]:
            for number, one in enumerate(chosen):
                opened = self._open(one, first.inside) if number else first
                rows = 0
                with contextlib.closing(opened):
                    if opened.empty:
                        continue
                    if len(chosen) > 1:
                        same_columns(schema, opened.schema, one.uri)
                    for batch in opened:
                        rows += batch.num_rows
                        yield fitted(batch, schema) if len(chosen) > 1 else batch
                if one.rows is not None and rows != one.rows:
                    raise InputError(
                        f"{one.uri}: it has {rows} rows where its manifest "
                        f"says {one.rows}. Publish it again."
                    )

        return Batches(schema, generate(), on_close=first.close)

    def _read_loose(self, chosen: list[Chosen], first: Opened, into: Format | None) -> Batches:
        def generate() -> Iterator[pa.RecordBatch]:
            inside = first.inside
            for number, one in enumerate(chosen):
                opened = self._open(one, inside, into) if number else first
                with contextlib.closing(opened):
                    if not opened.loose:
                        raise InputError(
                            f"{one.uri}: it is of another format than the "
                            "first object. Choose objects of one format."
                        )
                    inside = inside if opened.empty else opened.inside
                    for batch in opened:
                        inside = batch.schema
                        yield batch

        batches = generate()
        if into is not None and into.name == "csv":
            # A header stands before all records.
            batches = fixed_columns(batches, first.schema.names, self._late, self.describe())
        return Batches(first.schema, batches, on_close=first.close)

    def _told(self, schema: pa.Schema, others: list[Chosen]) -> pa.Schema:
        """Ask other objects for the types of columns that have only nulls in the first one."""
        for one in others:
            if not unknown(schema) or self.schema is not None:
                break
            with contextlib.closing(self._open(one, None)) as opened:
                if opened.empty:
                    continue
                schema = told(schema, opened.schema)
        return schema

    def _typed(self, first: Opened, chosen: list[Chosen], into: Format | None) -> Opened:
        """Open the first object, which has a header alone, with the types of one with records."""
        for one in chosen[1:]:
            with contextlib.closing(self._open(one, first.inside, into)) as opened:
                known = opened.inside
            if not opened.empty and not opened.rowless:
                first.close()
                kinds = [known.field(name) for name in first.inside.names]
                return self._open(chosen[0], pa.schema(kinds), into)
        return first

    def _open(self, one: Chosen, inside: pa.Schema | None, into: Format | None = None) -> Opened:
        """Begin to read an object.

        Args:
            one: The object.
            inside: Columns that an object before had, without partition columns.
            into: The loose format that is written, where types need not be told.
        """
        where = one.uri
        format, chunks = self._bytes(one)
        own = None if one.manifest is None else one.manifest.schema
        folders = () if one.manifest is None or one.manifest.kept else one.partition
        names = [name for name, _ in folders]
        schema = self.schema if self.schema is not None else own
        if self._types and schema is None:
            if isinstance(format, CsvFormat):
                known = tuple((name, field.type) for name, field in self._types.items())
                format = dataclasses.replace(format, types=known)
            elif isinstance(format, JsonLinesFormat):
                format = dataclasses.replace(format, types=tuple(self._types.values()))
            else:
                schema = pa.schema(list(self._types.values()))
        asked = None
        if schema is not None:
            asked = pa.schema([field for field in schema if field.name not in names])
        elif format.name not in _SELF_DESCRIBING:
            asked = inside and inside.with_metadata({GUESSED: b"1"})
        loose = into if schema is None and format.loose else None
        if asked is not None and self.schema is None and format.name == "csv":
            chunks = with_columns(format, chunks, asked.names, where)
        if inside is not None and ROWLESS in (inside.metadata or {}):
            asked = None
        with naming(where):
            try:
                batches = (
                    format.decode(chunks, schema=asked)
                    if loose is None
                    else format.decode_loose(chunks, loose, schema=asked, late=self._late)
                )
            except EmptyFileError as error:
                close_chunks(chunks)
                return Opened.nothing(where, error, loose=loose is not None)
            except BaseException:
                close_chunks(chunks)
                raise
        outside: dict[str, pa.Scalar] = {}
        for name, text in folders:
            if own is not None and (self.schema is None or name in self.schema.names):
                outside[name] = pa.scalar(text, pa.string()).cast(own.field(name).type)
        whole = batches.schema
        if own is not None and outside:
            order = own if self.schema is None else self.schema
            whole = pa.schema(
                [
                    own.field(name) if name in outside else whole.field(name)
                    for name in order.names
                    if name in outside or name in whole.names
                ],
                metadata=whole.metadata,
            )
        return Opened(where, batches, whole, outside, chunks, loose=loose is not None)

    def _format_of(self, one: Chosen) -> Format | None:
        if self.format is not None:
            return self.format
        found = self._named_format(one)
        return None if found is None else with_options(found, self.format_options)

    def _named_format(self, one: Chosen) -> Format | None:
        if one.manifest is not None:
            made: Format = load(FORMATS, one.manifest.format, what="format")()
            named = format_of(one.info.key)[0]
            return named if named is not None and named.name == made.name else made
        return format_of(one.info.key)[0]

    def _bytes(self, one: Chosen) -> tuple[Format, Iterator[bytes]]:
        """Read an object's bytes, decompressed; tell the format by them if nothing else does."""
        where = one.uri
        stored = self._snapshot(one)
        chunks = named_stream(
            where, decompress(ahead(iter(stored), name=where), self.compression), self.compression
        )
        format = self._format_of(one)
        if format is None:
            begin = b""
            for chunk in chunks:
                begin += chunk
                if len(begin) >= len(RECORDIO):
                    break
            format = load(FORMATS, sniffed(begin, where), what="format")()
            format = with_options(format, self.format_options)
            chunks = after(begin, chunks)
        if isinstance(format, CsvFormat | JsonLinesFormat):
            chunks = as_utf8(chunks, format.encoding, "CSV" if format.name == "csv" else "JSON")
        return in_utf8(format) or format, chunks

    def _snapshot(self, one: Chosen) -> Iterator[bytes]:
        """Read an object; where its publication was replaced meanwhile, say so."""
        try:
            yield from one.store.read(one.info.key, etag=one.info.etag)
        except TradewindError as error:
            if one.manifest is None:
                raise
            found = read_manifest(one.store, one.folder)
            if found is not None and found[0] == one.manifest:
                raise
            raise SourceChangedError(
                f"{one.store.uri(one.folder)}: it was published anew while it was read. Read it "
                "again from the beginning."
            ) from error

    # ------------------------------------------------------------------------------------- as bytes

    def encoded(self, format: Format) -> Encoded | None:
        """Hand the bytes on where they are in this very format; several objects become one."""
        if self.schema is not None or self._types:
            return None
        chosen = self._choose()
        joins = format.name in ("csv", "jsonl") or (
            format.name == "recordio" and self.format == format
        )
        if len(chosen) > 1 and not joins:
            return None
        if any(one.partition and one.manifest and not one.manifest.kept for one in chosen):
            return None
        if any(in_utf8(self._format_of(one)) != format for one in chosen):
            return None
        counted = [one.rows for one in chosen if one.rows is not None]
        known = sum(counted) if len(counted) == len(chosen) else None

        def objects() -> Iterator[tuple[str, Iterator[bytes]]]:
            for one in chosen:
                chunks = self._bytes(one)[1]
                try:
                    yield one.uri, chunks
                finally:
                    close_chunks(chunks)

        if format.name == "jsonl":
            lines = LineBytes()
            return Encoded(lines.join(objects()), rows=lambda: lines.rows)
        if format.name == "csv":
            if not isinstance(format, CsvFormat):
                return None
            table = CsvBytes(format)
            every = objects()
            where, chunks = next(every)
            with naming(where):
                columns, begin = table.checked(where, chunks)
            while format.header and columns is None and (further := next(every, None)) is not None:
                # An object without a header has no rows either.
                where, chunks = further
                with naming(where):
                    columns, begin = table.checked(where, chunks)
            every = first_then(where, after(b"".join(begin), chunks), every)
            return Encoded(
                table.join(every), columns, lambda: known if known is not None else table.rows
            )
        every = objects()
        if format.name == "parquet":
            every = ((where, whole_parquet(where, chunks)) for where, chunks in every)
        return Encoded((chunk for _, chunks in every for chunk in chunks), rows=lambda: known)
