"""Writing one file over SFTP: staged beside its place, and renamed."""

from __future__ import annotations

import posixpath
import re
import secrets
import stat
import zlib
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from tradewind.errors import InputError, RetryError, SetupError
from tradewind.move.store import ObjectInfo, Upload
from tradewind.systems.sftp.session import (
    RemoteFile,
    SFTPSession,
    encoded,
    info_of,
    refuse_special,
    told,
    version_of,
)

if TYPE_CHECKING:
    from asyncssh import SFTPAttrs, SFTPClient

__all__ = ["SFTPUpload", "look", "make_folder", "remove_folders"]

_LONGEST_NAME = 255
_FOLDERS_TRIED = 20
_MODE = 0o777
_NEAR_SECONDS = 60


class SFTPUpload(Upload):
    """A file being written, under another name.

    Args:
        session: The session.
        where: What the file is called in messages.
        key: Its key.
        path: Its path.
        owner: The digest of its owner; None where nobody is.
        create_only: Whether no other file may be there.
        replaces: The version that may be there.
        part_bytes: How much is sent at once.
        folders: Those that were made here, to which what is made for it is added.
    """

    def __init__(
        self,
        session: SFTPSession,
        where: str,
        key: str,
        path: bytes,
        *,
        owner: str | None,
        create_only: bool,
        replaces: str | None,
        part_bytes: int,
        folders: list[bytes],
    ) -> None:
        import asyncssh as ssh

        self._ssh = ssh
        self._session = session
        self._where = where
        self._key = key
        self._path = path
        self._create_only = create_only
        self._replaces = replaces
        self._part_bytes = part_bytes
        self._folders = folders
        self._waiting = bytearray()
        self._sent = 0
        self._crc = 0
        self._done = False
        self._renaming: str | None = None
        folder, name = posixpath.split(path)
        self._staged = posixpath.join(folder, self._staged_name(name, owner))
        for left in reversed(range(_FOLDERS_TRIED)):
            with told(where, "write the file"):
                try:
                    session.call(self._prepare)
                except BaseException:
                    with suppress(Exception):
                        session.call(lambda client: remove_folders(client, folders))
                    raise
                self._file = RemoteFile(
                    session,
                    self._staged,
                    ssh.FXF_WRITE | ssh.FXF_CREAT,
                    again=ssh.FXF_WRITE,
                    # Nobody reads of it meanwhile what they could not read of what it replaces.
                    permissions=None if self._before is None else 0o600,
                )
            try:
                with told(where, "write the file"):
                    session.call(self._begin)
                return
            except BaseException as error:
                gone = isinstance(error.__cause__, ssh.SFTPNoSuchFile | ssh.SFTPNoSuchPath)
                # Another move that failed has just taken away the folder that it had made.
                if gone and left and self._before is None:
                    self._file.close()
                    continue
                self.abort()
                raise

    def _staged_name(self, name: bytes, owner: str | None) -> bytes:
        ending = f"{secrets.token_hex(4)}.part".encode()
        room = _LONGEST_NAME - len(b"." + name + b".tradewind-" + ending)
        if room < 0:
            raise InputError(f"{self._where}: the name is too long. Choose a shorter one.")
        if owner and re.fullmatch(r"[0-9a-f]{12}", owner) and room >= len(owner):
            ending = owner.encode() + ending
        return b"." + name + b".tradewind-" + ending

    async def _prepare(self, client: SFTPClient) -> None:
        """See what stands there, and make the folder."""
        self._place = self._path
        before = await look(client, self._path, follow=False)
        if before is not None and stat.S_ISLNK(before.permissions or 0):
            # Of a link the file behind it is replaced, and the link stays.
            before = await look(client, self._path)
            if before is None:
                raise InputError(
                    f"{self._where} is a link to nothing. Remove it, or make its target."
                )
            self._place = encoded(await client.realpath(self._path))
        if before is not None:
            refuse_special(self._where, before)
            if self._create_only:
                raise self._exists()
        self._before: SFTPAttrs | None = before
        await make_folder(client, posixpath.dirname(self._path), self._folders)

    async def _begin(self, client: SFTPClient) -> None:
        """Make the hidden file, and see that it can take the place of the one that is there."""
        file, _ = await self._file.opened(client)
        before = self._before
        if before is None:
            return
        try:
            # To itself: nothing happens, where the server knows the request.
            await client.posix_rename(self._staged, self._staged)
        except self._ssh.SFTPOpUnsupported as error:
            raise self._cannot_replace() from error
        own = await file.stat()
        if (own.uid, own.gid) == (before.uid, before.gid) or before.uid is None:
            return
        try:
            await file.setstat(self._ssh.SFTPAttrs(uid=before.uid, gid=before.gid))
            return
        except self._ssh.SFTPError:
            pass
        try:
            # As files of this machine are replaced in a folder that a group shares.
            await file.setstat(self._ssh.SFTPAttrs(uid=own.uid, gid=before.gid))
            if not (before.permissions or 0) & stat.S_IRGRP:
                raise self._ssh.SFTPPermissionDenied("its group may not read it")
        except self._ssh.SFTPError as error:
            raise SetupError(
                f"{self._where}: the file belongs to user {before.uid} and group {before.gid}, and "
                "this account may not give a new one to them. Nothing was read or written; log in "
                "as that user, remove the file, let its group read it and be in that group, or "
                "choose another name."
            ) from error

    def write(self, data: bytes) -> None:
        """Append bytes to the hidden file."""
        self._crc = zlib.crc32(data, self._crc)
        self._waiting += data
        while len(self._waiting) >= self._part_bytes:
            self._send(self._part_bytes)

    def _send(self, count: int) -> None:
        with memoryview(self._waiting) as waiting:
            piece, at = bytes(waiting[:count]), self._sent

        async def send(client: SFTPClient) -> None:
            # At its place, so that it may be sent once more over another connection.
            file, _ = await self._file.opened(client)
            await file.write(piece, at)

        with told(self._where, "write the file"):
            try:
                self._session.call(send)
            except self._ssh.SFTPNoSuchFile as error:
                raise self._taken_over() from error
        del self._waiting[:count]
        self._sent += count

    def complete(self) -> ObjectInfo:
        """Put the whole file into its place at once."""
        try:
            if self._waiting:
                self._send(len(self._waiting))
            with told(self._where, "write the file"):
                try:
                    own = self._session.call(self._publish)
                except self._ssh.SFTPNoSuchFile as error:
                    raise self._taken_over() from error
        except BaseException:
            self.abort()
            raise
        self._done = True
        self._file.close()
        return replace(info_of(self._key, own), checksum=f"crc32:{self._crc:08x}")

    async def _publish(self, client: SFTPClient) -> SFTPAttrs:
        ssh = self._ssh
        there = await look(client, self._place)
        if self._renaming is not None:
            # The connection broke after the request was sent: has it been done?
            staged = await look(client, self._staged)
            done = there is not None and version_of(there) == self._renaming
            if there is not None and done and (staged is None or self._create_only):
                with suppress(ssh.SFTPNoSuchFile):
                    await client.remove(self._staged)
                return there
        file, _ = await self._file.opened(client)
        with suppress(ssh.SFTPOpUnsupported):
            await file.fsync()
        own = await file.stat()
        if own.size != self._sent:
            raise RetryError(
                f"{self._where}: the file has {own.size} bytes where {self._sent} were written. "
                "Something else writes to it; try again."
            )
        if self._replaces is not None and (there is None or version_of(there) != self._replaces):
            raise InputError(
                f"{self._where}: the file was replaced or removed meanwhile. Nothing was written; "
                "try again."
            )
        if there is not None:
            own = await self._like(there, own, client)
        self._renaming = version_of(own)
        try:
            await self._rename(client)
        except (ssh.SFTPFailure, ssh.SFTPFileAlreadyExists) as error:
            if self._create_only and await look(client, self._path, follow=False) is not None:
                raise self._exists() from error
            raise
        return own

    async def _like(self, there: SFTPAttrs, own: SFTPAttrs, client: SFTPClient) -> SFTPAttrs:
        """Take the mode of the file that is replaced, and a time that tells the two apart."""
        file, _ = await self._file.opened(client)
        if self._before is not None and self._before.permissions is not None:
            await file.setstat(
                self._ssh.SFTPAttrs(permissions=stat.S_IMODE(self._before.permissions) & _MODE)
            )
        mine, other = own.mtime, there.mtime
        if own.size != there.size or mine is None or other is None:
            return await file.stat()
        # The protocol tells whole seconds: of two files of one size and second one is later.
        if mine <= other < mine + _NEAR_SECONDS:
            later = int(other) + 1
            await file.setstat(self._ssh.SFTPAttrs(atime=later, mtime=later))
        return await file.stat()

    async def _rename(self, client: SFTPClient) -> None:
        if self._create_only:
            # A plain rename fails where the name is taken, by section 6.5 of the protocol.
            await client.rename(self._staged, self._path)
            return
        try:
            await client.posix_rename(self._staged, self._place)
        except self._ssh.SFTPOpUnsupported as error:
            try:
                await client.rename(self._staged, self._place)
            except (self._ssh.SFTPFailure, self._ssh.SFTPFileAlreadyExists):
                raise self._cannot_replace() from error

    def _exists(self) -> InputError:
        return InputError(
            f"{self._where}: the file exists already. Nothing was written; remove it or allow to "
            "replace it."
        )

    def _cannot_replace(self) -> SetupError:
        return SetupError(
            f"{self._where}: the file exists, and the server cannot replace one at once (it lacks "
            "posix-rename@openssh.com). Nothing was written; remove the file before, or choose "
            "another name."
        )

    def _taken_over(self) -> RetryError:
        return RetryError(
            f"{self._where}: the staged file is not there any more. Another attempt has taken "
            "over; try again."
        )

    def abort(self) -> None:
        """Remove the hidden file, and the folders that were made for it and are empty."""
        if self._done:
            return
        self._done = True
        self._file.close()

        async def remove(client: SFTPClient) -> None:
            with suppress(self._ssh.SFTPNoSuchFile):
                await client.remove(self._staged)
            await remove_folders(client, self._folders)

        with told(self._where, "remove the staged file"):
            self._session.call(remove)


async def look(client: SFTPClient, path: bytes, *, follow: bool = True) -> SFTPAttrs | None:
    """Tell what stands at a path; None where nothing does."""
    from asyncssh import SFTPNoSuchFile, SFTPNoSuchPath

    with suppress(SFTPNoSuchFile, SFTPNoSuchPath):
        return await (client.stat(path) if follow else client.lstat(path))
    return None


async def make_folder(client: SFTPClient, path: bytes, made: list[bytes]) -> None:
    """Make a folder, and those above that are missing; they are added to `made`."""
    from asyncssh import SFTPError

    if await look(client, path) is not None or path in (b"", b"/"):
        return
    await make_folder(client, posixpath.dirname(path), made)
    try:
        await client.mkdir(path)
        made.append(path)
    except SFTPError:
        # Another one may have been quicker.
        if await look(client, path) is None:
            raise


async def remove_folders(client: SFTPClient, made: list[bytes]) -> None:
    """Remove those of the folders that were made here that are empty: a server keeps others."""
    from asyncssh import SFTPError

    for path in sorted(made, key=len, reverse=True):
        with suppress(SFTPError):
            await client.rmdir(path)
            made.remove(path)
