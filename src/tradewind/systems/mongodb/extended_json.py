"""BSON values as MongoDB Extended JSON v2, and as values for columns.

Every type as `bson.json_util` writes it, in its relaxed and its canonical mode; see
https://github.com/mongodb/specifications/blob/master/source/extended-json/extended-json.md. This is
the way for any document; `tradewind.systems.mongodb.bson_lines` is the fast one for most.
"""

from __future__ import annotations

import base64
import datetime
import json
import math
import re
import struct
import uuid
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from tradewind.errors import InputError
from tradewind.move.document_columns import JSON, Kind, Values
from tradewind.move.documents import load_orjson
from tradewind.move.types import logical_type
from tradewind.systems.mongodb.raw_documents import native_arrays

if TYPE_CHECKING:
    from bson import Decimal128, ObjectId

__all__ = ["BsonValues"]

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_MILLISECOND = datetime.timedelta(milliseconds=1)
_INT32 = range(-(1 << 31), 1 << 31)
_TWO_LONGS = struct.Struct("<QQ")
_FLAGS = (
    (re.IGNORECASE, "i"),
    (re.LOCALE, "l"),
    (re.MULTILINE, "m"),
    (re.DOTALL, "s"),
    (re.UNICODE, "u"),
    (re.VERBOSE, "x"),
)


class BsonValues(Values):
    """What the values of MongoDB's documents are.

    Args:
        canonical: Whether JSON keeps the exact BSON type of every number and date.
    """

    def __init__(self, *, canonical: bool = False) -> None:
        import bson
        from bson.datetime_ms import DatetimeMS

        orjson = load_orjson("mongo")
        self.canonical = canonical
        self._bson = bson
        self._orjson_dumps = orjson.dumps
        # Subclasses hide in standard types: Int64 in int, Code in str, Binary in bytes.
        self._option = orjson.OPT_PASSTHROUGH_SUBCLASS | orjson.OPT_PASSTHROUGH_DATETIME
        self._encoders = _encoders(self)
        self._milliseconds = DatetimeMS

    def dumps(self, value: Any, *, finite: bool = False) -> bytes:
        """Write a value that PyMongo has decoded, as extended JSON.

        Args:
            value: The value.
            finite: Whether it is known that it has no NaN and no Infinity.
        """
        if self.canonical:
            return self.dumps_any(value)
        text: bytes = self._orjson_dumps(value, self.tree, self._option)
        if finite:
            return text
        # orjson writes null for NaN and Infinity; which null is one takes a look at all of it.
        if b"null" in text and _has_special(value):
            return self.dumps_any(value)
        return text

    def dumps_any(self, value: Any) -> bytes:
        """Write any value that has a JSON form, also one that a transform has made.

        Raises:
            InputError: It has none.
        """
        tree = self.tree(value)
        try:
            text: bytes = self._orjson_dumps(tree)
        except TypeError:
            # Integers of more than 64 bits, keys that are not strings: what the standard takes.
            try:
                return json.dumps(tree, ensure_ascii=False, separators=(",", ":")).encode()
            except (TypeError, ValueError) as error:
                raise InputError(f"A document has no JSON form: {error}.") from error
        return text

    def tree(self, value: Any) -> Any:
        """Give a value in JSON's own types."""
        encoder = self._encoders.get(type(value))
        if encoder is not None:
            return encoder(value)
        for kind, encoder in self._encoders.items():
            if isinstance(value, kind):
                return encoder(value)
        raise InputError(
            f"A {type(value).__name__} has no form in MongoDB's extended JSON. Let transform= make "
            "it a type that MongoDB has."
        )

    def plain(self, value: Any) -> Any:
        """Give the standard library's equal of a BSON scalar."""
        bson = self._bson
        if isinstance(value, bson.ObjectId):
            return str(value)
        if isinstance(value, bson.Decimal128):
            return value.to_decimal()
        if isinstance(value, bson.Int64):
            return int(value)
        if isinstance(value, bson.Binary):
            if value.subtype == bson.binary.UUID_SUBTYPE and len(value) == 16:
                return uuid.UUID(bytes=bytes(value))
            return bytes(value) if value.subtype == 0 else _Foreign(value)
        if isinstance(value, bson.Code):
            return _Foreign(value)
        if isinstance(value, self._milliseconds):
            return _Milliseconds(int(value))
        return value

    def quick(self, kind: type, field: pa.Field) -> Callable[[Any], Any] | None:
        """Give a shorter way for columns of ids and decimals."""
        logical = logical_type(field)
        if kind is self._bson.ObjectId and pa.types.is_string(field.type) and logical != "json":
            return None if logical in ("decimal", "uuid") else _id_text
        if kind is self._bson.Decimal128 and logical == "decimal":
            return _decimal_text
        return None

    def scalar_kind(self, value: Any) -> Kind:
        """Tell the column that a scalar wants."""
        if isinstance(value, _Milliseconds):
            return pa.timestamp("us", tz="UTC"), None
        return super().scalar_kind(value)

    def arrays(
        self, schema: pa.Schema, documents: Sequence[Sequence[Any]]
    ) -> list[pa.Array] | None:
        """Make whole columns of documents that are still BSON; see `Values`."""
        return native_arrays(schema, documents, canonical=self.canonical)

    def kind(self, value: Any) -> Kind | None:
        """Tell the column that a value wants."""
        if isinstance(value, self._bson.ObjectId):
            return pa.string(), "objectid"
        if isinstance(value, self._bson.DBRef):
            return JSON
        return super().kind(value)


