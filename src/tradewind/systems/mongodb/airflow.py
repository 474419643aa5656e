"""MongoDB from an Airflow connection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tradewind.errors import SetupError

if TYPE_CHECKING:
    from airflow.sdk import Connection

    from tradewind.systems.mongodb.connection import MongoConnection

__all__ = ["connection_of"]


def connection_of(
    connection: Connection, hook_params: Mapping[str, Any] | None = None
) -> MongoConnection:
    """Read a connection as ``MongoHook`` does, and by it.

    Args:
        connection: Of type ``mongo``.
        hook_params: Without a meaning here.

    Raises:
        SetupError: It is wrong, or the provider is not installed.
    """
    from tradewind.systems.mongodb.connection import MongoConnection

    conn_id = connection.conn_id
    try:
        from airflow.providers.mongo.hooks.mongo import MongoHook
    except ImportError as error:
        raise SetupError(
            "A MongoDB connection needs Airflow's provider for it. Install it with: "
            "pip install apache-airflow-providers-mongo"
        ) from error
    try:
        hook = MongoHook(conn_id)
    except Exception as error:
        raise SetupError(f"The Airflow connection {conn_id!r}: {error}. Correct it.") from error
    options = dict(hook.extras)
    if hook.allow_insecure:
        options["tlsAllowInvalidCertificates"] = True
        options.setdefault("tls", True)
    if "ssl" in options:
        options["tls"] = options.pop("ssl")
    for name in ("tls", "tlsAllowInvalidCertificates"):
        if isinstance(options.get(name), str):
            options[name] = options[name].lower() == "true"
    return MongoConnection(hook.uri, options)
