"""Rows of BigQuery: a query's, or a table's."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from tradewind.errors import InputError, TradewindError
from tradewind.move.batches import Batches
from tradewind.move.sizes import bytes_of
from tradewind.move.source import Source
from tradewind.systems.bigquery.connection import BigQueryConnection, TableName, quoted
from tradewind.systems.bigquery.errors import PATIENCE, failure_of_job, patient, translated
from tradewind.systems.bigquery.literals import one_statement
from tradewind.systems.bigquery.parameters import query_parameters
from tradewind.systems.bigquery.reading import read_json, read_streams
from tradewind.systems.bigquery.types import Column, arrow_schema

if TYPE_CHECKING:
    from google.cloud.bigquery import Client, Table

    from tradewind.owner import Owner
    from tradewind.systems.bigquery.export import Export

__all__ = ["BigQuerySource"]

_log = logging.getLogger(__name__)

_MOST_STREAMS = 64
_WITH_ROWS = ("TABLE", "SNAPSHOT", "CLONE", None)
"""Kinds of tables that have rows of their own, as a view has not."""


@dataclass(frozen=True)
class _Plan:
    """What is exported: of a whole table by an extract job, else by a query."""

    made: Export
    system: str
    columns: Sequence[Column]
    query: str
    extracted: TableName | None


class BigQuerySource(Source):
    """Rows of a query or a table of BigQuery, as Arrow, with all types kept.

    A table is read as one snapshot by the Storage Read API, in `streams` streams at once. A query
    is run as a job, and its result is read in the same way, by one stream, so that ``ORDER BY``
    holds. Without the package google-cloud-bigquery-storage rows come as JSON through REST.

    Repeated and nested columns stay arrays and structs. Where BigQuery has no NULL (an array), an
    empty array arrives. JSON and GEOGRAPHY are text, as BigQuery writes them.

    With `export`, the large road, BigQuery writes Parquet to Google Cloud Storage by one job, which
    is read from there and removed. The types are the same. A whole table is exported by an extract
    job, which costs nothing, in no order; a query, a view, a choice of a table's rows or columns,
    or a table with rows in its streaming buffer, which that job leaves out, by an ``EXPORT DATA``
    statement, whose ``ORDER BY`` holds. What a killed attempt leaves there, the next one removes,
    and ``tradewind sweep --objects`` finds.

    Memory: three messages of some megabytes a stream; of an export 1 MiB a column, and two batches.

    Args:
        connection: The project, and who asks.
        query: One SELECT in GoogleSQL; nothing else is run.
        table: Instead of a query: ``dataset.table`` or ``project.dataset.table``.
        columns: Which columns of the table; all when not given.
        where: A condition in SQL for the table's rows.
        parameters: Of the query: values by name for ``@name``, or in order for ``?``.
        streams: Streams for a table.
        maximum_bytes_billed: The most bytes that the query may read; no limit when not given.
        labels: Of the job.
        export: Where to export: ``gs://BUCKET/PREFIX``, a bucket in the location of the data;
            `streams` has no effect then.

    Raises:
        InputError: An argument is wrong.
    """

    decides = ("connection", "query", "table", "columns", "where", "parameters")

    def __init__(
        self,
        connection: BigQueryConnection,
        query: str | None = None,
        *,
        table: str | None = None,
        columns: Sequence[str] | None = None,
        where: str | None = None,
        parameters: Mapping[str, Any] | Sequence[Any] | None = None,
        streams: int = 4,
        maximum_bytes_billed: int | None = None,
        labels: Mapping[str, str] | None = None,
        export: str | None = None,
    ) -> None:
        if bool(query) == bool(table):
            raise InputError("BigQuery: give a query or a table, one of them.")
        if query and (columns is not None or where):
            raise InputError(
                "BigQuery: columns and where go with a table. Write them in the query."
            )
        if table and parameters is not None:
            raise InputError("BigQuery: parameters go with a query.")
        if isinstance(columns, str) or (columns is not None and not columns):
            raise InputError("BigQuery: columns is a list of names, with one at least.")
        if not 1 <= streams <= _MOST_STREAMS:
            raise InputError(f"BigQuery: streams is a number from 1 to {_MOST_STREAMS}.")
        if export is not None:
            from tradewind.systems.bigquery.export import check_place

            check_place(export)
        self.connection = connection
        self.query = query
        self.table = table
        self.columns = None if columns is None else tuple(columns)
        self.where = where
        self.parameters = parameters
        self.streams = streams
        self.maximum_bytes_billed = maximum_bytes_billed
        self.labels = dict(labels or {})
        self.export = export

    @classmethod
    def from_uri(cls, uri: str, options: Mapping[str, str]) -> Self:
        """Make one from ``bigquery://PROJECT[/DATASET]`` and options.

        Args:
            uri: See `BigQueryConnection.from_uri`.
            options: ``query`` or ``table``; ``columns`` (with commas), ``where``, ``streams``,
                ``maximum_bytes_billed``, ``export``, ``location``.

        Raises:
            InputError: Something of it is wrong.
        """
        given = dict(options)
        location = given.pop("location", None)
        keywords: dict[str, Any] = {
            name: given.pop(name) for name in ("query", "table", "where", "export") if name in given
        }
        if "columns" in given:
            keywords["columns"] = [part.strip() for part in given.pop("columns").split(",")]
        for name in ("streams", "maximum_bytes_billed"):
            if name in given:
                text = given.pop(name)
                if name == "maximum_bytes_billed":
                    text = str(bytes_of(name, text))
                if not text.isdecimal():
                    raise InputError(f"BigQuery: {name} is a number, not {text!r}.")
                keywords[name] = int(text)
        if given:
            raise InputError(
                f"BigQuery: a source has no option {', '.join(sorted(given))}. Choose from: query, "
                "table, columns, where, streams, maximum_bytes_billed, export, location."
            )
        return cls(BigQueryConnection.from_uri(uri, location=location), **keywords)

    def describe(self) -> str:
        """Name the project, and the table."""
        return f"{self.connection.uri}: " + (f"table {self.table}" if self.table else "a query")

    def batches(self) -> Batches:
        """Read record batches; see `Source.batches`."""
        client = self.connection.client()
        system = f"BigQuery, project {client.project}"
        try:
            if self.export is not None:
                return _closing(self._exported(client, system), client)
            table, columns, where, streams = self._place(client, system)
            reader = self.connection.read_client()
            if reader is not None:
                found = read_streams(
                    reader,
                    client.project,
                    table,
                    columns,
                    streams=streams,
                    where=where,
                    system=f"{system}, table {table}" if self.table else system,
                )
                if found is not None:
                    return _closing(found, client)
            if self.table and (where or self.columns):
                table, _ = self._run(client, self._select(table), system)
            return _closing(read_json(client, table, columns, system=system), client)
        except BaseException:
            client.close()
            raise

    def _place(
        self, client: Client, system: str
    ) -> tuple[TableName, Sequence[Column], str | None, int]:
        """Find the table that is read, its columns, the condition and the number of streams."""
        if self.query:
            table, columns = self._run(client, self.query, system)
            return table, columns, None, 1
        table, found, columns = self._look(client, system)
        if found.table_type not in _WITH_ROWS:
            # A view has no rows of its own.
            table, columns = self._run(client, self._select(table), system)
            return table, columns, None, 1
        return table, columns, self.where, self.streams

    def _look(self, client: Client, system: str) -> tuple[TableName, Table, Sequence[Column]]:
        """Find the table and the columns that are read of it."""
        table = self.connection.table_name(self.table or "")
        with translated(f"{system}, table {table}"):
            found = client.get_table(str(table), retry=patient(), timeout=PATIENCE)
        columns = found.to_api_repr()["schema"]["fields"]
        if self.columns is not None:
            known = {str(column["name"]).lower(): column for column in columns}
            for name in self.columns:
                if name.lower() not in known:
                    raise InputError(
                        f"{system}: table {table} has no column {name!r}. Choose from: "
                        f"{', '.join(str(column['name']) for column in columns)}."
                    )
            columns = [known[name.lower()] for name in self.columns]
        return table, found, columns

    def discard(self, owner: Owner) -> None:
        """Remove what earlier attempts have exported; see `Source.discard`."""
        if self.export is None:
            return
        try:
            client = self.connection.client()
            try:
                system = f"BigQuery, project {client.project}"
                self._plan(client, system, owner).made.discard_earlier()
            finally:
                client.close()
        except TradewindError as error:
            _log.warning("What earlier attempts may have exported is for the sweep: %s", error)

    def _plan(self, client: Client, system: str, owner: Owner | None) -> _Plan:
        """Find out what is exported, and how it is called."""
        from tradewind.systems.bigquery.export import Export

        query, what, location = self.query or "", f"query {self.query}", client.location
        columns: Sequence[Column] = ()
        extracted: TableName | None = None
        if self.table:
            table, found, columns = self._look(client, system)
            system, location = f"{system}, table {table}", found.location or location
            query, what = self._select(table), f"table {table} {self.columns} {self.where}"
            # An extract job leaves out, unsaid, rows that were streamed of late; a query has them.
            streamed = found.streaming_buffer is not None
            if found.table_type in _WITH_ROWS and not (self.where or self.columns or streamed):
                extracted = table
        if extracted is None:
            dry = self._dry_run(client, query, system)
            location = location or dry.location
            if self.query:
                columns = [one.to_api_repr() for one in dry.schema or ()]
        made = Export(
            self.connection, client, self.export or "", what=what, owner=owner, location=location,
            labels=self.labels, stop=self.stop, system=system,
        )  # fmt: skip
        return _Plan(made, system, columns, query, extracted)

    def _exported(self, client: Client, system: str) -> Batches:
        """Export, and read what was exported."""
        from tradewind.systems.bigquery.export import export_of, extract_of
        from tradewind.systems.bigquery.exported import check_exportable

        self.notes = ()
        plan = self._plan(client, system, self.owner)
        check_exportable(plan.columns, system=plan.system)
        arrow_schema(plan.columns, system=plan.system)

        def describe(uri: str) -> Mapping[str, Any]:
            if plan.extracted is not None:
                return extract_of(plan.extracted, uri)
            return export_of(plan.query, uri, self._job_config())

        plan.made.run(describe)
        read = plan.made.batches(plan.columns)

        def close() -> None:
            read.close()
            self.notes = (plan.made.left,) if plan.made.left else ()

        return Batches(read.schema, iter(read), on_close=close)

    def _select(self, table: TableName) -> str:
        columns = ", ".join(map(quoted, self.columns)) if self.columns else "*"
        return f"SELECT {columns} FROM {table.sql}" + (  # noqa: S608 - names are quoted
            f" WHERE {self.where}" if self.where else ""
        )

    def _job_config(self, *, dry: bool = False) -> Any:
        from google.cloud.bigquery import QueryJobConfig

        made: Any = QueryJobConfig
        options: dict[str, Any] = {
            "query_parameters": query_parameters(self.parameters),
            "labels": {"tradewind": "source", **self.labels},
            "use_legacy_sql": False,
        }
        if self.maximum_bytes_billed is not None:
            options["maximum_bytes_billed"] = self.maximum_bytes_billed
        return made(**options, dry_run=True) if dry else made(**options)

    def _dry_run(self, client: Client, query: str, system: str) -> Any:
        """Ask what a query would do; refuse all but a SELECT."""
        # BigQuery itself calls several statements a SCRIPT, and one SELECT behind CREATE TEMP
        # FUNCTION none; an emulator goes by the first. Nothing but a SELECT stands in an export.
        # Source: https://cloud.google.com/bigquery/docs/multi-statement-queries
        alone = self.export is not None or self.connection.endpoint is not None
        if alone and ";" in (whole := one_statement(query)):
            # In a text, or several statements: within brackets only one has a meaning.
            inside = f"SELECT * FROM (\n{whole}\n)"  # noqa: S608 - it is the user's
            try:
                with translated(system):
                    client.query(inside, job_config=self._job_config(dry=True), **_asked())
            except InputError as error:
                raise InputError(
                    f"{error} A source runs one SELECT only, and an export one with nothing before "
                    "or behind it: leave export out for a query with functions of its own."
                ) from error
        with translated(system):
            dry = client.query(query, job_config=self._job_config(dry=True), **_asked())
        if dry.statement_type not in ("SELECT", None):
            raise InputError(
                f"{system}: the query is a {dry.statement_type}, and a source runs one SELECT "
                "only. Run it by BigQueryInsertJobOperator, and read what it leaves."
            )
        return dry

    def _run(self, client: Client, query: str, system: str) -> tuple[TableName, Sequence[Column]]:
        """Run a query, and find the table that keeps its result for a day."""
        self._dry_run(client, query, system)
        with translated(system):
            job = client.query(query, job_config=self._job_config(), **_asked())
            try:
                job.result(max_results=1, retry=patient(), job_retry=None)
            except BaseException:
                if not job.done(reload=False):
                    job.cancel(retry=None, timeout=PATIENCE)
                if job.error_result:
                    raise failure_of_job(system, job.error_result) from None
                raise
            place = job.destination
            if place is None:
                raise InputError(f"{system}: the query gives no rows. Give a SELECT.")
            table = TableName(place.project, place.dataset_id, place.table_id)
            found = client.get_table(str(table), retry=patient(), timeout=PATIENCE)
        columns = found.to_api_repr()["schema"]["fields"]
        arrow_schema(columns, system=system)
        return table, columns


def _asked() -> dict[str, Any]:
    return {"retry": patient(), "timeout": PATIENCE, "job_retry": None}


def _closing(batches: Batches, client: Any) -> Batches:
    """Close the client with the batches."""

    def close() -> None:
        batches.close()
        client.close()

    return Batches(batches.schema, iter(batches), on_close=close)
