"""Jobs of BigQuery that run once for a task run, however often workers die."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from tradewind.airflow.parse_checks import is_fixed
from tradewind.errors import InputError
from tradewind.systems.bigquery.operator_base import (
    BigQueryJobOperator,
    checked_kill,
    job_arguments,
)

if TYPE_CHECKING:
    import jinja2
    from airflow.sdk import Context

__all__ = ["BigQueryInsertJobOperator", "BigQueryToGCSOperator"]


class BigQueryInsertJobOperator(BigQueryJobOperator):
    """Run a job of BigQuery: a query, load, extract or copy. Takes the official operator's place.

    A retry reattaches to the job that an earlier attempt has started; a person who ends the task
    cancels it. The XCom is the job's id; ``statistics`` is another one.

    Args:
        configuration: What BigQuery's API calls a JobConfiguration: ``query``, ``load``,
            ``extract`` or ``copy``, and ``labels``; or the name of a ``.json`` file with it. Its
            ``query.query`` may name a ``.sql`` file, or be a list of statements. With ``dryRun``
            the XCom is what the query would do. (templated)
        project_id: The project; the connection's when not given. (templated)
        location: Where the job runs; needed everywhere but in the US and the EU.
        job_id: What the job's id begins with. (templated)
        force_rerun: Has no effect, see `BigQueryJobOperator`.
        reattach_states: Has no effect.
        gcp_conn_id: A Google connection; None for application default credentials. (templated)
        impersonation_chain: The service account to act as, or the chain to it. (templated)
        cancel_on_kill: False is refused.
        result_retry: Has no effect.
        result_timeout: Has no effect.
        deferrable: Gives the worker's slot back while the job runs.
        poll_interval: The longest time between two looks, in seconds.
        kwargs: `WorkOperator`'s and `BaseOperator`'s.
    """

    template_fields: Sequence[str] = (
        "configuration",
        "job_id",
        "gcp_conn_id",
        "impersonation_chain",
        "project_id",
    )
    template_ext: Sequence[str] = (".json", ".sql")
    template_file_fields: ClassVar[tuple[str, ...]] = ("configuration",)
    template_fields_renderers: ClassVar[dict[str, str]] = {
        "configuration": "json",
        "configuration.query.query": "sql",
    }

    def __init__(
        self,
        configuration: dict[str, Any],
        project_id: str | None = None,
        location: str | None = None,
        job_id: str | None = None,
        force_rerun: bool = True,
        reattach_states: set[str] | None = None,
        gcp_conn_id: str = "google_cloud_default",
        impersonation_chain: str | Sequence[str] | None = None,
        cancel_on_kill: bool = True,
        result_retry: Any = None,
        result_timeout: float | None = None,
        deferrable: bool | None = None,
        poll_interval: float = 4.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**job_arguments(locals()), **kwargs)
        self.configuration = configuration
        self.cancel_on_kill = cancel_on_kill

    def check_arguments(self) -> None:
        """Refuse what is wrong whatever the data are; see `CheckedOperator.check_arguments`."""
        super().check_arguments()
        checked_kill(self.cancel_on_kill)
        if not isinstance(self.configuration, Mapping | str) and is_fixed(self.configuration):
            raise InputError("configuration: give a dict, or the name of a .json file.")

    def resolve_template_files(self) -> None:
        """Read the file that the configuration names: from beside the DAG, or by its path."""
        given: Any = self.configuration
        if isinstance(given, str) and given.endswith(".json") and os.path.isfile(given):
            self.configuration = json.loads(Path(given).read_text(encoding="utf-8"))
        super().resolve_template_files()

    def render_template(
        self,
        content: Any,
        context: Context,
        jinja_env: jinja2.Environment | None = None,
        seen_oids: set[int] | None = None,
    ) -> Any:
        """Render a text, or all texts within a collection; an address names no file of ours."""
        if isinstance(content, str) and "://" in content:
            environment = jinja_env or self.get_template_env()
            return self._render(environment.from_string(content), context)
        return super().render_template(content, context, jinja_env, seen_oids)

    def make_work(self, context: Context) -> Any:
        """Give the configuration, with DAG and task as labels."""
        found = self._configuration()
        query = found.get("query")
        if isinstance(query, dict) and isinstance(query.get("query"), list):
            script = "\n".join(f"{str(text).rstrip().rstrip(';')};" for text in query["query"])
            found = {**found, "query": {**query, "query": script}}
        return {**found, "labels": self.with_labels(found.get("labels"))}

    def _configuration(self) -> dict[str, Any]:
        found: Any = self.configuration
        if isinstance(found, str):
            try:
                found = json.loads(found)
            except ValueError as error:
                raise InputError(f"configuration: it is no JSON ({error}).") from None
        if not isinstance(found, dict):
            raise InputError("configuration: give a dict, or the name of a .json file.")
        return found

    def execute(self, context: Context) -> Any:
        """Run the job, or reattach to what an earlier attempt has started.

        Args:
            context: Of the task run.

        Returns:
            The job's id; of a dry run what the query would do.
        """
        from tradewind.systems.bigquery.backend import dry_run

        with self._naming_input():
            work = self.make_work(context)
            if work.get("dryRun"):
                return dry_run(self.connection(), work)
        return super().execute(context)


class BigQueryToGCSOperator(BigQueryJobOperator):
    """Export a table to Google Cloud Storage by a job. Takes the official operator's place.

    The XCom is the job's id; ``statistics`` is another one.

    Args:
        source_project_dataset_table: ``dataset.table`` or ``project.dataset.table``. (templated)
        destination_cloud_storage_uris: Like ``["gs://bucket/orders-*.parquet"]``. (templated)
        project_id: The project that the job runs in; the connection's when not given.
        compression: ``NONE``, ``GZIP``, ``SNAPPY``, ``ZSTD``, ``DEFLATE``, by the format.
        export_format: ``CSV``, ``NEWLINE_DELIMITED_JSON``, ``AVRO`` or ``PARQUET``. (templated)
        field_delimiter: Of CSV.
        print_header: Whether CSV begins with the names of the columns.
        gcp_conn_id: As `BigQueryJobOperator`, and so all further ones.
        labels: Of the job. (templated)
        location: Where the job runs.
        impersonation_chain: The service account to act as, or the chain to it. (templated)
        result_retry: Has no effect.
        result_timeout: Has no effect.
        job_id: What the job's id begins with. (templated)
        force_rerun: Has no effect.
        reattach_states: Has no effect.
        deferrable: Gives the worker's slot back while the job runs.
        kwargs: `WorkOperator`'s and `BaseOperator`'s.
    """

    template_fields: Sequence[str] = (
        "source_project_dataset_table",
        "destination_cloud_storage_uris",
        "export_format",
        "labels",
        "impersonation_chain",
        "job_id",
    )
    template_ext: Sequence[str] = ()
    ui_color = "#e4e6f0"

    def __init__(
        self,
        *,
        source_project_dataset_table: str,
        destination_cloud_storage_uris: list[str],
        project_id: str | None = None,
        compression: str = "NONE",
        export_format: str = "CSV",
        field_delimiter: str = ",",
        print_header: bool = True,
        gcp_conn_id: str = "google_cloud_default",
        labels: dict[str, str] | None = None,
        location: str | None = None,
        impersonation_chain: str | Sequence[str] | None = None,
        result_retry: Any = None,
        result_timeout: float | None = None,
        job_id: str | None = None,
        force_rerun: bool = False,
        reattach_states: set[str] | None = None,
        deferrable: bool | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**job_arguments(locals()), **kwargs)
        self.source_project_dataset_table = source_project_dataset_table
        self.destination_cloud_storage_uris = destination_cloud_storage_uris
        self.compression = compression
        self.export_format = export_format
        self.field_delimiter = field_delimiter
        self.print_header = print_header
        self.labels = labels

    def make_work(self, context: Context) -> Any:
        """Describe the job."""
        uris = self.destination_cloud_storage_uris
        extract: dict[str, Any] = {
            "sourceTable": self.table_named(self.source_project_dataset_table),
            "compression": self.compression,
            "destinationUris": [uris] if isinstance(uris, str) else list(uris),
            "destinationFormat": self.export_format,
        }
        if self.export_format == "CSV":
            extract |= {"fieldDelimiter": self.field_delimiter, "printHeader": self.print_header}
        return {"extract": extract, "labels": self.with_labels(self.labels)}
