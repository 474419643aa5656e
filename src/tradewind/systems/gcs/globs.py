"""Globs as Google Cloud Storage has them: those of this project, and braces.

Source: https://cloud.google.com/storage/docs/json_api/v1/objects/list#list-objects-and-prefixes-using-glob
"""

from __future__ import annotations

import re
from collections.abc import Callable

from tradewind.move.objects.globs import expression

__all__ = ["matches"]

_BRACES = re.compile(r"\{([^{}]*)\}")


def matches(glob: str | None) -> Callable[[str], bool]:
    """Make a test of names.

    Args:
        glob: ``*``, ``?`` and ``[...]`` within a folder, ``**`` across folders, ``{a,b}`` for any
            of these; None for all names.
    """
    if not glob:
        return lambda _: True
    patterns = [expression(one) for one in _spread(glob)]
    return lambda name: any(pattern.fullmatch(name) for pattern in patterns)


def _spread(glob: str) -> list[str]:
    found = _BRACES.search(glob)
    if found is None:
        return [glob]
    return [
        whole
        for choice in found[1].split(",")
        for whole in _spread(glob[: found.start()] + choice + glob[found.end() :])
    ]
