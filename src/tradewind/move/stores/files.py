"""Files of this machine, as an object store."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import stat
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Self

from tradewind.errors import InputError, RetryError, SetupError
from tradewind.move.store import ObjectInfo, Store, Unfinished, Upload

__all__ = ["FileStore"]

_PIECE = 4 << 20
_STAGED = re.compile(r"\.(?P<name>.+)\.tradewind-[0-9a-f]{8}\.part", re.DOTALL)
_LONGEST_NAME = 255
_ATTRIBUTE = "user.tradewind."
_CONTENT_TYPE, _CONTENT_ENCODING, _METADATA = "content-type", "content-encoding", "metadata."


class FileStore(Store):
    """A folder whose files are the objects; keys are paths within it, with ``/``.

    A file is written beside its place as ``.NAME.tradewind-XXXXXXXX.part``, made durable, and
    renamed, which is atomic. Metadata are extended attributes of the file; a file system without
    them keeps none, and then ``replace=False`` cannot tell an own earlier try from another's file.
    A file that is replaced leaves its mode to the new one, and its owner and group where this
    user may give them. Only regular files are read and replaced: a FIFO, device or socket is
    refused before anything is read.

    Memory: one piece as it is handed in; reading holds one of 4 MiB.

    Args:
        root: The folder. It is made when the first object is written.
    """

    decides = ("root",)

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root).absolute()

    def __repr__(self) -> str:
        return f"FileStore({str(self.root)!r})"

    @classmethod
    def from_uri(cls, uri: str) -> tuple[Self, str]:
        """Make the store of ``file:///folder/name`` or of a plain path.

        Args:
            uri: The path is taken as it is; nothing in it is escaped. The key of
                ``/data/2026/x.csv`` is ``x.csv`` in the folder ``/data/2026``; that of
                ``/data/2026-*/x.csv`` is ``2026-*/x.csv`` in ``/data``; ``/data/`` has an
                empty one.

        Returns:
            The store, and the key.

        Raises:
            InputError: The URI is wrong.
        """
        path = uri
        if "://" in uri:
            scheme, _, path = uri.partition("://")
            path = path.removeprefix("localhost")
            if scheme != "file" or not path.startswith("/"):
                raise InputError("file: the URI names no file of this machine. Write file:///path.")
        if not path:
            raise InputError("An empty path names no file. Write file:///path.")
        plain = re.split(r"[*?\[]", path, maxsplit=1)[0]
        folder = plain[: plain.rfind("/") + 1]
        return cls(folder or "."), path[len(folder) :]

    def uri(self, key: str = "") -> str:
        """Name a file: ``file:///folder/key``."""
        return f"file://{self.root}/{key}".rstrip("/") or "file:///"

    def check(self) -> None:
        """Look whether the folder is there, or can be made where its parent is."""
        with _told(self.root, "use the folder"):
            self.root.mkdir(parents=True, exist_ok=True)
            if not os.access(self.root, os.R_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    def path(self, key: str) -> Path:
        """Tell where an object's file is.

        Raises:
            InputError: The key is no path within the folder.
        """
        steps = key.split("/")
        if not key or any(step in ("", ".", "..") or "\0" in step for step in steps):
            raise InputError(f"{self.root}: {key!r} is no path within this folder. Correct it.")
        return self.root.joinpath(*steps)

    def head(self, key: str) -> ObjectInfo | None:
        """Describe one file; None where there is none."""
        path = self.path(key)
        with _told(path, "look at the file"):
            try:
                _refuse_special(path)
                with path.open("rb") as file:
                    return _info(key, file)
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                return None

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Describe all files whose keys begin with `prefix`, in the order of their keys."""
        found = [key for key in self._keys(prefix) if not _STAGED.fullmatch(key.rpartition("/")[2])]
        for key in sorted(found, key=os.fsencode):
            with _told(self.root / key, "look at the file"), contextlib.suppress(FileNotFoundError):
                status = os.stat(self.root / key)
                yield ObjectInfo(key, status.st_size, _version(status), _modified(status))

    def _keys(self, prefix: str, *, readable_only: bool = False) -> Iterator[str]:
        folder, _, _ = prefix.rpartition("/")
        top = self.root / folder

        def fail(error: OSError) -> None:
            if readable_only and isinstance(error, PermissionError):
                return
            if not isinstance(error, FileNotFoundError | NotADirectoryError):
                raise error

        with _told(top, "list the folder"):
            for at, folders, names in os.walk(top, onerror=fail):
                begin = os.path.relpath(at, self.root)
                # Folders beside are not looked into: they may be another user's.
                folders[:] = [
                    name
                    for name in folders
                    if (name if begin == "." else f"{begin}/{name}").startswith(prefix)
                ]
                for name in names:
                    key = name if begin == "." else f"{begin}/{name}"
                    if key.startswith(prefix):
                        yield key

    def read(self, key: str, *, etag: str | None = None) -> Iterator[bytes]:
        """Read one file in pieces; see `Store.read`."""
        path = self.path(key)
        with _told(path, "read the file"):
            _refuse_special(path)
            file = path.open("rb")
        with file:
            # A rename leaves the file that is open as it is; what else changes it shows.
            begun = _version(os.fstat(file.fileno()))
            if etag is not None and begun != etag:
                raise _replaced(path)
            while True:
                with _told(path, "read the file"):
                    piece = file.read(_PIECE)
                if not piece:
                    break
                yield piece
            if _version(os.fstat(file.fileno())) != begun:
                raise _replaced(path)

    def upload(
        self,
        key: str,
        *,
        content_type: str | None = None,
        content_encoding: str | None = None,
        metadata: Mapping[str, str] | None = None,
        create_only: bool = False,
        replaces: str | None = None,
    ) -> Upload:
        """Begin to write a file; see `Store.upload`."""
        attributes = {f"{_METADATA}{name}": text for name, text in (metadata or {}).items()}
        if content_type is not None:
            attributes[_CONTENT_TYPE] = content_type
        if content_encoding is not None:
            attributes[_CONTENT_ENCODING] = content_encoding
        return _FileUpload(key, self.path(key), attributes, create_only, replaces)

    def unfinished(self, prefix: str = "") -> Iterator[Unfinished]:
        """List staged files of keys that begin with `prefix`."""
        folder = prefix[: prefix.rfind("/") + 1]
        for staged in sorted(self._unfinished_keys(folder, prefix)):
            at, slash, name = staged.rpartition("/")
            match = _STAGED.fullmatch(name)
            if match and (key := at + slash + match["name"]).startswith(prefix):
                with contextlib.suppress(FileNotFoundError):
                    started = _modified(os.stat(self.root / staged))
                    yield Unfinished(key, staged, started)

    def _unfinished_keys(self, folder: str, prefix: str) -> Iterator[str]:
        # What this user cannot look into has no staged file of this user's.
        names: list[str] = []
        with (
            _told(self.root / folder, "list the folder"),
            contextlib.suppress(FileNotFoundError, NotADirectoryError, PermissionError),
        ):
            names = os.listdir(self.root / folder)
        yield from (folder + name for name in names if _STAGED.fullmatch(name))
        for key in self._keys(prefix, readable_only=True):
            if "/" in key[len(folder) :]:
                yield key

    def discard(self, left: Unfinished) -> None:
        """Remove a staged file. An upload still going on then fails to complete."""
        path = self.path(left.id)
        if not _STAGED.fullmatch(path.name):
            raise InputError(f"{path} is no staged file of an upload.")
        with _told(path, "remove the staged file"):
            path.unlink(missing_ok=True)

    def delete(self, keys: Iterable[str]) -> None:
        """Remove files, and the folders within the root that are empty then."""
        for key in keys:
            path = self.path(key)
            with _told(path, "remove the file"):
                with contextlib.suppress(NotADirectoryError):
                    path.unlink(missing_ok=True)
                with contextlib.suppress(OSError):  # not empty, or gone already
                    for folder in path.parents:
                        if folder == self.root or not folder.is_relative_to(self.root):
                            break
                        folder.rmdir()


class _FileUpload(Upload):
    """A file being written, under another name."""

    def __init__(
        self,
        key: str,
        path: Path,
        attributes: Mapping[str, str],
        create_only: bool,
        replaces: str | None,
    ) -> None:
        self._key = key
        self._path = path
        self._attributes = attributes
        self._create_only = create_only
        self._replaces = replaces
        self._size = 0
        self._crc = 0
        self._done = False
        ending = f".tradewind-{secrets.token_hex(4)}.part"
        if len(os.fsencode(path.name)) + len(ending) + 1 > _LONGEST_NAME:
            raise InputError(f"{path}: the name is too long. Choose a shorter one.")
        self._staged = path.with_name(f".{path.name}{ending}")
        with _told(path, "write the file"):
            self._before = _refuse_special(path, folder=True)
            if self._before is None and path.is_symlink():
                raise InputError(f"{path} is a link to nothing. Remove it, or make its target.")
            path.parent.mkdir(parents=True, exist_ok=True)
            # Nobody reads of it meanwhile what they could not read of the file that it replaces.
            mode = 0o666 if self._before is None else 0o600
            descriptor = os.open(self._staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
            self._file = os.fdopen(descriptor, "wb", buffering=0)

    def write(self, data: bytes) -> None:
        with _told(self._path, "write the file"):
            rest = memoryview(data)
            while len(rest):
                rest = rest[self._file.write(rest) :]
        self._crc = zlib.crc32(data, self._crc)
        self._size += len(data)

    def complete(self) -> ObjectInfo:
        try:
            return self._complete()
        except BaseException:
            self.abort()
            raise

    def _complete(self) -> ObjectInfo:
        for name, text in self._attributes.items():
            with contextlib.suppress(OSError):  # a file system without them
                os.setxattr(self._file.fileno(), _ATTRIBUTE + name, text.encode())
        with _told(self._path, "write the file"):
            if self._before is not None:
                for owner, group in ((self._before.st_uid, -1), (-1, self._before.st_gid)):
                    with contextlib.suppress(PermissionError):  # only root gives files away
                        os.fchown(self._file.fileno(), owner, group)
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
                self._publish()
            except FileExistsError as error:
                raise InputError(
                    f"{self._path}: the file exists already. Nothing was written; remove it or "
                    "allow to replace it."
                ) from error
            except FileNotFoundError as error:
                raise self._taken_over() from error
            info = _info(self._key, self._file)
            self._done = True
            self._file.close()
            _sync(self._path.parent)
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
        if self._replaces is not None:
            try:
                found = _version(os.stat(self._path))
            except FileNotFoundError:
                found = None
            if found != self._replaces:
                raise InputError(
                    f"{self._path}: the file was replaced or removed meanwhile. Nothing was "
                    "written; try again."
                )
        self._staged.replace(self._path)

    def _taken_over(self) -> RetryError:
        return RetryError(
            f"{self._path}: the staged file is not there any more. Another attempt has taken over; "
            "try again."
        )

    def abort(self) -> None:
        if self._done:
            return
        self._done = True
        self._file.close()
        with _told(self._path, "remove the staged file"):
            self._staged.unlink(missing_ok=True)


def _refuse_special(path: Path, *, folder: bool = False) -> os.stat_result | None:
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


def _info(key: str, file: BinaryIO) -> ObjectInfo:
    status = os.fstat(file.fileno())
    attributes: dict[str, str] = {}
    with contextlib.suppress(OSError):
        for name in os.listxattr(file.fileno()):
            if name.startswith(_ATTRIBUTE):
                text = os.getxattr(file.fileno(), name).decode(errors="replace")
                attributes[name.removeprefix(_ATTRIBUTE)] = text
    return ObjectInfo(
        key=key,
        size=status.st_size,
        etag=_version(status),
        modified=_modified(status),
        content_type=attributes.get(_CONTENT_TYPE),
        content_encoding=attributes.get(_CONTENT_ENCODING),
        metadata={
            name.removeprefix(_METADATA).lower(): text
            for name, text in attributes.items()
            if name.startswith(_METADATA)
        },
    )


def _version(status: os.stat_result) -> str:
    """Tell one version of a file from another: what it is, how long, and when it was written."""
    return f"{status.st_ino:x}-{status.st_size:x}-{status.st_mtime_ns:x}"


def _modified(status: os.stat_result) -> datetime:
    return datetime.fromtimestamp(status.st_mtime, UTC)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _replaced(path: Path) -> RetryError:
    return RetryError(f"{path}: the file was replaced while it was read. Try again.")


_REMEDIES = {
    errno.EACCES: "Allow this user to use it.",
    errno.EPERM: "Allow this user to use it.",
    errno.EROFS: "Choose a folder that can be written.",
    errno.ENOENT: "Correct the path.",
    errno.EEXIST: "A file stands where a folder is wanted; correct the path.",
    errno.ENOTDIR: "A file stands where a folder is wanted; correct the path.",
    errno.EISDIR: "A folder stands where a file is wanted; correct the path.",
    errno.ENAMETOOLONG: "Choose a shorter name.",
}


@contextlib.contextmanager
def _told(path: Path, doing: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        said = f"{path}: cannot {doing}: {error.strerror or error}."
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise SetupError(f"{said} Make room, or choose another folder.") from error
        if error.errno in (errno.ENOENT, errno.EISDIR, errno.ENAMETOOLONG):
            raise InputError(f"{said} {_REMEDIES[error.errno]}") from error
        if error.errno in _REMEDIES:
            raise SetupError(f"{said} {_REMEDIES[error.errno]}") from error
        raise RetryError(f"{said} Try again.") from error
