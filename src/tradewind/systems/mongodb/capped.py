"""Whether a read meets a capped collection, of which MongoDB gives no snapshot.

A view is read from what it stands on, and a pipeline from what its stages join: see
https://www.mongodb.com/docs/manual/reference/read-concern-snapshot/.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

__all__ = ["capped_among", "refuses_capped"]

_SNAPSHOT_UNAVAILABLE = 246


def capped_among(database: Any, collection: str, pipeline: Any) -> str | None:
    """Name a capped collection that a read comes to, through views and joins.

    Args:
        database: Of PyMongo.
        collection: What is read: a collection or a view.
        pipeline: The stages, or None.

    Returns:
        Its name; None where there is none, or where the user may not look.
    """
    from pymongo.errors import OperationFailure

    waiting = {collection, *_joined(pipeline)}
    seen: set[str] = set()
    try:
        while waiting := waiting - seen:
            seen |= waiting
            for found in database.list_collections(filter={"name": {"$in": sorted(waiting)}}):
                options = found.get("options", {})
                if options.get("capped"):
                    return str(found["name"])
                if "viewOn" in options:
                    waiting |= {str(options["viewOn"]), *_joined(options.get("pipeline"))}
    except OperationFailure:  # it may read them, but not list them
        return collection if _says_capped(database, collection) else None
    return None


def _says_capped(database: Any, collection: str) -> bool:
    from pymongo.errors import OperationFailure

    try:
        return bool(database.command("collStats", collection).get("capped"))
    except OperationFailure:  # a view, or no permission for it either
        return False


def refuses_capped(error: Any) -> bool:
    """Whether the server refuses a snapshot since something capped is read."""
    return error.code == _SNAPSHOT_UNAVAILABLE and "capped" in str(error)


def _joined(stages: Any) -> Iterator[str]:
    """Find the collections of ``$lookup``, ``$graphLookup`` and ``$unionWith``, however deep."""
    if isinstance(stages, list | tuple):
        for stage in stages:
            yield from _joined(stage)
    elif isinstance(stages, dict):
        for name, value in stages.items():
            if name in ("$lookup", "$graphLookup") and isinstance(value, dict):
                if isinstance(value.get("from"), str):
                    yield value["from"]
            elif name == "$unionWith":
                other = value.get("coll") if isinstance(value, dict) else value
                if isinstance(other, str):
                    yield other
            yield from _joined(value)
