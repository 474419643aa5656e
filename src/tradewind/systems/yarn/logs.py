"""What the container of an application master has written, from its NodeManager or a log server.

Both show files as text between a head and a tail (`NMWebServices`, `LogToolUtils` of Hadoop)::

    Container: container_1_0001_01_000001 on host:port
    LogAggregationType: LOCAL
    ====================
    LogType:stdout
    LogLastModifiedTime:...
    LogLength:218
    LogContents:
    <so many bytes, or the last of them where ?size=-N was asked for>
    End of LogType:stdout...
"""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tradewind.backoff import rest
from tradewind.errors import InputError, RetryError, SetupError
from tradewind.run.backend import LogLine
from tradewind.systems.http.job_server import JobServer, RestConnection

__all__ = ["YarnLogs"]

_KINDS = ("stdout", "stderr")
_CONTENTS = b"LogContents:\n"
_LENGTH = re.compile(rb"^LogLength:\s*(\d+)$", re.MULTILINE)
_HEAD_LIMIT = 1 << 14
_LAST_LINE_BYTES = 1 << 16
_SLACK = 1 << 14
_REDIRECTS = 3
_LOOKS, _PAUSE = 3, 0.3
"""How often a file is looked for that may be on its way to another place, and seconds between."""
_OVER = "over"
_LOST = "[what may be left of the log is out of reach: neither NodeManager nor log server show it]"


class YarnLogs:
    """Reads logs of application masters. May be used from several threads.

    Args:
        connection: How the ResourceManager is reached; NodeManagers are reached the same way.
        user: Sent as ``user.name``.
        server: Where aggregated logs are, ``/ws/v1/history`` included; None for what the
            NodeManagers point to.
        say: Takes a line where a log is out of reach.
    """

    def __init__(
        self,
        connection: RestConnection,
        *,
        user: str | None,
        server: str | None,
        say: Callable[[str], None],
    ) -> None:
        self._connection = connection
        self._say = say
        self._told: set[str] = set()
        self._params = {"user.name": user} if user else {}
        self._log_server = server.rstrip("/") if server else None
        self._servers: dict[str, JobServer] = {}

    def close(self) -> None:
        """Close the connections."""
        for server in self._servers.values():
            server.close()

    def lines(
        self, application: Mapping[str, Any], after: str | None, *, ended: bool
    ) -> Iterator[LogLine]:
        """Read whole lines of stdout, then of stderr; the last ones too when it has ended.

        Args:
            application: What the ResourceManager tells of it.
            after: ``CONTAINER STDOUT STDERR``: bytes known of each.
            ended: Whether nothing follows.
        """
        found = _container(application)
        if found is None:
            return
        container = found[1]
        known = (after or "").split(" ")
        if len(known) < 3 or known[0] != container:
            known = [container, "0", "0"]
        if known[3:] == [_OVER]:
            return
        at = {kind: int(known[1 + number]) for number, kind in enumerate(_KINDS)}
        missing = list(_KINDS)
        for look in range(_LOOKS if ended else 1):
            if look and missing:
                rest(_PAUSE)
            for kind in tuple(missing):
                if (yield from self._lines_of(application, container, kind, at, ended=ended)):
                    missing.remove(kind)
        if ended and len(missing) == len(_KINDS):
            cursor = " ".join([container, *map(str, at.values()), _OVER])
            yield LogLine(_LOST, cursor)

    def _lines_of(
        self,
        application: Mapping[str, Any],
        container: str,
        kind: str,
        at: dict[str, int],
        *,
        ended: bool,
    ) -> Generator[LogLine, None, bool]:
        """Read the lines of one file; tell whether it was shown to its end."""
        place = self._place(application, kind)
        if place is None:
            return False
        unended = b""
        try:
            for chunk in self._tail(place, at[kind]) if place.length > at[kind] else ():
                *lines, unended = (unended + chunk).split(b"\n")
                for line in lines:
                    at[kind] += len(line) + 1
                    yield _line(line, container, at)
        except _MovedError:
            return False
        if ended and unended:
            at[kind] += len(unended)
            yield _line(unended, container, at)
        return True

    def last_line(self, application: Mapping[str, Any]) -> str | None:
        """Read the last line of stdout."""
        place = self._place(application, "stdout")
        if place is None or not place.length:
            return None
        text = b"".join(self._tail(place, max(0, place.length - _LAST_LINE_BYTES)))
        return text.removesuffix(b"\n").split(b"\n")[-1].decode(errors="replace")

    def shown(self, application: Mapping[str, Any]) -> bool:
        """Tell whether the container's files are shown at all."""
        return self._place(application, "stdout") is not None

    def file(self, application: Mapping[str, Any], name: str, limit: int) -> bytes | None:
        """Read a small file whole; None where there is none.

        Raises:
            InputError: It is larger than `limit`, in bytes.
        """
        for _ in range(_LOOKS):
            shown = self._place(application, "stdout")
            place = self._place(application, name)
            try:
                if place is not None:
                    if place.length > limit:
                        raise InputError(
                            f"YARN: the result of {application['id']} is larger than {limit:,} "
                            "bytes. Write it to a store, and hand back where it stands."
                        )
                    return b"".join(self._tail(place, 0))
            except _MovedError:
                continue
            # Not there, unless all files were on their way to another place.
            after = self._place(application, "stdout")
            if shown is None and after is None:
                return None
            if shown is not None and after is not None and shown.server is after.server:
                return None
            rest(_PAUSE)
        raise RetryError(
            f"YARN: the files of {application['id']} are not shown in one place for long enough to "
            "read them. Try again."
        )

    # ------------------------------------------------------------------------------------ reading

    def _tail(self, place: _Place, start: int) -> Iterator[bytes]:
        """Read a file from a byte on.

        The API gives the last so many bytes: some more are asked for than there are, since the file
        may grow meanwhile, and what is known is dropped.

        Raises:
            _MovedError: It is not there any more. Nothing was read of it.
        """
        length, slack = place.length, _SLACK
        while True:
            wanted = length - start + slack
            with place.server.stream(
                place.path, what="a log", params={**place.params, "size": f"-{wanted}"}
            ) as (status, _, chunks):
                if status != 200:
                    raise _MovedError(f"YARN: {place.path} was there, and is not now. Try again.")
                length, first = _head(chunks)
                known = start - max(0, length - wanted)
                if known >= 0:
                    yield from _content(chunks, first, known, min(length, wanted))
                    return
            slack *= 4

    def _place(self, application: Mapping[str, Any], name: str) -> _Place | None:
        """Find a file: at the NodeManager, where that points to, at the log server."""
        found = _container(application)
        if found is None:
            return None
        node, container = found
        places = [(node, f"/ws/v1/node/containerlogs/{container}/{name}", self._params)]
        if self._log_server is not None:
            base, prefix = _split(self._log_server)
            asked = {**self._params, "nm.id": str(application.get("masterNodeId", ""))}
            places.append((base, f"{prefix}/containerlogs/{container}/{name}", asked))
        for base, path, params in places:
            try:
                place = self._look(base, path, params)
            except RetryError:
                # A log server says so of what is on its way to it.
                continue
            except SetupError as error:
                # A NodeManager may be out of reach from here for good: the work goes on.
                if base not in self._told:
                    self._told.add(base)
                    self._say(f"{error} The log that is there cannot be shown.")
                continue
            if place is not None:
                return place
        return None

    def _look(self, base: str, path: str, params: Mapping[str, str]) -> _Place | None:
        for _ in range(_REDIRECTS):
            server = self._server(base)
            with server.stream(path, what="a log", params={**params, "size": "0"}) as answer:
                status, location, chunks = answer
                if status == 200:
                    return _Place(server, path, params, _head(chunks)[0])
                if not location or not 300 <= status < 400:
                    return None
            base, path = _split(location)
            query = dict(parse_qsl(urlsplit(location).query))
            params = {**query, **self._params}
        return None

    def _server(self, base: str) -> JobServer:
        if base not in self._servers:
            self._servers[base] = JobServer(
                dataclasses.replace(self._connection, base_url=base), "YARN"
            )
        return self._servers[base]


