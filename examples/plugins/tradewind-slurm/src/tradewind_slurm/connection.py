"""Airflow connections of Slurm: the folder that workers and nodes share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from tradewind.doctor import Check, failed
from tradewind.errors import SetupError, TradewindError

if TYPE_CHECKING:
    from airflow.sdk import Connection

    from tradewind_slurm.backend import SlurmBackend

__all__ = ["checks", "connection_of", "open_slurm", "root_of"]


def connection_of(connection: Connection, hook_params: Mapping[str, Any] | None = None) -> str:
    """Read a connection of the type ``slurm``: ``{"root": "/shared/tradewind"}`` in its extra.

    Args:
        connection: The connection.
        hook_params: Not used.

    Returns:
        The folder.

    Raises:
        SetupError: It names none.
    """
    root = connection.extra_dejson.get("root")
    if not root or not isinstance(root, str):
        raise SetupError(
            f"Slurm: the Airflow connection {connection.conn_id!r} names no folder. Set root in "
            'its extra, like {"root": "/shared/tradewind"}: one that workers and nodes share.'
        )
    return root


def root_of(place: str) -> str:
    """Tell the folder that is meant by its path, or by ``connection:ID``.

    Args:
        place: One of the two.
    """
    scheme, colon, conn_id = place.partition(":")
    if scheme != "connection" or not colon:
        return place
    from tradewind.airflow.connections import find_connection

    found = find_connection(conn_id)
    if found.conn_type != "slurm":
        raise SetupError(
            f"Slurm: the Airflow connection {conn_id!r} is of the type {found.conn_type!r}. Name "
            "one of the type slurm."
        )
    return connection_of(found)


def open_slurm(root: str | None = None, slurm_conn_id: str | None = None) -> SlurmBackend:
    """Make the backend.

    Args:
        root: The folder; the connection's when None.
        slurm_conn_id: Id of an Airflow connection.
    """
    from tradewind_slurm.backend import SlurmBackend

    return SlurmBackend(root or root_of(f"connection:{slurm_conn_id or 'slurm_default'}"))


def checks(settings: str, named: str, timeout: float) -> Iterator[Check]:
    """Look at a Slurm, for ``tradewind doctor``.

    Args:
        settings: The folder, or ``connection:ID``.
        named: Not used.
        timeout: Not used: Slurm's programs have one of their own.

    Yields:
        Whether the folder is there, and whether the controller answers.
    """
    import os

    from tradewind_slurm.backend import ping

    try:
        root = root_of(settings)
    except TradewindError as error:
        yield failed("settings", error)
        return
    if not os.path.isdir(root):
        yield Check("warn", "folder", f"{root} is not there yet; the first job makes it")
    elif os.access(root, os.W_OK | os.X_OK):
        yield Check("ok", "folder", f"{root} may be written from here; the nodes were not asked")
    else:
        yield Check("fail", "folder", f"{root} may not be written by this account", "Correct it.")
    try:
        said = ping()
    except TradewindError as error:
        yield failed("controller", error)
    else:
        yield Check("ok", "controller", said)
