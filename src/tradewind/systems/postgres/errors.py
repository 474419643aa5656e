"""What PostgreSQL's errors mean to a caller, by SQLSTATE.

The codes: https://www.postgresql.org/docs/current/errcodes-appendix.html.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import Any

from tradewind.errors import InputError, RetryError, SetupError, TradewindError
from tradewind.tls import refusal

__all__ = ["translated"]

_KINDS: dict[str, tuple[type[TradewindError], str]] = {
    # What the query or the data are to blame for.
    "22": (InputError, "Correct the data or the query."),
    "23": (InputError, "Correct the data: the table's constraint refuses them."),
    "21": (InputError, "Correct the query."),
    "0A": (InputError, "Ask for something that this server supports."),
    "42": (InputError, "Correct the query."),
    "44": (InputError, "Correct the data: the view's check option refuses them."),
    "54": (InputError, "Make the query or the rows smaller."),
    "P0": (InputError, "Look at the function or trigger that raised it."),
    "25006": (InputError, "The source only reads: give a query that does not write."),
    "22021": (InputError, "Text is UTF-8 without NUL: correct it, or store bytes (bytea)."),
    "22P05": (InputError, "The text has characters that this database's encoding lacks."),
    # What the setup is to blame for.
    "28": (SetupError, "Check user, password and the server's pg_hba.conf."),
    "28P01": (SetupError, "Check user and password."),
    "3D": (SetupError, "Create the database, or name another one."),
    "3F": (SetupError, "Create the schema, or name another one."),
    "42P01": (SetupError, "Create the table, or name it with its schema."),
    "42501": (SetupError, "Grant the permission to the user, or connect as another one."),
    "F0": (SetupError, "Correct the server's configuration."),
    "58P01": (SetupError, "Ask who runs the server: a file of it is missing."),
    # What may pass.
    "08": (RetryError, "Try again."),
    "40": (RetryError, "Others wrote the same rows at the same time: try again."),
    "53": (RetryError, "The server is short of it: free some, then try again."),
    "53100": (RetryError, "The server's disk is full: free space there, then try again."),
    "53300": (RetryError, "The server has no free connection: try again, or raise its limit."),
    "55": (RetryError, "Somebody else holds it: try again."),
    "57": (RetryError, "Try again when the server is up."),
    "57014": (RetryError, "Raise statement_timeout or make the query cheaper, then try again."),
    "57P01": (RetryError, "The server ended the connection: try again."),
    "57P04": (SetupError, "The database is gone: create it, or name another one."),
    "57P05": (RetryError, "The session idled for too long: try again, or raise the limit."),
    "58": (RetryError, "The server's machine is in trouble: look at its log."),
    "XX": (RetryError, "The server is in trouble: look at its log."),
    "XX001": (SetupError, "The server's data are damaged: look at its log."),
    "72": (RetryError, "The snapshot is too old: try again."),
}


def translated(error: BaseException, system: str, *, query: str | None = None) -> TradewindError:
    """Tell an error of asyncpg or of the network in our own terms.

    Args:
        error: What was raised.
        system: The server, as messages name it.
        query: What was asked; the wrong place in it is shown.

    Returns:
        The error to raise from it.
    """
    if isinstance(error, TradewindError):
        return error
    state = getattr(error, "sqlstate", None)
    if isinstance(state, str) and not _from_client(error):
        return _of_server(error, state, system, query)
    return _of_client(error, system)


def _from_client(error: BaseException) -> bool:
    # asyncpg gives some of its own errors a code of the server (a lost connection: 08003).
    import asyncpg

    return isinstance(error, asyncpg.InterfaceError) or not getattr(error, "severity", None)


def _of_server(error: Any, state: str, system: str, query: str | None) -> TradewindError:
    kind, remedy = _KINDS.get(state) or _KINDS.get(state[:2]) or (InputError, "Correct the query.")
    if state == "57014" and "statement timeout" not in str(error.message):
        remedy = "Somebody cancelled the query: try again."
    if state == "22P02" and str(error.message).startswith("malformed array literal"):
        remedy = (
            "An array of PostgreSQL holds lists of one length: correct the data, or make the "
            "column jsonb."
        )
    parts = [str(error.message).rstrip(".")]
    parts += [str(text).rstrip(".") for text in (error.detail, error.hint) if text]
    if error.context:
        lines = str(error.context).split("\n")
        # Of JSON and functions the first line tells no column.
        parts.append(next((one for one in lines if one.startswith("COPY ")), lines[0]))
    place = _place(query, error.position)
    return kind(f"{system}: {'. '.join(parts)}. {remedy} (SQLSTATE {state}){place}")


def _place(query: str | None, position: str | None) -> str:
    if query is None or not position or not position.isdigit():
        return ""
    at = int(position) - 1
    if not 0 <= at <= len(query):
        return ""
    line = query.count("\n", 0, at) + 1
    begin = query.rfind("\n", 0, at) + 1
    end = query.find("\n", at)
    text = query[begin : end if end >= 0 else len(query)]
    column = at - begin
    cut = max(0, column - 60)
    shown = text[cut : cut + 120]
    return f"\nline {line} of the query:\n  {shown}\n  {' ' * (column - cut)}^"


def _of_client(error: BaseException, system: str) -> TradewindError:
    import asyncpg

    if isinstance(error, socket.gaierror):
        if error.errno == socket.EAI_AGAIN:
            return RetryError(f"{system}: the name cannot be looked up right now. Try again.")
        return SetupError(f"{system}: there is no host of this name. Check the host.")
    text = refusal(error, trust="sslrootcert", own="sslcert and sslkey")
    if text is not None:
        return SetupError(f"{system}: TLS failed: {text}.")
    if isinstance(error, ssl.SSLError) and not isinstance(
        error, ssl.SSLEOFError | ssl.SSLZeroReturnError
    ):
        return SetupError(
            f"{system}: no secure connection ({_reason(error)}). Check sslmode, sslrootcert, "
            "sslcert and sslkey."
        )
    if isinstance(error, asyncio.TimeoutError | TimeoutError):
        return RetryError(f"{system}: no answer in time. Check host and port, then try again.")
    if isinstance(error, FileNotFoundError):
        return SetupError(
            f"{system}: {error.filename or 'a file (sslrootcert, sslcert, sslkey)'} does not "
            "exist. Check the connection's settings, and for a socket that the server runs."
        )
    if "rejected SSL upgrade" in str(error):
        return SetupError(
            f"{system}: the server has no TLS. Give sslmode=prefer or disable, or set it up there."
        )
    if isinstance(error, ConnectionRefusedError) or "Connect call failed" in str(error):
        return RetryError(
            f"{system}: the connection is refused. Check host and port, and that the server runs."
        )
    if isinstance(error, PermissionError):
        return SetupError(f"{system}: {error}. Check the permissions of the socket.")
    if isinstance(error, asyncpg.InterfaceError) and not _is_lost(error):
        return SetupError(f"{system}: {_reason(error)}. Check the connection's settings.")
    if isinstance(error, OSError | EOFError | asyncpg.InterfaceError | asyncpg.PostgresError):
        return RetryError(f"{system}: the connection is lost ({_reason(error)}). Try again.")
    return RetryError(f"{system}: {type(error).__name__}: {_reason(error)}. Try again.")


def _is_lost(error: BaseException) -> bool:
    return "connection" in str(error).lower() and "clos" in str(error).lower()


def _reason(error: BaseException) -> str:
    return str(error).partition("\n")[0].rstrip(".") or type(error).__name__
