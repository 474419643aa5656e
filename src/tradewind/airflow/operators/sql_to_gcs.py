"""`SqlToGCSOperator`: the result of a query as an object in Google Cloud Storage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from tradewind.airflow.base import Move, MoveOperator
from tradewind.airflow.lineage import Lineage
from tradewind.errors import InputError

if TYPE_CHECKING:
    from airflow.sdk import Context

    from tradewind.move.format import Format

__all__ = ["SqlToGCSOperator"]

_FORMATS = ("json", "csv", "parquet")


class SqlToGCSOperator(MoveOperator):
    """Stream the result of a query to Google Cloud Storage.

    Takes the place of the official operators that are called after a database
    (``PostgresToGCSOperator``, ``MySQLToGCSOperator``, ...), with their parameters.

    Args:
        sql: The SQL, or the name of a ``.sql`` file. (templated)
        bucket: The bucket. (templated)
        filename: The object; with ``{}`` in it a new one is begun after
            `approx_max_file_size_bytes`: 0, 1, ... take the place of ``{}``. (templated)
        approx_max_file_size_bytes: Bytes in one object, where `filename` has a ``{}``.
        export_format: ``json`` (JSON lines), ``csv`` or ``parquet``.
        field_delimiter: Of CSV.
        null_marker: What NULL is in CSV; nothing at all when not given.
        gzip: Whether to compress.
        parameters: Bound to the query. (templated)
        sql_conn_id: The SQL connection, of any kind. (templated)
        postgres_conn_id: The same, by its name in ``PostgresToGCSOperator``. (templated)
        mysql_conn_id: The same, by its name in ``MySQLToGCSOperator``. (templated)
        gcp_conn_id: The Google connection; None for application default credentials. (templated)
        impersonation_chain: The service account to act as. (templated)
        upload_metadata: No effect: rows are in the object's metadata where they are known.
        exclude_columns: Columns to leave out.
        write_on_empty: No effect: an empty result is an empty object with header or schema.
        parquet_row_group_size: Rows in a row group; the format's usual number when not given.
        use_server_side_cursor: No effect: nothing is read as a whole.
        cursor_itersize: No effect.
        schema_filename: Refused, see the documentation.
        schema: Refused.
        partition_columns: Refused.
        stringify_dict: Refused.
        max_row_bytes: Bytes of the longest row that is read; 64 MiB when None.
        kwargs: Of `BaseOperator`.
    """

    template_fields: Sequence[str] = (
        "sql",
        "bucket",
        "filename",
        "parameters",
        "impersonation_chain",
        "sql_conn_id",
        "gcp_conn_id",
    )
    template_ext: Sequence[str] = (".sql",)
    template_fields_renderers: ClassVar[dict[str, str]] = {"sql": "sql"}
    ui_color = "#a0e08c"

    def __init__(
        self,
        *,
        sql: str,
        bucket: str,
        filename: str,
        approx_max_file_size_bytes: int = 1_900_000_000,
        export_format: str = "json",
        field_delimiter: str = ",",
        null_marker: str | None = None,
        gzip: bool = False,
        parameters: Mapping[str, Any] | Sequence[Any] | None = None,
        sql_conn_id: str | None = None,
        postgres_conn_id: str | None = None,
        mysql_conn_id: str | None = None,
        gcp_conn_id: str | None = "google_cloud_default",
        impersonation_chain: str | Sequence[str] | None = None,
        upload_metadata: bool = False,
        exclude_columns: set[str] | None = None,
        write_on_empty: bool = False,
        parquet_row_group_size: int | None = None,
        use_server_side_cursor: bool = False,
        cursor_itersize: int = 2000,
        schema_filename: str | None = None,
        schema: Any = None,
        partition_columns: list[str] | None = None,
        stringify_dict: bool = False,
        max_row_bytes: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.max_row_bytes = max_row_bytes
        self.sql = sql
        self.bucket = bucket
        self.filename = filename
        self.approx_max_file_size_bytes = approx_max_file_size_bytes
        self.export_format = export_format.lower()
        self.field_delimiter = field_delimiter
        self.null_marker = null_marker
        self.gzip = gzip
        self.parameters = parameters
        self.sql_conn_id = sql_conn_id or postgres_conn_id or mysql_conn_id or "postgres_default"
        self.gcp_conn_id = gcp_conn_id
        self.impersonation_chain = impersonation_chain
        self.exclude_columns = exclude_columns or set()
        self.parquet_row_group_size = parquet_row_group_size
        if sum(each is not None for each in (sql_conn_id, postgres_conn_id, mysql_conn_id)) > 1:
            raise InputError("Give one of sql_conn_id, postgres_conn_id and mysql_conn_id.")
        if self.export_format not in _FORMATS:
            raise InputError(f"export_format={export_format!r}: choose from {', '.join(_FORMATS)}.")
        if self.export_format == "parquet" and gzip:
            raise InputError("gzip goes with csv and json; Parquet compresses by itself.")
        for name, given, remedy in (
            ("schema_filename", schema_filename, "Parquet holds its schema; BigQuery reads it."),
            ("schema", schema, "Cast in the query."),
            (
                "partition_columns",
                partition_columns,
                "Use TransferOperator with Objects(parts={'by': ...}).",
            ),
            ("stringify_dict", stringify_dict, "Cast JSON columns to text in the query."),
        ):
            if given:
                raise InputError(f"{name}={given!r} has no meaning in a stream. {remedy}")

    def plan_move(self, context: Context) -> Move:
        """Read the query into one object, or several with numbers."""
        from tradewind.airflow.descriptions import Sql
        from tradewind.move.objects.target import ObjectTarget
        from tradewind.systems.gcs.airflow import gcs_store

        store = gcs_store(
            self.bucket, self.gcp_conn_id, impersonation_chain=self.impersonation_chain
        )
        compression = "gzip" if self.gzip else "none"
        target: Any
        if "{}" in self.filename:
            from tradewind.airflow.named_files import NamedFiles

            stem, _, suffix = self.filename.partition("{}")
            target = NamedFiles(
                store,
                stem,
                suffix,
                separator="",
                bytes=self.approx_max_file_size_bytes,
                format=self._format(),
                compression=compression,
            )
        else:
            target = ObjectTarget(
                store, self.filename, format=self._format(), compression=compression
            )
        read = Sql(self.sql_conn_id, self.sql, self.parameters, max_row_bytes=self.max_row_bytes)
        return Move(
            read.source(),
            target,
            transform=self._without_columns if self.exclude_columns else None,
            lineage=Lineage(read.datasets(), query=read.text),
        )

    def _format(self) -> Format:
        if self.export_format == "csv":
            from tradewind.move.formats.csv import CsvFormat

            return CsvFormat(delimiter=self.field_delimiter, null=self.null_marker or "")
        if self.export_format == "parquet":
            from tradewind.move.formats.parquet import ParquetFormat

            rows = self.parquet_row_group_size
            return ParquetFormat() if rows is None else ParquetFormat(row_group_rows=rows)
        from tradewind.move.formats.jsonl import JsonLinesFormat

        return JsonLinesFormat()

    def _without_columns(self, batch: Any) -> Any:
        kept = [name for name in batch.schema.names if name not in self.exclude_columns]
        return batch.select(kept)
