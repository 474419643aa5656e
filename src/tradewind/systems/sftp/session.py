"""An SFTP session over SSH: made when it is needed, and made anew when it has broken.

Source: draft-ietf-secsh-filexfer-02 (version 3 of the protocol, which OpenSSH speaks), and section
4 of OpenSSH's PROTOCOL for its extensions.
"""

from __future__ import annotations

import asyncio
import stat
import threading
import weakref
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar, cast

from tradewind.backoff import Backoff
from tradewind.errors import InputError, RetryError, SetupError, TradewindError
from tradewind.move.store import ObjectInfo
from tradewind.run.backend import UnreachableError
from tradewind.systems.ssh.connection import SSHConnection, SSHSession, said

if TYPE_CHECKING:
    import asyncssh
    from asyncssh import SFTPAttrs, SFTPClient, SFTPClientFile

__all__ = [
    "Link",
    "RemoteFile",
    "SFTPSession",
    "encoded",
    "info_of",
    "refuse_special",
    "told",
    "version_of",
]

T = TypeVar("T")

_SECONDS = 600.0
"""For one request; that nobody answers any more is found out earlier, by keepalive messages."""
_TRIES = 5
_LONGEST_PAUSE = 5.0


class SFTPSession(SSHSession):
    """One SFTP session; may be used from several threads.

    Args:
        connection: How the machine is reached.
    """

    def __init__(self, connection: SSHConnection) -> None:
        super().__init__(connection, extra="sftp", purpose="SFTP")
        self._client: SFTPClient | None = None
        self._client_of: asyncssh.SSHClientConnection | None = None
        self._connecting = asyncio.Lock()
        self._starting = asyncio.Lock()
        self._backoff = Backoff(first=0.2, longest=_LONGEST_PAUSE)
        self._closing: set[asyncio.Task[None]] = set()

    def call(self, work: Callable[[SFTPClient], Coroutine[Any, Any, T]]) -> T:
        """Do something on the server, again over a new connection where this one breaks.

        Args:
            work: It may be begun several times.

        Raises:
            asyncssh.SFTPError: What the server answers.
            RetryError: Connections break again and again.
            SetupError: None can be made.
        """
        ssh = self._asyncssh
        failures = 0
        while True:
            try:
                done, refused = self._wait(self._with_client(work), _SECONDS)
                break
            except (ssh.SFTPConnectionLost, ssh.SFTPNoConnection) as error:
                broken: Exception = error
            except ssh.SFTPError:
                raise
            except (ssh.Error, OSError, EOFError) as error:
                broken = error
            except (UnreachableError, RetryError) as error:
                if not failures:
                    raise
                broken = error
            self._client = None
            if isinstance(broken, TimeoutError):
                self._drop()
            failures += 1
            if failures == _TRIES:
                if isinstance(broken, TradewindError):
                    raise broken
                raise RetryError(
                    f"{self._where}: the connection broke {failures} times in a row "
                    f"({said(broken)}). Try again."
                ) from broken
            self._backoff.rest(failures)
        if refused is not None:
            raise refused
        return cast(T, done)

    async def _with_client(
        self, work: Callable[[SFTPClient], Coroutine[Any, Any, T]]
    ) -> tuple[T | None, TradewindError | None]:
        """Do it, and keep what it refuses itself apart from what connections come to."""
        from asyncssh.constants import OPEN_REQUEST_SESSION_FAILED

        async with self._starting:
            connection = await self._connect()
            if self._client is None or self._client_of is not connection:
                # Names are bytes: which text they are is not for the library to say.
                try:
                    self._client = await connection.start_sftp_client(path_encoding=None)
                except self._asyncssh.ChannelOpenError as error:
                    if error.code != OPEN_REQUEST_SESSION_FAILED:
                        raise
                    raise SetupError(
                        f"{self._where}: the server offers no SFTP to this account "
                        f"({said(error)}). Ask its administrator for the subsystem sftp."
                    ) from error
                self._client_of = connection
            client = self._client
        try:
            return await work(client), None
        except TradewindError as error:
            return None, error

    async def _connect(self) -> asyncssh.SSHClientConnection:
        async with self._connecting:  # not one for each of several threads
            return await super()._connect()

    def later(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Do something without waiting for it, which a garbage collection may ask for, too."""

        async def quietly() -> None:
            with suppress(self._asyncssh.Error, OSError):
                await work()

        def begin() -> None:
            task = self._loop.create_task(quietly())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(begin)


class Link:
    """The way to a machine: its session is begun with the first request, and ends with this.

    Args:
        connection: How the machine is reached.
    """

    def __init__(self, connection: SSHConnection) -> None:
        self.connection = connection
        self._lock = threading.Lock()
        self._session: SFTPSession | None = None

    @property
    def session(self) -> SFTPSession:
        """The session."""
        with self._lock:
            if self._session is None:
                self._session = SFTPSession(self.connection)
                # Not in this thread, which may be that of the session itself.
                end = weakref.finalize(self, _end, self._session)
                end.atexit = False
            return self._session


def _end(session: SFTPSession) -> None:
    threading.Thread(target=session.close, daemon=True).start()


class RemoteFile:
    """A file that is open on the server, and is opened again on each new connection.

    Args:
        session: The session.
        path: The file.
        flags: How it is opened: ``FXF_`` of the protocol.
        again: How it is opened again; the same when not given.
        permissions: Of a file that is made.
    """

    def __init__(
        self,
        session: SFTPSession,
        path: bytes,
        flags: int,
        *,
        again: int | None = None,
        permissions: int | None = None,
    ) -> None:
        self._session = session
        self._path = path
        self._flags = flags
        self._again = flags if again is None else again
        self._permissions = permissions
        self._client: SFTPClient | None = None
        self._file: SFTPClientFile | None = None

    async def opened(self, client: SFTPClient) -> tuple[SFTPClientFile, bool]:
        """Give the open file, and whether it was opened just now."""
        if self._file is not None and self._client is client:
            return self._file, False
        from asyncssh import SFTPAttrs

        flags, self._flags = self._flags, self._again
        attributes = SFTPAttrs()
        if self._permissions is not None:
            attributes.permissions = self._permissions
        self._file = await client.open(self._path, flags, attributes, encoding=None)
        self._client = client
        return self._file, True

    def close(self) -> None:
        """Close it, without waiting for the server."""
        file, self._file = self._file, None
        if file is not None:
            self._session.later(file.close)


# ----------------------------------------------------------------------------------- what a file is


def encoded(name: str | bytes) -> bytes:
    """Give a name as the bytes that it is for a server."""
    return name if isinstance(name, bytes) else name.encode("utf-8", "surrogateescape")


def version_of(attributes: SFTPAttrs) -> str | None:
    """Tell one version of a file from another: how long it is, and when it was written."""
    if attributes.size is None or attributes.mtime is None:
        return None
    return f"{attributes.size:x}-{int(attributes.mtime):x}"


def info_of(key: str, attributes: SFTPAttrs) -> ObjectInfo:
    """Describe a file as a store describes an object."""
    written = attributes.mtime
    return ObjectInfo(
        key=key,
        size=attributes.size or 0,
        etag=version_of(attributes),
        modified=None if written is None else datetime.fromtimestamp(written, UTC),
    )


def refuse_special(where: str, attributes: SFTPAttrs) -> None:
    """Refuse what is no regular file: opening a FIFO waits for ever, a device has no end.

    Raises:
        InputError: It is a folder, a FIFO, a device or a socket.
    """
    mode = attributes.permissions
    if mode is None or not stat.S_IFMT(mode) or stat.S_ISREG(mode):
        return
    kind = "a folder" if stat.S_ISDIR(mode) else "a FIFO, device or socket"
    raise InputError(f"{where} is {kind}, not a regular file. Name a file.")


@contextmanager
def told(where: str, doing: str) -> Iterator[None]:
    """Raise the server's answers as our errors, naming the file and what was tried."""
    import asyncssh as ssh

    try:
        yield
    except ssh.SFTPError as error:
        begin = f"{where}: cannot {doing}: the server says {said(error)!r}."
        if isinstance(error, ssh.SFTPNoSuchFile | ssh.SFTPNoSuchPath):
            raise InputError(f"{begin} Correct the path.") from error
        if isinstance(error, ssh.SFTPPermissionDenied | ssh.SFTPWriteProtect):
            raise SetupError(f"{begin} Allow the account to use it.") from error
        if isinstance(error, ssh.SFTPNoSpaceOnFilesystem | ssh.SFTPQuotaExceeded):
            raise SetupError(f"{begin} Make room, or choose another folder.") from error
        if isinstance(error, ssh.SFTPOpUnsupported):
            raise SetupError(f"{begin} Use a server that can, like OpenSSH's.") from error
        if isinstance(error, ssh.SFTPBadMessage | ssh.SFTPInvalidFilename):
            # What OpenSSH answers where a name is too long.
            raise InputError(f"{begin} Choose a shorter or another name.") from error
        raise RetryError(
            f"{begin} It does not say why: see whether its disk is full and each step of the path "
            "is a folder, and try again."
        ) from error
