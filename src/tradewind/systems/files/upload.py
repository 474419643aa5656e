"""Writing one file of this machine: staged beside its place, and renamed."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import secrets
import stat
import time
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from tradewind.errors import InputError, RetryError, SetupError
from tradewind.move.store import OWNER, ObjectInfo, Upload
from tradewind.systems.files.folders import MadeFolders
from tradewind.systems.files.status import (
    ATTRIBUTE,
    METADATA,
    info_of,
    refuse_special,
    sync,
    told,
    version_of,
)

__all__ = ["FileUpload"]

_LONGEST_NAME = 255
_LONGEST_WAIT = 30.0
_FOLDERS_TRIED = 20


class FileUpload(Upload):
    """A file being written, under another name."""

    def __init__(
        self,
        key: str,
        path: Path,
        attributes: Mapping[str, str],
        create_only: bool,
        replaces: str | None,
        folders: MadeFolders,
    ) -> None:
        self._key = key
        self._path = path
        self._attributes = attributes
        self._create_only = create_only
        self._replaces = replaces
        self._folders = folders
        self._size = 0
        self._crc = 0
        self._done = False
        owner = attributes.get(METADATA + OWNER, "")
        ending = f"{secrets.token_hex(4)}.part"
        room = _LONGEST_NAME - len(os.fsencode(f".{path.name}.tradewind-{ending}"))
        if re.fullmatch(r"[0-9a-f]{12}", owner) and room >= len(owner):
            ending = owner + ending
        ending = f".tradewind-{ending}"
        if room < 0:
            raise InputError(f"{path}: the name is too long. Choose a shorter one.")
        # Staged beside the link too, where the next attempt looks for what this one leaves.
        self._staged = path.with_name(f".{path.name}{ending}")
        with told(path, "write the file"):
            self._before = refuse_special(path, folder=True)
            if self._before is None and path.is_symlink():
                raise InputError(f"{path} is a link to nothing. Remove it, or make its target.")
            # Nobody reads of it meanwhile what they could not read of the file that it replaces.
            mode = 0o666 if self._before is None else 0o600
            descriptor = self._stage(mode)
            self._file = os.fdopen(descriptor, "wb", buffering=0)
        try:
            self._take_owner()
        except BaseException:
            self.abort()
            raise

    def _stage(self, mode: int) -> int:
        for again in range(_FOLDERS_TRIED):
            try:
                self._folders.make(self._path.parent)
                self._place = _behind(self._path)
                return os.open(self._staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
            except FileNotFoundError:
                # Another move that failed has just taken away the folder that it had made.
                if again == _FOLDERS_TRIED - 1:
                    raise
            except BaseException:
                self._folders.remove_empty()
                raise
        raise AssertionError

    def _take_owner(self) -> None:
        if self._before is None:
            return
        own = os.fstat(self._file.fileno())
        if (own.st_uid, own.st_gid) == (self._before.st_uid, self._before.st_gid):
            return
        with contextlib.suppress(OSError):
            os.fchown(self._file.fileno(), self._before.st_uid, self._before.st_gid)
            return
        try:
            # In a folder that a group shares its members replace each other's files, as `mv` and
            # editors do: the file is the new writer's then, and all who could read it still can.
            os.fchown(self._file.fileno(), -1, self._before.st_gid)
            if not self._before.st_mode & stat.S_IRGRP or self._is_sticky():
                raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))
        except OSError as error:
            raise SetupError(
                f"{self._path}: the file belongs to user {self._before.st_uid} and group "
                f"{self._before.st_gid}, and this user may not give a new one to them. Nothing was "
                "read or written; run as that user, remove the file, let its group read it and be "
                "in that group, or choose another name."
            ) from error

    def _is_sticky(self) -> bool:
        """Whether the folder lets nobody replace what belongs to others, like /tmp."""
        folder = os.stat(self._place.parent)
        return bool(folder.st_mode & stat.S_ISVTX) and folder.st_uid != os.geteuid()

    def write(self, data: bytes) -> None:
        """Append bytes to the hidden file."""
        with told(self._path, "write the file"):
            rest = memoryview(data)
            while len(rest):
                rest = rest[self._file.write(rest) :]
        self._crc = zlib.crc32(data, self._crc)
        self._size += len(data)

    def complete(self) -> ObjectInfo:
        """Put the whole file into its place at once."""
        try:
            return self._complete()
        except BaseException:
            self.abort()
            raise

    def _complete(self) -> ObjectInfo:
        for name, text in self._attributes.items():
            with contextlib.suppress(OSError):  # a file system without them
                os.setxattr(self._file.fileno(), ATTRIBUTE + name, text.encode())
        with told(self._path, "write the file"):
            if self._before is not None:
                os.fchmod(self._file.fileno(), stat.S_IMODE(self._before.st_mode) & 0o777)
            os.fsync(self._file.fileno())
            found = os.fstat(self._file.fileno())
            if found.st_size != self._size:
                raise RetryError(
                    f"{self._path}: the file has {found.st_size} bytes where {self._size} were "
                    "written. Something else writes to it; try again."
                )
            if found.st_nlink == 0:
                raise self._taken_over()
            try:
                with _locked(self._place.parent, self._path):
                    self._publish()
            except FileExistsError as error:
                raise InputError(
                    f"{self._path}: the file exists already. Nothing was written; remove it or "
                    "allow to replace it."
                ) from error
            except FileNotFoundError as error:
                raise self._taken_over() from error
            info = info_of(self._key, self._file)
            self._done = True
            self._file.close()
            sync(self._place.parent)
        return replace(info, checksum=f"crc32:{self._crc:08x}")

    def _publish(self) -> None:
        if self._create_only:
            # Unlike a rename, a link fails where the name is taken.
            try:
                os.link(self._staged, self._path)
            except OSError as error:
                if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS):
                    raise
                # A file system without links: looked up just before, then.
                if os.path.lexists(self._path):
                    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)) from error
                self._staged.replace(self._path)
                return
            self._staged.unlink()
            return
        if _behind(self._path) != self._place:
            raise RetryError(f"{self._path}: the link was changed meanwhile. Try again.")
        if self._replaces is not None:
            try:
                found = version_of(os.stat(self._path))
            except FileNotFoundError:
                found = None
            if found != self._replaces:
                raise InputError(
                    f"{self._path}: the file was replaced or removed meanwhile. Nothing was "
                    "written; try again."
                )
        self._staged.replace(self._place)

    def _taken_over(self) -> RetryError:
        return RetryError(
            f"{self._path}: the staged file is not there any more. Another attempt has taken over; "
            "try again."
        )

    def abort(self) -> None:
        """Remove the hidden file, and the folders that were made for it and are empty."""
        if self._done:
            return
        self._done = True
        self._file.close()
        with told(self._path, "remove the staged file"):
            self._staged.unlink(missing_ok=True)
        self._folders.remove_empty()


def _behind(path: Path) -> Path:
    """Tell which file is to be replaced: the one behind a symbolic link, else `path` itself.

    Raises:
        InputError: It lies on another file system, where no rename leads to.
        SetupError: This user may not write in its folder.
    """
    if not path.is_symlink():
        return path
    place = path.resolve()
    if os.stat(place.parent).st_dev != os.stat(path.parent).st_dev:
        raise InputError(
            f"{path} is a link to {place}, on another file system. Name that file itself."
        )
    if not os.access(place.parent, os.W_OK | os.X_OK):
        raise SetupError(
            f"{path} is a link to {place}, and this user may not write in that folder. Allow it, "
            "or choose another name."
        )
    return place


@contextlib.contextmanager
def _locked(folder: Path, path: Path) -> Iterator[None]:
    """Let writers of one folder take turns to compare what stands there and to rename.

    The lock is flock's on the folder itself, so nothing is left when its holder dies. A file system
    without such locks (NFS has none on folders) goes without.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        end = time.monotonic() + _LONGEST_WAIT
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() > end:
                    raise RetryError(
                        f"{path}: somebody has held a lock on the folder {folder} for "
                        f"{_LONGEST_WAIT:.0f} s. Nothing was written; try again."
                    ) from error
                time.sleep(0.005)
            except OSError as error:
                if error.errno in (errno.EBADF, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS):
                    break
                raise
        yield
    finally:
        os.close(descriptor)
