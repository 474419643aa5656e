"""Read the types of a query's columns from the protocol: COPY itself does not send them."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

__all__ = ["Column", "Tap"]


@dataclass(frozen=True)
class Column:
    """A column of a result, as the server describes it.

    Args:
        name: Its name.
        oid: Its type; of a domain the base type.
        modifier: The type's modifier (``atttypmod``), -1 without.
    """

    name: str
    oid: int
    modifier: int


class Tap:
    """Stands before a protocol and keeps a copy of what the server says to it."""

    def __init__(self, protocol: Any) -> None:
        self.protocol = protocol
        self._data = bytearray()

    def data_received(self, data: bytes) -> None:
        """Keep what the server sends, and hand it on."""
        self._data += data
        self.protocol.data_received(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.protocol, name)

    def columns(self) -> tuple[Column, ...] | None:
        """Find the first RowDescription.

        https://www.postgresql.org/docs/current/protocol-message-formats.html
        """
        data = bytes(self._data)
        at = 0
        while at + 5 <= len(data):
            (length,) = struct.unpack_from("!i", data, at + 1)
            if data[at : at + 1] == b"T":
                return _columns(data, at + 5)
            at += 1 + length
        return None


def _columns(data: bytes, at: int) -> tuple[Column, ...]:
    (count,) = struct.unpack_from("!h", data, at)
    at += 2
    columns = []
    for _ in range(count):
        end = data.index(b"\0", at)
        _, _, oid, _, modifier, _ = struct.unpack_from("!IhIhih", data, end + 1)
        columns.append(Column(data[at:end].decode(), oid, modifier))
        at = end + 19
    return tuple(columns)
