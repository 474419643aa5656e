"""Delete what stands in a copy's target folder and has no source, on request.

What is deleted was in a listing made before anything was copied, had no source in the listing of
the sources, has none when its turn comes, and is still the same version by then: a condition of the
deletion itself where the store has one. So neither a writer nor an attempt that was left behind
loses anything that was written, or copied, since.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from tradewind.errors import InputError
from tradewind.move.store import ObjectInfo, Store

__all__ = ["Removed", "Surplus", "check_folders"]

_DELETERS = 8
_SHOWN = 20


@dataclass(frozen=True)
class Removed:
    """What became of the surplus.

    Args:
        uris: What was deleted, in the order of the keys.
        notes: What was let be, and why: for the receipt.
    """

    uris: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def check_folders(source: Store, source_prefix: str, target: Store, target_prefix: str) -> None:
    """Refuse prefixes of which surplus cannot be told.

    Args:
        source: Where from.
        source_prefix: What the keys of the sources begin with.
        target: Where to.
        target_prefix: What stands there instead.

    Raises:
        InputError: One is no folder, or the one is within the other.
    """
    uris = source.uri(source_prefix), target.uri(target_prefix)
    prefixes = source_prefix, target_prefix
    if any(prefix and not prefix.endswith("/") for prefix in prefixes):
        raise InputError(
            f"{uris[0]} to {uris[1]}: to delete surplus both prefixes end with a slash, or are "
            "empty: others would be deleted that only begin alike. Write the slash."
        )
    # A slash at the end of both: /srv/in is not within /srv/in2, however alike they begin.
    named = source.places(source_prefix)[-1], target.places(target_prefix)[-1]
    overlaps = [tuple(name if name.endswith("/") else f"{name}/" for name in named)]
    if source.uri() == target.uri():
        overlaps.append(prefixes)
    if any(one.startswith(other) or other.startswith(one) for one, other in overlaps):
        raise InputError(f"{uris[0]} and {uris[1]} overlap. Choose a folder beside the other.")


class Surplus:
    """The objects of a target folder that have no source.

    Memory: some hundred bytes an object of the target folder.

    Args:
        source: Where from.
        source_prefix: What the keys of the sources begin with.
        target: Where to.
        target_prefix: What stands there instead.
    """

    def __init__(
        self, source: Store, source_prefix: str, target: Store, target_prefix: str
    ) -> None:
        self._source = source
        self._target = target
        self._prefixes = source_prefix, target_prefix
        self._folders: set[str] = set()
        self._found = {info.key: info for info in target.list(target_prefix)}

    def has_source(self, key: str) -> None:
        """Take note that an object has a source; what stands for its folders stays, too."""
        self._found.pop(key, None)
        at = key.rfind("/")
        # Stops at the first folder that is known: those above it are known, too.
        while at >= 0 and key[: at + 1] not in self._folders:
            self._folders.add(key[: at + 1])
            at = key.rfind("/", 0, at)

    def refuse_all(self) -> None:
        """Refuse to delete everything because there is no source at all.

        Raises:
            InputError: There is surplus.
        """
        if self._found:
            source = self._source.uri(self._prefixes[0])
            target = self._target.uri(self._prefixes[1])
            raise InputError(
                f"There is no object {source}*: all {len(self._found)} objects {target}* would be "
                "deleted. Correct the source, or delete them yourself if that is meant."
            )

    def objects(self) -> list[ObjectInfo]:
        """List what would be deleted, in the order of the keys."""
        return [
            info
            for info in self._found.values()
            if not (info.size == 0 and info.key.endswith("/") and info.key in self._folders)
        ]

    def delete(self, step: Callable[[], None]) -> Removed:
        """Delete them, when all others are copied.

        Args:
            step: Is called before each; what it raises ends it.

        Returns:
            What was deleted, and what was not.
        """
        wanted = self.objects()

        def one(info: ObjectInfo) -> str | None:
            step()
            return self._delete(info)

        with ThreadPoolExecutor(_DELETERS, "delete-surplus") as pool:
            try:
                told = list(zip(wanted, pool.map(one, wanted), strict=True))
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
        uri = self._target.uri
        left = [f"{uri(info.key)} was not deleted: {why}." for info, why in told if why]
        more = [f"{len(left) - _SHOWN} more were not deleted."] if len(left) > _SHOWN else []
        return Removed(
            tuple(uri(info.key) for info, why in told if why is None), (*left[:_SHOWN], *more)
        )

    def _has(self, key: str) -> bool:
        """Whether the source has an object by now."""
        try:
            return self._source.head(key) is not None
        except InputError as error:
            try:
                self._source.check_key(key, writing=True)
            except InputError:
                return False  # it can have none: no file is called as a folder's marker is
            raise error

    def _delete(self, info: ObjectInfo) -> str | None:
        """Delete one; tell why not otherwise."""
        found = self._target.head(info.key)
        if found is None:
            return "somebody else has deleted it"
        seen = [(one.etag, one.size, one.modified) for one in (found, info)]
        if found.etag is None or seen[0] != seen[1]:
            return "it was replaced meanwhile"
        source = self._prefixes[0] + info.key[len(self._prefixes[1]) :]
        if self._has(source):
            return "it has a source by now"
        if not self._target.delete_version(info.key, found.etag):
            return "it was replaced meanwhile"
        return None
