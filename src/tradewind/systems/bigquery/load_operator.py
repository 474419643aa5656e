"""Objects of Google Cloud Storage into a table, by a job of BigQuery that runs once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tradewind.errors import InputError
from tradewind.systems.bigquery.operator_base import (
    BigQueryJobOperator,
    checked_kill,
    job_arguments,
)

if TYPE_CHECKING:
    from airflow.sdk import Context

    from tradewind.run.supervise import Outcome

__all__ = ["GCSToBigQueryOperator"]


class GCSToBigQueryOperator(BigQueryJobOperator):
    """Load objects of Google Cloud Storage into a table by a job. Takes the official one's place.

    BigQuery reads the objects, all or none of them. The XCom is the job's id, or the largest value
    of `max_id_key`; ``job_id`` and ``statistics`` are others.

    Args:
        bucket: The bucket. (templated)
        source_objects: A key or several; ``*`` stands for any text. (templated)
        destination_project_dataset_table: ``dataset.table`` or ``project.dataset.table``, with
            ``$20260131`` for a partition. (templated)
        schema_fields: The columns, as BigQuery's API has them.
        schema_object: The key of a JSON file with them. (templated)
        schema_object_bucket: Its bucket; `bucket` when not given. (templated)
        source_format: ``CSV``, ``NEWLINE_DELIMITED_JSON``, ``AVRO``, ``PARQUET``, ``ORC`` or
            ``DATASTORE_BACKUP``.
        compression: Has no effect: BigQuery tells it by itself.
        create_disposition: ``CREATE_IF_NEEDED`` or ``CREATE_NEVER``.
        skip_leading_rows: Of CSV.
        write_disposition: ``WRITE_EMPTY``, ``WRITE_APPEND``, ``WRITE_TRUNCATE``.
        field_delimiter: Of CSV.
        max_bad_records: Rows that BigQuery may leave out.
        quote_character: Of CSV.
        ignore_unknown_values: Whether BigQuery leaves out what the table has no column for.
        allow_quoted_newlines: Of CSV.
        allow_jagged_rows: Of CSV: whether a row may end early.
        encoding: Of CSV.
        max_id_key: The column whose largest value becomes the XCom.
        gcp_conn_id: As `BigQueryJobOperator`, and so all further ones that are of the job.
        schema_update_options: ``ALLOW_FIELD_ADDITION``, ``ALLOW_FIELD_RELAXATION``.
        src_fmt_configs: Further options of the format, as BigQuery's API has them. (templated)
        external_table: True is refused.
        time_partitioning: Of a table that is made: ``type``, ``field``, ``expirationMs``.
        cluster_fields: Of a table that is made.
        autodetect: Whether BigQuery tells columns and options; None for the table's own.
        encryption_configuration: ``{"kmsKeyName": ...}``.
        location: Where the job runs.
        impersonation_chain: The service account to act as, or the chain to it. (templated)
        labels: Of a table that is made.
        description: Of a table that is made.
        deferrable: Gives the worker's slot back while the job runs.
        result_retry: Has no effect.
        result_timeout: Has no effect.
        cancel_on_kill: False is refused.
        job_id: What the job's id begins with.
        force_rerun: Has no effect.
        reattach_states: Has no effect.
        project_id: The project that the job runs in.
        force_delete: True is refused.
        kwargs: `WorkOperator`'s and `BaseOperator`'s.
    """

    template_fields: Sequence[str] = (
        "bucket",
        "source_objects",
        "schema_object",
        "schema_object_bucket",
        "destination_project_dataset_table",
        "impersonation_chain",
        "src_fmt_configs",
    )
    template_ext: Sequence[str] = (".sql",)
    ui_color = "#f0eee4"

    def __init__(
        self,
        *,
        bucket: str,
        source_objects: str | list[str],
        destination_project_dataset_table: str,
        schema_fields: list[dict[str, Any]] | None = None,
        schema_object: str | None = None,
        schema_object_bucket: str | None = None,
        source_format: str = "CSV",
        compression: str = "NONE",
        create_disposition: str = "CREATE_IF_NEEDED",
        skip_leading_rows: int | None = None,
        write_disposition: str = "WRITE_EMPTY",
        field_delimiter: str = ",",
        max_bad_records: int = 0,
        quote_character: str | None = None,
        ignore_unknown_values: bool = False,
        allow_quoted_newlines: bool = False,
        allow_jagged_rows: bool = False,
        encoding: str = "UTF-8",
        max_id_key: str | None = None,
        gcp_conn_id: str = "google_cloud_default",
        schema_update_options: Sequence[str] = (),
        src_fmt_configs: dict[str, Any] | None = None,
        external_table: bool = False,
        time_partitioning: dict[str, Any] | None = None,
        cluster_fields: list[str] | None = None,
        autodetect: bool | None = True,
        encryption_configuration: dict[str, Any] | None = None,
        location: str | None = None,
        impersonation_chain: str | Sequence[str] | None = None,
        labels: dict[str, str] | None = None,
        description: str | None = None,
        deferrable: bool | None = None,
        result_retry: Any = None,
        result_timeout: float | None = None,
        cancel_on_kill: bool = True,
        job_id: str | None = None,
        force_rerun: bool = True,
        reattach_states: set[str] | None = None,
        project_id: str | None = None,
        force_delete: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**job_arguments(locals()), **kwargs)
        self.bucket = bucket
        self.source_objects = source_objects
        self.destination_project_dataset_table = destination_project_dataset_table
        self.schema_fields = schema_fields
        self.schema_object = schema_object
        self.schema_object_bucket = schema_object_bucket
        self.source_format = source_format.upper()
        self.compression = compression
        self.create_disposition = create_disposition
        self.skip_leading_rows = skip_leading_rows
        self.write_disposition = write_disposition
        self.field_delimiter = field_delimiter
        self.max_bad_records = max_bad_records
        self.quote_character = quote_character
        self.ignore_unknown_values = ignore_unknown_values
        self.allow_quoted_newlines = allow_quoted_newlines
        self.allow_jagged_rows = allow_jagged_rows
        self.encoding = encoding
        self.max_id_key = max_id_key
        self.schema_update_options = schema_update_options
        self.src_fmt_configs = src_fmt_configs or {}
        self.external_table = external_table
        self.time_partitioning = time_partitioning or {}
        self.cluster_fields = cluster_fields
        self.autodetect = autodetect
        self.encryption_configuration = encryption_configuration
        self.labels = labels
        self.description = description
        self.cancel_on_kill = cancel_on_kill
        self.force_delete = force_delete
        checked_kill(cancel_on_kill)
        if external_table:
            raise InputError(
                "external_table=True loads nothing. Make the table by BigQueryInsertJobOperator "
                "and CREATE OR REPLACE EXTERNAL TABLE."
            )
        if force_delete:
            raise InputError(
                "force_delete=True deletes the table before another one is loaded. "
                "write_disposition='WRITE_TRUNCATE' replaces rows and columns in one step."
            )
        from tradewind.systems.bigquery.load_options import load_of

        load_of(self)

    def make_work(self, context: Context) -> Any:
        """Say how the job is described; a schema's object is read only where it is started."""
        from tradewind.systems.bigquery.load_options import load_of

        def describe() -> dict[str, Any]:
            load = load_of(self)
            objects = self.source_objects
            keys = [objects] if isinstance(objects, str) else list(objects)
            load["sourceUris"] = [f"gs://{self.bucket}/{key}" for key in keys]
            load["destinationTable"] = self.table_named(self.destination_project_dataset_table)
            fields = self.schema_fields or self._fields_of_object()
            if fields:
                load["schema"] = {"fields": fields}
            return {"load": load, "labels": self.with_labels(None)}

        return describe

    def _fields_of_object(self) -> Any:
        if not self.schema_object or self.source_format == "DATASTORE_BACKUP":
            return None
        from tradewind.systems.bigquery.airflow import read_schema_object

        return read_schema_object(
            self.schema_object_bucket or self.bucket,
            self.schema_object,
            self.gcp_conn_id,
            impersonation_chain=self.impersonation_chain,
        )

    def read_result(self, outcome: Outcome) -> Any:
        """Take the largest value of `max_id_key`, or the id of the job."""
        job = super().read_result(outcome)
        if not self.max_id_key:
            return job
        from tradewind.systems.bigquery.airflow import largest_value

        return largest_value(
            self.connection(), self.destination_project_dataset_table, self.max_id_key
        )
