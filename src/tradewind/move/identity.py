"""The identity of a move: all that decides its rows and where they go, as comparable values.

A source, target or store names in its class variable ``decides`` the attributes that decide what it
reads or where it writes. A class that names none in itself (a stranger's, or a subclass of one that
does) has no identity, and what has no identity is never taken for something that was done before.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Mapping, Set
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import PurePath
from typing import Any
from uuid import UUID

__all__ = ["described", "digest"]

_SECRET = re.compile(
    r"passw|pwd|secret|token|api_?key|access_?key|account_?key|sas|credential|passfile", re.I
)
_IN_URI = re.compile(r"//([^/@:]*):[^/@]*@")
_NO_ROWS = frozenset(
    ["verify", "cert", "proxy", "connect_timeout", "read_timeout", "retries", "rate", "redirects"]
)
"""Fields of connections that decide how a system is reached, not what it answers."""


class _UnknownError(Exception):
    """Something cannot be compared with what another process had."""


def described(thing: Any) -> Any:
    """Describe a source, target or store by all that decides rows and place.

    Args:
        thing: It names in ``decides`` which of its attributes that is.

    Returns:
        Lists, texts and numbers; the same for the same move in every process. Passwords are left
        out; what an HTTP API is sent as headers or credentials, which may decide what it answers,
        is a one-way digest (scrypt, RFC 7914). None where a part cannot be described.
    """
    try:
        return _part(thing)
    except _UnknownError:
        return None


def digest(*described: Any) -> str | None:
    """Digest descriptions.

    Args:
        described: As `described` gives them.

    Returns:
        Sixteen hexadecimal digits of their SHA-256; None where one of them is None.
    """
    if None in described:
        return None
    return hashlib.sha256(json.dumps(described).encode()).hexdigest()[:16]


def _part(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, bytes | bytearray):
        return ["bytes", hashlib.sha256(value).hexdigest()]
    if isinstance(value, float | Decimal | date | datetime | time | timedelta | UUID | PurePath):
        return [type(value).__name__, str(value)]
    if isinstance(value, Mapping):
        # In their order, which decides what a sort or a filter of MongoDB means.
        return ["map", [[_part(key), _part(one)] for key, one in value.items()]]
    if isinstance(value, list | tuple):
        return ["list", [_part(one) for one in value]]
    if isinstance(value, Set):
        return ["set", sorted(json.dumps(_part(one)) for one in value)]
    return _object(value)


def _object(value: Any) -> Any:
    kind = type(value)
    name = f"{kind.__module__}.{kind.__qualname__}"
    if kind.__module__.partition(".")[0] == "bson":
        return [name, repr(value)]
    if kind.__module__.startswith("pyarrow") and hasattr(value, "serialize"):
        return [name, hashlib.sha256(value.serialize().to_pybytes()).hexdigest()]
    if "decides" in vars(kind):
        return [name, [[one, _part(getattr(value, one))] for one in kind.decides]]
    if dataclasses.is_dataclass(value) and kind.__module__.startswith("tradewind."):
        return [name, [_field(value, field) for field in dataclasses.fields(value) if field.init]]
    raise _UnknownError


def _field(value: Any, field: dataclasses.Field[Any]) -> Any:
    name, found = field.name, getattr(value, field.name)
    if type(value).__name__ == "HttpConnection":
        if name in _NO_ROWS:
            return [name]
        if not field.repr:
            return [name, _hidden(found)]
    if _SECRET.search(name):
        # That of a database opens it and decides nothing; a token is somebody.
        return [name, None if "passw" in name else _hidden(found)]
    if isinstance(found, Mapping):
        found = {one: text for one, text in found.items() if not _SECRET.search(str(one))}
    elif name == "uri" and isinstance(found, str):
        found = _IN_URI.sub(r"//\1@", found)
    return [name, _part(found)]


def _hidden(value: Any) -> str:
    """Give the one-way digest of something that holds secrets."""
    text = json.dumps(_shown(value)).encode()
    return hashlib.scrypt(text, salt=b"tradewind identity", n=1 << 14, r=8, p=1, dklen=16).hex()


def _shown(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [type(value).__name__, [_part(one) for one in vars(value).values()]]
    return _part(value)
