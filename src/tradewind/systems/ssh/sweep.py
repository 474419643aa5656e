"""What is left on machines behind SSH of jobs whose task cannot come back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, unquote

from tradewind.errors import InputError
from tradewind.redaction import shown_place, split_uri
from tradewind.run.backend import Backend
from tradewind.sweep.leftover import Leftover
from tradewind.sweep.work import leftovers_of_opened

__all__ = ["leftovers"]


def leftovers(place: str) -> Iterator[tuple[str, Iterator[Leftover]]]:
    """List the jobs on a machine.

    Args:
        place: An Airflow connection, or ``ssh://user@host:port``.
    """
    shown = shown_place(place)
    yield shown, leftovers_of_opened(f"ssh {shown}", lambda: _opened(place))


def _opened(place: str) -> Backend[Any]:
    from tradewind.systems.ssh.backend import SSHBackend, SSHConnection

    if "://" not in place:
        from tradewind.airflow.backends import open_ssh

        return open_ssh(place.removeprefix("connection:"))
    parts = split_uri(place, "sweep", "ssh://user@host:22")
    options = dict(parse_qsl(parts.query))
    root = options.pop("root", ".tradewind/jobs")
    key_file, known_hosts = options.pop("key_file", None), options.pop("known_hosts", None)
    if parts.scheme != "ssh" or not parts.hostname or options or parts.password:
        raise InputError(
            "sweep: an SSH machine is an Airflow connection, or "
            "ssh://user@host:port?key_file=...&known_hosts=...&root=... without a password."
        )
    user = unquote(parts.username) if parts.username else None
    connection = SSHConnection(
        parts.hostname, user, parts.port or 22, key_file=key_file, known_hosts=known_hosts
    )
    return SSHBackend(connection, root=root)
