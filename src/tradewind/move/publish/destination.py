"""Where parts are published, and how rows are divided into them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from tradewind.errors import InputError
from tradewind.move.sizes import bytes_of

if TYPE_CHECKING:
    from tradewind.move.format import Format
    from tradewind.move.store import Store

__all__ = ["Destination", "Parts"]


class Destination(Protocol):
    """Objects to write; see `tradewind.move.objects.target.ObjectTarget`, which is one.

    Attributes:
        store: The bucket, container or folder.
        key: The prefix.
        format: How rows become bytes.
        compression: ``gzip``, ``zstd`` or None.
        replace: Whether to replace what is there already.
        content_type: Media type of each object.
        metadata: User metadata of each object.
    """

    store: Store
    key: str
    format: Format
    compression: str | None
    replace: bool
    content_type: str
    metadata: dict[str, str]

    def describe(self) -> str:
        """Name the prefix."""
        ...

    def exists(self, key: str) -> InputError:
        """Make the error of what may not be replaced."""
        ...


@dataclass(frozen=True)
class Parts:
    """How data are cut into several objects.

    Args:
        rows: The most rows of an object.
        bytes: An object ends once it has this many bytes, as written. Formats and compressions
            hand on pieces of some megabytes (Parquet: row groups), so it may have those more.
        by: Partition columns: ``PREFIX/column=value/part-...``, escaped as Hive does.
        keep: Whether the files have the partition columns too, which their folders tell.
        open: The most partitions that are written at once. When rows of one more come, one of them
            is closed: a large one, or one that the rows have passed by. If it comes again it gets
            a further object. Data that are sorted by the partition columns make the fewest objects.
        memory: The most bytes of rows, about, that the partitions written at once hold; where they
            have more, one is closed in the same way. None closes none.
        overwrite: What a publication with partitions does to those that stand there already, as
            Spark's ``partitionOverwriteMode`` has it: ``partitions`` replaces the ones that the
            data contain, and those that this very run wrote before, and leaves the others
            published (Spark: dynamic); ``all`` replaces the whole publication (Spark: static).
            Without partition columns the whole is replaced.

    Raises:
        InputError: A number is too small, or nothing is given.
    """

    rows: int | None = None
    bytes: int | None = None
    by: tuple[str, ...] = ()
    keep: bool = False
    open: int = 64
    memory: int | None = 32 << 20
    overwrite: Literal["partitions", "all"] = "partitions"

    def __post_init__(self) -> None:
        object.__setattr__(self, "by", (self.by,) if isinstance(self.by, str) else tuple(self.by))
        for name in ("bytes", "memory"):
            if isinstance(size := getattr(self, name), str):  # as 100MB in a DAG's description
                object.__setattr__(self, name, bytes_of(name, size))
        if self.rows is None and self.bytes is None and not self.by:
            raise InputError("Parts: say what ends an object: rows, bytes or by=(column, ...).")
        for name in ("rows", "bytes", "open", "memory"):
            number = getattr(self, name)
            if number is not None and number < 1:
                raise InputError(f"Parts: {name} is {number}; give 1 or more.")
        if self.overwrite not in ("partitions", "all"):
            raise InputError(
                f"Parts: overwrite is {self.overwrite!r}. Choose from: partitions, all."
            )
        if len(set(self.by)) != len(self.by):
            raise InputError(f"Parts: a column stands twice in by={self.by!r}.")
