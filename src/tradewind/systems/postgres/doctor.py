"""What ``tradewind doctor`` asks a PostgreSQL server."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

from tradewind.doctor import Check, clock, failed, is_local, of_peer, reach
from tradewind.errors import TradewindError
from tradewind.move.tables.names import split_name, unquoted
from tradewind.systems.postgres.connection import PostgresConnection
from tradewind.systems.postgres.session import Session
from tradewind.systems.postgres.sql import quoted

__all__ = ["checks"]

_NAME = "tradewind-doctor"
_TABLES = """
SELECT count(*), count(*) FILTER (WHERE has_table_privilege(c.oid, 'SELECT')),
       current_schema(), coalesce(has_schema_privilege(current_schema(), 'CREATE'), false)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
   AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
"""
_RIGHTS = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE")


def checks(settings: PostgresConnection | str, named: str, timeout: float) -> Iterator[Check]:
    """Look at a server: reach, login, TLS, poolers, clock, permissions.

    Args:
        settings: How to reach it, or its URI.
        named: A table whose permissions are asked for; empty for all in short.
        timeout: Seconds that an answer may take.
    """
    given = PostgresConnection.from_uri(settings) if isinstance(settings, str) else settings
    if not given.host.startswith("/"):
        reached = [reach(host, given.port, timeout) for host in given.host.split(",")]
        for one in reached:
            others = len(reached) > 1 and any(each.status == "ok" for each in reached)
            yield replace(one, status="warn") if others and one.status == "fail" else one
        if all(one.status == "fail" for one in reached):
            return
    asked = replace(given, options={**given.options, "connect_timeout": str(timeout)})
    try:
        session = Session(asked, name=_NAME)
    except TradewindError as error:
        secure = "secure connection" in str(error) or "TLS" in str(error)
        yield failed("TLS" if secure else "login", error)
        return
    with session:
        version = str(session.link.get_settings().server_version).partition(" ")[0]
        yield Check("ok", "login", f"accepted, database {given.database}, PostgreSQL {version}")
        yield _tls(session, given)
        yield from _pooler(session, asked)
        yield from _permissions(session, named)


def _tls(session: Session, given: PostgresConnection) -> Check:
    wrapped: Any = session.transport.get_extra_info("ssl_object")
    if wrapped is not None:
        return of_peer(wrapped, verified=wrapped.context.verify_mode != ssl.CERT_NONE)
    if all(is_local(host) for host in given.host.split(",")):
        return Check("ok", "TLS", "none; nothing leaves this machine")
    return Check(
        "warn",
        "TLS",
        "none: who is in between can read the password and the data",
        "Set TLS up on the server and give sslmode=require or verify-full.",
    )


def _pooler(session: Session, asked: PostgresConnection) -> Iterator[Check]:
    """Compare the process that the login named with the one that answers: a pooler names its own.

    See https://www.postgresql.org/docs/current/protocol-flow.html (BackendKeyData).
    """
    try:
        pid = int(session.fetch("SELECT pg_backend_pid()")[0][0])
        if pid != session.pid:
            yield Check(
                "ok",
                "pooler",
                f"{_pooler_name(asked)} is in between; session settings are not relied on",
            )
        session.begin("BEGIN READ ONLY")
    except TradewindError as error:
        yield replace(
            failed("transaction", error),
            remedy="Tables are published by transactions: let the pooler pool them or whole "
            "sessions (pool_mode=transaction or session).",
        )


def _pooler_name(asked: PostgresConnection) -> str:
    # Only PgBouncer has a database of this name, and only for those it lets look.
    with (
        suppress(TradewindError),
        Session(asked.with_database("pgbouncer"), name=_NAME) as console,
    ):
        said = str(console.link.get_settings().server_version)
        if "bouncer" in said:
            return f"PgBouncer {said.partition('/')[0]}"
    return "a pooler"


def _permissions(session: Session, named: str) -> Iterator[Check]:
    try:
        there = session.fetch("SELECT extract(epoch FROM clock_timestamp())::float8")[0][0]
        yield from clock(float(there))
        yield _of_table(session, named) if named else _of_all(session)
    except TradewindError as error:
        yield failed("permissions", error)


def _of_all(session: Session) -> Check:
    tables, readable, schema, create = session.fetch(_TABLES)[0]
    said = f"SELECT on {readable} of {tables} tables and views; "
    if schema is None:
        said += "no schema of the search_path is there"
    else:
        said += f"{'may' if create else 'may not'} create tables in the schema {schema}"
    if tables and not readable:
        return Check(
            "warn", "permissions", said, "Grant SELECT on what is to be read to this user."
        )
    return Check("ok", "permissions", said)


def _of_table(session: Session, named: str) -> Check:
    parts = split_name(named, '"') or tuple(named.split("."))
    written = ".".join(quoted(unquoted(part, '"')) for part in parts)
    for name in dict.fromkeys((written, named)):
        found = session.fetch("SELECT to_regclass($1)::oid", name)[0][0]
        if found is not None:
            break
    else:
        return Check(
            "fail",
            "permissions",
            f"there is no table {named}",
            "Create it, name it with its schema, or grant USAGE on its schema.",
        )
    asked = ", ".join(f"has_table_privilege($1::oid, '{right}')" for right in _RIGHTS)
    has = dict(zip(_RIGHTS, session.fetch(f"SELECT {asked}", found)[0], strict=True))
    given = ", ".join(right for right in _RIGHTS if has[right]) or "none"
    lacking = ", ".join(right for right in _RIGHTS if not has[right])
    said = f"on {named}: {given}" + (f"; lacking: {lacking}" if lacking else "")
    if has["SELECT"] or has["INSERT"]:
        return Check("ok", "permissions", said)
    return Check(
        "fail", "permissions", said, f"GRANT SELECT (to read) or INSERT (to load) ON {named}."
    )
