"""Which objects a key, prefix or glob means."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tradewind.errors import InputError
from tradewind.move.publish.manifest import MANIFEST, Manifest, read_manifest
from tradewind.move.store import ObjectInfo, Store

__all__ = ["Chosen", "choose"]

_WILD = re.compile(r"[*?\[]")


@dataclass(frozen=True)
class Chosen:
    """One object to read.

    Args:
        info: The object; its ETag is the version that is meant.
        partition: Values of its partition columns by name, None for NULL.
        manifest: The manifest that names it; None where there is none.
        rows: Rows that the manifest says it has.
        folder: The prefix that the manifest publishes.
    """

    info: ObjectInfo
    partition: tuple[tuple[str, str | None], ...] = ()
    manifest: Manifest | None = None
    rows: int | None = None
    folder: str = ""


def choose(store: Store, key: str) -> list[Chosen]:
    """Find the objects.

    A key means its object; where there is none of that name, or with ``/`` at the end, all objects
    below it, but for those with a folder or name that begins with ``_`` or ``.``. Among several,
    those without bytes are left out. A glob means what
    it matches: ``*``, ``?`` and ``[...]`` within a folder, ``**`` across folders. Where a manifest
    of Tradewind stands in the prefix, or above what a glob matches, only what it names is meant.

    Args:
        store: Where they are.
        key: Key, prefix or glob.

    Returns:
        The objects, in the order of their keys; those of a manifest in its order.

    Raises:
        InputError: There are none.
    """
    if _WILD.search(key) and store.head(key) is None:
        chosen = _matching(store, key)
    elif key and not key.endswith("/") and (info := store.head(key)) is not None:
        return [Chosen(info)]
    else:
        chosen = _below(store, f"{key.rstrip('/')}/" if key.rstrip("/") else "")
    if not chosen:
        raise InputError(
            f"{store.uri(key)}: there is no such object. Correct the key, prefix or glob."
        )
    # An object without bytes has no rows and no columns, and folders are marked by such.
    return [one for one in chosen if one.info.size or one.manifest is not None] or chosen[:1]


def _below(store: Store, prefix: str) -> list[Chosen]:
    found = read_manifest(store, prefix)
    if found is not None:
        return _named(store, prefix, found[0])
    return [
        Chosen(info)
        for info in store.list(prefix)
        if not info.key.endswith(("/", "_$folder$"))
        and not any(step[:1] in ("_", ".") for step in info.key[len(prefix) :].split("/"))
    ]


def _named(store: Store, prefix: str, manifest: Manifest) -> list[Chosen]:
    """Give what a manifest names, each in the version that it names."""
    return [
        Chosen(
            ObjectInfo(prefix + part.key, part.size, part.etag, checksum=part.checksum),
            tuple(zip(manifest.partition_columns, part.partition, strict=True)),
            manifest,
            part.rows,
            prefix,
        )
        for part in manifest.parts
    ]


def _matching(store: Store, glob: str) -> list[Chosen]:
    plain = _WILD.split(glob, maxsplit=1)[0]
    pattern = re.compile(_expression(glob), re.DOTALL)
    matching, manifests = [], []
    for info in store.list(plain[: plain.rfind("/") + 1]):
        if info.key.rpartition("/")[2] == MANIFEST:
            manifests.append(info.key.removesuffix(MANIFEST))
        elif pattern.fullmatch(info.key) and not info.key.endswith("/"):
            matching.append(info)
    chosen = []
    ruled: dict[str, dict[str, Chosen]] = {}
    for info in matching:
        above = [folder for folder in manifests if info.key.startswith(folder)]
        if not above:
            chosen.append(Chosen(info))
            continue
        folder = max(above, key=len)
        if folder not in ruled:
            found = read_manifest(store, folder)
            named = [] if found is None else _named(store, folder, found[0])
            ruled[folder] = {one.info.key: one for one in named}
        if info.key in ruled[folder]:
            chosen.append(ruled[folder][info.key])
    return chosen


def _expression(glob: str) -> str:
    """Write a glob as a regular expression."""
    out, at = [], 0
    while at < len(glob):
        letter = glob[at]
        at += 1
        if letter == "*":
            if glob.startswith("*", at):
                at += 1
                if glob.startswith("/", at):
                    at += 1
                    out.append("(?:.*/)?")
                else:
                    out.append(".*")
            else:
                out.append("[^/]*")
        elif letter == "?":
            out.append("[^/]")
        elif letter == "[" and (end := glob.find("]", at + 1)) > 0:
            inner = glob[at:end].replace("\\", r"\\").replace("[", r"\[")
            negated = inner.startswith(("!", "^"))
            out.append(f"(?!/)[{'^' * negated}{inner[negated:]}]")
            at = end + 1
        else:
            out.append(re.escape(letter))
    return "".join(out)
