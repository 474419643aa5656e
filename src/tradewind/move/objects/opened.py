"""One object that is read: its batches, its bytes, and errors that name it."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Generator, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Self

import pyarrow as pa

from tradewind.errors import InputError
from tradewind.move.batches import Batches
from tradewind.move.formats.csv import CsvFormat
from tradewind.move.formats.csv_checks import ROWLESS
from tradewind.move.formats.jsonl import JsonLinesFormat
from tradewind.move.formats.parquet_read import EMPTY
from tradewind.move.objects.joined_bytes import CsvBytes
from tradewind.move.registry import FORMATS

if TYPE_CHECKING:
    from tradewind.move.format import Format

__all__ = [
    "RECORDIO",
    "Opened",
    "after",
    "close_chunks",
    "first_then",
    "in_utf8",
    "named_stream",
    "naming",
    "sniffed",
    "whole_parquet",
    "with_columns",
]

RECORDIO = bytes.fromhex("0a23d7ce")  # its magic number, little-endian
_PARQUET = b"PAR1"


class Opened:
    """One object being read."""

    def __init__(
        self,
        where: str,
        batches: Batches,
        schema: pa.Schema,
        outside: Mapping[str, pa.Scalar],
        chunks: Iterator[bytes],
        *,
        loose: bool = False,
    ) -> None:
        told = schema.metadata or {}
        self.schema = schema.remove_metadata() if ROWLESS in told else schema
        self.loose = loose
        self.empty = EMPTY in told
        self.rowless = ROWLESS in told
        self.reason: InputError | None = None
        self.inside = batches.schema
        self._where = where
        self._batches = batches
        self._outside = outside
        self._chunks = chunks

    @classmethod
    def nothing(cls, where: str, reason: InputError, *, loose: bool) -> Self:
        """Make one of an object that has neither records nor columns.

        Args:
            where: The object.
            reason: What is said where no other object has any.
            loose: Whether types need not be told.
        """
        schema = pa.schema([], metadata={EMPTY: b"1"})
        opened = cls(where, Batches(schema, ()), schema, {}, iter(()), loose=loose)
        with contextlib.suppress(InputError), naming(where):
            opened.reason = reason
            raise reason
        return opened

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        with naming(self._where):
            for batch in self._batches:
                if not self._outside:
                    yield batch
                    continue
                arrays = [
                    pa.repeat(self._outside[field.name], batch.num_rows)
                    if field.name in self._outside
                    else batch.column(field.name)
                    for field in self.schema
                ]
                yield pa.record_batch(arrays, schema=self.schema)

    def close(self) -> None:
        """End the reading."""
        self._batches.close()
        close_chunks(self._chunks)


def in_utf8(format: Format | None) -> Format | None:
    """Tell in which format the bytes of an object arrive: other encodings become UTF-8."""
    if isinstance(format, CsvFormat | JsonLinesFormat):
        return dataclasses.replace(format, encoding=None)
    return format


def sniffed(begin: bytes, where: str) -> str:
    """Tell a format by the first bytes."""
    if begin.startswith(_PARQUET):
        return "parquet"
    if begin.startswith(RECORDIO):
        return "recordio"
    text = begin.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(b"{"):
        return "jsonl"
    if not text or text.startswith(b"[") or b"\0" in text[:1024]:
        raise InputError(
            f"{where}: neither its name nor its content tells a format. Give the format: "
            f"{', '.join(FORMATS)}."
        )
    return "csv"


def whole_parquet(where: str, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Hand bytes on that nobody parses, and see by their ends that they are a whole file."""
    begin = end = b""
    for chunk in chunks:
        if len(begin) < len(_PARQUET):
            begin += chunk[: len(_PARQUET)]
        end = (end + chunk[-len(_PARQUET) :])[-len(_PARQUET) :]
        yield chunk
    if not begin.startswith(_PARQUET) or end != _PARQUET:
        raise InputError(
            f"{where}: this is no whole Parquet file: it does not begin and end with PAR1. Write "
            "it again, or correct its name or format."
        )


def with_columns(
    format: Any, chunks: Iterator[bytes], names: list[str], where: str
) -> Iterator[bytes]:
    """Refuse a CSV whose header names other columns than an object before."""
    if not format.header:
        return chunks
    found, begin = CsvBytes(format).columns(where, chunks)
    if found and sorted(found) != sorted(names):
        close_chunks(chunks)
        odd = next(iter(set(found) ^ set(names)), found[0])
        has = "has" if odd in found else "lacks"
        raise InputError(
            f"{where}: it {has} the column {odd!r}, unlike the first object. Choose objects with "
            "the same columns, or give a schema."
        )
    return after(b"".join(begin), chunks)


def after(begin: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    """Hand on what was read already, and then the rest."""
    try:
        if begin:
            yield begin
        yield from rest
    finally:
        close_chunks(rest)


def first_then(
    where: str, chunks: Iterator[bytes], rest: Iterator[tuple[str, Iterator[bytes]]]
) -> Iterator[tuple[str, Iterator[bytes]]]:
    """Hand on the object that was opened already, and then the rest."""
    try:
        yield where, chunks
        yield from rest
    finally:
        close_chunks(chunks)
        close_chunks(rest)


def named_stream(where: str, chunks: Iterator[bytes], compression: str | None) -> Iterator[bytes]:
    """Hand on an object's bytes; errors name the object."""
    try:
        with naming(where):
            yield from chunks
    finally:
        close_chunks(chunks)


def close_chunks(chunks: Any) -> None:
    """End a generator's reading."""
    if isinstance(chunks, Generator):
        chunks.close()


@contextlib.contextmanager
def naming(where: str) -> Iterator[None]:
    """Say in each message of a format which object it is about."""
    try:
        yield
    except MemoryError as error:
        error.args = (f"{where}: {error}".removesuffix(": "), *error.args[1:])
        raise
    except InputError as error:
        said = str(error.args[0]) if error.args else ""
        if where not in said:
            error.args = (f"{where}: {said}", *error.args[1:])
        raise
