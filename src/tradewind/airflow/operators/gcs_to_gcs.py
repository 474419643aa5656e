"""`GCSToGCSOperator`: objects of Google Cloud Storage, copied or moved within it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from tradewind.airflow.copies import Copies, CopyOperator, Pairs
from tradewind.errors import InputError

if TYPE_CHECKING:
    from tradewind.move.store import ObjectInfo
    from tradewind.owner import Owner
    from tradewind.systems.gcs.store import GCSStore

__all__ = ["GCSToGCSOperator"]


class GCSToGCSOperator(CopyOperator):
    """Copy or move objects of Google Cloud Storage. Takes the place of the official operator.

    Returns the URIs of the copies, as the official operator does.

    Args:
        source_bucket: Where from. (templated)
        source_object: A name, a prefix, or a pattern with one ``*``. (templated)
        source_objects: Several of these. (templated)
        destination_bucket: Where to; `source_bucket` when not given. (templated)
        destination_object: Name of the copy of one object; of several the folder, and with ``*``
            what stands in place of the part before it. The sources' names when not given.
            (templated)
        delimiter: What the names end with, like ``.avro``. (templated)
        move_object: Delete the sources, when all are copied and as they were copied.
        replace: Whether objects that are there are replaced; they are let be otherwise.
        gcp_conn_id: The Google Cloud connection; None for application default credentials.
        last_modified_time: Only what was written after; UTC where it has no zone.
        maximum_modified_time: Only what was written before.
        is_older_than: Only what is older, in seconds; goes before the two others.
        impersonation_chain: The service account to act as, or the chain to it. (templated)
        source_object_required: Whether it is an error that nothing has the name or prefix.
        exact_match: Only objects of exactly these names.
        match_glob: Which names, like ``**/*.json``. (templated)
        retain_until_time: Refused: retention is not set here.
        retention_mode: Refused.
        kwargs: Of `BaseOperator`.
    """

    template_fields: Sequence[str] = (
        "source_bucket",
        "source_object",
        "source_objects",
        "destination_bucket",
        "destination_object",
        "delimiter",
        "impersonation_chain",
        "match_glob",
    )
    ui_color = "#f0eee4"

    def __init__(
        self,
        *,
        source_bucket: str,
        source_object: str | None = None,
        source_objects: list[str] | None = None,
        destination_bucket: str | None = None,
        destination_object: str | None = None,
        delimiter: str | None = None,
        move_object: bool = False,
        replace: bool = True,
        gcp_conn_id: str | None = "google_cloud_default",
        last_modified_time: datetime | None = None,
        maximum_modified_time: datetime | None = None,
        is_older_than: float | None = None,
        impersonation_chain: str | Sequence[str] | None = None,
        source_object_required: bool = False,
        exact_match: bool = False,
        match_glob: str | None = None,
        retain_until_time: datetime | None = None,
        retention_mode: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.source_bucket = source_bucket
        self.source_object = source_object
        self.source_objects = source_objects
        self.destination_bucket = destination_bucket
        self.destination_object = destination_object
        self.delimiter = delimiter
        self.move_object = move_object
        self.replace = replace
        self.gcp_conn_id = gcp_conn_id
        self.last_modified_time = last_modified_time
        self.maximum_modified_time = maximum_modified_time
        self.is_older_than = is_older_than
        self.impersonation_chain = impersonation_chain
        self.source_object_required = source_object_required
        self.exact_match = exact_match
        self.match_glob = match_glob
        if retain_until_time is not None or retention_mode is not None:
            raise InputError(
                "retain_until_time and retention_mode are not set here. Give the destination "
                "bucket a default retention, or use the official operator."
            )
        if source_object and source_objects:
            raise InputError("Give one of source_object and source_objects.")
        if not source_object and not source_objects:
            raise InputError("Give source_object or source_objects.")
        if delimiter == "/":
            raise InputError(
                "delimiter='/' lists folders, and there is nothing to copy of these. Give "
                "match_glob, like 'folder/*' for what is in no subfolder."
            )

    def plan_copy(self, owner: Owner, *, resume: bool) -> Copies:
        """List what is there, and name each copy."""
        from tradewind.systems.gcs.airflow import gcs_store
        from tradewind.systems.gcs.globs import matches

        chosen = matches(self.match_glob)
        source, target = (
            gcs_store(bucket, self.gcp_conn_id, impersonation_chain=self.impersonation_chain)
            for bucket in (self.source_bucket, self.destination_bucket or self.source_bucket)
        )
        wanted = [self.source_object] if self.source_object else list(self.source_objects or ())
        self._versions: dict[str, str | None] = {}
        self._moved = self._moved_before(target, wanted, owner) if resume else []
        pairs: Pairs = []
        for name in wanted:
            for info, key in self._named(source, str(name), chosen):
                if self._in_time(info):
                    self._versions[info.key] = info.etag
                    pairs.append((info.key, key))
        return Copies(
            source,
            target,
            list(dict.fromkeys(pairs)),
            read=str(wanted[0]).partition("*")[0] if len(wanted) == 1 else "",
            written=self.destination_object or "",
            existing="replace" if self.replace else "skip",
        )

    def _named(
        self, source: GCSStore, name: str, chosen: Callable[[str], bool]
    ) -> Iterable[tuple[ObjectInfo, str]]:
        """List what a name, prefix or pattern means, and name each copy."""
        begin, star, end = name.partition("*")
        if "*" in end:
            raise InputError(f"{name!r}: give one * at most, or match_glob.")
        if star:
            least = len(begin) + len(end)
            found = [i for i in source.list(begin) if i.key.endswith(end) and len(i.key) >= least]
        else:
            found = [i for i in source.list(begin) if self._chosen(i.key, begin) and chosen(i.key)]
        if not found:
            if name and not star and self.source_object_required and not self._moved:
                raise InputError(f"There is no object {source.uri(name)}. Correct source_object.")
            return []
        return zip(found, self._targets(begin, star, [info.key for info in found]), strict=True)

    def _chosen(self, key: str, name: str) -> bool:
        if self.exact_match and key != name:
            return False
        return key.endswith(self.delimiter or "")

    def _targets(self, begin: str, star: str, keys: list[str]) -> list[str]:
        """Name the copies as the official operator does."""
        to = self.destination_object
        if star:
            return keys if to is None else [to + key[len(begin) :] for key in keys]
        if len(keys) == 1 and not keys[0].endswith("/"):
            if not to:
                return keys
            return [to + keys[0].rpartition("/")[2] if to.endswith("/") else to]
        if to is None:
            return keys
        folder = begin.rstrip("/") + "/"
        if not begin.endswith("/") and not all(key.startswith(folder) for key in keys):
            folder = begin[: begin.rfind("/") + 1]
        return [f"{to.rstrip('/')}/{key[len(folder) :]}" for key in keys]

    def _in_time(self, info: ObjectInfo) -> bool:
        written = info.modified
        if written is None:
            return True
        after, before = _zoned(self.last_modified_time), _zoned(self.maximum_modified_time)
        if self.is_older_than:
            return written < datetime.now(UTC) - timedelta(seconds=self.is_older_than)
        if after and before:
            return after <= written < before
        if after:
            return written > after
        return before is None or written < before

    def _moved_before(
        self, target: GCSStore, wanted: Iterable[str | None], owner: Owner
    ) -> list[str]:
        """List what an earlier attempt has copied, of which it may have deleted the sources."""
        from tradewind.move.store import OWNER

        if not self.move_object:
            return []
        begins = [str(name).partition("*")[0] for name in wanted]
        if self.destination_object is not None:
            begins = [self.destination_object.rstrip("/")]
        return [
            info.key
            for begin in begins
            for info in target.list(begin)
            if info.metadata.get(OWNER) == owner.digest
        ]

    def finish(self, copies: Copies, done: Pairs) -> None:
        """Delete the sources of a move, those that are still as they were copied."""
        if self.move_object:
            self.delete_sources(copies, done, self._versions)

    def returned(self, done: Pairs) -> list[str]:
        """Tell the URIs of the copies; names that end in a slash stand for folders."""
        bucket = self.destination_bucket or self.source_bucket
        keys = dict.fromkeys([*self._moved, *(target for _, target in done)])
        return [f"gs://{bucket}/{key}" for key in keys if not key.endswith("/")]


def _zoned(time: datetime | None) -> datetime | None:
    return time.replace(tzinfo=UTC) if time is not None and time.tzinfo is None else time
