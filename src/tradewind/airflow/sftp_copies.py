"""What the operators that copy files of an SFTP server to a store have in common."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tradewind.airflow.copies import Copies, CopyOperator, Pairs
from tradewind.airflow.sftp_names import taken
from tradewind.errors import InputError

if TYPE_CHECKING:
    from tradewind.move.store import ObjectInfo, Store
    from tradewind.owner import Owner
    from tradewind.systems.sftp.store import SFTPStore

__all__ = ["SFTPSource", "by_pattern"]


class SFTPSource(CopyOperator):
    """An operator that copies files of an SFTP server: those that are new enough and whole.

    Args:
        newer_than: Only files that were written then or later, by the server's clock: a time, or
            its text in ISO 8601; of UTC without a zone. (templated)
        stable_seconds: Only files whose size and time are still the same after so many seconds.
        done_file: Only files that have one of this name beside them, in which ``{name}`` is the
            file's own: ``{name}.done`` or ``_SUCCESS``. Such files are not copied. (templated)
        kwargs: Of `BaseOperator`.
    """

    move_object = False
    """Whether the files are deleted when all are copied."""

    def __init__(
        self,
        *,
        newer_than: datetime | str | None = None,
        stable_seconds: float = 0.0,
        done_file: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.newer_than = newer_than
        self.stable_seconds = stable_seconds
        self.done_file = done_file
        self._versions: dict[str, str | None] = {}

    def whole(self, source: Store, infos: Sequence[ObjectInfo], *, named: bool) -> list[ObjectInfo]:
        """Choose the files that are new enough and whole, and remember their versions.

        Args:
            source: Where they are.
            infos: The files.
            named: Whether each was asked for by its name; see `tradewind.airflow.sftp_names.taken`.
        """
        found = taken(
            source,
            infos,
            newer_than=self.newer_than,
            stable_seconds=self.stable_seconds,
            done_file=self.done_file,
            named=named,
            stop=self._stop,
            log=self.log.info,
        )
        self._versions = {info.key: info.etag for info in found}
        return found

    def moved(
        self, source: Store, target: Store, owner: Owner, path: str, key: str, *, resume: bool
    ) -> bool:
        """Tell whether an earlier attempt has copied the one file that is named, and deleted it.

        Args:
            source: Where it was.
            target: Where its copy is.
            owner: Whose effect it is.
            path: Its key in the source.
            key: The copy's.
            resume: Whether there may have been an earlier attempt.
        """
        from tradewind.move.store import OWNER

        if not (resume and self.move_object) or source.head(path) is not None:
            return False
        copied = target.head(key)
        return copied is not None and copied.metadata.get(OWNER) == owner.digest

    def finish(self, copies: Copies, done: Pairs) -> None:
        """Delete the sources of a move, and of each the `done_file` that has its name."""
        if not self.move_object:
            return
        from tradewind.move.arrivals import beside

        named = self.done_file if self.done_file and "{name}" in self.done_file else None

        def unmark(key: str) -> None:
            # Left behind, it would call the next file of that name whole from its first byte. So it
            # goes with its file: where another file fails, a retry does not find this one any more.
            mark = copies.source.head(beside(key, named)) if named else None
            if mark is not None:
                copies.source.delete_version(mark.key, str(mark.etag))

        self.delete_sources(copies, done, self._versions, unmark)


def by_pattern(source: SFTPStore, path: str, argument: str) -> tuple[str, list[ObjectInfo] | None]:
    """List the files that a path with one ``*`` means, in folders below, too.

    Args:
        source: Where they are.
        path: It begins at the folder of the login where it has no ``/`` before it.
        argument: What the user calls it, for messages.

    Returns:
        What their keys begin with, and the files; of a path without ``*`` its key and None.
    """
    if path.count("*") > 1:
        raise InputError(f"{argument}={path!r}: give one * at most.")
    begin, star, end = source.absolute(path).lstrip("/").partition("*")
    if not star:
        return begin, None
    least = len(begin) + len(end)
    return begin, [i for i in source.list(begin) if i.key.endswith(end) and len(i.key) >= least]
