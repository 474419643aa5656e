"""Which files the operators of SFTP mean, and what their copies are called."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from tradewind.errors import InputError, RetryError

if TYPE_CHECKING:
    import threading
    from datetime import datetime

    from tradewind.move.store import ObjectInfo, Store

__all__ = ["Log", "check_names", "key_in", "present", "renamed", "taken"]

_SHOWN = 20
Names = str | list[str] | None
Log = Callable[..., None]


def check_names(names: Names, others: Names, names_argument: str, others_argument: str) -> None:
    """Refuse new names that do not go with the names.

    Args:
        names: A list of names, a text that names begin with, or ``*``.
        others: What they are called at the other end.
        names_argument: What the user calls `names`, for messages.
        others_argument: What the user calls `others`.
    """
    if not others:
        return
    if not names:
        raise InputError(f"{others_argument} is given without {names_argument}. Give both.")
    if isinstance(names, str) != isinstance(others, str):
        raise InputError(
            f"{others_argument}={others!r} does not go with {names_argument}={names!r}: give two "
            "lists, or two texts that names begin with."
        )
    if not isinstance(names, str) and len(names) != len(others):
        raise InputError(
            f"{names_argument} has {len(names)} names and {others_argument} {len(others)}. Give as "
            "many of each."
        )


def renamed(name: str, begin: str, other: Names) -> str:
    """Put other letters at the beginning of a file's name, which may stand in a folder.

    Args:
        name: The name.
        begin: What it begins with; ``*`` for all files.
        other: What stands there instead; nothing changes where it is none.
    """
    folder, slash, last = name.rpartition("/")
    if not other or not isinstance(other, str) or begin == "*":
        return name
    return folder + slash + other + last.removeprefix(begin)


def key_in(bucket: str, key: str, argument: str) -> str:
    """Tell the key of S3 that a key or URI names.

    Args:
        bucket: The bucket, which a URI has to name, too.
        key: The key, or ``s3://bucket/key``.
        argument: What the user calls it, for messages.
    """
    scheme, separator, rest = key.partition("://")
    if separator and scheme in ("s3", "s3a", "s3n"):
        named, _, key = rest.partition("/")
        if named != bucket:
            raise InputError(
                f"{argument}={scheme}://{rest!r} is in another bucket than s3_bucket={bucket!r}. "
                "Name the same one."
            )
    return key.lstrip("/")


def present(store: Store, keys: Sequence[str], *, required: bool, log: Log) -> list[ObjectInfo]:
    """Describe named files.

    Args:
        store: Where they are.
        keys: Their keys.
        required: Whether a missing one is an error; it is left out otherwise, and the log says so.
        log: Takes what is left out.
    """
    found = []
    for key in keys:
        info = store.head(key)
        if info is not None:
            found.append(info)
        elif required:
            raise InputError(f"There is no {store.uri(key)}. Correct the name, or make it.")
        else:
            log("There is no %s: it is left out.", store.uri(key))
    return found


def taken(
    store: Store,
    infos: Sequence[ObjectInfo],
    *,
    newer_than: datetime | str | None,
    stable_seconds: float,
    done_file: str | None,
    named: bool,
    stop: threading.Event | None,
    log: Log,
) -> list[ObjectInfo]:
    """Choose the files that are new enough and whole; see `tradewind.move.arrivals.Arrivals`.

    Args:
        store: Where they are.
        infos: The files.
        newer_than: See there, as all the others.
        stable_seconds: See there.
        done_file: See there.
        named: Whether each was asked for by its name: one that is not whole yet is an error then.
        stop: Ends the watching.
        log: Takes what is left out.

    Raises:
        RetryError: A named file is still being written.
    """
    from tradewind.move.arrivals import Arrivals, time_of

    arrivals = Arrivals(time_of(newer_than, "newer_than"), stable_seconds, done_file or None)
    chosen, left = arrivals.chosen(store, infos, stop)
    for one in left:
        if named and one.unfinished:
            raise RetryError(
                f"{store.uri(one.info.key)} is still being written: {one.why}. Nothing was copied; "
                "a retry looks again."
            )
    for one in left[:_SHOWN]:
        log("%s is left out: %s.", store.uri(one.info.key), one.why)
    if len(left) > _SHOWN:
        log("%d files more are left out.", len(left) - _SHOWN)
    return chosen
