"""The options of a collection of MongoDB on the command line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tradewind.errors import InputError
from tradewind.move.objects.schemas import declared
from tradewind.systems.mongodb.connection import MongoConnection

__all__ = ["arguments_of"]

_SWITCHES = ("snapshot", "missing_ok", "allow_disk_use")
_OPTIONS = (
    "database",
    "collection",
    "query",
    "projection",
    "sort",
    "pipeline",
    "json",
    "batch_size",
    "limit",
    "max_time",
    "schema",
    "sample",
    "unknown",
    *_SWITCHES,
)


def arguments_of(connection: MongoConnection, options: Mapping[str, str]) -> dict[str, Any]:
    """Read options; see `MongoSource.from_uri`.

    Args:
        connection: Where the collection is.
        options: What was typed.

    Returns:
        Arguments of `MongoSource`.

    Raises:
        InputError: An option is missing, not known or cannot be read.
    """
    if unknown := sorted(options.keys() - set(_OPTIONS)):
        raise InputError(
            f"MongoDB at {connection.address}: there is no option {', '.join(unknown)}. Choose "
            f"from: {', '.join(_OPTIONS)}."
        )
    database = options.get("database") or connection.database
    if not database or not options.get("collection"):
        raise InputError(
            f"MongoDB at {connection.address}: no collection was named. Give the database in "
            "the URI (mongodb://host/database) and the collection with the option collection."
        )
    parsed: dict[str, Any] = {}
    for name in ("query", "projection", "sort", "pipeline"):
        if options.get(name):
            parsed[name] = _extended(name, options[name])
    if isinstance(parsed.get("query"), list):
        parsed["pipeline"] = parsed.pop("query")
    for name in ("json", "unknown"):
        if name in options:
            parsed[name] = options[name]
    for name in _SWITCHES:
        if options.get(name):
            if options[name].lower() not in ("true", "false"):
                raise InputError(f"{name} is {options[name]!r}. Give true or false.")
            parsed[name] = options[name].lower() == "true"
    parsed["schema"] = declared(options.get("schema", ""))
    for name, kind in (
        ("batch_size", int),
        ("limit", int),
        ("max_time", float),
        ("sample", int),
    ):
        if options.get(name):
            try:
                parsed[name] = kind(options[name])
            except ValueError:
                raise InputError(f"{name}={options[name]!r} is not a number.") from None
    return {"database": database, "collection": options["collection"], **parsed}


def _extended(name: str, text: str) -> Any:
    from bson import json_util
    from bson.errors import BSONError

    try:
        return json_util.loads(text)
    except (json.JSONDecodeError, BSONError, TypeError, ValueError) as error:
        raise InputError(
            f"{name} is not MongoDB's extended JSON: {error}. Write it like "
            '{"price": {"$gt": 100}}.'
        ) from error
