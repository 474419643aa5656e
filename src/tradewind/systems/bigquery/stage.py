"""The staging table of one attempt: filled by load jobs of Parquet, and removed in any case."""

from __future__ import annotations

import contextlib
import datetime
import io
import secrets
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from tradewind.errors import InputError, RetryError, SetupError
from tradewind.systems.bigquery.commit import run_query, short_digest
from tradewind.systems.bigquery.connection import TableName
from tradewind.systems.bigquery.errors import PATIENCE, failure_of_job, patient, translated
from tradewind.systems.bigquery.fit import fit, staged
from tradewind.systems.bigquery.types import Column

if TYPE_CHECKING:
    from google.cloud.bigquery import Client

    from tradewind.owner import Owner

__all__ = ["PREFIX", "Stage", "discard_stages"]

PREFIX = "tradewind_rows_"
"""What names of staging tables begin with."""
_LIFE = datetime.timedelta(days=1)
_LOAD_SECONDS = 3600.0


def _prefix_of(table: TableName, owner: Owner) -> str:
    return f"{PREFIX}{owner.digest}_{short_digest(table)}_"


def stages_of(client: Client, project: str, dataset: str) -> Iterator[Any]:
    """List the staging tables of a dataset, as the client library has them."""
    place: Any = f"{project}.{dataset}"
    for one in client.list_tables(place, retry=patient(), timeout=PATIENCE):
        if one.table_id.startswith(PREFIX):
            yield one


def discard_stages(client: Client, table: TableName, owner: Owner, system: str) -> None:
    """Remove what earlier attempts of an owner have staged for a table.

    One that still runs cannot publish after that: what it would publish is gone.
    """
    prefix = _prefix_of(table, owner)
    with translated(f"{system}, dataset {table.dataset}"):
        for one in list(stages_of(client, table.project, table.dataset)):
            if one.table_id.startswith(prefix):
                client.delete_table(
                    one.reference, not_found_ok=True, retry=patient(), timeout=PATIENCE
                )


