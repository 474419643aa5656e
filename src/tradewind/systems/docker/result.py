"""What a container hands back: one file, in a folder that any user of it may write to."""

from __future__ import annotations

import base64
import io
import json
import re
import tarfile
import time
from collections.abc import Iterator, Mapping
from typing import Any

from tradewind.backoff import rest
from tradewind.errors import InputError, RetryError
from tradewind.run.backend import GoneError
from tradewind.systems.docker.engine import Engine, EngineRefusedError

__all__ = ["PAUSE_SECONDS", "RESULT", "UNMOUNT_SECONDS", "Results", "folder_archive"]

_FOLDER = "tradewind"
RESULT = f"/{_FOLDER}/result"
"""Where a container writes what it hands back."""
UNMOUNT_SECONDS, PAUSE_SECONDS = 10.0, 0.1
"""How long an engine may refuse what concerns one that has just ended, and between tries."""


class Results:
    """Reads the results of the containers of an engine.

    Args:
        engine: The engine.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def read(self, name: str, *, limit: int) -> bytes | None:
        """Fetch the file from the container's file system; see `Backend.result`."""
        last = time.monotonic() + UNMOUNT_SECONDS
        while True:
            try:
                return self._fetch(name, limit)
            except tarfile.TarError as error:
                # podman takes the file system of what has just ended away for a moment.
                if time.monotonic() > last:
                    raise RetryError(
                        f"Docker at {self._engine.url}: the result of {name} is broken ({error})."
                    ) from error
            rest(PAUSE_SECONDS)

    def _fetch(self, name: str, limit: int) -> bytes | None:
        try:
            return self._read_result(name, limit)
        except EngineRefusedError as error:
            if error.status != 404:
                raise
            self._refuse_link(name, error.headers)
            # Docker names the file that is missing, podman says so of a file alone.
            if RESULT in str(error) or "no such file" in str(error):
                return None
            raise GoneError(str(error)) from error
        except RetryError as error:
            # A link to itself is an internal error (500) to the engine, each time it is asked.
            if not re.search(r"too many (levels of symbolic )?links", str(error)):
                raise
            raise self._no_file(name, "a symbolic link") from None

    def _read_result(self, name: str, limit: int) -> bytes | None:
        with self._engine.stream(
            "GET",
            f"/containers/{name}/archive",
            what=f"the result of {name}",
            params={"path": RESULT},
        ) as response:
            self._refuse_link(name, response.headers)
            reader = _Reader(response.iter_bytes(1 << 16))
            with tarfile.open(fileobj=reader, mode="r|") as archive:
                for member in archive:
                    if not member.isreg():
                        raise self._no_file(name, _kind_of(member))
                    if member.size > limit:
                        raise InputError(
                            f"Docker at {self._engine.url}: the result of {name} is larger than "
                            f"{limit:,} bytes. Write it to a store, and hand back where it stands."
                        )
                    file = archive.extractfile(member)
                    if file is not None:
                        content: bytes = file.read()
                        return content
        return None

    def _refuse_link(self, name: str, headers: Mapping[str, str]) -> None:
        """Refuse a link: Docker sends the link itself, but podman what it points to, or 404."""
        told = headers.get("x-docker-container-path-stat")
        # podman names the file itself where there is no link.
        if told and json.loads(base64.b64decode(told)).get("linkTarget") not in (None, "", RESULT):
            raise self._no_file(name, "a symbolic link")

    def _no_file(self, name: str, kind: str) -> InputError:
        return InputError(
            f"Docker at {self._engine.url}: the result of {name} is no regular file, but {kind}. "
            "Write it as a file into the path that TRADEWIND_RESULT names."
        )


def folder_archive() -> bytes:
    """Pack that folder as the engine unpacks it."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        member = tarfile.TarInfo(_FOLDER)
        member.type, member.mode = tarfile.DIRTYPE, 0o777
        archive.addfile(member)
    return target.getvalue()


class _Reader(io.RawIOBase):
    """Pieces of bytes as a file that is read once."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = b""

    def readable(self) -> bool:
        """Say yes."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read some."""
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._rest = chunk
        part = self._rest[: len(buffer)]
        self._rest = self._rest[len(part) :]
        buffer[: len(part)] = part
        return len(part)


def _kind_of(member: tarfile.TarInfo) -> str:
    """Say what a member of an archive is that is no regular file."""
    kinds = {
        tarfile.SYMTYPE: "a symbolic link",
        tarfile.LNKTYPE: "a link",
        tarfile.DIRTYPE: "a directory",
        tarfile.FIFOTYPE: "a FIFO",
    }
    return kinds.get(member.type, "a device")
