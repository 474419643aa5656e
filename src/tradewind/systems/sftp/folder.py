"""A folder behind SFTP: what its files are called, and which there are."""

from __future__ import annotations

import posixpath
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from tradewind.errors import InputError
from tradewind.move.store import ObjectInfo, Store
from tradewind.systems.sftp.places import tidy
from tradewind.systems.sftp.session import Link, encoded, info_of, told
from tradewind.systems.sftp.upload import look
from tradewind.systems.ssh.connection import SSHConnection

if TYPE_CHECKING:
    from asyncssh import SFTPAttrs, SFTPClient

__all__ = ["STAGED", "Folder"]

_PIECE = 4 << 20
STAGED = re.compile(
    r"\.(?P<name>.+)\.tradewind-(?P<owner>[0-9a-f]{12})?[0-9a-f]{8}\.part", re.DOTALL
)

"""Names of files that are being written."""


class Folder(Store):
    """A folder on another machine; see `tradewind.systems.sftp.store.SFTPStore`.

    Args:
        connection: How the machine is reached.
        root: The folder there, absolute.
        part_bytes: How much of an upload is sent at once, in bytes.
    """

    def __init__(
        self, connection: SSHConnection, root: str = "/", *, part_bytes: int = _PIECE
    ) -> None:
        if not root.startswith("/"):
            raise InputError(f"SFTP: the folder {root!r} is not absolute. Begin it with /.")
        if part_bytes <= 0:
            raise InputError("SFTP: part_bytes is positive.")
        self.root = f"/{root.strip('/')}"
        self.host, self.port, self.username = connection.host, connection.port, connection.username
        self._part_bytes = part_bytes
        self._link = Link(connection)
        self._made: list[bytes] = []  # folders

    def absolute(self, path: str) -> str:
        """Spell a path as the server means it: without ``/`` before it, it begins at the login's.

        Args:
            path: It may be a prefix or glob; nothing in it is decoded.
        """
        if not path.startswith("/"):
            with told(self.uri(), "ask for the folder of the login"):
                home = self._link.session.call(lambda client: client.realpath(b"."))
            path = f"{encoded(home).decode('utf-8', 'surrogateescape')}/{path}"
        return tidy(path)

    def uri(self, key: str = "") -> str:
        """Name a file: ``sftp://host:port/folder/key``."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == 22 else f":{self.port}"
        root = self.root.rstrip("/")
        return (
            f"sftp://{host}{port}{root}/{key}".rstrip("/")
            if root or key
            else (f"sftp://{host}{port}/")
        )

    def places(self, key: str = "") -> tuple[str, ...]:
        """Name a file by what its server says it leads to; see `Store.places`."""
        plain = posixpath.join(self.root, key).rstrip("/") or "/"
        folder, name = posixpath.split(plain)

        async def resolved(client: SFTPClient, path: str) -> str:
            from asyncssh import SFTPError

            with suppress(SFTPError):  # not there yet
                found = encoded(await client.realpath(self._encoded(path)))
                return found.decode("utf-8", "surrogateescape")
            return path

        async def both(client: SFTPClient) -> tuple[str, ...]:
            return posixpath.join(await resolved(client, folder), name), await resolved(
                client, plain
            )

        with told(self.uri(key), "look where the file is"):
            found = self._link.session.call(both)
        return tuple(f"{self.host}:{self.port}:{path}" for path in found)

    def check_key(self, key: str, *, writing: bool = False) -> None:
        """Refuse what is no path within the folder; see `Store.check_key`."""
        if key and writing:
            self._path(key)
        self._encoded(key)

    def _encoded(self, key: str) -> bytes:
        try:
            return key.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError as error:
            raise InputError(
                f"{self.uri()}: {key!a} is no text that a file can be named by. Correct it."
            ) from error

    def _path(self, key: str) -> bytes:
        steps = key.split("/")
        if not key or any(step in ("", ".", "..") or "\0" in step for step in steps):
            self._encoded(key)
            raise InputError(
                f"{self.uri()}: {key!r} is no path within this folder. Correct it: without empty "
                "steps, without . and .., and with no / at its end."
            )
        return posixpath.join(self._encoded(self.root), self._encoded(key))

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Describe all files whose keys begin with `prefix`, in the order of their keys."""
        yield from self._infos(dict(self._tree(prefix)))

    def files(self, folder: str) -> Iterator[ObjectInfo]:
        """Describe the files of one folder, and not those of folders in it.

        Args:
            folder: Its key, with ``/`` at its end; an empty one for the store's own.

        Raises:
            InputError: There is no such folder.
        """
        found = {folder + name: each for name, each in self._names(folder, quiet=False)}
        if not found:
            path = self._path(folder.rstrip("/")) if folder else self._encoded(self.root)
            with told(self.uri(folder), "look at the folder"):
                there = self._link.session.call(lambda client: look(client, path))
            if there is None or not stat.S_ISDIR(there.permissions or stat.S_IFDIR):
                raise InputError(f"{self.uri(folder)}: there is no such folder. Correct the path.")
        yield from self._infos(
            {key: each for key, each in found.items() if not stat.S_ISDIR(each.permissions or 0)}
        )

    def _infos(self, found: Mapping[str, SFTPAttrs]) -> Iterator[ObjectInfo]:
        for key in sorted(found, key=self._encoded):
            if STAGED.fullmatch(key.rpartition("/")[2]):
                continue
            attributes: SFTPAttrs | None = found[key]
            if stat.S_ISLNK(found[key].permissions or 0):
                attributes = self._behind(key)
            if attributes is not None:
                yield info_of(key, attributes)

    def _behind(self, key: str) -> SFTPAttrs | None:
        path = self._path(key)
        with told(self.uri(key), "look at the file"):
            found = self._link.session.call(lambda client: look(client, path))
        # Folders behind links are not looked into: they may lead round.
        return None if found is None or stat.S_ISDIR(found.permissions or 0) else found

    def _tree(self, prefix: str, *, quiet: bool = False) -> Iterator[tuple[str, SFTPAttrs]]:
        self._encoded(prefix)
        folder = prefix[: prefix.rfind("/") + 1]
        steps = folder.split("/")[:-1]
        if {".", ".."} & set(steps) or "\0" in prefix:
            raise InputError(f"{self.uri()}: {prefix!r} is no path within this folder.")
        if "" in steps:
            return  # No file is called so.
        waiting = [folder]
        while waiting:
            at = waiting.pop()
            for name, attributes in self._names(at, quiet=quiet):
                key = at + name
                if not key.startswith(prefix):
                    continue
                if stat.S_ISDIR(attributes.permissions or 0):
                    waiting.append(f"{key}/")
                else:
                    yield key, attributes

    def _names(self, folder: str, *, quiet: bool) -> Iterable[tuple[str, SFTPAttrs]]:
        import asyncssh as ssh

        path = self._encoded(posixpath.join(self.root, folder.rstrip("/")))

        async def names(client: SFTPClient) -> list[tuple[str, SFTPAttrs]]:
            return [
                (encoded(entry.filename).decode("utf-8", "surrogateescape"), entry.attrs)
                async for entry in client.scandir(path)
            ]

        hidden = (ssh.SFTPPermissionDenied,) if quiet else ()
        with (
            told(self.uri(folder), "list the folder"),
            suppress(ssh.SFTPNoSuchFile, ssh.SFTPNoSuchPath, ssh.SFTPNotADirectory, *hidden),
        ):
            found = self._link.session.call(names)
            return [each for each in found if each[0] not in (".", "..")]
        return []
