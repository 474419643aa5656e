"""Which of the objects in a drop folder are to be taken: new enough, and whole."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tradewind.errors import CancelledError, InputError

if TYPE_CHECKING:
    from tradewind.move.store import ObjectInfo, Store

__all__ = ["Arrivals", "Left", "beside", "time_of"]


@dataclass(frozen=True)
class Left:
    """An object that is not taken.

    Args:
        info: The object.
        why: What is the matter with it.
        unfinished: Whether it is still being written, so that it may be taken later.
    """

    info: ObjectInfo
    why: str
    unfinished: bool


@dataclass(frozen=True)
class Arrivals:
    """What is asked of an object before it is taken.

    Writers that do not write under another name first, and rename, leave a file to be seen that is
    not whole yet. Either they say when it is (`done_file`), or it is watched (`stable_seconds`).

    Args:
        newer_than: Only what was written then or later; the store's own clock tells when.
        stable_seconds: Only what has the same size and version after so many seconds.
        done_file: Only what has a file of this name beside it; ``{name}`` in it is the object's own
            name, like ``{name}.done``. Such files themselves are not taken.
    """

    newer_than: datetime | None = None
    stable_seconds: float = 0.0
    done_file: str | None = None

    def __post_init__(self) -> None:
        if self.stable_seconds < 0:
            raise InputError(f"stable_seconds={self.stable_seconds}: it cannot be negative.")
        if self.done_file is not None and (
            not self.done_file or "/" in self.done_file or self.done_file == "{name}"
        ):
            raise InputError(
                f"done_file={self.done_file!r}: give the name of a file in the same folder, like "
                "'{name}.done' or '_SUCCESS'."
            )

    def chosen(
        self, store: Store, infos: Sequence[ObjectInfo], stop: threading.Event | None = None
    ) -> tuple[list[ObjectInfo], list[Left]]:
        """Tell which are to be taken, and why the others are not.

        Args:
            store: Where they are.
            infos: The objects, as the store has just described them.
            stop: Ends the watching.

        Returns:
            Both in the order of `infos`.

        Raises:
            CancelledError: `stop` was set meanwhile.
        """
        left: dict[str, Left] = {}
        for info in infos:
            if refused := self._refused(store, info):
                left[info.key] = refused
        waiting = [info for info in infos if info.key not in left]
        if self.stable_seconds and waiting:
            if (stop or threading.Event()).wait(self.stable_seconds):
                raise CancelledError(f"The look at {store.uri()} was asked to stop.")
            for info in waiting:
                now = store.head(info.key)
                if now is None or (now.size, now.etag) != (info.size, info.etag):
                    size = "gone" if now is None else f"{now.size} bytes"
                    why = f"it had {info.size} bytes, and is {size} {self.stable_seconds:g} s later"
                    left[info.key] = Left(info, why, True)
        return (
            [info for info in infos if info.key not in left],
            [left[info.key] for info in infos if info.key in left],
        )

    def _refused(self, store: Store, info: ObjectInfo) -> Left | None:
        written = info.modified
        if self.newer_than is not None and written is not None and written < self.newer_than:
            return Left(info, f"it was written at {written.isoformat()}, before newer_than", False)
        if self.done_file is None:
            return None
        if self._is_mark(info.key):
            return Left(info, "it says that others are whole", False)
        mark = beside(info.key, self.done_file)
        if store.head(mark) is None:
            return Left(info, f"there is no {store.uri(mark)} yet", True)
        return None

    def _is_mark(self, key: str) -> bool:
        name = key.rpartition("/")[2]
        before, own, after = (self.done_file or "").partition("{name}")
        if not own:
            return name == before
        return name.startswith(before) and name.endswith(after) and len(name) > len(before + after)


def beside(key: str, done_file: str) -> str:
    """Name the file that says that an object is whole; see `Arrivals`."""
    folder, slash, name = key.rpartition("/")
    return folder + slash + done_file.replace("{name}", name)


def time_of(value: datetime | str | None, argument: str) -> datetime | None:
    """Read a time, of UTC where it names no zone.

    Args:
        value: The time, or its text in ISO 8601; an empty one is none.
        argument: What the user calls it, for messages.

    Raises:
        InputError: It is no time.
    """
    if not value:
        return None
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise InputError(
                f"{argument}={value!r} is no time. Write it like 2026-03-01T00:00:00+00:00."
            ) from None
    return value if value.tzinfo is not None else value.replace(tzinfo=UTC)
