"""A target that its own source takes in: each run would read what the one before has written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tradewind.errors import InputError
from tradewind.move.objects.globs import expression, wild
from tradewind.move.objects.object_set import Chosen, literal_of, ruled_by
from tradewind.move.publish.destination import Parts
from tradewind.move.publish.manifest import folder_of
from tradewind.move.store import Store

__all__ = ["Written"]

_PART = "part-00000-00000000000000000000"


@dataclass(frozen=True)
class Written:
    """What a move writes, held against what it reads.

    Args:
        store: Where the target is.
        key: Its object, or with `parts` its prefix.
        parts: How it is cut into parts; None for one object.
        ending: The end of the names of its parts, like ``.csv.gz``.
    """

    store: Store
    key: str
    parts: Parts | None
    ending: str

    def check_pattern(self, store: Store, key: str) -> None:
        """Refuse a prefix or glob that takes in what will be written, though it is not there yet.

        Not refused are one object that becomes itself, and a prefix that is published anew: its
        manifest says what is read, so that no row comes twice. Nothing is asked of a store but
        where the names already say that one lies within the other.

        Args:
            store: Where the source is.
            key: Its key, prefix or glob.

        Raises:
            InputError: It does.
        """
        if type(store) is not type(self.store):
            return
        if wild(key) < 0:
            prefix = key if not key or key.endswith("/") else f"{key}/"
            if not self._within(store, prefix, None) or _is_object(store, key):
                return
            ruled = ruled_by(store, prefix)
        else:
            begin = key[: key.rfind("/", 0, wild(key)) + 1]
            if not any(self._rests(store, begin)) or _is_object(store, key):
                return
            begin = literal_of(store, key)
            if next(iter(store.list(f"{key.rstrip('/')}/")), None) is not None:
                if not self._within(store, f"{key.rstrip('/')}/", None):
                    return
                ruled = ruled_by(store, f"{key.rstrip('/')}/")
            elif not self._within(store, begin, key[len(begin) :]):
                return
            else:
                # Manifests below a glob's folder are read too: only objects are ruled by one above.
                ruled = ruled_by(store, begin) and self.parts is None
        if not ruled:
            raise self._refused(store.uri(key))

    def check_chosen(self, chosen: Sequence[Chosen], store: Store, key: str) -> None:
        """Refuse objects among which is the one that will be replaced, like a link to it.

        Args:
            chosen: What will be read.
            store: Where the source is.
            key: Its key, prefix or glob.

        Raises:
            InputError: It is among them.
        """
        if self.parts is not None or type(store) is not type(self.store):
            return
        if len(chosen) == 1 and chosen[0].info.key == key:
            return
        there = self.store.head(self.key)
        if there is None:
            return
        own = set(self.store.places(self.key))
        for one in chosen:
            if one.info.size == there.size and own & set(one.store.places(one.info.key)):
                raise self._refused(store.uri(key))

    def _within(self, store: Store, folder: str, glob: str | None) -> bool:
        pattern = None if glob is None else expression(glob)
        for rest in self._rests(store, folder):
            if pattern is None:
                if not any(step[:1] in ("_", ".") for step in rest.split("/")):
                    return True
            elif pattern.fullmatch(rest):
                return True
        return False

    def _rests(self, store: Store, folder: str) -> Iterator[str]:
        """Give the names, within a folder, of what will be written there."""
        top = store.places(folder)[-1]
        top = top if top.endswith("/") else f"{top}/"
        if self.parts is None:
            for place in self.store.places(self.key):
                if place.startswith(top):
                    yield place[len(top) :]
            return
        own = self.store.places(folder_of(self.key))[-1]
        own = own if own.endswith("/") else f"{own}/"
        if own.startswith(top) and own != top:
            folders = "".join(f"{name}=0/" for name in self.parts.by)
            yield f"{own[len(top) :]}{folders}{_PART}{self.ending}"

    def _refused(self, source: str) -> InputError:
        target = self.store.uri(self.key)
        return InputError(
            f"{source} takes in the target {target}: the next run would read what this one writes, "
            "and all rows would double. Nothing was read or written; choose another place for the "
            "target, or a pattern that leaves it out."
        )


def _is_object(store: Store, key: str) -> bool:
    return bool(key) and not key.endswith("/") and store.head(key) is not None