class Stage:
    """A staging table, made when it is entered.

    Args:
        client: The client.
        table: The target; the staging table is in its dataset.
        owner: Whose effect it is.
        columns: The target's columns, one for each of the data's, in their order.
        piece_bytes: Size of the Parquet that one load job takes.
        labels: Of the jobs.
        system: For messages.
        location: Of the dataset.
    """

    def __init__(
        self,
        client: Client,
        table: TableName,
        owner: Owner,
        columns: Sequence[Column],
        *,
        piece_bytes: int,
        labels: Mapping[str, str],
        system: str,
        location: str | None = None,
    ) -> None:
        self._client = client
        self._location = location
        self._owner = owner
        self._columns = columns
        self._staged = [staged(one) for one in columns]
        self._piece_bytes = piece_bytes
        self._labels = labels
        self._attempt = secrets.token_hex(6)
        self.name = TableName(
            table.project, table.dataset, f"{_prefix_of(table, owner)}{self._attempt}"
        )
        self._system = f"{system}, table {table}"
        self._piece = io.BytesIO()
        self._writer: Any = None
        self._pieces = 0
        self._running: Any = None
        self._loaded = 0
        self.rows = 0
        self.bytes = 0

    def __enter__(self) -> Self:
        from google.cloud.bigquery import Table

        made: Any = Table
        reference = {
            "projectId": self.name.project,
            "datasetId": self.name.dataset,
            "tableId": self.name.table,
        }
        table = made.from_api_repr(
            {"tableReference": reference, "schema": {"fields": self._staged}}
        )
        table.expires = datetime.datetime.now(datetime.UTC) + _LIFE
        table.labels = {"tradewind": "stage", "tradewind_owner": self._owner.digest}
        table.description = f"Tradewind stages rows here for {self._owner}; it may be removed."
        with translated(self._system):
            self._client.create_table(table, retry=patient(), timeout=PATIENCE)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        taken = isinstance(error, InputError | SetupError) and not self._is_there()
        with contextlib.suppress(Exception):
            self._client.delete_table(
                str(self.name), not_found_ok=True, retry=patient(), timeout=PATIENCE
            )
        if taken:
            # Whatever failed has failed because of that, in whatever words.
            raise RetryError(
                f"{self._system}: another attempt of the same run took over, and has removed what "
                "this one had staged. Nothing of it is visible. Try again."
            ) from error

    def _is_there(self) -> bool:
        from google.api_core.exceptions import NotFound

        try:
            self._client.get_table(str(self.name), retry=patient(), timeout=PATIENCE)
        except NotFound:
            return False
        except Exception:  # Not known: what has failed is told as it is.
            return True
        return True

    def write(self, batch: pa.RecordBatch) -> None:
        """Write a batch; what makes up a piece is loaded meanwhile."""
        arrays = [
            fit(array, field, column)
            for array, field, column in zip(batch.columns, batch.schema, self._columns, strict=True)
        ]
        names = [str(one["name"]) for one in self._columns]
        fitting = pa.RecordBatch.from_arrays(arrays, names=names)
        if self._writer is None:
            self._writer = pq.ParquetWriter(
                self._piece, fitting.schema, compression="zstd", use_compliant_nested_type=True
            )
        self._writer.write_batch(fitting)
        self.rows += batch.num_rows
        if self._piece.tell() >= self._piece_bytes:
            self._send()

    def finish(self) -> None:
        """Load what is left, and see that all rows are there."""
        if self._writer is not None:
            self._send()
        self._settle()
        if self._pieces > 1:
            asked = f"SELECT COUNT(*) AS n FROM {self.name.sql}"  # noqa: S608
            self._loaded = int(run_query(self._client, asked, self._system)[0]["n"])
        if self._loaded != self.rows:
            raise RetryError(
                f"{self._system}: {self.rows} rows were sent and {self._loaded} were loaded. "
                "Nothing of it is visible. Try again."
            )

    def _send(self) -> None:
        from google.api_core.exceptions import Conflict
        from google.cloud.bigquery import LoadJobConfig, ParquetOptions, SchemaField

        self._writer.close()
        self._writer = None
        size = self._piece.tell()
        self._piece.seek(0)
        self._settle()
        made: Any = LoadJobConfig
        parquet: Any = ParquetOptions()  # type: ignore[no-untyped-call]
        parquet.enable_list_inference = True
        fields: Any = [SchemaField.from_api_repr(dict(one)) for one in self._staged]
        config = made(
            source_format="PARQUET",
            schema=fields,
            write_disposition="WRITE_APPEND",
            create_disposition="CREATE_NEVER",
            parquet_options=parquet,
            labels={"tradewind": "load", **self._labels},
        )
        self._pieces += 1
        piece = self._piece
        name = f"tradewind-load-{self._attempt}-{self._pieces}"

        def load() -> Any:
            # The id is the same each time: what has arrived before is not loaded again.
            return self._client.load_table_from_file(
                piece,
                str(self.name),
                rewind=True,
                size=size,
                job_id=name,
                location=self._location,
                job_config=config,
                timeout=_LOAD_SECONDS,
                num_retries=3,
            )

        with translated(self._system):
            try:
                self._running = patient()(load)()
            except Conflict:
                # It has arrived before, and the answer was lost on the way.
                self._running = self._client.get_job(
                    name, location=self._location, retry=patient(), timeout=PATIENCE
                )
        self.bytes += size
        self._piece = io.BytesIO()

    def _settle(self) -> None:
        """Wait for the load job that runs."""
        job, self._running = self._running, None
        if job is None:
            return
        with translated(self._system):
            try:
                job.result(retry=patient(), timeout=_LOAD_SECONDS)
            except Exception:
                if job.error_result:
                    raise failure_of_job(self._system, job.error_result) from None
                raise
        self._loaded += int(job.output_rows or 0)
