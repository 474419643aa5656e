"""Globs over keys: ``*``, ``?`` and ``[...]`` within a folder, ``**`` across folders."""

from __future__ import annotations

import re

__all__ = ["expression", "wild"]

_WILD = re.compile(r"[*?\[]")


def wild(key: str, start: int = 0) -> int:
    """Tell where a key may begin to be a pattern.

    Args:
        key: The key.
        start: Where to begin to look.

    Returns:
        The place of the first ``*``, ``?`` or ``[``; -1 where there is none.
    """
    found = _WILD.search(key, start)
    return -1 if found is None else found.start()


def expression(glob: str) -> re.Pattern[str]:
    """Make the regular expression of a glob, which keys match as a whole.

    A bracket that is not closed within its folder stands for itself, as does one letter in
    brackets: ``[[]`` is ``[``. ``[!...]`` and ``[^...]`` are all other letters but ``/``. A range
    that runs backwards matches nothing.

    Args:
        glob: The glob.
    """
    out, at = [], 0
    while at < len(glob):
        letter = glob[at]
        at += 1
        if letter == "*":
            if glob.startswith("*", at):
                at += 1
                if glob.startswith("/", at):
                    at += 1
                    out.append("(?:.*/)?")
                else:
                    out.append(".*")
            else:
                out.append("[^/]*")
        elif letter == "?":
            out.append("[^/]")
        elif letter == "[" and (found := _letters(glob, at)) is not None:
            written, at = found
            out.append(written)
        else:
            out.append(re.escape(letter))
    return re.compile("".join(out), re.DOTALL)


def _letters(glob: str, start: int) -> tuple[str, int] | None:
    """Read what stands in brackets; None where they are no pattern.

    Returns:
        Its regular expression, and where the glob goes on.
    """
    negated = glob.startswith(("!", "^"), start)
    first = start + negated
    end = glob.find("]", first + 1)  # one that comes first is a letter
    if end < 0 or "/" in glob[first:end]:
        return None
    inner, at, out = glob[first:end], 0, []
    while at < len(inner):
        if inner[at + 1 : at + 2] == "-" and at + 2 < len(inner):
            low, high = inner[at], inner[at + 2]
            if low <= high:
                out.append(f"{re.escape(low)}-{re.escape(high)}")
            at += 3
        else:
            out.append(re.escape(inner[at]))
            at += 1
    if not out:
        return ("[^/]" if negated else "(?!)"), end + 1
    return f"(?!/)[{'^' * negated}{''.join(out)}]", end + 1
