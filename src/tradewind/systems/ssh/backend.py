"""Processes of another machine, over SSH: detached there, so that no disconnect reaches them.

One connection carries everything: a shell that stays open and runs the small scripts of
`tradewind.run.job_folder`, and a channel of its own for each reading of a log.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import secrets
import shlex
import socket
import threading
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from tradewind.errors import MissingExtraError, RetryError, SetupError
from tradewind.run.backend import UnreachableError
from tradewind.run.job_folder import Command, JobFolderBackend, Shell

if TYPE_CHECKING:
    import asyncssh

__all__ = ["Command", "SSHBackend", "SSHConnection", "SSHShell"]

T = TypeVar("T")

#: Of a log: what may be on its way, and what is taken of it at once. The library grants the sender
#: more whenever some of what has come is taken, however much is left: so all of it is.
_WINDOW = 3 << 19
_AHEAD = 1
_SCRIPT_SECONDS = 60.0
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


class SSHBackend(JobFolderBackend):
    """Runs shell commands on another machine.

    Memory: some eight megabytes of log, which is five times what is on its way at once.

    Args:
        connection: How the machine is reached.
        root: Folder there that holds the job folders, from the account's home when it is relative.
    """

    name = "ssh"

    def __init__(self, connection: SSHConnection, *, root: str = ".tradewind/jobs") -> None:
        self._ssh = SSHShell(connection)
        super().__init__(self._ssh, root=root, where=str(connection))

    def close(self) -> None:
        """Close the connection; the work goes on."""
        self._ssh.close()


class SSHShell(Shell):
    """A shell on another machine, and its files. May be used from several threads.

    Args:
        connection: How the machine is reached.
    """

    def __init__(self, connection: SSHConnection) -> None:
        try:
            import asyncssh
        except ImportError as error:
            raise MissingExtraError("asyncssh", extra="ssh", purpose="SSH") from error
        self._asyncssh = asyncssh
        if logging.getLogger("asyncssh").level == logging.NOTSET:
            # It tells of each channel that it opens: that would be most of a task's log.
            asyncssh.set_log_level("WARNING")
        self._where = connection
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._lock = threading.Lock()
        self._connection: asyncssh.SSHClientConnection | None = None
        self._shell: asyncssh.SSHClientProcess[bytes] | None = None

    # ----------------------------------------------------------------------------------- scripts

    def run(self, script: str) -> str:
        """Hand a script to a shell that stays open, and read what it prints."""
        with self._lock:
            try:
                return self._wait(self._run(script), _SCRIPT_SECONDS)
            except TimeoutError as error:
                self._drop()
                raise RetryError(
                    f"{self._where}: the shell did not answer within {_SCRIPT_SECONDS:.0f} s."
                ) from error
            except (self._asyncssh.Error, OSError, EOFError) as error:
                self._drop()
                raise RetryError(
                    f"{self._where}: the connection broke ({_said(error)}). What was started there "
                    "goes on."
                ) from error

    async def _run(self, script: str) -> str:
        shell = await self._open_shell()
        mark = f"tradewind-{secrets.token_hex(8)}"
        # In a shell of its own, whose variables and exit harm nothing.
        order = (
            f"printf '\\n%s\\n' begin-{mark}; sh <<'{mark}' 2>/dev/null\n{script}\n{mark}\n"
            f"printf '\\n%s\\n' {mark}\n"
        )
        shell.stdin.write(order.encode())
        await shell.stdin.drain()
        # What a start-up file of the account prints comes before.
        await shell.stdout.readuntil(f"\nbegin-{mark}\n".encode())
        told = await shell.stdout.readuntil(f"\n{mark}\n".encode())
        return told[: -len(mark) - 2].decode(errors="replace")

    async def _open_shell(self) -> asyncssh.SSHClientProcess[bytes]:
        if self._shell is None or self._shell.is_closing():
            connection = await self._connect()
            self._shell = await connection.create_process("exec sh", encoding=None)
        return self._shell

    # ------------------------------------------------------------------------------------- files

    def size(self, path: str) -> int:
        """Ask for the size of a file."""
        told = self.run(f"wc -c 2>/dev/null < {shlex.quote(path)} || echo -1")
        return int(told.strip() or -1)

    def read(self, path: str, start: int) -> Iterator[bytes]:
        """Read a file over a channel of its own, a few pieces ahead."""
        return self._pieces(f"exec tail -c +{start + 1} {shlex.quote(path)}", path)

    def output(self, script: str) -> Iterator[bytes]:
        """Run a script over a channel of its own, and read what it prints."""
        return self._pieces(f"exec sh -c {shlex.quote(script)}", "a result")

    def _pieces(self, command: str, what: str) -> Iterator[bytes]:
        pieces: queue.Queue[bytes | BaseException | None] = queue.Queue(_AHEAD)
        ended = threading.Event()
        task = asyncio.run_coroutine_threadsafe(self._stream(command, pieces, ended), self._loop)
        try:
            while (piece := pieces.get()) is not None:
                if isinstance(piece, BaseException):
                    raise RetryError(
                        f"{self._where}: the connection broke while {what} was read "
                        f"({_said(piece)})."
                    ) from piece
                yield piece
        finally:
            ended.set()
            task.cancel()

    async def _stream(
        self,
        command: str,
        pieces: queue.Queue[bytes | BaseException | None],
        ended: threading.Event,
    ) -> None:
        async def hand_over(piece: bytes | BaseException | None) -> None:
            while not ended.is_set():
                with suppress(queue.Full):
                    pieces.put_nowait(piece)
                    break
                await asyncio.sleep(0.002)

        try:
            connection = await self._connect()
            mark = f"tradewind-{secrets.token_hex(8)}"
            async with connection.create_process(
                f"printf '\\n%s\\n' {mark}; {command}", encoding=None, window=_WINDOW
            ) as process:
                # What a start-up file of the account prints comes before.
                await process.stdout.readuntil(f"\n{mark}\n".encode())
                while piece := await process.stdout.read(_WINDOW):
                    await hand_over(piece)
            await hand_over(None)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            await hand_over(error)

    # -------------------------------------------------------------------------------- connection

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
                f"{self._where}: the login is refused ({_said(error)}). Check user name, key and "
                "password of the connection."
            ) from error
        except ssh.HostKeyNotVerifiable as error:
            raise SetupError(
                f"{self._where}: its host key is not one that is trusted ({_said(error)}). Compare "
                "it with its administrator's, and add it to known_hosts or to the connection."
            ) from error
        except (ssh.KeyImportError, ssh.KeyEncryptionError) as error:
            raise SetupError(
                f"{self._where}: the private key cannot be read ({_said(error)}). Check the key "
                "and its passphrase."
            ) from error
        except (ConnectionRefusedError, socket.gaierror) as error:
            raise UnreachableError(
                f"{self._where}: it cannot be reached ({_said(error)}). Check host and port, and "
                "that its sshd runs."
            ) from error
        except FileNotFoundError as error:
            raise SetupError(
                f"{self._where}: the file {error.filename} is not there. Check the connection's "
                "key file and known hosts."
            ) from error
        except (ssh.Error, OSError, TimeoutError) as error:
            raise RetryError(
                f"{self._where}: no connection could be made ({_said(error)})."
            ) from error

    def _drop(self) -> None:
        connection, self._connection, self._shell = self._connection, None, None
        if connection is not None:
            self._loop.call_soon_threadsafe(connection.abort)

    def close(self) -> None:
        """Close the connection and end its thread."""
        self._drop()

        async def end() -> None:
            tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        if self._thread.is_alive():
            asyncio.run_coroutine_threadsafe(end(), self._loop).result(10)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(10)
            self._loop.close()


def _said(error: BaseException) -> str:
    return str(error) or type(error).__name__
