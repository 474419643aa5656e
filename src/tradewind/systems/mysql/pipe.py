"""A pipe with a path, from which ``LOAD DATA LOCAL`` reads what another thread writes."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import threading

from tradewind.systems.mysql.session import Session

__all__ = ["Loading", "Pipe"]

_PIPE = 1 << 20
_LOOK = 0.5
"""Seconds between two looks whether the other end is still there."""


class Loading(threading.Thread):
    """LOAD DATA in a thread of its own, while this one writes into the pipe."""

    def __init__(self, session: Session, sql: str) -> None:
        super().__init__(name="tradewind loads", daemon=True)
        self._session = session
        self._sql_text = sql
        self._error: BaseException | None = None
        self._text: str | None = None
        self.start()

    def run(self) -> None:
        """Run the statement that reads from the pipe."""
        try:
            self._session.execute(self._sql_text)
            self._text = self._session.info()
        except BaseException as error:
            self._error = error

    def look(self) -> None:
        """See that nobody waits for a server that is gone."""
        if self.is_alive():
            self._session.hang_up_if_left()

    def result(self) -> str | None:
        """Wait for the end; give what the server says of it."""
        while self.is_alive():
            self.join(_LOOK)
            self.look()
        if self._error is not None:
            raise self._error
        return self._text


class Pipe:
    """A pipe that has a path, so that the library can open its other end as a file."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)
        with contextlib.suppress(AttributeError, OSError):
            fcntl.fcntl(self._write, fcntl.F_SETPIPE_SZ, _PIPE)
        self.path = f"/dev/fd/{self._read}"

    def __enter__(self) -> Pipe:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
        os.close(self._read)

    def write(self, data: bytes, loading: Loading) -> bool:
        """Write all of it; False where nobody reads any more."""
        view = memoryview(data)
        while view:
            # The reading end stays open here too, so a full pipe alone does not tell.
            if not select.select([], [self._write], [], _LOOK)[1]:
                if not loading.is_alive():
                    return False
                loading.look()
                continue
            with contextlib.suppress(BlockingIOError):
                view = view[os.write(self._write, view) :]
        return True

    def end(self) -> None:
        """Say that all is written. May be called again."""
        if self._write >= 0:
            os.close(self._write)
            self._write = -1
