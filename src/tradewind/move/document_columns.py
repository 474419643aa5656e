"""One field of many documents as an Arrow array: exactly, or an error that names the document."""

from __future__ import annotations

import datetime
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import pyarrow as pa

from tradewind.move import types
from tradewind.move.document_values import UnfitError, converter
from tradewind.move.interface import option
from tradewind.move.types import UnfitValueError

__all__ = ["EMPTY_LIST", "JSON", "Column", "Kind", "Values", "united"]

Kind = tuple[pa.DataType, str | None]
"""An Arrow type, and what it means; see `tradewind.move.types`."""

JSON: Kind = (pa.string(), "json")

_INT64 = range(-(1 << 63), 1 << 63)


class Values(ABC):
    """What the values of one system's documents are."""

    @abstractmethod
    def dumps(self, value: Any) -> bytes:
        """Write any value as JSON, without a line end."""

    def plain(self, value: Any) -> Any:
        """Give the standard library's equal of a scalar: str, Decimal, datetime, UUID, ...

        A value that has none is returned as it is.
        """
        return value

    def shown(self, value: Any) -> Any:
        """Give a value as an error shows it: as JSON where Python's own word for it says little."""
        plain = self.plain(value)
        if type(plain) in _SCALARS:
            return plain if isinstance(plain, Decimal) else value
        return _Json(self.dumps(value))

    def quick(self, kind: type, field: pa.Field) -> Callable[[Any], Any] | None:
        """Give a shorter way for a column whose values are all of one type.

        Args:
            kind: Their type, exactly.
            field: The column.

        Returns:
            Makes of a value what the long way makes of it; None where there is only that.
        """
        return None

    def arrays(
        self, schema: pa.Schema, documents: Sequence[Sequence[Any]]
    ) -> list[pa.Array] | None:
        """Make whole columns by a shorter way.

        Args:
            schema: The columns. A field without one is an error, as elsewhere.
            documents: The documents, in several pieces.

        Returns:
            What `Column.array` makes of each column; None where there is no shorter way to it.
        """
        return None

    def scalar_kind(self, value: Any) -> Kind:
        """Tell the column that a scalar wants, given as `plain` gives it; `JSON` if none does."""
        return _SCALARS.get(type(value), JSON)

    def kind(self, value: Any) -> Kind | None:
        """Tell the column that a value wants; None for null, which fits all."""
        if value is None:
            return None
        if isinstance(value, dict):
            return JSON
        if isinstance(value, list):
            elements: Kind | None = None
            for element in value:
                kind = self.kind(element)
                elements = kind if elements is None else united(elements, kind)
            if elements is None or elements == JSON or pa.types.is_list(elements[0]):
                return JSON if elements is not None or value else EMPTY_LIST
            return pa.list_(types.field("item", *elements)), None
        plain = self.plain(value)
        if type(plain) is int and plain not in _INT64:
            return JSON
        return self.scalar_kind(plain)

    def identify(self, document: Any, number: int) -> str:
        """Name a document in a message.

        Args:
            document: The document.
            number: Which it is in the reading, from 1 on.
        """
        for key in ("_id", "id"):
            if isinstance(document, dict) and key in document:
                return f"the document with {key} {self.shown(document[key])!r}"[:120]
        return f"document {number}"


class _Json:
    """A value that errors show as JSON."""

    def __init__(self, text: bytes) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text.decode("utf-8", "replace")


_SCALARS: dict[type, Kind] = {
    bool: (pa.bool_(), None),
    int: (pa.int64(), None),
    float: (pa.float64(), None),
    str: (pa.string(), None),
    bytes: (pa.binary(), None),
    Decimal: (pa.string(), "decimal"),
    datetime.datetime: (pa.timestamp("us", tz="UTC"), None),
    uuid.UUID: (pa.string(), "uuid"),
}
EMPTY_LIST: Kind = (pa.list_(pa.null()), None)


def united(one: Kind, other: Kind | None) -> Kind:
    """Tell the column that holds what two kinds hold; see the table in `documents`."""
    if other is None or one == other:
        return one
    if {one, other} == {_SCALARS[int], _SCALARS[float]}:
        return _SCALARS[float]
    if pa.types.is_list(one[0]) and pa.types.is_list(other[0]):
        elements = [
            (kind[0].value_type, types.logical_type(kind[0].value_field)) for kind in (one, other)
        ]
        if pa.types.is_null(elements[0][0]):
            return other
        if pa.types.is_null(elements[1][0]):
            return one
        both = united(*elements)
        return JSON if both == JSON else (pa.list_(types.field("item", *both)), None)
    return JSON


class Column:
    """Makes Arrow arrays of one column.

    Args:
        field: Name and type of the column.
        values: What the system's values are.
    """

    def __init__(self, field: pa.Field, values: Values) -> None:
        self.field = field
        self._direct = _direct(field)
        self._convert = converter(field, values.plain, values.dumps)
        self._values = values

    def array(self, values: Sequence[Any], describe: Callable[[int], str]) -> pa.Array:
        """Make an array.

        Args:
            values: The values, None for null.
            describe: Names the document of a position.

        Raises:
            UnfitValueError: A value does not fit.
        """
        type_ = self.field.type
        kinds = set(map(type, values)) - {type(None)}
        if kinds <= self._direct:
            try:
                return pa.array(values, type=type_)
            except (pa.ArrowException, OverflowError, ValueError):
                pass  # found below, one by one
        converted = []
        convert = self._convert
        if len(kinds) == 1:
            convert = self._values.quick(next(iter(kinds)), self.field) or convert
        for position, value in enumerate(values):
            try:
                converted.append(None if value is None else convert(value))
            except UnfitError as error:
                raise self._unfit(value, describe(position), str(error)) from None
        try:
            return pa.array(converted, type=type_)
        except (pa.ArrowException, OverflowError, ValueError, TypeError):
            for position, one in enumerate(converted):
                try:
                    pa.array([one], type=type_)
                except (pa.ArrowException, OverflowError, ValueError, TypeError) as error:
                    raise self._unfit(values[position], describe(position), str(error)) from None
            raise

    def _unfit(self, value: Any, document: str, reason: str) -> UnfitValueError:
        kind = types.logical_type(self.field) or str(self.field.type)
        return UnfitValueError(
            self.field.name,
            self._values.shown(value),
            where=f"{kind} of {document}",
            remedy=f"{reason.rstrip('.')}. Declare a schema in which it has one that does, like "
            f"{option('schema', {self.field.name: 'json'})} (JSON holds all), or leave the field "
            "out of the query.",
        )


def _is_microseconds(type_: pa.DataType) -> bool:
    return bool(pa.types.is_timestamp(type_) and type_.unit == "us")


def _direct(field: pa.Field) -> set[type]:
    """Which Python types Arrow itself takes exactly, or refuses."""
    type_ = field.type
    if types.logical_type(field) is not None:
        return {str} if types.logical_type(field) not in ("json", "decimal", "uuid") else set()
    for test, kind in (
        (pa.types.is_boolean, bool),
        (pa.types.is_integer, int),
        (pa.types.is_float64, float),
        (pa.types.is_string, str),
        (pa.types.is_large_string, str),
        (pa.types.is_binary, bytes),
        (_is_microseconds, datetime.datetime),
    ):
        if test(type_):
            return {kind}
    return set()
