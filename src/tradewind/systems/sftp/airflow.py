"""SFTP from Airflow's ``sftp`` connections, read as those of type ``ssh`` are."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tradewind.errors import InputError
from tradewind.systems.ssh.airflow import ssh_connection

if TYPE_CHECKING:
    from tradewind.systems.sftp.store import SFTPStore

__all__ = ["sftp_store"]


def sftp_store(
    place: str = "",
    conn_id: str | None = "sftp_default",
    *,
    remote_host: str | None = None,
    jump_host: str | None = None,
    **options: Any,
) -> SFTPStore:
    """Make the store of all files behind a connection.

    Args:
        place: ``user@host:port`` of a URI, or a part of it. What it says must be what the
            connection says; a host that the connection does not name is taken from here.
        conn_id: A connection of type ``sftp`` or ``ssh``.
        remote_host: The machine, instead of the connection's; its password and keys go there.
        jump_host: A host to go through, ``user@host:port``, reached with this user's keys; what the
            connection's extra says under this name when not given.
        options: Further arguments of `SFTPStore`.

    Returns:
        The store of the folder ``/``.

    Raises:
        InputError: The connection leads elsewhere than `place`.
        SetupError: The connection is missing or wrong.
    """
    from tradewind.systems.sftp.places import place_of
    from tradewind.systems.sftp.store import SFTPStore

    conn_id = conn_id or "sftp_default"
    told = place_of(place)
    if "password" in told:
        raise InputError(
            "SFTP: the URI has a password, which is not shown. Give it in the connection "
            f"{conn_id!r}."
        )
    connection = ssh_connection(conn_id, host=remote_host or None, default_host=told.get("host"))
    there = {"host": connection.host.lower(), "port": connection.port}
    if connection.username:
        there["username"] = connection.username
    for name, value in told.items():
        # Its password and key go to the host that it was made for alone.
        if there.get(name, value) != value:
            raise InputError(
                f"SFTP: the URI names the {name} {value!r}, and the connection {conn_id!r} leads "
                f"to {connection}. Write sftp:///path, or name another connection."
            )
    if connection.username is None and "username" in told:
        connection = replace(connection, username=told["username"])
    if jump_host:
        connection = replace(connection, options={**connection.options, "tunnel": jump_host})
    return SFTPStore(connection, **options)
