"""A title as tags of an application, and back: YARN keeps no other text of ours."""

from __future__ import annotations

import base64
from collections.abc import Sequence

__all__ = ["TAG_LENGTH", "title_of", "title_tags"]

_TITLE_TAG = "tradewind-title-"
#: YARN takes 20 tags of 100 ASCII characters, and writes them in small letters.
TAG_LENGTH = 100
_TITLE_PARTS = 10


def title_tags(title: str) -> list[str]:
    """Write a title as tags, which know no capitals: in base 32, part by part."""
    text = base64.b32encode(title.encode()).decode().rstrip("=").lower()
    room = TAG_LENGTH - len(_TITLE_TAG) - 2
    parts = [text[start : start + room] for start in range(0, len(text), room)]
    if len(parts) > _TITLE_PARTS:
        return []
    return [f"{_TITLE_TAG}{number}-{part}" for number, part in enumerate(parts)]


def title_of(tags: Sequence[str]) -> str | None:
    """Read a title from an application's tags; None where they have none."""
    parts = sorted(tag for tag in tags if tag.startswith(_TITLE_TAG))
    text = "".join(part.removeprefix(_TITLE_TAG)[2:] for part in parts).upper()
    try:
        return base64.b32decode(text + "=" * (-len(text) % 8)).decode() or None
    except ValueError:
        return None
