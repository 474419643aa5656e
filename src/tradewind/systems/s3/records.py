"""Whose a multipart upload is.

S3 lists uploads by key and id, without the metadata that they were begun with. So who begins one
under a key that others may use too *records* it: by a second upload, which never has a part, under
a key made of the first one's, the owner's digest and the first one's id. Like any upload it is no
object and in no listing of objects, costs nothing, and is listed beside the first. It goes with it.

The id is known only when the first one is begun, and an attempt may be killed right then. So it
writes an *intent* before: a record with zeros in place of the id, which goes as soon as the record
stands. An upload without a record and without parts, begun within half a minute after an intent, is
what its owner's attempt left when it was killed in between (`Listing.told`). An attempt that takes
longer than that to record its upload aborts it; so after a minute nobody who lives goes on with an
upload that has no record.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from tradewind.move.publish.manifest import PART_NAME
from tradewind.move.store import OWNER, Unfinished

__all__ = [
    "CLAIM_SECONDS",
    "Listing",
    "Record",
    "intent_key",
    "listing_of",
    "probe_prefix",
    "record_key",
]

CLAIM_SECONDS = 30.0
"""How long after its intent an upload has to be recorded."""

_LONGEST_KEY = 1024
_DIGEST = re.compile(r"[0-9a-f]{12}")
_RECORD = re.compile(
    r"(?P<key>.+)\.tradewind-(?P<owner>[0-9a-f]{12})-(?P<upload>[0-9a-f]{16})", re.DOTALL
)
_PROBE = re.compile(r"(?:.*/)?\.tradewind-probe-(?P<owner>[0-9a-f]{12})-[0-9a-f]{16}", re.DOTALL)
_INTENT = "0" * 16
#: Servers tell times by the second, and each by its own clock.
_SLACK = timedelta(seconds=1)
_CLAIM = timedelta(seconds=CLAIM_SECONDS)


@dataclass(frozen=True)
class Record(Unfinished):
    """The record of an upload, which may be gone, or the intent of one.

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
    return _place(key, _short(upload), metadata)


def intent_key(key: str, metadata: Mapping[str, str]) -> str | None:
    """Tell under which key to say that an upload is about to be begun; see `record_key`."""
    return _place(key, _INTENT, metadata)


def probe_prefix(owner: str) -> str:
    """Tell how the names of an owner's probes begin; see `conditions.keeps_conditions`.

    Args:
        owner: Its digest; empty where there is none.

    Returns:
        What is to be followed by 16 hexadecimal digits. Readers pass over it for its dot.
    """
    return f".tradewind-probe-{owner}-" if _DIGEST.fullmatch(owner) else ".tradewind-probe-"


def _place(key: str, short: str, metadata: Mapping[str, str]) -> str | None:
    owner = metadata.get(OWNER, "")
    if not _DIGEST.fullmatch(owner) or PART_NAME.fullmatch(key.rpartition("/")[2]):
        return None
    recorded = f"{key}.tradewind-{owner}-{short}"
    return recorded if len(recorded.encode()) <= _LONGEST_KEY else None


@dataclass(frozen=True)
class _Listed:
    key: str
    id: str
    started: datetime | None
    initiator: str


@dataclass(frozen=True)
class _Intent:
    entry: _Listed
    owner: str

    def covers(self, upload: _Listed) -> bool:
        first, began = self.entry.started, upload.started
        return (
            first is not None
            and began is not None
            and upload.initiator == self.entry.initiator
            and first - _SLACK <= began <= first + _CLAIM + _SLACK
        )


