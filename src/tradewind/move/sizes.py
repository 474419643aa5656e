"""Numbers of bytes as people write them: 67108864, 64MiB, 100 MB."""

from __future__ import annotations

import re
from typing import Any

from tradewind.errors import InputError

__all__ = ["bytes_of"]

_SIZE = re.compile(r"(\d+)\s*([kmgt]?)(i?)(b?)", re.IGNORECASE | re.ASCII)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


def bytes_of(name: str, value: Any) -> int:
    """Read a number of bytes.

    Args:
        name: The option, for the message.
        value: A whole number; or one as text, perhaps with a unit: kB, MB, GB and TB are powers of
            1,000, KiB, MiB, GiB and TiB of 1,024, in capitals or not.

    Raises:
        InputError: It is none.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    found = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    # A letter alone (64M) is a power of 1,000 for some, of 1,024 for others.
    if found is None or (found[2] and not found[4]) or (found[3] and not found[2]):
        raise InputError(
            f"{name}={value!r} is no number of bytes. Write it like 64000000, 64MB (the same) or "
            "64MiB (67108864)."
        )
    size: int = (1024 if found[3] else 1000) ** _POWERS[found[2].lower()]
    return int(found[1]) * size
