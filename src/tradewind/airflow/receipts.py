"""Receipts as XCom and as a line of the log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tradewind.move.receipt import Receipt

__all__ = ["MOST_OBJECTS", "receipt_text", "receipt_xcom"]

MOST_OBJECTS = 20
"""How many objects an XCom names; with more, the manifest has the list."""


def receipt_xcom(receipt: Receipt) -> dict[str, Any]:
    """Give a receipt in JSON's types and bounded in size.

    Args:
        receipt: What was done.

    Returns:
        The receipt. ``stored.objects`` and ``stored.removed`` hold the first 20;
        ``stored.object_count`` and ``stored.removed_count`` tell how many there are, and
        ``stored.manifest`` where all are listed. ``skipped`` of a copy is bounded likewise.
    """
    told = receipt.as_dict()
    stored = told["stored"]
    for name, count in (("objects", "object_count"), ("removed", "removed_count")):
        every = stored[name]
        stored[name] = list(every[:MOST_OBJECTS])
        stored[count] = len(every)
    stored["notes"] = list(stored["notes"])
    if "skipped" in told:  # by copies of objects
        told["skipped_count"] = len(told["skipped"])
        told["skipped"] = list(told["skipped"][:MOST_OBJECTS])
    return told


def receipt_text(receipt: Receipt) -> str:
    """Say in one line what was done.

    Args:
        receipt: What was done.

    Returns:
        Like ``Moved 3 rows, 120 bytes in 1.2 s (peak memory 96.0 MB): s3://bucket/key``.
    """
    from tradewind.move.progress import size_text

    stored = receipt.stored
    rows = "an uncounted number of rows" if receipt.rows is None else f"{receipt.rows:,} rows"
    names = [one.uri for one in stored.objects]
    where = stored.manifest or (names[0] if len(names) == 1 else receipt.target)
    more = f" ({len(names)} objects)" if len(names) > 1 else ""
    gone = f"; removed {len(stored.removed)} of an earlier publication" if stored.removed else ""
    if stored.kept:
        gone += f"; kept {stored.kept} objects of other partitions"
    said = "".join(f" {note}" for note in stored.notes)
    if receipt.earlier:
        return f"{stored.skipped} {where}: {rows}{more}{said}"
    return (
        f"Moved {rows}, {size_text(receipt.bytes)} in {receipt.seconds:.1f} s "
        f"(peak memory {size_text(receipt.peak_memory)}): {where}{more}{gone}{said}"
    )
