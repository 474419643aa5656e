"""Processes of another machine, over SSH: detached there, so that no disconnect reaches them.

One connection carries everything: a shell that stays open and runs the small scripts of
`tradewind.run.job_folder`, and a channel of its own for each reading of a log.
"""

from __future__ import annotations

import asyncio
import queue
import secrets
import shlex
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from tradewind.errors import RetryError
from tradewind.run.job_folder import Command, JobFolderBackend, Shell
from tradewind.systems.ssh.connection import SSHConnection, SSHSession, said

if TYPE_CHECKING:
    import asyncssh

__all__ = ["Command", "SSHBackend", "SSHConnection", "SSHShell"]

#: Of a log: what may be on its way, and what is taken of it at once. The library grants the sender
#: more whenever some of what has come is taken, however much is left: so all of it is.
_WINDOW = 3 << 19
_AHEAD = 1
_SCRIPT_SECONDS = 60.0


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


class SSHShell(SSHSession, Shell):
    """A shell on another machine, and its files. May be used from several threads.

    Args:
        connection: How the machine is reached.
    """

    def __init__(self, connection: SSHConnection) -> None:
        super().__init__(connection)
        self._lock = threading.Lock()
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
                    f"{self._where}: the connection broke ({said(error)}). What was started there "
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
                        f"({said(piece)})."
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

    def _drop(self) -> None:
        self._shell = None
        super()._drop()
