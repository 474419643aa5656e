"""A connection to another machine over SSH, in a thread of its own."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from tradewind.errors import MissingExtraError, RetryError, SetupError
from tradewind.event_loop import LoopThread
from tradewind.run.backend import UnreachableError

if TYPE_CHECKING:
    import asyncssh

__all__ = ["SSHConnection", "SSHSession", "said"]

T = TypeVar("T")

_CONNECT_SECONDS = 10.0
_REST_SECONDS = 5.0
_KEEPALIVE_SECONDS = 30


@dataclass(frozen=True)
class SSHConnection:
    """How a machine is reached.

    Args:
        host: Its name or address.
        username: Account there; this one's name when not given.
        port: Where its sshd listens.
        password: For password authentication.
        key_file: Path of a private key.
        private_key: A private key itself, in OpenSSH's or PEM's form.
        passphrase: Of the private key.
        known_hosts: Path of the file with the keys of hosts that are trusted, when not given
            ``~/.ssh/known_hosts``.
        host_key: The host's own public key, as a line of that file has it: ``ssh-ed25519 AAAA``.
        check_host_key: False trusts whoever answers, which anybody on the way can abuse.
        connect_timeout: Seconds until an unanswered connection has failed.
        options: Anything else that ``asyncssh.connect`` takes, like ``tunnel``.
    """

    host: str
    username: str | None = None
    port: int = 22
    password: str | None = field(default=None, repr=False)
    key_file: str | None = None
    private_key: str | None = field(default=None, repr=False)
    passphrase: str | None = field(default=None, repr=False)
    known_hosts: str | None = None
    host_key: str | None = None
    check_host_key: bool = True
    connect_timeout: float = _CONNECT_SECONDS
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def __str__(self) -> str:
        user = f"{self.username}@" if self.username else ""
        port = "" if self.port == 22 else f":{self.port}"
        return f"{user}{self.host}{port}"


class SSHSession:
    """One connection to another machine, made when it is needed and made anew when it has broken.

    asyncssh runs in an event loop in a thread of its own, so that it may be used from several.

    Args:
        connection: How the machine is reached.
        extra: The extra of this package that brings asyncssh, for the message that it is missing.
        purpose: What it is needed for.
    """

    def __init__(
        self, connection: SSHConnection, *, extra: str = "ssh", purpose: str = "SSH"
    ) -> None:
        try:
            import asyncssh
        except ImportError as error:
            raise MissingExtraError("asyncssh", extra=extra, purpose=purpose) from error
        self._asyncssh = asyncssh
        if logging.getLogger("asyncssh").level == logging.NOTSET:
            # It tells of each channel that it opens: that would be most of a task's log.
            asyncssh.set_log_level("WARNING")
        self._where = connection
        self._thread = LoopThread("tradewind-ssh")
        self._loop = self._thread.loop
        self._connection: asyncssh.SSHClientConnection | None = None

    async def _connect(self) -> asyncssh.SSHClientConnection:
        if self._connection is not None and not self._connection.is_closed():
            return self._connection
        where, ssh = self._where, self._asyncssh
        options: dict[str, Any] = {
            "keepalive_interval": _KEEPALIVE_SECONDS,
            "connect_timeout": where.connect_timeout,
            "login_timeout": where.connect_timeout,
            "compression_algs": None,
        }
        if where.username is not None:
            options["username"] = where.username
        if where.password is not None:
            options["password"] = where.password
        if where.private_key is not None:
            options["client_keys"] = [ssh.import_private_key(where.private_key, where.passphrase)]
        elif where.key_file is not None:
            options["client_keys"] = [where.key_file]
            options["passphrase"] = where.passphrase
        if not where.check_host_key:
            options["known_hosts"] = None
        elif where.host_key is not None:
            options["known_hosts"] = ([where.host_key.encode()], [], [])
        elif where.known_hosts is not None:
            options["known_hosts"] = where.known_hosts
        options |= where.options
        self._connection = await ssh.connect(where.host, where.port, **options)
        return self._connection

    def _wait(self, work: Coroutine[Any, Any, T], seconds: float) -> T:
        async def within() -> T:
            await self._reach()
            async with asyncio.timeout(seconds):
                return await work

        answer = asyncio.run_coroutine_threadsafe(within(), self._loop)
        try:
            return answer.result()
        except BaseException:
            if not answer.done():
                # Airflow's timeout of a task may come anywhere. What has begun comes to its end
                # first: work that starts after the task was told to end would be left.
                with suppress(Exception):
                    answer.result(_REST_SECONDS)
            raise
        finally:
            work.close()

    async def _reach(self) -> None:
        """Connect, telling what is wrong where no second try would mend it."""
        ssh = self._asyncssh
        try:
            await self._connect()
        except ssh.PermissionDenied as error:
            raise SetupError(
                f"{self._where}: the login is refused ({said(error)}). Check user name, key and "
                "password of the connection."
            ) from error
        except ssh.HostKeyNotVerifiable as error:
            raise SetupError(
                f"{self._where}: its host key is not one that is trusted ({said(error)}). Compare "
                "it with its administrator's, and add it to known_hosts or to the connection."
            ) from error
        except (ssh.KeyImportError, ssh.KeyEncryptionError) as error:
            raise SetupError(
                f"{self._where}: the private key cannot be read ({said(error)}). Check the key "
                "and its passphrase."
            ) from error
        except (ConnectionRefusedError, socket.gaierror) as error:
            raise UnreachableError(
                f"{self._where}: it cannot be reached ({said(error)}). Check host and port, and "
                "that its sshd runs."
            ) from error
        except FileNotFoundError as error:
            raise SetupError(
                f"{self._where}: the file {error.filename} is not there. Check the connection's "
                "key file and known hosts."
            ) from error
        except (ssh.Error, OSError, TimeoutError) as error:
            raise RetryError(
                f"{self._where}: no connection could be made ({said(error)})."
            ) from error

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            self._loop.call_soon_threadsafe(connection.abort)

    def close(self) -> None:
        """Close the connection and end its thread."""
        if self._thread.running:
            try:
                with suppress(RuntimeError):  # another thread has closed it
                    self._drop()
            finally:
                self._thread.close(10)


def said(error: BaseException) -> str:
    """What an error says, or else its kind."""
    return str(error) or type(error).__name__
