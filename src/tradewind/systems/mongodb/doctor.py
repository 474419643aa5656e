"""What ``tradewind doctor`` asks a MongoDB deployment."""

from __future__ import annotations

from collections.abc import Iterator

from tradewind.doctor import Check, failed
from tradewind.errors import TradewindError
from tradewind.systems.mongodb.connection import MongoConnection, named_errors

__all__ = ["checks"]


def checks(settings: MongoConnection | str, named: str, timeout: float) -> Iterator[Check]:
    """Look at a deployment: reach, login, permission to read.

    Args:
        settings: How to reach it, or its URI.
        named: The collection that is to be read; empty for the list of all.
        timeout: Seconds that an answer may take.
    """
    given = MongoConnection.from_uri(settings) if isinstance(settings, str) else settings
    milliseconds = int(timeout * 1000)
    waits = ("serverSelectionTimeoutMS", "connectTimeoutMS", "socketTimeoutMS")
    asked = MongoConnection(given.uri, {**given.options, **dict.fromkeys(waits, milliseconds)})
    where = f"MongoDB at {given.address}"
    try:
        client = asked.open()
        with client:
            with named_errors(where):
                client.admin.command("ping")
                version = client.server_info()["version"]
            yield Check("ok", "login", f"accepted, {given.address}, MongoDB {version}")
            if given.database is None:
                yield Check("ok", "permissions", "the connection names no database to ask about")
                return
            with named_errors(where):
                database = client.get_database(given.database.partition("?")[0])
                if named:
                    database[named].find_one({}, {"_id": 1})
                    said = f"may read {named}"
                else:
                    count = len(database.list_collection_names())
                    said = f"{count} collections of {database.name} are listed"
            yield Check("ok", "permissions", said)
    except TradewindError as error:
        yield failed("login", error)
