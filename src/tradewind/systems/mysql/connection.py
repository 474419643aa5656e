"""Connections to MySQL and MariaDB: where the server is, how to reach it, one session on it.

Over 400 lines: settings and session share how errors are worded and options are read.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Self
from urllib.parse import parse_qsl, unquote

from tradewind.errors import InputError, MissingExtraError, SetupError
from tradewind.redaction import split_uri
from tradewind.systems.mysql.errors import translated
from tradewind.systems.mysql.tls import (
    FILES,
    MODES,
    explained,
    falls_back,
    require_offer,
    tls_keywords,
)

__all__ = ["MySQLConnection", "Session", "bound", "quoted"]

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
_ALIVE = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 15, "TCP_KEEPCNT": 4}


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


class Session:
    """One connection, whose errors are ours. Values come as the bytes that the server sent.

    Its time zone is UTC; it waits an hour for a slow reader before the server gives it up.

    Args:
        connection: Where to.
        local_infile: Lets ``LOAD DATA LOCAL`` read files of this machine.

    Raises:
        TradewindError: There is no connection.
    """

    def __init__(self, connection: MySQLConnection, *, local_infile: bool = False) -> None:
        library = client_library()
        from MySQLdb.constants import FIELD_TYPE, FLAG

        self.connection = connection
        self.system = connection.system
        # Says of each column of text or bytes which it is: by its character set, not by a flag
        # that text with a binary collation has too. Both come as bytes.
        converters: dict[Any, Any] = {
            number: [(FLAG.BINARY, bytes), (None, None)]
            for name, number in vars(FIELD_TYPE).items()
            if isinstance(number, int) and ("STRING" in name or "BLOB" in name or name == "VARCHAR")
        }
        converters |= {
            kind: say
            for kind, say in library.converters.conversions.items()
            if not isinstance(kind, int)
        }
        keywords = connection.keywords()
        require_offer(keywords, self.system)
        more = {"conv": converters, "local_infile": int(local_infile)}
        try:
            try:
                self._connection = library.connect(**keywords, **more)
            except library.Error as error:
                if not falls_back(keywords, error.args[0] if error.args else None):
                    raise
                plain = {name: keywords[name] for name in keywords if not name.startswith("ssl")}
                self._connection = library.connect(**plain, **more)
        except library.Error as error:
            number = error.args[0] if error.args else None
            raise explained(translated(error, self.system), keywords, number) from error
        except (OSError, ValueError, TypeError) as error:
            raise SetupError(f"{self.system}: {error}. Check the connection's options.") from error
        self._closed = False
        # Kept, as the library lets one thread at a time ask for it.
        self.number = int(self._connection.fileno())
        """Of its socket."""
        _keep_alive(self.number)
        self.thread = int(self._connection.thread_id())
        version = self._connection.get_server_info()
        self.is_mariadb = "mariadb" in version.lower()
        self.execute("SET time_zone = '+00:00', net_write_timeout = 3600, net_read_timeout = 3600")

    def execute(self, sql: str | bytes, *values: Any) -> int:
        """Run a statement to its end; give the number of rows that it changed.

        Args:
            sql: The statement; ``%s`` stand for `values`, if there are any.
            values: Python values.

        Raises:
            TradewindError: The server refuses it, or is gone.
        """
        self.query(sql, *values)
        result = self._guarded(self._connection.store_result)
        return int(self._connection.affected_rows()) if result is None else 0

    def fetch(self, sql: str | bytes, *values: Any) -> list[tuple[Any, ...]]:
        """Run a statement that gives a few rows of texts (`bytes` decoded) and NULLs."""
        self.query(sql, *values)
        result = self._guarded(self._connection.store_result)
        rows = result.fetch_row(0, 0) if result is not None else ()
        return [
            tuple(None if value is None else value.decode("utf-8", "replace") for value in row)
            for row in rows
        ]

    def stream(self) -> Any:
        """Give the unbuffered result of the last `query`; None where it has no columns."""
        return self._guarded(self._connection.use_result)

    def fetched(self, result: Any, count: int) -> tuple[tuple[bytes | None, ...], ...]:
        """Fetch some rows of an unbuffered result; none at its end."""
        rows: tuple[tuple[bytes | None, ...], ...] = self._guarded(result.fetch_row, count, 0)
        return rows

    def finish(self) -> bool:
        """Hear the rest of an answer whose first result has been read.

        A ``CALL`` sends one result after the other, and an error of the procedure only after them.

        Returns:
            Whether there is another result with columns. The connection is to be closed then.

        Raises:
            TradewindError: As the server says behind the result.
        """
        while self._guarded(self._connection.next_result) == 0:
            if self._guarded(self._connection.use_result) is not None:
                return True
        return False

    def query(self, sql: str | bytes, *values: Any) -> None:
        """Send a statement and wait for the first of its answer."""
        if values:
            sql = bound(self, sql if isinstance(sql, str) else sql.decode(), values)
        self._guarded(self._connection.query, _encoded(sql))

    def literal(self, value: Any) -> bytes:
        """Write a Python value as SQL."""
        written = self._connection.literal(value)
        return written if isinstance(written, bytes) else str(written).encode()

    @property
    def capabilities(self) -> int:
        """What client and server have agreed on, as the protocol counts it."""
        return int(self._connection.client_flag & self._connection.server_capabilities)

    @property
    def warning_count(self) -> int:
        """How many warnings the last statement gave."""
        return int(self._connection.warning_count())

    def info(self) -> str | None:
        """What the server says of the last statement, like ``Records: 3 ...``."""
        said = self._connection.info()
        return said.decode() if isinstance(said, bytes) else said

    def warnings(self) -> list[tuple[Any, ...]]:
        """Ask what the last statement warned of: level, number, text."""
        return self.fetch("SHOW WARNINGS")

    def _guarded(self, call: Any, *arguments: Any) -> Any:
        try:
            return call(*arguments)
        except client_library().Error as error:
            raise translated(error, self.system) from error

    def abort(self) -> None:
        """End what runs, from another thread too: on the server and here. Never raises."""
        if self._closed:
            return
        with contextlib.suppress(Exception):
            other = Session(
                replace(self.connection, options={**self.connection.options, "connect_timeout": 3})
            )
            try:
                other.execute(f"KILL {self.thread}")
            finally:
                other.close()
        with contextlib.suppress(OSError), _socket(self.number) as opened:
            opened.shutdown(socket.SHUT_RDWR)

    def hang_up_if_left(self) -> None:
        """Shut a connection that the server has closed, from another thread too. Never raises.

        What writes into a full one waits for room, and would wait for minutes: that the server is
        gone shows on the side that is read.
        """
        if self._closed:
            return
        with contextlib.suppress(OSError), _socket(self.number) as opened:
            poll = select.poll()
            poll.register(opened, select.POLLRDHUP)
            if poll.poll(0):
                opened.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection. May be called again."""
        if not self._closed:
            self._closed = True
            with contextlib.suppress(Exception):
                self._connection.close()


