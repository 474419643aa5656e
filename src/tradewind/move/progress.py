"""Progress of a move as text."""

from __future__ import annotations

from tradewind.move.flow import Progress

__all__ = ["progress_text", "size_text"]

_UNITS = ("bytes", "kB", "MB", "GB", "TB")


def progress_text(progress: Progress) -> str:
    """Say it in words: rows, size, speed and time.

    Args:
        progress: How far the move is.

    Returns:
        Like ``1,234,567 rows, 210.0 MB, 52.5 MB/s, 4 s``.
    """
    rows = "" if progress.rows is None else f"{progress.rows:,} rows, "
    speed = progress.bytes / progress.seconds if progress.seconds > 0 else 0.0
    return (
        f"{rows}{size_text(progress.bytes)}, {size_text(round(speed))}/s, {progress.seconds:.0f} s"
    )


def size_text(size: float) -> str:
    """Say a number of bytes for a person, in powers of 1,000.

    Args:
        size: Bytes.

    Returns:
        Like ``52.5 MB``.
    """
    for unit in _UNITS:
        if size < 1000 or unit == _UNITS[-1]:
            break
        size /= 1000
    return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
