"""How large an archive may become unpacked: a small one may unpack to any size."""

from __future__ import annotations

import gzip
import os
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, BinaryIO, cast

from sagemaker_local.errors import InputError

__all__ = ["DEFAULT", "VARIABLE", "BoundedReader", "check", "most_bytes"]

VARIABLE = "SAGEMAKER_LOCAL_MAX_MODEL_BYTES"
"""The environment variable that hands the limit to the processes that load models."""

DEFAULT = 4 << 30
"""The most bytes of a model's archive, unpacked, where nothing else is asked for."""

_ENDS = 1 << 20
"""Bytes of an archive beside its members: their headers, and zeros behind the last one."""


def most_bytes() -> int:
    """Tell how large a model's archive may become: what the service was started with."""
    return int(os.environ.get(VARIABLE) or DEFAULT)


class BoundedReader:
    """An unpacked stream that ends in an error beyond a limit.

    Args:
        file: What is read.
        limit: The most bytes of members together.
        name: What the archive is called, for the error.
    """

    def __init__(self, file: BinaryIO | gzip.GzipFile, limit: int, name: str) -> None:
        self._file = file
        self._limit = limit
        self._name = name
        self._read = 0
        self._members = 0

    def read(self, size: int = -1, /) -> bytes:
        """Read at most `size` bytes, a megabyte where it is not given.

        Raises:
            InputError: There are more bytes than the limit and what an archive has around them.
        """
        data = self._file.read(1 << 20 if size < 0 else size)
        self._read += len(data)
        if self._read > self._limit + _ENDS:
            raise self._refused(f"over {self._read} bytes")
        return data

    def members(self) -> Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]:
        """Go through the archive: each member is refused by its header, before it is read.

        Yields:
            The archive, which reads this member only, and the member.

        Raises:
            InputError: The members are larger than the limit.
            tarfile.TarError: It is no tar archive.
        """
        with tarfile.open(fileobj=cast("IO[bytes]", self), mode="r|", tarinfo=_Member) as archive:
            for member in archive:
                # Not its bytes in the archive: holes take none there.
                self._members += member.size
                if self._members > self._limit:
                    raise self._refused(
                        f"up to its member {member.name!r} of {member.size} bytes it has "
                        f"{self._members}"
                    )
                yield archive, member
                archive.members.clear()  # type: ignore[attr-defined]  # it keeps all of them

    def _refused(self, what: str) -> InputError:
        limit = self._limit
        return InputError(
            f"{self._name} is too large unpacked: {what}, where {limit} are allowed. If that is "
            f"right, start sagemaker-local with --max-model-bytes {4 * limit}, or {VARIABLE} set"
        )


class _Member(tarfile.TarInfo):
    """A member, whose further headers (long names, and pax) are kept short: they are held whole."""

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        if self.type in _HEADERS and self.size > _ENDS:
            raise InputError(f"The archive has a header of {self.size} bytes, which is no header")
        made: tarfile.TarInfo = super()._proc_member(archive)  # type: ignore[misc]
        return made


_HEADERS = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)


def check(path: Path, limit: int | None = None) -> None:
    """Look through an archive for its size, before somebody else unpacks it.

    Memory: some megabytes, whatever its size.

    Args:
        path: A tar archive, gzipped or not. What is neither, or damaged, is for the one who
            unpacks it to refuse.
        limit: The most bytes unpacked; `most_bytes` when None.

    Raises:
        InputError: It is larger than that.
    """
    most = most_bytes() if limit is None else limit
    with path.open("rb") as file:
        zipped = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        reader = BoundedReader(gzip.GzipFile(fileobj=file) if zipped else file, most, path.name)
        try:
            for _ in reader.members():
                pass
        except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile):
            return
