"""What Azure says of a blob, and how it spells names of metadata."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tradewind.move.store import ObjectInfo

if TYPE_CHECKING:
    from azure.storage.blob import BlobProperties

__all__ = ["info_of", "spelled"]


def info_of(blob: BlobProperties) -> ObjectInfo:
    """Read what Azure's client says of a blob."""
    settings = blob.content_settings
    return ObjectInfo(
        key=str(blob.name),
        size=int(blob.size or 0),
        etag=str(blob.etag).strip('"') if blob.etag else None,
        modified=blob.last_modified,
        content_type=settings.content_type,
        content_encoding=settings.content_encoding or None,
        metadata={_as_given(name.lower()): text for name, text in (blob.metadata or {}).items()},
        checksum=f"md5:{settings.content_md5.hex()}" if settings.content_md5 else None,
    )


def spelled(name: str) -> str:
    """A name of metadata as Azure takes it, which wants identifiers of C#: no hyphens."""
    return name.replace("-", "_")


def _as_given(name: str) -> str:
    """Such a name as it was given, where it is one of ours."""
    return name.replace("_", "-") if name.startswith("tradewind_") else name
