"""Looking a connection up: where Airflow keeps them, and for the command line its database."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

from tradewind.errors import SetupError

if TYPE_CHECKING:
    from airflow.sdk import Connection

__all__ = ["find_connection"]

_log = logging.getLogger(__name__)


def find_connection(conn_id: str) -> Connection:
    """Look a connection up where Airflow keeps them.

    Args:
        conn_id: Its id.

    Returns:
        The connection; Airflow masks its secrets in logs from here on.

    Raises:
        SetupError: There is none.
    """
    from airflow.sdk import BaseHook
    from airflow.sdk.exceptions import AirflowNotFoundException

    try:
        return BaseHook.get_connection(conn_id)
    except AirflowNotFoundException as error:
        if _take_from_metadata(conn_id):
            return BaseHook.get_connection(conn_id)
        raise SetupError(
            f"Airflow has no connection {conn_id!r}. Create it in the user interface, with "
            f"`airflow connections add {conn_id}`, or as AIRFLOW_CONN_{conn_id.upper()} in the "
            "environment."
        ) from error


def _take_from_metadata(conn_id: str) -> bool:
    """Take a connection of Airflow's metadata database, as the user interface makes them.

    On the command line nobody hands it out, as the supervisor of a task does. It goes into this
    process's environment, so that the official hooks find it there too.

    Returns:
        Whether there is one.
    """
    from airflow.sdk.execution_time import task_runner

    if hasattr(task_runner, "SUPERVISOR_COMMS"):
        return False  # a task, or the triggerer: it was asked already
    try:
        from airflow.secrets.metastore import MetastoreBackend

        found = MetastoreBackend().get_connection(conn_id)
    except Exception as error:
        _log.debug("Airflow's metadata database cannot be read: %s", type(error).__name__)
        return False
    if found is None:
        return False
    os.environ[f"AIRFLOW_CONN_{conn_id.upper()}"] = found.as_json()
    return True
