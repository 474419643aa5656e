"""Shares of objects, which several workers read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tradewind.errors import InputError
from tradewind.move.objects.object_set import Chosen

__all__ = ["share_of", "shares_of"]


def shares_of(chosen: Sequence[Chosen], number: int) -> Iterator[dict[str, Any]]:
    """Cut a list of objects into runs of about as many bytes.

    Args:
        chosen: The objects, in their order.
        number: How many runs, at most.

    Yields:
        From which place in the list and to which, how many bytes, and a digest of keys, sizes and
        versions: bounded in size, however many objects there are.
    """
    # One more each: so an empty object has a weight too, and the last one alone makes it whole.
    whole = sum(one.info.size + 1 for one in chosen)
    begin = done = 0
    for at, one in enumerate(chosen, 1):
        before = done * number // whole
        done += one.info.size + 1
        if done * number // whole > before:
            run = chosen[begin:at]
            yield {
                "from": begin,
                "to": at,
                "bytes": sum(each.info.size for each in run),
                "digest": _digest(run),
            }
            begin = at


def share_of(chosen: Sequence[Chosen], told: Mapping[str, Any], what: str) -> list[Chosen]:
    """Take one run of the list that is there now.

    Args:
        chosen: The objects.
        told: One of `shares_of`.
        what: The prefix or glob, for messages.

    Raises:
        InputError: Other objects are there now, or other versions of them.
    """
    run = list(chosen[told["from"] : told["to"]])
    if _digest(run) != told["digest"]:
        raise InputError(
            f"{what}: the objects there have changed since the plan of this move was made. Clear "
            "the whole task group, the plan too, to move what is there now."
        )
    return run


def _digest(run: Sequence[Chosen]) -> str:
    named = [[one.uri, one.info.size, one.info.etag] for one in run]
    return hashlib.sha256(json.dumps(named).encode()).hexdigest()[:32]
