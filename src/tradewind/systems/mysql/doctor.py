"""What ``tradewind doctor`` asks a server of MySQL or MariaDB."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

from tradewind.doctor import Check, clock, failed, is_local, of_certificate, reach
from tradewind.errors import TradewindError
from tradewind.move.tables.names import split_name, unquoted
from tradewind.systems.mysql.connection import MySQLConnection, quoted
from tradewind.systems.mysql.session import Session
from tradewind.systems.mysql.tls import mode_of

__all__ = ["checks"]


def checks(settings: MySQLConnection | str, named: str, timeout: float) -> Iterator[Check]:
    """Look at a server: reach, login, TLS, clock, permissions.

    Args:
        settings: How to reach it, or its URI.
        named: A table that is to be read; empty for what the database has in short.
        timeout: Seconds that an answer may take.
    """
    given = MySQLConnection.from_uri(settings) if isinstance(settings, str) else settings
    # The library takes the socket for this name, whatever the port.
    if not given.options.get("unix_socket") and given.host != "localhost":
        reached = reach(given.host, given.port, timeout)
        yield reached
        if reached.status == "fail":
            return
    seconds = max(1, round(timeout))
    try:
        session = Session(replace(given, options={**given.options, "connect_timeout": seconds}))
    except TradewindError as error:
        yield failed("TLS" if "(error 2026)" in str(error) else "login", error)
        return
    try:
        version, local_infile, there = session.fetch(
            "SELECT VERSION(), @@GLOBAL.local_infile, UNIX_TIMESTAMP(SYSDATE(6))"
        )[0]
        yield Check(
            "ok",
            "login",
            f"accepted, database {given.database or '(none)'}, "
            f"{'MariaDB' if session.is_mariadb else 'MySQL'} {version}",
        )
        yield _tls(session, given)
        yield from clock(float(there))
        yield _of_table(session, named) if named else _of_all(session)
        if local_infile != "1":
            yield Check(
                "warn",
                "local_infile",
                "OFF: rows are loaded by INSERT, which is slower",
                "SET GLOBAL local_infile=ON on the server, if you load into it.",
            )
    except TradewindError as error:
        yield failed("permissions", error)
    finally:
        session.close()


def _tls(session: Session, given: MySQLConnection) -> Check:
    said = {
        name.lower(): value
        for name, value in session.fetch("SHOW SESSION STATUS LIKE 'Ssl\\_%'")
        if name is not None
    }
    version = said.get("ssl_version")
    if version:
        until = said.get("ssl_server_not_after")
        return of_certificate(
            version,
            [],
            datetime.fromtimestamp(ssl.cert_time_to_seconds(until), UTC) if until else None,
            verified=mode_of(given.options).startswith("VERIFY") or "ssl_ca" in given.options,
        )
    if given.options.get("unix_socket") or is_local(given.host):
        return Check("ok", "TLS", "none; nothing leaves this machine")
    return Check(
        "warn",
        "TLS",
        "none: who is in between can read the data",
        "Set TLS up on the server and give ssl_mode=REQUIRED or VERIFY_IDENTITY.",
    )


def _of_all(session: Session) -> Check:
    # It lists what the user has any right on.
    found = session.fetch(
        "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE()"
    )
    grants = session.fetch("SELECT DATABASE()")[0][0]
    if grants is None:
        return Check(
            "warn",
            "permissions",
            "the connection names no database",
            "Name one, or write tables as database.table.",
        )
    return Check("ok", "permissions", f"{found[0][0]} tables and views of {grants} can be seen")


def _of_table(session: Session, named: str) -> Check:
    parts = split_name(named, "`") or tuple(named.split("."))
    try:
        session.fetch(
            f"SELECT * FROM {quoted(*(unquoted(part, '`') for part in parts))} LIMIT 0"  # noqa: S608
        )
    except TradewindError as error:
        return failed("permissions", error)
    return Check("ok", "permissions", f"SELECT on {named}; writing was not tried")
