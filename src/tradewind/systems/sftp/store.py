"""Files behind SFTP, as an object store."""

from __future__ import annotations

import posixpath
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar, Self

from tradewind.errors import InputError, RetryError, SetupError
from tradewind.move.store import OWNER, ObjectInfo, Store, Unfinished, Upload
from tradewind.systems.sftp.folder import STAGED, Folder
from tradewind.systems.sftp.places import connection_of, divided
from tradewind.systems.sftp.session import (
    RemoteFile,
    info_of,
    refuse_special,
    told,
    version_of,
)
from tradewind.systems.sftp.upload import SFTPUpload, look, remove_folders

if TYPE_CHECKING:
    from asyncssh import SFTPAttrs, SFTPClient

__all__ = ["SFTPStore"]

_PIECE = 4 << 20


class SFTPStore(Folder):
    """A folder on another machine whose files are the objects; keys are paths in it, with ``/``.

    A file is written beside its place as ``.NAME.tradewind-OWNERXXXXXXXX.part`` and renamed, over
    a file that is there by ``posix-rename@openssh.com``: at once. A server without that extension
    gets new files only. A file that is replaced leaves its mode, and its owner and group as
    `FileStore` does; of a symbolic link the file behind it is replaced.

    The protocol keeps no media type and no metadata, and tells times in whole seconds: a version is
    size and time. One that is written here over another one of the same size and second is set a
    second later. Conditions of a replacement are looked up just before it.

    Memory: `part_bytes` and what is handed in at once; reading holds one piece of 4 MiB.

    Args:
        connection: How the machine is reached.
        root: The folder there, absolute. It is made when the first object is written.
        part_bytes: How much of an upload is sent at once, in bytes.
    """

    decides = ("host", "port", "username", "root")
    keeps_metadata: ClassVar[bool] = False

    def __repr__(self) -> str:
        return f"SFTPStore({str(self._link.connection)!r}, {self.root!r})"

    @classmethod
    def from_uri(
        cls,
        uri: str,
        *,
        port: int | str | None = None,
        key_file: str | None = None,
        known_hosts: str | None = None,
        host_key: str | None = None,
        jump_host: str | None = None,
    ) -> tuple[Self, str]:
        """Make the store of ``sftp://user@host:port/folder/name``.

        The password is the environment's ``TRADEWIND_SFTP_PASSWORD``, that of the private key
        ``TRADEWIND_SFTP_KEY_PASSWORD``. ``TRADEWIND_SFTP_KEY_FILE`` and
        ``TRADEWIND_SFTP_KNOWN_HOSTS`` stand for the options that are not given. Keys of the agent
        and of ``~/.ssh`` are used, and what ``~/.ssh/config`` says of the host, like ``ProxyJump``.

        Args:
            uri: The path is absolute and taken as it is; nothing in it is escaped. What is the
                folder and what the key is as for files, see `FileStore.from_uri`.
            port: Where its sshd listens, instead of in the URI.
            key_file: Path of a private key.
            known_hosts: Path of the file with the keys of hosts that are trusted.
            host_key: The host's own public key: ``ssh-ed25519 AAAA``.
            jump_host: A host to go through, ``user@host:port``, reached with this user's keys.

        Returns:
            The store, and the key.

        Raises:
            InputError: The URI is wrong.
        """
        connection, path = connection_of(
            uri,
            port=port,
            key_file=key_file,
            known_hosts=known_hosts,
            host_key=host_key,
            jump_host=jump_host,
        )
        return cls(connection).within(path)

    def within(self, key: str) -> tuple[Self, str]:
        """Narrow the store to the folder of a key; see `Store.within`."""
        folder, name = divided(key)
        return self._at(posixpath.join(self.root, folder[1:])), name

    def _at(self, root: str) -> Self:
        made = type(self)(self._link.connection, root, part_bytes=self._part_bytes)
        made._link = self._link  # one connection for all folders
        made._made = self._made
        return made

    def parent(self) -> tuple[Store, str] | None:
        """The store of the folder that this one is in; see `Store.parent`."""
        folder, name = posixpath.split(self.root)
        if not name or name == "..":
            return None
        return self._at(folder), name

    def check(self) -> None:
        """Look whether the folder is there, or can be made where one above is."""
        session = self._link.session
        root = self._encoded(self.root)

        async def nearest(client: SFTPClient) -> tuple[bytes, SFTPAttrs | None]:
            path = root
            while (found := await look(client, path)) is None and path != b"/":
                path = posixpath.dirname(path)
            return path, found

        with told(self.uri(), "use the folder"):
            _, found = session.call(nearest)
        if found is None or not stat.S_ISDIR(found.permissions or stat.S_IFDIR):
            raise SetupError(
                f"{self.uri()}: a file stands where a folder is wanted. Correct the path."
            )

    def head(self, key: str) -> ObjectInfo | None:
        """Describe one file; None where there is none."""
        path = self._path(key)
        with told(self.uri(key), "look at the file"):
            found = self._link.session.call(lambda client: look(client, path))
        if found is None or stat.S_ISDIR(found.permissions or 0):
            return None
        refuse_special(self.uri(key), found)
        return info_of(key, found)

    # --------------------------------------------------------------------------------------- bytes

    def read(self, key: str, *, etag: str | None = None) -> Iterator[bytes]:
        """Read one file in pieces; see `Store.read`."""
        import asyncssh as ssh

        path, where = self._path(key), self.uri(key)
        there = self.head(key)
        if there is None:
            raise InputError(f"{where}: there is no such file. Correct the name.")
        begun = there.etag
        if etag is not None and begun != etag:
            raise _replaced(where)
        remote = RemoteFile(self._link.session, path, ssh.FXF_READ)
        at = 0

        async def take(client: SFTPClient) -> bytes:
            file, fresh = await remote.opened(client)
            # A rename leaves the file that is open as it is, but not what is opened anew.
            if fresh and version_of(await file.stat()) != begun:
                raise _replaced(where)
            data: bytes = (
                await file.read(min(_PIECE, there.size - at), at) if at < there.size else b""
            )
            if at + len(data) >= there.size and version_of(await file.stat()) != begun:
                raise _replaced(where)
            return data

        try:
            while True:
                with told(where, "read the file"):
                    try:
                        piece = self._link.session.call(take)
                    except ssh.SFTPNoSuchFile as error:
                        raise _replaced(where) from error
                at += len(piece)
                if not piece and at < there.size:
                    raise _replaced(where)
                if piece:
                    yield piece
                if at >= there.size:
                    return
        finally:
            remote.close()

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
        """Begin to write a file; see `Store.upload`. It keeps no type and no metadata."""
        return SFTPUpload(
            self._link.session,
            self.uri(key),
            key,
            self._path(key),
            owner=(metadata or {}).get(OWNER),
            create_only=create_only,
            replaces=replaces,
            part_bytes=self._part_bytes,
            folders=self._made,
        )

    def unfinished(self, prefix: str = "") -> Iterator[Unfinished]:
        """List staged files of keys that begin with `prefix`."""
        folder = prefix[: prefix.rfind("/") + 1]
        found = {folder + name: each for name, each in self._names(folder, quiet=True)}
        found |= dict(self._tree(prefix, quiet=True))
        for staged in sorted(found, key=self._encoded):
            at, slash, name = staged.rpartition("/")
            match = STAGED.fullmatch(name)
            if match and (key := at + slash + match["name"]).startswith(prefix):
                yield Unfinished(key, staged, info_of(key, found[staged]).modified, match["owner"])

    def discard(self, left: Unfinished) -> None:
        """Remove a staged file. An upload still going on then fails to complete."""
        if not STAGED.fullmatch(left.id.rpartition("/")[2]):
            raise InputError(f"{self.uri(left.id)} is no staged file of an upload.")
        self._remove(left.id, "remove the staged file")

    def delete(self, keys: Iterable[str]) -> None:
        """Remove files, and the folders within the root that are empty then."""
        import asyncssh as ssh

        for key in keys:
            self._remove(key, "remove the file")
            folder = key.rpartition("/")[0]
            with suppress(ssh.SFTPError):  # not empty, or gone already
                while folder:
                    self._remove_folder(self._path(folder))
                    folder = folder.rpartition("/")[0]

    def remove_made_folders(self) -> None:
        """Remove the folders that were made here and are empty; see `Store`."""
        if self._made:
            with told(self.uri(), "remove the empty folders"):
                self._link.session.call(lambda client: remove_folders(client, self._made))

    def delete_version(self, key: str, etag: str) -> bool:
        """Remove a file if it is this version of it, and leave its folder; looked up just before.

        Returns:
            False where it is another one by now; one that is not there counts as removed.
        """
        found = self.head(key)
        if found is not None and found.etag == etag:
            self._remove(key, "remove the file")
            return True
        return found is None

    def _remove_folder(self, path: bytes) -> None:
        self._link.session.call(lambda client: client.rmdir(path))

    def _remove(self, key: str, doing: str) -> None:
        import asyncssh as ssh

        path = self._path(key)
        with told(self.uri(key), doing), suppress(ssh.SFTPNoSuchFile, ssh.SFTPNoSuchPath):
            self._link.session.call(lambda client: client.remove(path))


def _replaced(where: str) -> RetryError:
    return RetryError(f"{where}: the file was replaced while it was read. Try again.")
