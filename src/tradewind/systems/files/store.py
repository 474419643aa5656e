"""Files of this machine, as an object store."""

from __future__ import annotations

import contextlib
import errno
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Self

from tradewind.errors import InputError, RetryError
from tradewind.move.store import ObjectInfo, Store, Unfinished, Upload
from tradewind.systems.files.folders import MadeFolders
from tradewind.systems.files.status import (
    CONTENT_ENCODING,
    CONTENT_TYPE,
    METADATA,
    info_of,
    modified_of,
    refuse_special,
    told,
    version_of,
)
from tradewind.systems.files.upload import FileUpload

__all__ = ["FileStore"]

_PIECE = 4 << 20
_STAGED = re.compile(
    r"\.(?P<name>.+)\.tradewind-(?P<owner>[0-9a-f]{12})?[0-9a-f]{8}\.part", re.DOTALL
)


class FileStore(Store):
    """A folder whose files are the objects; keys are paths within it, with ``/``.

    A file is written beside its place as ``.NAME.tradewind-OWNERXXXXXXXX.part``, made durable, and
    renamed, which is atomic. Metadata are extended attributes of the file; a file system without
    them keeps none, and then ``replace=False`` cannot tell an own earlier try from another's file.
    A file that is replaced leaves its mode, owner and group to the new one. Where this user may not
    give it to that owner, it becomes this user's if its group can be kept and may read it, as in a
    folder that a group shares; else the upload is refused at its beginning. Of a symbolic
    link the file behind it is replaced, and the link stays. Only regular files are read and
    replaced: a FIFO, device or socket is refused before anything is read.

    Memory: one piece as it is handed in; reading holds one of 4 MiB.

    Args:
        root: The folder. It is made when the first object is written.
    """

    decides = ("root",)

    def __init__(self, root: str | Path) -> None:
        absolute = str(Path(root).absolute())
        # POSIX keeps two slashes at the beginning, which are one here.
        self.root = Path(f"/{absolute.lstrip('/')}")
        self._folders = MadeFolders()

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
        # What a file system itself says: several slashes are one, and "." is the folder itself.
        path = re.sub(r"/(?:\.?/)+", "/", path)
        path = re.sub(r"(?<![^/])(\.|\.\.)\Z", lambda found: found[0] + "/", path)
        path = re.sub(r"(?<=/)\./\Z", "", path)
        plain = re.split(r"[*?\[]", path, maxsplit=1)[0]
        folder = plain[: plain.rfind("/") + 1]
        return cls(folder or "."), path[len(folder) :]

    def uri(self, key: str = "") -> str:
        """Name a file: ``file:///folder/key``."""
        root = str(self.root).rstrip("/")
        return f"file://{root}/{key}".rstrip("/") if root or key else "file:///"

    def places(self, key: str = "") -> tuple[str, ...]:
        """Name a file by its folder without links, and by what it leads to; see `Store.places`."""
        path = os.path.join(self.root, key.rstrip("/"))
        folder, name = os.path.split(path.rstrip("/"))
        resolved = os.path.realpath(folder).rstrip("/")
        return f"{resolved}/{name}", os.path.realpath(path)

    def parent(self) -> tuple[Store, str] | None:
        """The store of the folder that this one is in; see `Store.parent`."""
        if self.root == self.root.parent or not self.root.name or self.root.name == "..":
            return None
        return FileStore(self.root.parent), self.root.name

    def check_key(self, key: str, *, writing: bool = False) -> None:
        """Refuse what is no path within the folder; see `Store.check_key`.

        Names are bytes for a file system: those that are no UTF-8 have surrogates here, as
        `os.fsdecode` makes them.
        """
        if key and writing:
            self.path(key)
        self._encoded(key)

    def _encoded(self, key: str) -> None:
        try:
            os.fsencode(key)
        except UnicodeEncodeError as error:
            raise InputError(
                f"{self.uri()}: {key!a} is no text that a file can be named by. Correct it."
            ) from error

    def check(self) -> None:
        """Look whether the folder is there, or can be made where its parent is."""
        with told(self.root, "use the folder"):
            # Not made here: what is refused after this would leave it.
            there = self.root
            while not there.exists():
                if there.is_symlink():
                    os.stat(there)  # a link to nothing, or round
                there = there.parent
            if not there.is_dir():
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
            if there != self.root and os.statvfs(there).f_flag & os.ST_RDONLY:
                raise OSError(errno.EROFS, os.strerror(errno.EROFS))
            needed = os.X_OK | (os.R_OK if there == self.root else os.W_OK)
            if not os.access(there, needed):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    def path(self, key: str) -> Path:
        """Tell where an object's file is.

        Raises:
            InputError: The key is no path within the folder.
        """
        self._encoded(key)
        steps = key.split("/")
        if not key or any(step in ("", ".", "..") or "\0" in step for step in steps):
            raise InputError(
                f"{self.root}: {key!r} is no path within this folder. Correct it: without empty "
                "steps, without . and .., and with no / at its end."
            )
        return self.root.joinpath(*steps)

    def head(self, key: str) -> ObjectInfo | None:
        """Describe one file; None where there is none."""
        path = self.path(key)
        with told(path, "look at the file"):
            try:
                refuse_special(path)
                with path.open("rb") as file:
                    return info_of(key, file)
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                return None

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Describe all files whose keys begin with `prefix`, in the order of their keys."""
        found = [key for key in self._keys(prefix) if not _STAGED.fullmatch(key.rpartition("/")[2])]
        for key in sorted(found, key=os.fsencode):
            with told(self.root / key, "look at the file"), contextlib.suppress(FileNotFoundError):
                status = os.stat(self.root / key)
                yield ObjectInfo(key, status.st_size, version_of(status), modified_of(status))

    def _keys(self, prefix: str, *, readable_only: bool = False) -> Iterator[str]:
        folder, _, _ = prefix.rpartition("/")
        top = self.root / folder

        def fail(error: OSError) -> None:
            if readable_only and isinstance(error, PermissionError):
                return
            if not isinstance(error, FileNotFoundError | NotADirectoryError):
                raise error

        with told(top, "list the folder"):
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
        with told(path, "read the file"):
            refuse_special(path)
            file = path.open("rb")
        with file:
            # A rename leaves the file that is open as it is; what else changes it shows.
            begun = version_of(os.fstat(file.fileno()))
            if etag is not None and begun != etag:
                raise _replaced(path)
            while True:
                with told(path, "read the file"):
                    piece = file.read(_PIECE)
                if not piece:
                    break
                yield piece
            if version_of(os.fstat(file.fileno())) != begun:
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
        attributes = {f"{METADATA}{name}": text for name, text in (metadata or {}).items()}
        if content_type is not None:
            attributes[CONTENT_TYPE] = content_type
        if content_encoding is not None:
            attributes[CONTENT_ENCODING] = content_encoding
        return FileUpload(key, self.path(key), attributes, create_only, replaces, self._folders)

    def unfinished(self, prefix: str = "") -> Iterator[Unfinished]:
        """List staged files of keys that begin with `prefix`."""
        folder = prefix[: prefix.rfind("/") + 1]
        for staged in sorted(self._unfinished_keys(folder, prefix)):
            at, slash, name = staged.rpartition("/")
            match = _STAGED.fullmatch(name)
            if match and (key := at + slash + match["name"]).startswith(prefix):
                with contextlib.suppress(FileNotFoundError):
                    started = modified_of(os.stat(self.root / staged))
                    yield Unfinished(key, staged, started, match["owner"])

    def _unfinished_keys(self, folder: str, prefix: str) -> Iterator[str]:
        # What this user cannot look into has no staged file of this user's.
        names: list[str] = []
        with (
            told(self.root / folder, "list the folder"),
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
        with told(path, "remove the staged file"):
            path.unlink(missing_ok=True)

    def delete(self, keys: Iterable[str]) -> None:
        """Remove files, and the folders within the root that are empty then."""
        for key in keys:
            path = self.path(key)
            with told(path, "remove the file"):
                with contextlib.suppress(NotADirectoryError):
                    path.unlink(missing_ok=True)
                with contextlib.suppress(OSError):  # not empty, or gone already
                    for folder in path.parents:
                        if folder == self.root or not folder.is_relative_to(self.root):
                            break
                        folder.rmdir()

    def remove_made_folders(self) -> None:
        """Remove the folders that were made here and are empty; see `Store`."""
        self._folders.remove_empty()


def _replaced(path: Path) -> RetryError:
    return RetryError(f"{path}: the file was replaced while it was read. Try again.")
