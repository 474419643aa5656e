"""Connections to PostgreSQL: where it is, and how to reach it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Self
from urllib.parse import parse_qsl, unquote

from tradewind.errors import InputError, MissingExtraError
from tradewind.redaction import split_uri

__all__ = ["PostgresConnection"]

_TLS = {
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
    "sslcrl": "PGSSLCRL",
    "ssl_min_protocol_version": "PGSSLMINPROTOCOLVERSION",
    "ssl_max_protocol_version": "PGSSLMAXPROTOCOLVERSION",
}
_OTHERS = {
    "connect_timeout": "PGCONNECT_TIMEOUT",
    "options": "PGOPTIONS",
    "target_session_attrs": "PGTARGETSESSIONATTRS",
    "krbsrvname": "PGKRBSRVNAME",
    "gsslib": "PGGSSLIB",
    "keepalives": None,
    "keepalives_idle": None,
    "keepalives_interval": None,
    "keepalives_count": None,
    "tcp_user_timeout": None,
}
# What libpq and psycopg know beside, and what has no effect on data that we move.
_WITHOUT_EFFECT = {
    "application_name",
    "fallback_application_name",
    "client_encoding",
    "gssencmode",
    "channel_binding",
    "sslcompression",
    "sslsni",
    "sslpassword",
    "requirepeer",
    "cursor",
}
_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")


@dataclass(frozen=True, repr=False)
class PostgresConnection:
    """Where a PostgreSQL server is and who asks.

    What is left out comes from the environment, as libpq reads it: ``PGHOST``, ``PGPORT``,
    ``PGUSER``, ``PGPASSWORD`` (or the password file), ``PGDATABASE``, ``PGSSLMODE``,
    ``PGSSLROOTCERT``, ``PGCONNECT_TIMEOUT``, ``PGOPTIONS`` and their like.

    Args:
        host: Name or address; the folder of a Unix socket when it begins with ``/``; several
            separated by commas.
        port: The port.
        user: Who connects; the operating system's user when nothing says.
        password: The password.
        database: Which database; that of the user's name when nothing says.
        options: As libpq names them: ``sslmode``, ``sslrootcert``, ``sslcert``, ``sslkey``,
            ``connect_timeout`` (seconds, 30), ``options`` (``-c search_path=...``),
            ``keepalives_idle``, ``tcp_user_timeout`` (milliseconds) and their like.

    Raises:
        InputError: An option is unknown or its value is impossible.
    """

    host: str = ""
    port: int = 0
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    database: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        environment = os.environ
        settings: dict[str, Any] = {
            "host": self.host or environment.get("PGHOST") or "localhost",
            "port": self.port or environment.get("PGPORT") or 5432,
        }
        if not self.user:
            settings["user"] = environment.get("PGUSER") or _system_user()
        if not self.password:
            settings["password"] = environment.get("PGPASSWORD") or None
        if not self.database:
            settings["database"] = (
                environment.get("PGDATABASE") or settings.get("user") or self.user
            )
        options = {name: str(value) for name, value in self.options.items()}
        for name in options:
            if name not in _TLS and name not in _OTHERS and name not in _WITHOUT_EFFECT:
                raise InputError(
                    f"PostgreSQL: there is no connection option {name!r}. "
                    f"Choose from: {', '.join(sorted({*_TLS, *_OTHERS}))}."
                )
        for name, variable in (_TLS | _OTHERS).items():
            if variable and name not in options and environment.get(variable):
                options[name] = environment[variable]
        if options.get("sslmode", "prefer") not in _MODES:
            raise InputError(
                f"PostgreSQL: there is no sslmode {options['sslmode']!r}. "
                f"Choose from: {', '.join(_MODES)}."
            )
        try:
            settings["port"] = int(settings["port"])
            for name in options:
                if name.startswith("keepalives") or name in ("connect_timeout", "tcp_user_timeout"):
                    float(options[name])
        except ValueError as error:
            raise InputError(f"PostgreSQL: port, timeouts and keepalives: {error}.") from error
        settings["options"] = MappingProxyType(options)
        for name, value in settings.items():
            object.__setattr__(self, name, value)

    @classmethod
    def from_uri(cls, uri: str) -> Self:
        """Read a connection URI as libpq does.

        Args:
            uri: ``postgresql://user:password@host:port/database?sslmode=require``, each part of
                which may be left out.

        Returns:
            The connection.

        Raises:
            InputError: It is not such a URI.
        """
        parts = split_uri(uri, "PostgreSQL", "postgresql://user@host:5432/database")
        port = None if "," in parts.netloc else parts.port
        if parts.scheme.partition("+")[0] not in ("postgresql", "postgres"):
            raise InputError(
                "PostgreSQL: the URI does not begin with postgresql://. Write "
                "postgresql://user@host:5432/database."
            )
        options = dict(parse_qsl(parts.query, keep_blank_values=True))
        database = unquote(parts.path.lstrip("/"))
        user = None if parts.username is None else unquote(parts.username)
        password = None if parts.password is None else unquote(parts.password)
        named = {name: options.pop(name, None) for name in ("user", "password", "dbname", "host")}
        if (asked := options.pop("port", None)) is not None:
            try:
                port = int(asked)
            except ValueError as error:
                raise InputError(f"PostgreSQL: the port {asked!r} is no number.") from error
        return cls(
            host=named["host"] or unquote(parts.hostname or ""),
            port=port or 0,
            user=named["user"] or user,
            password=named["password"] or password,
            database=named["dbname"] or database or None,
            options=options,
        )

    def __repr__(self) -> str:
        # By hand: tools that print data classes field by field would show the password.
        return f"PostgresConnection({self.uri!r}, user={self.user!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        # A read-only view of a dict cannot be pickled; a dict can.
        arguments = (self.host, self.port, self.user, self.password, self.database)
        return (type(self), (*arguments, dict(self.options)))

    def __hash__(self) -> int:
        return hash((self.host, self.port, self.user, self.database, *sorted(self.options.items())))

    def with_database(self, database: str) -> Self:
        """Give the same connection to another database."""
        return replace(self, database=database)

    @property
    def system(self) -> str:
        """The server as messages name it."""
        return f"PostgreSQL at {self.host}:{self.port}"

    @property
    def uri(self) -> str:
        """Server and database as a URI without user and password, for receipts."""
        host = self.host if not self.host.startswith("/") else f"[{self.host}]"
        return f"postgresql://{host}:{self.port}/{self.database}"

    @property
    def connect_timeout(self) -> float:
        """Seconds until a connection has to stand."""
        return float(self.options.get("connect_timeout", 0)) or 30.0

    def keywords(self) -> dict[str, Any]:
        """Give what `asyncpg.connect` takes."""
        from urllib.parse import urlencode

        tls = {name: self.options[name] for name in _TLS if name in self.options}
        for name in ("target_session_attrs", "krbsrvname", "gsslib"):
            if name in self.options:
                tls[name] = self.options[name]
        hosts = self.host.split(",")
        settings = _server_settings(self.options.get("options", ""))
        return {
            "dsn": f"postgresql://?{urlencode(tls)}",
            "host": hosts if len(hosts) > 1 else self.host,
            "port": self.port,
            "user": self.user,
            "password": self.password,
            "database": self.database,
            "timeout": self.connect_timeout,
            "server_settings": settings,
        }


def client_library() -> Any:
    """Import asyncpg.

    Returns:
        The module.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        import asyncpg
    except ImportError as error:
        raise MissingExtraError("asyncpg", extra="postgres", purpose="PostgreSQL") from error
    return asyncpg


def _server_settings(options: str) -> dict[str, str]:
    """Read libpq's ``options``: ``-c name=value`` and ``--name=value``."""
    import shlex

    settings: dict[str, str] = {}
    words = iter(shlex.split(options))
    for word in words:
        text = word
        if word == "-c":
            text = next(words, "")
        elif word.startswith("-c"):
            text = word[2:]
        elif word.startswith("--"):
            text = word[2:].replace("-", "_")
        name, equals, value = text.partition("=")
        if not equals:
            # Not shown: a mistake may have put a password there.
            raise InputError(
                "PostgreSQL: the connection's options hold a word that is no setting. Write each "
                "as -c name=value."
            )
        settings[name] = value
    return settings


def _system_user() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "postgres"