class _MovedError(RetryError):
    """A file is on its way from the NodeManager to the log server, and nowhere for a moment."""


@dataclass(frozen=True)
class _Place:
    """Where a file is shown, and how long it is."""

    server: JobServer
    path: str
    params: Mapping[str, str]
    length: int


def _container(application: Mapping[str, Any]) -> tuple[str, str] | None:
    """Tell where the application master's container is: ``http://node/.../CONTAINER/USER``."""
    address = str(application.get("amContainerLogs") or "")
    base, path = _split(address)
    match = re.search(r"/(container_[0-9a-z_]+)", path)
    return (base, match[1]) if match else None


def _split(address: str) -> tuple[str, str]:
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}", parts.path


def _head(chunks: Iterator[bytes]) -> tuple[int, bytes]:
    """Read up to the contents; gives the file's length, and what was read beyond."""
    text = b""
    for chunk in chunks:
        text += chunk
        at = text.find(_CONTENTS)
        if at >= 0:
            match = _LENGTH.search(text[:at])
            if match is not None:
                return int(match[1]), text[at + len(_CONTENTS) :]
        if len(text) > _HEAD_LIMIT:
            break
    raise SetupError(
        "YARN: what should be a log begins with no head of YARN's. Check that addresses of "
        "NodeManagers lead to them, and not to a login page."
    )


def _content(chunks: Iterator[bytes], first: bytes, skip: int, end: int) -> Iterator[bytes]:
    """Give the bytes from one on to another, not the tail behind them."""
    at = 0
    for chunk in itertools.chain([first], chunks):
        yield chunk[max(0, skip - at) : max(0, end - at)]
        at += len(chunk)
        if at >= end:
            return


def _line(line: bytes, container: str, at: Mapping[str, int]) -> LogLine:
    cursor = " ".join([container, *map(str, at.values())])
    return LogLine(line.decode(errors="replace"), cursor)
