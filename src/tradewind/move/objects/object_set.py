"""Which objects a key, prefix or glob means."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote

from tradewind.errors import InputError, SetupError, TradewindError
from tradewind.move.objects.globs import expression, wild
from tradewind.move.publish.manifest import MANIFEST, PART_NAME, Manifest, folder_of, read_manifest
from tradewind.move.store import OWNER, ObjectInfo, Store

__all__ = ["Chosen", "choose", "literal_of", "ruled_by"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Chosen:
    """One object to read.

    Args:
        store: Where it is: the one that was asked, or for files one whose folder is further up.
        info: The object; its ETag is the version that is meant.
        partition: Values of its partition columns by name, None for NULL.
        manifest: The manifest that names it; None where there is none.
        rows: Rows that the manifest says it has.
        folder: The prefix that the manifest publishes.
    """

    store: Store
    info: ObjectInfo
    partition: tuple[tuple[str, str | None], ...] = ()
    manifest: Manifest | None = None
    rows: int | None = None
    folder: str = ""

    @property
    def uri(self) -> str:
        """What it is called."""
        return self.store.uri(self.info.key)


def choose(store: Store, key: str) -> list[Chosen]:
    """Find the objects.

    What exists under the very name comes first. A key means its object; where there is none of
    that name, or with ``/`` at the end, all objects below it, but for those with a folder or name
    that begins with ``_`` or ``.``. Among several, those without bytes are left out. Where there is
    neither, a key with ``*``, ``?`` or ``[`` is a glob (`tradewind.move.objects.globs`), in which
    a folder that exists under the very name is no pattern.

    Where a manifest of Tradewind stands in the prefix, above it, or above what a glob matches, only
    what it names is meant, in the versions that it names; parts that no manifest names belong to a
    publication that is not finished and are left out.

    Args:
        store: Where they are.
        key: Key, prefix or glob.

    Returns:
        The objects, in the order of their keys; those of a prefix's manifest in its order.

    Raises:
        InputError: There are none.
    """
    store.check_key(key)
    if key and not key.endswith("/"):
        info = store.head(key)
        if info is not None and not _marks_folder(info):
            return [Chosen(store, info)]
    left_out: list[str] = []
    chosen: list[Chosen] = []
    prefix = key if not key or key.endswith("/") else f"{key}/"
    if wild(key) < 0 or next(iter(store.list(prefix)), None) is not None:
        chosen = _below(store, prefix, left_out)
    # Several slashes at the end count as one, as for who publishes there.
    if not chosen and wild(key) < 0 and folder_of(prefix) != prefix:
        chosen = _below(store, folder_of(prefix), left_out)
    literal = ""
    if not chosen and wild(key) >= 0:
        literal = literal_of(store, key)
        chosen = _matching(store, literal, key, left_out)
    if not chosen:
        raise InputError(_nothing(store, key, literal, left_out))
    if left_out:
        _log.warning(
            "%s: %d parts that no manifest names are left out, like %s",
            store.uri(key),
            len(left_out),
            store.uri(left_out[0]),
        )
    # An object without bytes has no rows and no columns, and folders are marked by such.
    return [one for one in chosen if one.info.size or one.manifest is not None] or chosen[:1]


def _marks_folder(info: ObjectInfo) -> bool:
    """Whether an object only marks a folder, as Azure's tools and some file systems do."""
    return not info.size and (
        info.metadata.get("hdi_isfolder", "").lower() == "true"
        or (info.content_type or "").startswith("application/x-directory")
    )


# ------------------------------------------------------------------------------- prefixes and globs


@dataclass(frozen=True)
class _Ruling:
    """A manifest that says what of a prefix, or of what is above it, is published.

    Args:
        store: Where it is.
        folder: The prefix that it publishes.
        manifest: What it says.
        here: Where the store that was asked lies in this one; empty where it is the same.
    """

    store: Store
    folder: str
    manifest: Manifest
    here: str = ""

    def named(self) -> Iterator[tuple[str, Chosen]]:
        """Give what it names, each in its version, with its key in the store that was asked."""
        for part in self.manifest.parts:
            key = self.folder + part.key
            if key.startswith(self.here):
                yield (
                    key[len(self.here) :],
                    Chosen(
                        self.store,
                        ObjectInfo(key, part.size, part.etag, checksum=part.checksum),
                        tuple(zip(self.manifest.partition_columns, part.partition, strict=True)),
                        self.manifest,
                        part.rows,
                        self.folder,
                    ),
                )


def _ruling(store: Store, folder: str) -> _Ruling | None:
    """Find the manifest that is nearest to a folder: in it, or above."""
    steps = folder.split("/")[:-1]
    for depth in range(len(steps), -1, -1):
        above = "".join(f"{step}/" for step in steps[:depth])
        with _minding(above == folder):
            if (found := read_manifest(store, above)) is not None:
                return _Ruling(store, above, found[0])
    at, here = store, ""
    while (parent := at.parent()) is not None:
        at, name = parent
        here = f"{name}/{here}"
        with _minding(False):
            if (found := read_manifest(at, "")) is not None:
                return _Ruling(at, "", found[0], here)
    return None


def ruled_by(store: Store, prefix: str) -> bool:
    """Whether a manifest says all that is read of a prefix, whatever else lies there."""
    ruling = _ruling(store, prefix)
    if ruling is None:
        return False
    if ruling.folder == prefix and not ruling.here:
        return True
    return any(key.startswith(prefix) for key, _ in ruling.named())


@contextlib.contextmanager
def _minding(own: bool) -> Iterator[None]:
    """Pass over a manifest further up that may not be read, or is another tool's."""
    try:
        yield
    except (InputError, SetupError):
        if own:
            raise


def _below(store: Store, prefix: str, left_out: list[str]) -> list[Chosen]:
    ruling = _ruling(store, prefix)
    if ruling is not None:
        named = [one for key, one in ruling.named() if key.startswith(prefix)]
        if named or (ruling.folder == prefix and not ruling.here):
            return named
    infos = [
        info
        for info in store.list(prefix)
        if not info.key.endswith("_$folder$")
        and (info.size or not info.key.endswith("/"))
        and not any(step[:1] in ("_", ".") for step in info.key[len(prefix) :].split("/"))
    ]
    return [Chosen(store, info) for info in _finished(store, infos, left_out)]


def _matching(store: Store, folder: str, glob: str, left_out: list[str]) -> list[Chosen]:
    rest = glob[len(folder) :]
    pattern = expression(rest)
    plain = folder + (rest[: wild(rest)] if wild(rest) >= 0 else rest)
    loose: list[ObjectInfo] = []
    below: list[str] = []
    for info in store.list(plain):
        if info.key.rpartition("/")[2] == MANIFEST:
            if info.key != folder + MANIFEST:
                below.append(info.key.removesuffix(MANIFEST))
        elif pattern.fullmatch(info.key, len(folder)) and not info.key.endswith("/"):
            loose.append(info)
    below.sort(key=len, reverse=True)

    def innermost(key: str) -> str | None:
        return next((each for each in below if key.startswith(each)), None)

    # Manifests are read after the listing, and what is published is taken from them: objects that
    # are replaced meanwhile are in no listing of one moment.
    chosen: dict[str, Chosen] = {}
    top = _ruling(store, folder)
    for each in [None, *below]:
        ruling = top
        if each is not None:
            found = read_manifest(store, each)
            ruling = None if found is None else _Ruling(store, each, found[0])
        for key, one in () if ruling is None else ruling.named():
            fits = key.startswith(folder) and pattern.fullmatch(key, len(folder))
            if fits and innermost(key) == each:
                chosen[key] = one
    if top is not None and top.folder == folder and not top.here:
        loose = []
    infos = [info for info in loose if innermost(info.key) is None and info.key not in chosen]
    chosen |= {info.key: Chosen(store, info) for info in _finished(store, infos, left_out)}
    return [chosen[key] for key in sorted(chosen, key=os.fsencode)]


def literal_of(store: Store, glob: str) -> str:
    """Tell the folder that a glob's pattern is in.

    A step of a glob that could be a pattern is none where a folder has that very name.
    """
    begin = 0
    while (at := wild(glob, begin)) >= 0:
        slash = glob.find("/", at)
        if slash < 0 or next(iter(store.list(glob[: slash + 1])), None) is None:
            return glob[: glob.rfind("/", 0, at) + 1]
        begin = slash + 1
    return glob[: glob.rfind("/") + 1]


def _finished(store: Store, infos: list[ObjectInfo], left_out: list[str]) -> list[ObjectInfo]:
    """Leave out parts that Tradewind wrote and no manifest names: of a move that is not finished.

    They are known by their names and, to be certain, by the metadata of one of them where the store
    keeps any.
    """
    parts = {info.key for info in infos if PART_NAME.fullmatch(info.key.rpartition("/")[2])}
    for key in sorted(parts):
        described = store.head(key)
        if described is None:
            continue
        if store.keeps_metadata and OWNER not in described.metadata:
            break
        left_out += sorted(parts)
        return [info for info in infos if info.key not in parts]
    return infos


# --------------------------------------------------------------------------------- nothing is there


def _nothing(store: Store, key: str, literal: str, left_out: list[str]) -> str:
    """Say that there is nothing, and what of a like name is there."""
    where = store.uri(key)
    if left_out:
        return (
            f"{where}: there are only parts that no manifest names, like {store.uri(left_out[0])}. "
            f"The move that writes them is not finished, or they were copied without {MANIFEST}. "
            "Wait for it, copy the manifest too, or name single parts."
        )
    said = f"{where}: there is no such object. Correct the key, prefix or glob."
    if wild(literal) >= 0:
        said += f" The folder {store.uri(literal)} is there, so that its name is no pattern."
    for other, how in _likely(key):
        with contextlib.suppress(TradewindError):
            if store.head(other) is not None:
                return f"{said} {store.uri(other)} is there{how}."
    return said


def _likely(key: str) -> Iterator[tuple[str, str]]:
    """Give other spellings of a key that people take for the same."""
    others = [
        (unicodedata.normalize("NFC", key), ": its letters look alike and are composed"),
        (unicodedata.normalize("NFD", key), ": its letters look alike and are decomposed"),
        (unquote(key), ": nothing in a key is percent-decoded, so write it that way"),
        (re.sub("/{2,}", "/", key).lstrip("/"), ", with single slashes"),
        (key.rstrip("/"), ", without / at its end"),
    ]
    seen = {key, ""}
    for other, how in others:
        if other not in seen and not other.endswith("/"):
            seen.add(other)
            yield other, how
