"""Rows of BigQuery: a query's, or a table's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

from tradewind.errors import InputError
from tradewind.move.batches import Batches
from tradewind.move.source import Source
from tradewind.systems.bigquery.connection import BigQueryConnection, TableName, quoted
from tradewind.systems.bigquery.errors import PATIENCE, failure_of_job, patient, translated
from tradewind.systems.bigquery.parameters import query_parameters
from tradewind.systems.bigquery.reading import read_json, read_streams
from tradewind.systems.bigquery.types import Column, arrow_schema

if TYPE_CHECKING:
    from google.cloud.bigquery import Client

__all__ = ["BigQuerySource"]

_MOST_STREAMS = 64


class BigQuerySource(Source):
    """Rows of a query or a table of BigQuery, as Arrow, with all types kept.

    A table is read as one snapshot by the Storage Read API, in `streams` streams at once. A query
    is run as a job, and its result is read in the same way, by one stream, so that ``ORDER BY``
    holds. Without the package google-cloud-bigquery-storage rows come as JSON through REST.

    Repeated and nested columns stay arrays and structs. Where BigQuery has no NULL (an array), an
    empty array arrives. JSON and GEOGRAPHY are text, as BigQuery writes them.

    Memory: three messages of some megabytes a stream.

    Args:
        connection: The project, and who asks.
        query: One SELECT in GoogleSQL; nothing else is run.
        table: Instead of a query: ``dataset.table`` or ``project.dataset.table``.
        columns: Which columns of the table; all when not given.
        where: A condition in SQL for the table's rows.
        parameters: Of the query: values by name for ``@name``, or in order for ``?``.
        streams: Streams for a table.
        maximum_bytes_billed: The most bytes that the query may read; no limit when not given.
        labels: Of the query's job.

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
        self.connection = connection
        self.query = query
        self.table = table
        self.columns = None if columns is None else tuple(columns)
        self.where = where
        self.parameters = parameters
        self.streams = streams
        self.maximum_bytes_billed = maximum_bytes_billed
        self.labels = dict(labels or {})

    @classmethod
    def from_uri(cls, uri: str, options: Mapping[str, str]) -> Self:
        """Make one from ``bigquery://PROJECT[/DATASET]`` and options.

        Args:
            uri: See `BigQueryConnection.from_uri`.
            options: ``query`` or ``table``; ``columns`` (with commas), ``where``, ``streams``,
                ``maximum_bytes_billed``.

        Raises:
            InputError: Something of it is wrong.
        """
        given = dict(options)
        keywords: dict[str, Any] = {
            name: given.pop(name) for name in ("query", "table", "where") if name in given
        }
        if "columns" in given:
            keywords["columns"] = [part.strip() for part in given.pop("columns").split(",")]
        for name in ("streams", "maximum_bytes_billed"):
            if name in given:
                text = given.pop(name)
                if not text.isdecimal():
                    raise InputError(f"BigQuery: {name} is a number, not {text!r}.")
                keywords[name] = int(text)
        if given:
            raise InputError(
                f"BigQuery: a source has no option {', '.join(sorted(given))}. Choose from: query, "
                "table, columns, where, streams, maximum_bytes_billed."
            )
        return cls(BigQueryConnection.from_uri(uri), **keywords)

    def describe(self) -> str:
        """Name the project, and the table."""
        return f"{self.connection.uri}: " + (f"table {self.table}" if self.table else "a query")

    def batches(self) -> Batches:
        """Read record batches; see `Source.batches`."""
        client = self.connection.client()
        system = f"BigQuery, project {client.project}"
        try:
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
        if found.table_type not in ("TABLE", "SNAPSHOT", "CLONE", None):
            # A view has no rows of its own.
            table, columns = self._run(client, self._select(table), system)
            return table, columns, None, 1
        return table, columns, self.where, self.streams

    def _select(self, table: TableName) -> str:
        columns = ", ".join(map(quoted, self.columns)) if self.columns else "*"
        return f"SELECT {columns} FROM {table.sql}" + (  # noqa: S608 - names are quoted
            f" WHERE {self.where}" if self.where else ""
        )

    def _run(self, client: Client, query: str, system: str) -> tuple[TableName, Sequence[Column]]:
        """Run a query, and find the table that keeps its result for a day."""
        from google.cloud.bigquery import QueryJobConfig

        made: Any = QueryJobConfig
        options: dict[str, Any] = {
            "query_parameters": query_parameters(self.parameters),
            "labels": {"tradewind": "source", **self.labels},
            "use_legacy_sql": False,
        }
        if self.maximum_bytes_billed is not None:
            options["maximum_bytes_billed"] = self.maximum_bytes_billed
        asked = {"retry": patient(), "timeout": PATIENCE, "job_retry": None}
        with translated(system):
            dry = client.query(query, job_config=made(**options, dry_run=True), **asked)
            if dry.statement_type not in ("SELECT", None):
                raise InputError(
                    f"{system}: the query is a {dry.statement_type}, and a source runs one SELECT "
                    "only. Run it by BigQueryInsertJobOperator, and read what it leaves."
                )
            job = client.query(query, job_config=made(**options), **asked)
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


def _closing(batches: Batches, client: Any) -> Batches:
    """Close the client with the batches."""

    def close() -> None:
        batches.close()
        client.close()

    return Batches(batches.schema, iter(batches), on_close=close)
