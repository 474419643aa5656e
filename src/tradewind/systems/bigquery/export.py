"""An export to Google Cloud Storage by one job: read from there, and removed in any case.

The names of job and folder are made of the owner and a number: so the next attempt of the same
owner ends and removes what an earlier one has left, and ``tradewind sweep --objects`` tells whose
a folder is. Source: https://cloud.google.com/bigquery/docs/exporting-data
"""

from __future__ import annotations

import hashlib
import logging
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tradewind.errors import InputError, RetryError, TradewindError
from tradewind.move.ahead import ahead
from tradewind.move.batches import Batches
from tradewind.move.formats.parquet import ParquetFormat
from tradewind.redaction import shown_uri
from tradewind.systems.bigquery.backend import JobConfiguration, job_of
from tradewind.systems.bigquery.commit import wait_until_done
from tradewind.systems.bigquery.errors import PATIENCE, failure_of_job, patient, translated
from tradewind.systems.bigquery.exported import conformed
from tradewind.systems.bigquery.literals import literal, one_statement
from tradewind.systems.bigquery.types import Column, arrow_schema
from tradewind.systems.gcs.ranges import ObjectFile
from tradewind.systems.gcs.store import GCSStore

if TYPE_CHECKING:
    import pyarrow as pa
    from google.cloud.bigquery import Client

    from tradewind.move.store import ObjectInfo
    from tradewind.owner import Owner
    from tradewind.systems.bigquery.connection import BigQueryConnection, TableName

__all__ = ["Export", "check_place", "export_of", "extract_of"]

_log = logging.getLogger(__name__)

_ATTEMPT = "tradewind_attempt"
_ENDING = ".parquet"
_MOST = 1000


def check_place(uri: str) -> tuple[str, str]:
    """Read where exports are written.

    Args:
        uri: ``gs://BUCKET`` or ``gs://BUCKET/PREFIX``.

    Returns:
        The bucket, and the prefix with ``/`` at its end; empty where there is none.

    Raises:
        InputError: It is no such URI, or has what BigQuery or SQL would read as something else.
    """
    scheme, _, rest = uri.partition("://")
    bucket, _, prefix = rest.partition("/")
    prefix = prefix.rstrip("/")
    wrong = scheme != "gs" or not bucket or set(bucket) & set("@:?#*%")
    # BigQuery takes one * for a pattern, and several slashes for one.
    if wrong or set(prefix) & set("*?#\r\n\0") or "//" in prefix:
        raise InputError(
            f"BigQuery: export={shown_uri(uri)!r} is not of the form gs://BUCKET/PREFIX, without "
            "*, ?, # and empty folders."
        )
    return bucket, f"{prefix}/" if prefix else ""


def extract_of(table: TableName, uri: str) -> JobConfiguration:
    """Describe the job that exports all of a table.

    Args:
        table: The table.
        uri: Where to, with a ``*``.
    """
    source = {"projectId": table.project, "datasetId": table.dataset, "tableId": table.table}
    return {
        "extract": {
            "sourceTable": source,
            "destinationUris": [uri],
            "destinationFormat": "PARQUET",
            "compression": "ZSTD",
        }
    }


def export_of(query: str, uri: str, config: Any) -> JobConfiguration:
    """Describe the job that exports what a query gives, in its order.

    A query job would keep its result in a table of 10 GB at most; this statement has no such bound.
    Source: https://cloud.google.com/bigquery/docs/reference/standard-sql/export-statements

    Args:
        query: One SELECT.
        uri: Where to, with a ``*``.
        config: The query's `google.cloud.bigquery.QueryJobConfig`.
    """
    options = f"uri={literal(uri)}, format='PARQUET', compression='ZSTD'"
    statement = f"EXPORT DATA OPTIONS({options}) AS\n{one_statement(query)}"
    return {"query": {**config.to_api_repr()["query"], "query": statement}}


