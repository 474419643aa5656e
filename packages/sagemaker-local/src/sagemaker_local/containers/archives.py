"""Folders carried into and out of containers, as tar streams: nothing is held in memory."""

from __future__ import annotations

import asyncio
import io
import tarfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import IO, cast

import httpx

from sagemaker_local.containers.engine import Engine, EngineError

__all__ = ["file_chunks", "layout", "pack", "read_text"]

_SECONDS = 600.0


def layout(folders: list[str], files: Mapping[str, bytes] | None = None) -> bytes:
    """A tar archive to be unpacked at a container's root.

    Args:
        folders: Absolute paths of folders, outer ones first; anybody may write in them.
        files: Contents by absolute path.
    """
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        for path in folders:
            member = tarfile.TarInfo(path.lstrip("/"))
            member.type, member.mode = tarfile.DIRTYPE, 0o777
            archive.addfile(member)
        for path, content in (files or {}).items():
            member = tarfile.TarInfo(path.lstrip("/"))
            member.size, member.mode = len(content), 0o644
            archive.addfile(member, io.BytesIO(content))
    return target.getvalue()


async def file_chunks(path: Path) -> AsyncIterator[bytes]:
    """A file's bytes, a megabyte at a time."""
    with path.open("rb") as file:
        while chunk := await asyncio.to_thread(file.read, 1 << 20):
            yield chunk


async def read_text(engine: Engine, container: str, path: str, limit: int) -> str | None:
    """The beginning of a file in a container; None when it is not there.

    Args:
        engine: The container engine.
        container: The container's id, running or not.
        path: The file.
        limit: The most characters wanted.
    """
    # Read to its end: a failure message is short, and an archive cannot be cut at any place.
    data = bytearray()
    async with engine.get(container, path) as chunks:
        if chunks is None:
            return None
        async for chunk in chunks:
            if len(data) < (limit * 4 + 10_240):
                data += chunk
    try:
        with tarfile.open(fileobj=io.BytesIO(bytes(data)), mode="r|") as archive:
            for member in archive:
                file = archive.extractfile(member) if member.isreg() else None
                if file is not None:
                    return file.read(limit * 4).decode("utf-8", "replace")[:limit]
    except tarfile.TarError:
        pass
    return None


async def pack(engine: Engine, container: str, folder: str, target: Path) -> int:
    """Write a folder of a container as a tar.gz whose paths begin in that folder.

    Args:
        engine: The container engine.
        container: The container's id, running or not.
        folder: The folder.
        target: The archive to write.

    Returns:
        How many files it has; with none of them, or no such folder, it is an empty archive.

    Raises:
        EngineError: The engine failed.
    """
    return await asyncio.to_thread(_pack, engine.socket, container, folder, target)


def _pack(socket: str, container: str, folder: str, target: Path) -> int:
    # tarfile reads and writes in step, so this works in a thread, with a connection of its own.
    with (
        tarfile.open(target, "w:gz", compresslevel=1) as packed,
        httpx.Client(
            transport=httpx.HTTPTransport(uds=socket),
            timeout=_SECONDS,
            headers={"Accept-Encoding": "identity"},
        ) as client,
    ):
        url = f"http://engine/containers/{container}/archive"
        try:
            with client.stream("GET", url, params={"path": folder}) as response:
                if response.status_code == 404:
                    return 0
                if response.is_error:
                    response.read()
                    raise EngineError(response.status_code, response.text.strip())
                with (
                    closing(_Reader(response.iter_bytes())) as reader,
                    tarfile.open(fileobj=cast("IO[bytes]", reader), mode="r|") as archive,
                ):
                    return _copy(archive, packed)
        except httpx.HTTPError as error:
            raise EngineError(0, f"{folder} could not be read from the container: {error}") from (
                error
            )


def _copy(archive: tarfile.TarFile, packed: tarfile.TarFile) -> int:
    """Copy all members, without the folder's own name, which is the first part of each path."""
    files = 0
    for member in archive:
        name = member.name.strip("/").partition("/")[2]
        if not name:
            continue
        member.name = name
        if member.islnk():
            member.linkname = member.linkname.strip("/").partition("/")[2]
        member.uid = member.gid = 0
        member.uname = member.gname = ""
        member.pax_headers = {}
        if member.isreg():
            files += 1
            packed.addfile(member, archive.extractfile(member))
        else:
            packed.addfile(member)
    return files


class _Reader(io.RawIOBase):
    """Chunks as a file to read from."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = b""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        parts, missing = [], size
        while missing:
            if not self._rest:
                self._rest = next(self._chunks, b"")
                if not self._rest:
                    break
            part = self._rest if missing < 0 else self._rest[:missing]
            self._rest = self._rest[len(part) :]
            parts.append(part)
            missing -= len(part) if missing > 0 else 0
        return b"".join(parts)
