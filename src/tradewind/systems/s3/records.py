"""Whose a multipart upload is.

S3 lists uploads by key and id, without the metadata that they were begun with. So who begins one
under a key that others may use too *records* it: by a second upload, which never has a part, under
a key made of the first one's, the owner's digest and the first one's id. Like any upload it is no
object and in no listing of objects, costs nothing, and is listed beside the first. It goes with it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from tradewind.move.publish.manifest import PART_NAME
from tradewind.move.store import OWNER, Unfinished

__all__ = ["Record", "owned", "probe_prefix", "record_key"]

_LONGEST_KEY = 1024
_DIGEST = re.compile(r"[0-9a-f]{12}")
_RECORD = re.compile(
    r"(?P<key>.+)\.tradewind-(?P<owner>[0-9a-f]{12})-(?P<upload>[0-9a-f]{16})", re.DOTALL
)
_PROBE = re.compile(r"(?:.*/)?\.tradewind-probe-(?P<owner>[0-9a-f]{12})-[0-9a-f]{16}", re.DOTALL)


@dataclass(frozen=True)
class Record(Unfinished):
    """The record of an upload, which may be gone.

    Args:
        place: The key that the record has itself.
    """

    place: str = ""


def record_key(key: str, upload: str, metadata: Mapping[str, str]) -> str | None:
    """Tell under which key to record an upload.

    Args:
        key: The object.
        upload: The upload's id.
        metadata: The object's.

    Returns:
        The key; None where there is no owner, or the object's key has the owner in it.
    """
    owner = metadata.get(OWNER, "")
    if not _DIGEST.fullmatch(owner) or PART_NAME.fullmatch(key.rpartition("/")[2]):
        return None
    recorded = f"{key}.tradewind-{owner}-{_short(upload)}"
    return recorded if len(recorded.encode()) <= _LONGEST_KEY else None


def probe_prefix(owner: str) -> str:
    """Tell how the names of an owner's probes begin; see `conditions.keeps_conditions`.

    Args:
        owner: Its digest; empty where there is none.

    Returns:
        What is to be followed by 16 hexadecimal digits. Readers pass over it for its dot.
    """
    return f".tradewind-probe-{owner}-" if _DIGEST.fullmatch(owner) else ".tradewind-probe-"


def owned(listed: Iterable[Unfinished]) -> Iterator[Unfinished]:
    """Tell of uploads whose they are, and of records what they are.

    Args:
        listed: Uploads as the server lists them.

    Yields:
        The same in the same order.
    """
    entries = list(listed)
    records = [_RECORD.fullmatch(entry.key) for entry in entries]
    owners = {
        (record["key"], record["upload"]): record["owner"]
        for record in records
        if record is not None
    }
    for entry, record in zip(entries, records, strict=True):
        if record is not None:
            yield Record(record["key"], entry.id, entry.started, record["owner"], place=entry.key)
        else:
            probe = _PROBE.fullmatch(entry.key)
            owner = probe["owner"] if probe else owners.get((entry.key, _short(entry.id)))
            yield Unfinished(entry.key, entry.id, entry.started, owner)


def _short(upload: str) -> str:
    return hashlib.sha256(upload.encode()).hexdigest()[:16]
