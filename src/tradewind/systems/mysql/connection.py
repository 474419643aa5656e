"""Connections to MySQL and MariaDB: where the server is, and how to reach it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Self
from urllib.parse import parse_qsl, unquote

from tradewind.errors import InputError, MissingExtraError
from tradewind.redaction import split_uri
from tradewind.systems.mysql.tls import (
    FILES,
    MODES,
    tls_keywords,
)

__all__ = ["MySQLConnection", "client_library", "quoted"]

_OPTIONS = {
    "charset",
    "collation",
    "connect_timeout",
    "init_command",
    "local_infile",
    "read_default_file",
    "read_default_group",
    "ssl",
    "ssl_mode",
    "unix_socket",
    *(f"ssl_{name}" for name in FILES),
}
# What Airflow's connections hold beside, and what has no effect on data that we move.
_WITHOUT_EFFECT = {"client", "cursor", "cursorclass", "use_unicode", "autocommit", "compress"}


@dataclass(frozen=True)
class MySQLConnection:
    """Where a MySQL or MariaDB server is and who asks.

    What is left out comes from the environment: ``MYSQL_HOST``, ``MYSQL_TCP_PORT``,
    ``MYSQL_UNIX_PORT``, ``MYSQL_USER``, ``MYSQL_PWD`` and ``MYSQL_DATABASE``.

    Args:
        host: Name or address. ``localhost`` without a port means the Unix socket, as in the
            system's own tools.
        port: The port; 3306 when nothing says.
        user: Who connects; the operating system's user when nothing says.
        password: The password.
        database: Which database; none when nothing says.
        options: As the system's tools and Airflow name them: ``ssl_mode`` (``DISABLED``;
            ``PREFERRED``, the default: TLS where the server offers it; ``REQUIRED``;
            ``VERIFY_CA``, with MariaDB's client library the same as ``VERIFY_IDENTITY``),
            ``ssl_ca``, ``ssl_cert``, ``ssl_key``, ``ssl`` (a
            mapping of those, or its JSON), ``unix_socket``, ``connect_timeout`` (seconds, 30),
            ``init_command``, ``read_default_file``, ``read_default_group``. ``charset``,
            ``collation`` and ``local_infile`` are accepted; text always travels as utf8mb4.

    Raises:
        InputError: An option is unknown or its value is impossible.
    """

    host: str = ""
    port: int = 0
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    database: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        environment = os.environ
        options = {name.replace("-", "_"): value for name, value in self.options.items()}
        for name in options:
            if name not in _OPTIONS and name not in _WITHOUT_EFFECT:
                raise InputError(
                    f"MySQL: there is no connection option {name!r}. "
                    f"Choose from: {', '.join(sorted(_OPTIONS))}."
                )
        mode = str(options.get("ssl_mode", "PREFERRED")).upper().replace("-", "_")
        if mode not in MODES:
            raise InputError(
                f"MySQL: there is no ssl_mode {mode!r}. Choose from: {', '.join(MODES)}."
            )
        asked = self.port or environment.get("MYSQL_TCP_PORT")
        host = self.host or environment.get("MYSQL_HOST") or "localhost"
        if "unix_socket" not in options and not self.host and environment.get("MYSQL_UNIX_PORT"):
            options["unix_socket"] = environment["MYSQL_UNIX_PORT"]
        if host == "localhost" and asked and "unix_socket" not in options:
            host = "127.0.0.1"  # The library would take the socket whatever the port says.
        try:
            port = int(asked or 3306)
            options["connect_timeout"] = int(float(options.get("connect_timeout", 30)))
        except (TypeError, ValueError) as error:
            raise InputError(f"MySQL: port and connect_timeout: {error}.") from error
        settings = {
            "host": host,
            "port": port,
            "user": self.user or environment.get("MYSQL_USER") or _system_user(),
            "password": self.password or environment.get("MYSQL_PWD") or None,
            "database": self.database or environment.get("MYSQL_DATABASE") or None,
            "options": MappingProxyType(options),
        }
        for name, value in settings.items():
            object.__setattr__(self, name, value)

    @classmethod
    def from_uri(cls, uri: str) -> Self:
        """Read a connection URI.

        Args:
            uri: ``mysql://user:password@host:3306/database?ssl_mode=REQUIRED``, each part of which
                may be left out; ``mariadb://`` and drivers (``mysql+pymysql://``) are the same.

        Returns:
            The connection.

        Raises:
            InputError: It is not such a URI.
        """
        parts = split_uri(uri, "MySQL", "mysql://user@host:3306/database")
        port = parts.port
        if parts.scheme.partition("+")[0] not in ("mysql", "mariadb"):
            raise InputError(
                "MySQL: the URI does not begin with mysql://. Write "
                "mysql://user@host:3306/database."
            )
        return cls(
            host=unquote(parts.hostname or ""),
            port=port or 0,
            user=None if parts.username is None else unquote(parts.username),
            password=None if parts.password is None else unquote(parts.password),
            database=unquote(parts.path.strip("/")) or None,
            options=dict(parse_qsl(parts.query, keep_blank_values=True)),
        )

    def __reduce__(self) -> tuple[Any, ...]:
        # A read-only view of a dict cannot be pickled; a dict can.
        arguments = (self.host, self.port, self.user, self.password, self.database)
        return (type(self), (*arguments, dict(self.options)))

    def __hash__(self) -> int:
        return hash((self.host, self.port, self.user, self.database))

    def with_database(self, database: str) -> Self:
        """Give the same connection to another database."""
        return replace(self, database=database)

    @property
    def system(self) -> str:
        """The server as messages name it."""
        return f"MySQL at {self.options.get('unix_socket') or f'{self.host}:{self.port}'}"

    @property
    def uri(self) -> str:
        """Server and database as a URI without user and password, for receipts."""
        return f"mysql://{self.host}:{self.port}/{self.database or ''}"

    def keywords(self) -> dict[str, Any]:
        """Give what `MySQLdb.connect` takes.

        Raises:
            InputError: An option's value is impossible.
        """
        keywords: dict[str, Any] = {
            "host": self.host,
            "port": self.port,
            "user": self.user,
            "connect_timeout": self.options["connect_timeout"],
            "charset": "utf8mb4",
            "use_unicode": False,
            "multi_statements": False,
            "binary_prefix": True,
        }
        if self.password is not None:
            keywords["password"] = self.password
        if self.database is not None:
            keywords["database"] = self.database
        for name in ("unix_socket", "init_command", "read_default_file", "read_default_group"):
            if self.options.get(name):
                keywords[name] = str(self.options[name])
        # The library takes the socket for this name, whatever the port.
        local = "unix_socket" in keywords or self.host == "localhost"
        keywords |= tls_keywords(self.options, local=local)
        return keywords


def _system_user() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "root"


def quoted(*names: str) -> str:
    """Write identifiers in backticks, joined by dots."""
    return ".".join("`" + name.replace("`", "``") + "`" for name in names)


def client_library() -> Any:
    """Import mysqlclient.

    Returns:
        The module `MySQLdb`.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        import MySQLdb
        import MySQLdb.converters
        import MySQLdb.cursors
    except ImportError as error:
        raise MissingExtraError("MySQLdb", extra="mysql", purpose="MySQL") from error
    return MySQLdb
