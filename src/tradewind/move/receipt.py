"""What a move did."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = ["Receipt", "Stored", "StoredObject"]


@dataclass(frozen=True)
class StoredObject:
    """One published object or table, as its system describes it.

    Args:
        uri: Where it stands, without any secret.
        bytes: Its size; for a table what was sent to it. None where unknown.
        rows: Rows in it, None where nobody counted.
        etag: What its store calls this version of it; None for a table.
        checksum: ``algorithm:hex`` of its bytes; None where there is none.
    """

    uri: str
    bytes: int | None = None
    rows: int | None = None
    etag: str | None = None
    checksum: str | None = None


@dataclass(frozen=True)
class Stored:
    """What a target holds after publishing.

    Args:
        objects: All that this move has published, in the order of the data.
        rows: Rows that the target itself counted; None where it cannot (an object store).
        removed: URIs of what an earlier publication had and this one has not.
        manifest: Where the list of the objects stands, None for a single one.
        kept: Objects of other partitions that stay published beside these.
        at: When an earlier attempt had published it, where nothing was written now.
        by: Whose attempt that was.
        notes: What else a person should know of it, one sentence each.
        unchecked: What could not be seen of what an earlier attempt had published.
    """

    objects: tuple[StoredObject, ...]
    rows: int | None = None
    removed: tuple[str, ...] = ()
    manifest: str | None = None
    kept: int = 0
    at: str | None = field(default=None, compare=False)
    by: str | None = field(default=None, compare=False)
    notes: tuple[str, ...] = ()
    unchecked: str | None = field(default=None, compare=False)

    @property
    def skipped(self) -> str:
        """Say that nothing was written now, with when it was, by whom, and what was not seen."""
        when = f" on {self.at}" if self.at else ""
        who = f" by {self.by}" if self.by else ""
        but = f" Not checked: {self.unchecked}." if self.unchecked else ""
        return f"Nothing was written: this was published before{when}{who}.{but}"


@dataclass(frozen=True)
class Receipt:
    """What a move did.

    Args:
        source: Where from.
        target: Where to.
        owner: Whose effect it is.
        rows: Rows moved, None where the bytes passed through uncounted.
        bytes: Bytes published, as written (compressed, say).
        seconds: How long it took.
        peak_memory: The most memory this process has ever held, in bytes.
        stored: What stands on the target.
        earlier: Whether an earlier attempt of the same owner had published it, so that nothing was
            read or written now.
        core: Which decoder read the source's rows, ``native`` with its version or ``python``; None
            where there is no choice of one.
    """

    source: str
    target: str
    owner: str
    rows: int | None
    bytes: int
    seconds: float
    peak_memory: int
    stored: Stored
    earlier: bool = False
    core: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Give all of it in JSON's types: what becomes the XCom and ``--json``."""
        return asdict(self)
