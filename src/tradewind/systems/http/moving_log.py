"""What is new in the last lines of a log, known from what overlaps with the lines before."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence

from tradewind.run.backend import LogLine

__all__ = ["new_lines"]

_DIGITS = 6
#: More lines than this are not remembered of a window: a cursor is stored, and has a limit.
_REMEMBERED = 4_000
#: A part that is written anew each time, like a diagnosis, has fewer lines than this.
_SHORT = 10


def new_lines(
    lines: Sequence[str], after: str | None, sections: Sequence[str] = ()
) -> Iterator[LogLine]:
    """Give the lines that have come since.

    What is known of the window before is a checksum of each line. The window has moved by the
    smallest number of lines that makes both agree where they overlap: so nothing is repeated, and
    what is lost are lines equal to each other, and those that came and went between two windows:
    a line says where that was.

    A cursor is, for each section, how many lines its window had and the checksums of its last
    4,000: ``count:checksums``, joined by semicolons.

    Args:
        lines: The window.
        after: Cursor of the last line known; None for none.
        sections: Lines that head a part of it, in order; each is looked for once.

    Yields:
        The new lines of each section.
    """
    known = [_read(part) for part in after.split(";")] if after else []
    parts = _parts(lines, sections)
    known += [(0, "")] * (len(parts) - len(known))
    for number, part in enumerate(parts):
        sums = "".join(f"{zlib.crc32(line.encode()) & 0xFFFFFF:06x}" for line in part)
        if not part:
            continue
        count, tail = known[number]
        start = _overlap(sums, len(part), count, tail)
        for position in range(start, len(part)):
            at = position + 1
            known[number] = (at, sums[max(0, at - _REMEMBERED) * _DIGITS : at * _DIGITS])
            cursor = ";".join(f"{count}:{tail}" for count, tail in known)
            if position == start == 0 and count >= _SHORT:
                yield LogLine("[some lines are missing: the log moved on too fast]", cursor)
            yield LogLine(part[position], cursor)
        known[number] = (len(part), sums[-_REMEMBERED * _DIGITS :])


def _overlap(sums: str, length: int, count: int, tail: str) -> int:
    """Tell how many lines of the window are known."""
    remembered = len(tail) // _DIGITS
    for known in range(min(count, length), 0, -1):
        compared = min(known, remembered)
        if sums[(known - compared) * _DIGITS : known * _DIGITS] == tail[-compared * _DIGITS :]:
            return known
    return 0


def _parts(lines: Sequence[str], sections: Sequence[str]) -> list[list[str]]:
    parts: list[list[str]] = [[]]
    left = list(sections)
    for line in lines:
        if line in left:
            # Those before it were left out; a part keeps its number all the same.
            skipped = left.index(line) + 1
            del left[:skipped]
            parts.extend([] for _ in range(skipped))
        else:
            parts[-1].append(line)
    parts.extend([] for _ in left)
    return parts


def _read(part: str) -> tuple[int, str]:
    count, _, tail = part.partition(":")
    return int(count or 0), tail