@dataclass(frozen=True)
class Listing:
    """Uploads as a server lists them.

    Args:
        entries: The uploads, records and intents among them.
        now: The server's clock.
    """

    entries: tuple[_Listed, ...]
    now: datetime

    def in_question(self) -> frozenset[str]:
        """Give the ids of uploads that no record claims, and that an intent may have led to."""
        intents, claimed = self._intents(), self._claimed()
        return frozenset(
            entry.id
            for entry in self.entries
            if (entry.key, _short(entry.id)) not in claimed
            and any(intent.covers(entry) for intent in intents.get(entry.key, ()))
        )

    def told(
        self, asked: frozenset[str], is_empty: Callable[[str, str], bool]
    ) -> tuple[list[Unfinished], bool]:
        """Tell of uploads whose they are, and of records and intents what they are.

        An upload without a record belongs to the owner of an intent where it has no parts, there
        are not more of its kind than intents, and no other owner's attempt can have begun it that
        may be alive: the intents are one owner's, or all of them old.

        Args:
            asked: What an earlier listing had `in_question`: what came since is somebody's who is
                at it.
            is_empty: Tells of a key and an id whether that upload has no parts.

        Returns:
            The uploads, intents last; whether all that is in question could be told. Where it could
            not, uploads and intents have no owner.
        """
        claimed, intents = self._claimed(), self._intents()
        doubted = self.in_question()
        owners: dict[str, str] = {}
        held: set[str] = set()
        by_key: dict[str, list[_Listed]] = defaultdict(list)
        for entry in self.entries:
            if entry.id in doubted and is_empty(entry.key, entry.id):
                by_key[entry.key].append(entry)
        for key, uploads in by_key.items():
            there = [
                intent
                for intent in intents[key]
                if any(intent.covers(upload) for upload in uploads)
            ]
            alive = any(
                intent.entry.started is None or self.now - intent.entry.started < 2 * _CLAIM
                for intent in there
            )
            several = len({intent.owner for intent in there}) > 1
            fresh = any(upload.id not in asked for upload in uploads)
            if fresh or len(uploads) > len(there) or (several and alive):
                held |= {intent.entry.id for intent in there}
                continue
            rest = list(there)
            for upload in uploads:
                mine = next((one for one in rest if one.covers(upload)), None)
                if mine is not None:
                    rest.remove(mine)
                    owners[upload.id] = mine.owner
        found: list[Unfinished] = []
        last: list[Unfinished] = []
        for entry in self.entries:
            record = _RECORD.fullmatch(entry.key)
            if record is None:
                probe = _PROBE.fullmatch(entry.key)
                known = probe["owner"] if probe else owners.get(entry.id)
                owner = claimed.get((entry.key, _short(entry.id)), known)
                found.append(Unfinished(entry.key, entry.id, entry.started, owner))
                continue
            whose = None if entry.id in held else record["owner"]
            told = Record(record["key"], entry.id, entry.started, whose, place=entry.key)
            (last if record["upload"] == _INTENT else found).append(told)
        return [*found, *last], not held

    def _claimed(self) -> dict[tuple[str, str], str]:
        records = (_RECORD.fullmatch(entry.key) for entry in self.entries)
        return {
            (record["key"], record["upload"]): record["owner"]
            for record in records
            if record is not None
        }

    def _intents(self) -> dict[str, list[_Intent]]:
        found: dict[str, list[_Intent]] = defaultdict(list)
        for entry in self.entries:
            record = _RECORD.fullmatch(entry.key)
            if record is not None and record["upload"] == _INTENT:
                found[record["key"]].append(_Intent(entry, record["owner"]))
        for intents in found.values():
            intents.sort(key=lambda one: one.entry.started or datetime.max.replace(tzinfo=UTC))
        return found


def listing_of(pages: Iterator[Mapping[str, Any]], prefix: str) -> Listing:
    """Take a listing of uploads from S3's answers.

    Args:
        pages: Of ListMultipartUploads.
        prefix: What keys have to begin with: not every server minds it.
    """
    entries: list[_Listed] = []
    now: datetime | None = None
    for page in pages:
        now = _date_of(page) or now
        for entry in page.get("Uploads") or ():
            if entry["Key"].startswith(prefix):
                initiator = str((entry.get("Initiator") or {}).get("ID", ""))
                entries.append(
                    _Listed(entry["Key"], entry["UploadId"], entry.get("Initiated"), initiator)
                )
    return Listing(tuple(entries), now or datetime.now(UTC))


def _date_of(page: Mapping[str, Any]) -> datetime | None:
    told = page.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
    try:
        found = None if told is None else parsedate_to_datetime(told)
    except ValueError:
        return None
    return found if found is None or found.tzinfo else found.replace(tzinfo=UTC)


def _short(upload: str) -> str:
    return hashlib.sha256(upload.encode()).hexdigest()[:16]