class Export:
    """What one attempt exports.

    Memory: of a row group those pages that are read, 1 MiB a column, and two batches.

    Args:
        connection: The project, and who asks, also for the objects.
        client: The client.
        place: Where to, as `check_place` takes it.
        what: What is read, in words that are the same in each attempt.
        owner: Whose it is; nobody's when None.
        location: Of what is read, so that BigQuery finds the job by its id.
        labels: Of the job.
        stop: Ends the wait for the job.
        system: The system and object, for messages.
    """

    def __init__(
        self,
        connection: BigQueryConnection,
        client: Client,
        place: str,
        *,
        what: str,
        owner: Owner | None,
        location: str | None,
        labels: Mapping[str, str],
        stop: threading.Event | None,
        system: str,
    ) -> None:
        bucket, self._prefix = check_place(place)
        self._store = _store_of(connection, bucket)
        self._client = client
        self._digest = secrets.token_hex(6) if owner is None else owner.digest
        self._owner = owner
        self._what = hashlib.sha256(f"{place}\n{what}".encode()).hexdigest()[:8]
        self._location = location
        self._labels = labels
        self._stop = stop
        self._system = system
        self._attempt = secrets.token_hex(6)
        self._number = 1
        self._job: Any = None
        self._asked = False
        self._found: list[ObjectInfo] = []
        self._gone = False
        self.left = ""
        """What could not be removed, in a sentence; empty where nothing is left."""

    @property
    def _name(self) -> str:
        return f"tradewind-export-{self._digest}-{self._what}-{self._number}"

    @property
    def _folder(self) -> str:
        # The ending is by what `tradewind.sweep.objects` tells whose it is.
        return f"{self._prefix}bigquery-{self._what}-{self._number}.tradewind-{self._digest}/"

    def run(self, describe: Callable[[str], JobConfiguration]) -> None:
        """Remove what earlier attempts have left, export, and list the objects.

        Args:
            describe: Gives the job's configuration, without labels, for the URI that it writes to.

        Raises:
            TradewindError: It failed; nothing of it is left.
        """
        self._store.check()
        self.discard_earlier()
        try:
            self._begin(describe)
            wait_until_done(self._job, self._system, self._stop, doing="exports")
            if self._job.error_result:
                raise failure_of_job(self._system, self._job.error_result)
            self._found = sorted(self._objects(), key=lambda info: info.key)
            promised, _ = _promised(self._job)
            if promised is not None and promised != len(self._found):
                raise RetryError(
                    f"{self._system}: BigQuery has exported {promised} objects, and "
                    f"{len(self._found)} are in {self._store.uri(self._folder)}. Let nobody else "
                    "write or delete there, and try again."
                )
        except BaseException:
            self.remove()
            raise

    def discard_earlier(self) -> None:
        """End and remove what earlier attempts of the owner have left."""
        while (earlier := self._find()) is not None:
            self._end(earlier)
            self._clear()
            self._number += 1
            if self._number > _MOST:
                raise RetryError(f"{self._system}: {_MOST} exports were made by this run.")

    def _find(self) -> Any | None:
        from google.api_core.exceptions import NotFound

        with translated(f"{self._system}, job {self._name}"):
            try:
                return self._client.get_job(
                    self._name, location=self._location, retry=patient(), timeout=PATIENCE
                )
            except NotFound:
                return None

    def _find_own(self) -> Any | None:
        """Find the job if it is this attempt's, and not another's under the same name."""
        found = self._find()
        own = found is not None and (found.labels or {}).get(_ATTEMPT) == self._attempt
        return found if own else None

    def _begin(self, describe: Callable[[str], JobConfiguration]) -> None:
        from google.api_core.exceptions import Conflict

        labels = {
            **self._labels,
            "tradewind": "export",
            "tradewind_owner": self._digest,
            _ATTEMPT: self._attempt,
        }
        if self._owner is not None:
            labels["tradewind_task_run"] = self._owner.run_digest
        described = describe(f"{self._store.uri(self._folder)}*{_ENDING}")
        job = job_of(
            self._client, self._name, {**described, "labels": labels}, location=self._location
        )
        with translated(f"{self._system}, job {self._name}"):
            try:
                self._asked = True
                job._begin(retry=patient(), timeout=PATIENCE)
            except Conflict:
                found = self._find_own()
                if found is None:
                    raise RetryError(
                        f"{self._system}: another attempt of the same run exports, too. Nothing of "
                        "this one is left. Try again."
                    ) from None
                job = found  # This attempt's, whose answer was lost on the way.
        self._job = job

    def _end(self, job: Any) -> None:
        """Cancel a job that has not ended, and wait: it may write until then."""
        from google.api_core.exceptions import NotFound

        if job.state == "DONE":
            return
        with translated(f"{self._system}, job {job.job_id}"):
            try:
                job.cancel(retry=patient(), timeout=PATIENCE)
            except NotFound:
                return
        wait_until_done(job, self._system, None, doing="is being cancelled", seconds=PATIENCE)

    def _objects(self) -> Iterator[ObjectInfo]:
        return self._store.list(self._folder)

    def _clear(self) -> None:
        self._store.delete(info.key for info in self._objects())

    def batches(self, columns: Sequence[Column]) -> Batches:
        """Read what was exported, object by object; closing it removes all.

        Args:
            columns: Those that were exported.
        """
        schema = arrow_schema(columns, system=self._system)
        _, promised = _promised(self._job)

        def generate() -> Iterator[pa.RecordBatch]:
            rows = 0
            for info in self._found:
                where = f"{self._system}, exported to {self._store.uri(info.key)}"
                with ParquetFormat().decode_file(ObjectFile(self._store, info)) as read:
                    for batch in read:
                        rows += batch.num_rows
                        yield conformed(batch, columns, schema, system=where)
            if promised is not None and promised != rows:
                raise RetryError(
                    f"{self._system}: BigQuery has exported {promised} rows, {rows} were read. "
                    "Try again."
                )

        return Batches(schema, ahead(generate(), name=self._system), on_close=self.remove)

    def remove(self) -> None:
        """Remove the objects; what cannot be removed is logged, and is for the sweep."""
        if self._gone:
            return
        self._gone = True
        try:
            if self._job is None and self._asked:
                # Its answer did not come; it may run all the same.
                self._job = self._find_own()
            if self._job is None:
                return
            self._end(self._job)
            self._clear()
        except TradewindError as error:
            self.left = (
                f"{self._store.uri(self._folder)} could not be removed; `tradewind sweep --objects "
                f"{self._store.uri(self._prefix)}` finds it"
            )
            _log.warning("%s: %s (%s).", self._system, self.left, error)


def _store_of(connection: BigQueryConnection, bucket: str) -> GCSStore:
    if not connection.endpoint:
        return GCSStore(bucket, credentials=connection.credentials)
    from google.auth.credentials import AnonymousCredentials

    # An emulator's objects are where it is: jobs write there, whatever else is emulated.
    anonymous: Any = AnonymousCredentials
    credentials = connection.credentials or anonymous()
    return GCSStore(bucket, credentials=credentials, endpoint=connection.endpoint)


def _promised(job: Any) -> tuple[int | None, int | None]:
    """Read how many objects and rows BigQuery says it has exported; None where it does not."""
    told: Mapping[str, Any] = job._properties.get("statistics", {})
    counts = told.get("extract", {}).get("destinationUriFileCounts")
    if counts:
        return sum(map(int, counts)), None
    exported = told.get("query", {}).get("exportDataStatistics", {})
    files, rows = exported.get("fileCount"), exported.get("rowCount")
    return (None if files is None else int(files)), (None if rows is None else int(rows))