def _encoded(sql: str | bytes) -> bytes:
    return sql if isinstance(sql, bytes) else sql.encode("utf-8", "surrogateescape")


def _socket(number: int) -> socket.socket:
    return socket.socket(fileno=os.dup(number))


def _keep_alive(number: int) -> None:
    """Notice within two minutes that the other machine is gone."""
    with contextlib.suppress(OSError), _socket(number) as opened:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if opened.family != socket.AF_UNIX:
            for name, value in _ALIVE.items():
                if hasattr(socket, name):
                    opened.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def bound(
    session: Session, query: str, parameters: Mapping[str, Any] | Sequence[Any] | None
) -> bytes:
    """Put values into a query as Airflow's hooks do.

    Args:
        session: Its server's rules of quoting apply.
        query: With ``%s`` or ``%(name)s``; a ``%`` of its own is written ``%%``.
        parameters: A sequence or mapping; None leaves the query as it is, ``%`` and all.

    Returns:
        The statement to send.

    Raises:
        InputError: Query and parameters do not fit together.
    """
    if parameters is None:
        return query.encode()
    try:
        if isinstance(parameters, Mapping):
            named = {name.encode(): session.literal(value) for name, value in parameters.items()}
            return query.encode() % named
        if isinstance(parameters, str | bytes):
            raise TypeError("parameters are one text")
        return query.encode() % tuple(session.literal(value) for value in parameters)
    except (TypeError, ValueError, KeyError) as error:
        said = f"{error.args[0].decode()!r} is missing" if isinstance(error, KeyError) else error
        raise InputError(
            f"{session.system}: query and parameters do not fit together ({said}). Write %s for "
            "each of a list, %(name)s for each of a mapping, and %% for a percent sign."
        ) from error
