"""Where a URI of SFTP leads: who logs in at which machine, and which folder and key are meant."""

from __future__ import annotations

import os
import re
from typing import Any
from urllib.parse import unquote

from tradewind.errors import InputError
from tradewind.redaction import HIDDEN, shown_uri, split_uri
from tradewind.systems.ssh.connection import SSHConnection

__all__ = ["connection_of", "divided", "place_of", "tidy"]

_FORM = "sftp://host:22/absolute/path (with user@ before the host)"


def connection_of(
    uri: str,
    *,
    port: int | str | None,
    key_file: str | None,
    known_hosts: str | None,
    host_key: str | None,
    jump_host: str | None,
) -> tuple[SSHConnection, str]:
    """Read a URI; its arguments are those of `SFTPStore.from_uri`.

    Returns:
        How the machine is reached, and the path without the ``/`` at its beginning.

    Raises:
        InputError: The URI is wrong.
    """
    scheme, separator, rest = uri.partition("://")
    place, slash, path = rest.partition("/")
    if shown_uri(uri) == f"{scheme}://{HIDDEN}":
        raise InputError(
            f"SFTP: the URI can be read in two ways; it is not shown, as it may hold a "
            f"password. Write {_FORM}, and in user and password / ? # [ ] @ : % as %2F %3F %23 "
            "%5B %5D %40 %3A %25; of a path with @ give the port as the option port."
        )
    if scheme != "sftp" or not separator or not place or not slash:
        raise InputError(f"{shown_uri(uri)!r} names no file. Write {_FORM}.")
    told_place = place_of(place)
    host = told_place.get("host")
    if not host:
        raise InputError(f"{shown_uri(uri)!r} names no host. Write {_FORM}.")
    try:
        number = int(port if port is not None else told_place.get("port") or 22)
    except ValueError:
        raise InputError(f"SFTP: port={port!r} is no number.") from None
    key_file = key_file or os.environ.get("TRADEWIND_SFTP_KEY_FILE")
    known_hosts = known_hosts or os.environ.get("TRADEWIND_SFTP_KNOWN_HOSTS")
    connection = SSHConnection(
        host,
        told_place.get("username"),
        number,
        password=told_place.get("password") or os.environ.get("TRADEWIND_SFTP_PASSWORD"),
        key_file=os.path.expanduser(key_file) if key_file else None,
        passphrase=os.environ.get("TRADEWIND_SFTP_KEY_PASSWORD"),
        known_hosts=os.path.expanduser(known_hosts) if known_hosts else None,
        host_key=host_key,
        options={"tunnel": jump_host} if jump_host else {},
    )
    return connection, path


def divided(key: str) -> tuple[str, str]:
    """Divide a path into its folder, with ``/`` at its end, and a key in it, as for files.

    Args:
        key: The path, from the folder that is ``/`` here; the key may be a glob.
    """
    path = tidy(f"/{key}")
    path = re.sub(r"(?<=/)(\.|\.\.)\Z", lambda found: found[0] + "/", path)
    path = re.sub(r"(?<=/)\./\Z", "", path)
    plain = re.split(r"[*?\[]", path, maxsplit=1)[0]
    folder = plain[: plain.rfind("/") + 1]
    return folder, path[len(folder) :]


def tidy(path: str) -> str:
    """Spell an absolute path as a file system reads it: several slashes are one, ``/./`` is none.

    Args:
        path: The path; ``..`` and the end of it stay.
    """
    return re.sub(r"/(?:\.?/)+", "/", path)


def place_of(place: str) -> dict[str, Any]:
    """Read what a URI says before its path: ``user:password@host:port``.

    Args:
        place: It may be empty, or lack any of these.

    Returns:
        Those of ``host``, ``port``, ``username`` and ``password`` that are there.

    Raises:
        InputError: It cannot be read for certain; the message has none of its text.
    """
    if not place:
        return {}
    known = "" if re.search(r"[?#\\\s]", place) else place
    parts = split_uri(f"sftp://{known or '@:@'}/", "SFTP", _FORM)
    found = {
        "host": parts.hostname,
        "port": parts.port,
        "username": unquote(parts.username) if parts.username else None,
        "password": unquote(parts.password) if parts.password else None,
    }
    return {name: value for name, value in found.items() if value is not None}
