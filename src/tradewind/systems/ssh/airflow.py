"""SSH from Airflow's connections, read as the official hook reads them."""

from __future__ import annotations

import os
from typing import Any

from tradewind.airflow.connections import find_connection
from tradewind.errors import InputError, SetupError
from tradewind.systems.ssh.connection import SSHConnection

__all__ = ["ssh_connection"]


def ssh_connection(
    conn_id: str,
    *,
    host: str | None = None,
    default_host: str | None = None,
    conn_timeout: float | None = None,
) -> SSHConnection:
    """Read host, login, keys, host key and jump host (``user@host:port``) of a connection.

    Args:
        conn_id: Id of the connection, of type ``ssh`` or ``sftp``.
        host: The machine, instead of the connection's.
        default_host: The machine, where the connection names none.
        conn_timeout: Of connecting, in seconds, instead of the connection's.

    Raises:
        InputError: The connection contradicts itself.
        SetupError: It is missing, or names no host.
    """
    connection = find_connection(conn_id)
    extra = connection.extra_dejson
    host = host or connection.host or default_host
    if not host:
        raise SetupError(
            f"The Airflow connection {conn_id!r} has no host, and remote_host is not given."
        )
    unchecked = extra.get("no_host_key_check", extra.get("ignore_hostkey_verification", False))
    host_key = extra.get("host_key")
    if host_key and _is_true(unchecked):
        raise InputError(
            f"The Airflow connection {conn_id!r} has a host_key and no_host_key_check: a key "
            "that is given is checked. Take one of them away."
        )
    if host_key and len(host_key.split()) == 1:
        host_key = f"ssh-rsa {host_key}"
    options: dict[str, Any] = {}
    if extra.get("ciphers"):
        options["encryption_algs"] = list(extra["ciphers"])
    if extra.get("jump_host"):
        options["tunnel"] = extra["jump_host"]
    timeout = conn_timeout or extra.get("conn_timeout") or 10
    return SSHConnection(
        host=host,
        username=connection.login or None,
        port=connection.port or 22,
        password=connection.password or None,
        key_file=_home(extra.get("key_file")),
        private_key=extra.get("private_key"),
        passphrase=extra.get("private_key_passphrase"),
        host_key=" ".join(host_key.split()[:2]) if host_key else None,
        check_host_key=not _is_true(unchecked),
        connect_timeout=float(timeout),
        options=options,
    )


def _is_true(value: Any) -> bool:
    return str(value).lower() == "true"


def _home(path: str | None) -> str | None:
    return os.path.expanduser(path) if path else None
