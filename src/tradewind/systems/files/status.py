"""What a file of this machine is: its kind, version and metadata, and errors about it in words."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from tradewind.errors import InputError, RetryError, SetupError
from tradewind.move.store import ObjectInfo

__all__ = [
    "ATTRIBUTE",
    "CONTENT_ENCODING",
    "CONTENT_TYPE",
    "METADATA",
    "info_of",
    "modified_of",
    "refuse_special",
    "sync",
    "told",
    "version_of",
]

ATTRIBUTE = "user.tradewind."
CONTENT_TYPE, CONTENT_ENCODING, METADATA = "content-type", "content-encoding", "metadata."


def refuse_special(path: Path, *, folder: bool = False) -> os.stat_result | None:
    """Refuse what is no regular file: opening a FIFO waits for ever, a device has no end.

    Args:
        path: What is looked at; links are followed.
        folder: Whether a folder is refused too.

    Returns:
        What stands there, None where there is nothing.

    Raises:
        InputError: It is a FIFO, a device, a socket, or a folder that is refused.
    """
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    if stat.S_ISREG(status.st_mode) or (stat.S_ISDIR(status.st_mode) and not folder):
        return status
    kind = "a folder" if stat.S_ISDIR(status.st_mode) else "a FIFO, device or socket"
    raise InputError(f"{path} is {kind}, not a regular file. Name a file.")


def info_of(key: str, file: BinaryIO) -> ObjectInfo:
    """Describe an open file as a store describes an object."""
    status = os.fstat(file.fileno())
    attributes: dict[str, str] = {}
    with contextlib.suppress(OSError):
        for name in os.listxattr(file.fileno()):
            if name.startswith(ATTRIBUTE):
                text = os.getxattr(file.fileno(), name).decode(errors="replace")
                attributes[name.removeprefix(ATTRIBUTE)] = text
    return ObjectInfo(
        key=key,
        size=status.st_size,
        etag=version_of(status),
        modified=modified_of(status),
        content_type=attributes.get(CONTENT_TYPE),
        content_encoding=attributes.get(CONTENT_ENCODING),
        metadata={
            name.removeprefix(METADATA).lower(): text
            for name, text in attributes.items()
            if name.startswith(METADATA)
        },
    )


def version_of(status: os.stat_result) -> str:
    """Tell one version of a file from another: what it is, how long, and when it was written."""
    return f"{status.st_ino:x}-{status.st_size:x}-{status.st_mtime_ns:x}"


def modified_of(status: os.stat_result) -> datetime:
    """Return when a file was changed last, in UTC."""
    return datetime.fromtimestamp(status.st_mtime, UTC)


def sync(folder: Path) -> None:
    """Write a folder's entries to the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


_REMEDIES = {
    errno.EACCES: "Allow this user to use it.",
    errno.EPERM: "Allow this user to use it.",
    errno.EROFS: "Choose a folder that can be written.",
    errno.ENOENT: "Correct the path.",
    errno.EEXIST: "A file stands where a folder is wanted; correct the path.",
    errno.ENOTDIR: "A file stands where a folder is wanted; correct the path.",
    errno.EISDIR: "A folder stands where a file is wanted; correct the path.",
    errno.ENAMETOOLONG: "Choose a shorter name.",
    errno.ELOOP: "Symbolic links lead round in a circle: remove one, or name the file itself.",
}


@contextlib.contextmanager
def told(path: Path, doing: str) -> Iterator[None]:
    """Raise the system's errors as ours, naming the file and what was tried."""
    try:
        yield
    except OSError as error:
        said = f"{path}: cannot {doing}: {error.strerror or error}."
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise SetupError(f"{said} Make room, or choose another folder.") from error
        if error.errno in (errno.ENOENT, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP):
            raise InputError(f"{said} {_REMEDIES[error.errno]}") from error
        if error.errno in _REMEDIES:
            raise SetupError(f"{said} {_REMEDIES[error.errno]}") from error
        raise RetryError(f"{said} Try again.") from error
