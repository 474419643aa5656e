"""The manifest of a set of objects: what is published, and nothing else is.

It is one JSON object, the same for the same data but for the objects' names: ``version``, ``owner``
(digest), ``format`` and ``compression``, ``columns`` (names and types, for people), ``schema``
(Arrow's own encoding, base64), ``partition_columns``, ``rows``, and ``objects`` in the order of the
data: ``key`` (after the prefix), ``size``, ``rows``, ``etag``, ``checksum``, ``partition`` (values
as text, null for NULL), ``run`` (`Owner.run_digest` of who wrote it; not in those of version 0.1).
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tradewind.errors import InputError, RetryError, TradewindError

if TYPE_CHECKING:
    import pyarrow as pa

    from tradewind.move.store import ObjectInfo, Store

__all__ = [
    "MANIFEST",
    "PART_NAME",
    "Manifest",
    "Part",
    "folder_of",
    "read_manifest",
    "read_manifest_at",
]

MANIFEST = "_manifest.json"
"""Its name below the prefix."""

PART_NAME = re.compile(r"part-\d{5,}-(?P<owner>[0-9a-f]{12})?[0-9a-f]{8}\.[a-z0-9.]+")
"""What parts are called: a number, the owner's digest (not in those of version 0.1), eight digits
drawn by the attempt, and the format's ending."""

_VERSION = 1
_READINGS = 10
_MOST = 1 << 30


@dataclass(frozen=True)
class Part:
    """One published object.

    Args:
        key: Its name after the prefix.
        size: Bytes.
        rows: Rows in it.
        etag: What its store calls this version of it.
        checksum: ``algorithm:hex`` of its bytes.
        partition: The values of the partition columns, in their order; None for NULL.
        run: `Owner.run_digest` of the task run that wrote it; None where it is not known.
    """

    key: str
    size: int
    rows: int
    etag: str | None
    checksum: str | None
    partition: tuple[str | None, ...] = ()
    run: str | None = None


@dataclass(frozen=True)
class Manifest:
    """What is published under a prefix.

    Args:
        owner: Digest of the owner.
        format: Name of the format.
        compression: ``gzip``, ``zstd`` or None.
        schema: All columns, with the partition columns.
        partition_columns: Columns that the folders' names tell.
        kept: Whether the files have the partition columns too.
        parts: The objects.
    """

    owner: str
    format: str
    compression: str | None
    schema: pa.Schema
    partition_columns: tuple[str, ...] = ()
    kept: bool = False
    parts: tuple[Part, ...] = field(default=())

    @property
    def rows(self) -> int:
        """Rows of all parts."""
        return sum(part.rows for part in self.parts)

    def encode(self) -> bytes:
        """Write it."""
        document = {
            "version": _VERSION,
            "owner": self.owner,
            "format": self.format,
            "compression": self.compression,
            "columns": [{"name": column.name, "type": str(column.type)} for column in self.schema],
            "schema": base64.b64encode(self.schema.serialize().to_pybytes()).decode(),
            "partition_columns": list(self.partition_columns),
            "partition_columns_in_files": self.kept,
            "rows": self.rows,
            "objects": [
                {
                    "key": part.key,
                    "size": part.size,
                    "rows": part.rows,
                    "etag": part.etag,
                    "checksum": part.checksum,
                    "partition": dict(zip(self.partition_columns, part.partition, strict=True)),
                    "run": part.run,
                }
                for part in self.parts
            ],
        }
        return json.dumps(document, indent=1, ensure_ascii=False).encode() + b"\n"

    @classmethod
    def decode(cls, data: bytes, where: str) -> Manifest:
        """Read it.

        Args:
            data: Its bytes.
            where: What it is called, for messages.

        Raises:
            InputError: It is none of ours, or of a version that is not known here.
        """
        import pyarrow as pa

        try:
            document: dict[str, Any] = json.loads(data)
            if document["version"] != _VERSION:
                raise InputError(
                    f"{where}: this manifest is of version {document['version']!r}, and version "
                    f"{_VERSION} is known here. Use the version of Tradewind that wrote it."
                )
            by = tuple(document["partition_columns"])
            if document["rows"] != sum(part["rows"] for part in document["objects"]):
                raise ValueError("its objects have other rows than it says")
            schema = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(document["schema"])))
            if schema.names != [column["name"] for column in document["columns"]]:
                raise ValueError("its schema has other columns than it says")
            return cls(
                owner=document["owner"],
                format=document["format"],
                compression=document["compression"],
                schema=schema,
                partition_columns=by,
                kept=document["partition_columns_in_files"],
                parts=tuple(
                    Part(
                        key=part["key"],
                        size=part["size"],
                        rows=part["rows"],
                        etag=part["etag"],
                        checksum=part["checksum"],
                        partition=tuple(part["partition"][name] for name in by),
                        run=part.get("run"),
                    )
                    for part in document["objects"]
                ),
            )
        except (ValueError, KeyError, TypeError, pa.ArrowException, OSError) as error:
            # Arrow's answer to a schema that is none may be an OSError.
            raise InputError(
                f"{where}: this is no manifest of Tradewind ({type(error).__name__}: {error}). "
                "Choose another prefix, or remove the file."
            ) from error


def folder_of(key: str) -> str:
    """Tell what a prefix's objects begin with: ``a/b`` and ``a/b/`` are ``a/b/``."""
    stripped = key.rstrip("/")
    return f"{stripped}/" if stripped else ""


def read_manifest(store: Store, folder: str) -> tuple[Manifest, ObjectInfo] | None:
    """Read the manifest of a prefix, None where there is none.

    Args:
        store: Where it is.
        folder: The prefix, with ``/`` at its end.

    Raises:
        InputError: There is something else of its name.
        RetryError: It was replaced while it was read.
    """
    return read_manifest_at(store, folder + MANIFEST)


def read_manifest_at(store: Store, key: str) -> tuple[Manifest, ObjectInfo] | None:
    """Read a manifest by its whole key; see `read_manifest`."""
    for reading in range(1, _READINGS + 1):
        info = store.head(key)
        if info is None:
            return None
        if info.size > _MOST:
            raise InputError(f"{store.uri(key)}: {info.size} bytes are no manifest of Tradewind.")
        try:
            data = b"".join(store.read(key, etag=info.etag))
        except TradewindError:
            there = store.head(key)
            if reading == _READINGS or (there is not None and there.etag == info.etag):
                raise
            continue
        if len(data) == info.size:
            return Manifest.decode(data, store.uri(key)), info
    raise RetryError(f"{store.uri(key)}: it is replaced each time that it is read. Try again.")