def _decimal_text(value: Decimal128) -> str:
    """What str makes of it, mostly ten times as fast."""
    low, high = _TWO_LONGS.unpack(value.bid)
    exponent = (high >> 49) - 6176
    if not -7 < exponent <= 0 or high & ((1 << 49) - 1):
        return str(value)
    if exponent == 0:
        return str(low)
    digits = str(low).rjust(1 - exponent, "0")
    return f"{digits[:exponent]}.{digits[exponent:]}"


class _Milliseconds:
    """A date that Python's datetime cannot tell, in milliseconds since 1970: no number."""

    kind = "date"

    def __init__(self, milliseconds: int) -> None:
        self.milliseconds = milliseconds


def _id_text(value: ObjectId) -> str:
    return value.binary.hex()


class _Foreign:
    """A value that only JSON can hold, though its class has a base that other columns take."""

    def __init__(self, value: Any) -> None:
        subtype = getattr(value, "subtype", None)
        self.kind = type(value).__name__ + ("" if subtype is None else f" of subtype {subtype}")


def _has_special(value: Any) -> bool:
    if isinstance(value, float):
        return not math.isfinite(value)
    if isinstance(value, dict):
        return any(_has_special(one) for one in value.values())
    if isinstance(value, list | tuple):
        return any(_has_special(one) for one in value)
    # Code with scope and DBRef hold documents; they are rare enough to be looked at closely.
    return hasattr(value, "scope") or hasattr(value, "as_doc")


def _encoders(values: BsonValues) -> dict[type, Callable[[Any], Any]]:
    """The encoder of each type, exact types and their bases, subclasses before their bases."""
    from bson import Binary, Code, DBRef, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex
    from bson.datetime_ms import DatetimeMS
    from bson.timestamp import Timestamp

    canonical, tree = values.canonical, values.tree

    def same(value: Any) -> Any:
        return value

    def mapping(value: Any) -> Any:
        return {key: tree(one) for key, one in value.items()}

    def sequence(value: Any) -> Any:
        return [tree(one) for one in value]

    def long(value: int) -> Any:
        return {"$numberLong": str(int(value))} if canonical else int(value)

    def integer(value: int) -> Any:
        if not canonical:
            return int(value)
        return {"$numberInt" if value in _INT32 else "$numberLong": str(int(value))}

    def number(value: float) -> Any:
        if math.isnan(value):
            return {"$numberDouble": "NaN"}
        if math.isinf(value):
            return {"$numberDouble": "Infinity" if value > 0 else "-Infinity"}
        return {"$numberDouble": repr(float(value))} if canonical else float(value)

    def date(value: datetime.datetime) -> Any:
        if value.tzinfo is None and value.year >= 1970 and not canonical:  # the usual one, quickly
            precision = "milliseconds" if value.microsecond >= 1000 else "seconds"
            return {"$date": f"{value.isoformat(timespec=precision)}Z"}
        utc = value.replace(tzinfo=datetime.UTC) if value.tzinfo is None else value
        if canonical or utc < _EPOCH:
            return {"$date": {"$numberLong": str((utc - _EPOCH) // _MILLISECOND)}}
        precision = "milliseconds" if utc.microsecond >= 1000 else "seconds"
        utc = utc.astimezone(datetime.UTC).replace(tzinfo=None)
        return {"$date": f"{utc.isoformat(timespec=precision)}Z"}

    def milliseconds(value: DatetimeMS) -> Any:
        if 0 <= int(value) <= _MAX_MS and not canonical:
            return date(value.as_datetime())
        return {"$date": {"$numberLong": str(int(value))}}

    def binary(value: bytes) -> Any:
        subtype = value.subtype if isinstance(value, Binary) else 0
        data = base64.b64encode(value).decode()
        return {"$binary": {"base64": data, "subType": f"{subtype:02x}"}}

    def code(value: Code) -> Any:
        scope = {} if value.scope is None else {"$scope": tree(value.scope)}
        return {"$code": str(value), **scope}

    def regex(value: Any) -> Any:
        pattern = value.pattern if isinstance(value.pattern, str) else value.pattern.decode()
        options = "".join(letter for flag, letter in _FLAGS if value.flags & flag)
        return {"$regularExpression": {"pattern": pattern, "options": options}}

    return {
        str: same,
        bool: same,
        type(None): same,
        Int64: long,
        int: integer,
        float: number,
        dict: mapping,
        list: sequence,
        ObjectId: lambda value: {"$oid": value.binary.hex()},
        datetime.datetime: date,
        DatetimeMS: milliseconds,
        Decimal128: lambda value: {"$numberDecimal": _decimal_text(value)},
        Binary: binary,
        bytes: binary,
        uuid.UUID: lambda value: binary(Binary.from_uuid(value)),
        Code: code,
        DBRef: lambda value: tree(value.as_doc()),
        Regex: regex,
        re.Pattern: regex,
        Timestamp: lambda value: {"$timestamp": {"t": value.time, "i": value.inc}},
        MinKey: lambda value: {"$minKey": 1},
        MaxKey: lambda value: {"$maxKey": 1},
        tuple: sequence,
    }


_MAX_MS = 253402300799999
"""The last millisecond of the year 9999."""
