"""Read an Airflow connection as the official hooks do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tradewind.errors import InputError, SetupError

if TYPE_CHECKING:
    from airflow.sdk import Connection

__all__ = ["HookParams", "extras_of", "hook_of", "refuse_unknown"]

HookParams = Mapping[str, Any] | None
"""Arguments of the official hook, as operators hand them on."""

# What the official hooks take from a connection's extra and does not belong to the database.
_HOOK_EXTRAS = {
    "iam",
    "redshift",
    "redshift-serverless",
    "cursor",
    "cluster-identifier",
    "workgroup-name",
    "aws_conn_id",
    "azure_conn_id",
    "azure_oauth_scope",
    "sqlalchemy_scheme",
    "sqlalchemy_query",
    "client",
    "local_infile",
    "dialect",
    "placeholder",
    "insert_statement_format",
    "replace_statement_format",
    "escape_word_format",
    "escape_column_names",
}


def extras_of(connection: Connection) -> dict[str, Any]:
    """Tell what the extra of a connection says to the database's client."""
    return {
        name: value
        for name, value in connection.extra_dejson.items()
        if name not in _HOOK_EXTRAS and not name.startswith("extra__")
    }


def refuse_unknown(
    connection: Connection, given: Mapping[str, Any], known: str, *, ignored: set[str]
) -> None:
    """Refuse arguments of a hook that have no meaning here.

    Args:
        connection: The connection that the hook would open.
        given: The arguments that are left.
        known: Those with a meaning, for the message.
        ignored: Those that change nothing here.

    Raises:
        InputError: There are others.
    """
    rest = sorted(set(given) - ignored)
    if rest:
        raise InputError(
            f"sql_hook_params for the connection {connection.conn_id!r}: {rest[0]!r} has no "
            f"meaning here. Choose from: {known}; put other settings into the connection's extra."
        )


def hook_of(connection: Connection, hook_params: HookParams) -> Any:
    """Make the official hook of a connection.

    Args:
        connection: Of any type whose hook is a ``DbApiHook``.
        hook_params: Arguments of the hook.

    Raises:
        SetupError: The provider is not installed, or the connection is no SQL database.
    """
    try:
        # Untyped in Airflow.
        get_hook: Any = connection.get_hook
        hook = get_hook(hook_params=dict(hook_params) if hook_params else None)
    except Exception as error:
        raise SetupError(
            f"The connection {connection.conn_id!r} of type {connection.conn_type!r} has no hook "
            f"here: {error}. Install the provider of that type."
        ) from error
    if not callable(getattr(hook, "get_conn", None)) or not callable(
        getattr(hook, "get_records", None)
    ):
        raise SetupError(
            f"The connection {connection.conn_id!r} of type {connection.conn_type!r} is no SQL "
            "database. Name one whose hook is a DbApiHook."
        )
    return hook
