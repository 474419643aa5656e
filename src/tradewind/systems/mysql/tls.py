"""TLS on connections to MySQL and MariaDB: what ``ssl_mode`` asks for, and what went wrong.

The modes are those of MySQL's own tools:
https://dev.mysql.com/doc/refman/8.4/en/connection-options.html#option_general_ssl-mode. MariaDB's
client library, on which mysqlclient is usually built, knows two of them and takes a connection
without TLS for REQUIRED where the server offers none; so that is looked for here, before anything
of the login is sent.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tradewind.errors import InputError, SetupError, TradewindError

__all__ = ["FILES", "MODES", "explained", "falls_back", "require_offer", "tls_keywords"]

FILES = ("ca", "capath", "cert", "key", "cipher")
MODES = ("DISABLED", "PREFERRED", "REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY")
_OFFERED = 0x0800
"""CLIENT_SSL among the capabilities in the server's first packet."""


def mode_of(options: Mapping[str, Any]) -> str:
    """Tell the mode that options ask for, PREFERRED where they do not say."""
    if options.get("ssl") is True and "ssl_mode" not in options:
        return "REQUIRED"
    return str(options.get("ssl_mode", "PREFERRED")).upper().replace("-", "_")


def tls_keywords(options: Mapping[str, Any], *, local: bool) -> dict[str, Any]:
    """Give what `MySQLdb.connect` takes for TLS.

    Args:
        options: Of the connection: ``ssl_mode``, ``ssl``, ``ssl_ca`` and so on.
        local: Whether the connection is a Unix socket, which needs no TLS unless asked.

    Raises:
        InputError: The option ``ssl`` is not JSON.
    """
    given = options.get("ssl") or {}
    if isinstance(given, str):
        try:
            given = json.loads(given)
        except ValueError as error:
            raise InputError(f"MySQL: the option ssl is not JSON: {error}.") from error
    if not isinstance(given, Mapping):
        given = {}
    files = {name: str(given[name]) for name in FILES if given.get(name)}
    files |= {name: str(options[f"ssl_{name}"]) for name in FILES if options.get(f"ssl_{name}")}
    mode = mode_of(options)
    if mode == "DISABLED":
        return {"ssl_mode": mode}
    if mode == "PREFERRED" and local and not files:
        return {}
    # Without any of them the library does not even ask for TLS in the mode PREFERRED.
    return {"ssl_mode": mode, "ssl": files or {"cipher": "DEFAULT"}}


def falls_back(keywords: Mapping[str, Any], number: object) -> bool:
    """Whether a connection that failed is to be tried without TLS: nothing asked for it."""
    plain = keywords.get("ssl_mode") == "PREFERRED" and keywords["ssl"] == {"cipher": "DEFAULT"}
    return plain and number == 2026


def require_offer(keywords: Mapping[str, Any], system: str) -> None:
    """See that a server offers TLS where the mode is REQUIRED, before a login is sent to it.

    Raises:
        SetupError: It does not, or a file for TLS is missing.
    """
    for name in ("ca", "cert", "key"):
        path = keywords.get("ssl", {}).get(name)
        if path and not Path(path).is_file():
            raise SetupError(
                f"MySQL: there is no file {path}, which the option ssl_{name} names. Correct the "
                "path, or put the file there on each worker."
            )
    if keywords.get("ssl_mode") not in ("REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY"):
        return
    try:
        if "unix_socket" in keywords:
            link = socket.socket(socket.AF_UNIX)
            link.settimeout(keywords["connect_timeout"])
            link.connect(keywords["unix_socket"])
        else:
            place = (keywords["host"], keywords["port"])
            link = socket.create_connection(place, timeout=keywords["connect_timeout"])
        with link, link.makefile("rb") as stream:
            header = stream.read(4)
            greeting = stream.read(int.from_bytes(header[:3], "little"))
    except OSError:
        return  # which the connection itself finds, too
    # The protocol's number, the server's version, its thread, a part of the scramble, a filler.
    at = greeting.find(b"\0") + 1 + 4 + 8 + 1
    if greeting[:1] != b"\x0a" or len(greeting) < at + 2:
        return  # an error, as of a host that is not admitted
    if not int.from_bytes(greeting[at : at + 2], "little") & _OFFERED:
        raise SetupError(
            f"{system}: the server offers no TLS, which ssl_mode={keywords['ssl_mode']} asks for. "
            "Set it up there, or give ssl_mode=DISABLED where the network is trusted."
        )


def explained(error: TradewindError, keywords: Mapping[str, Any], number: object) -> TradewindError:
    """Say of a failed login what TLS may have to do with it.

    Args:
        error: In our terms.
        keywords: What `MySQLdb.connect` was given.
        number: The error's number.

    Returns:
        The error to raise.
    """
    text, mode = str(error), keywords.get("ssl_mode", "PREFERRED")
    if number == 1045 and mode == "DISABLED":
        return SetupError(
            f"{text} An account that requires TLS is refused in the same words: ssl_mode=DISABLED "
            "turns TLS off, leave it out or give ssl_mode=REQUIRED."
        )
    if number != 2026:
        return error
    said = text.partition(" There is no secure connection")[0]
    if "Validation of" in text or "ostname" in text or "host name" in text:
        why = (
            "Its certificate is for another host name, or no longer valid: connect by a name that "
            f"stands in it, or give ssl_mode=REQUIRED, which does not ask who it is (now {mode})."
        )
    elif "certificate" in text:
        why = (
            "Its certificate is not from an authority that is trusted here: give the file with its "
            "authority's certificate as ssl_ca, or ssl_mode=REQUIRED without ssl_ca, which does "
            f"not ask who it is (now {mode})."
        )
    else:
        why = f"Check ssl_mode (now {mode}) and ssl_ca, ssl_cert, ssl_key."
    return SetupError(f"{said} No TLS connection: {why} No login was sent. (error 2026)")
