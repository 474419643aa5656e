"""Which official operators Tradewind has too, and which uses of theirs it refuses.

What differs where nothing is refused stands in `tradewind.commands.adopt_table`. Tests hold the
names here against the signatures of the operators themselves, which a command line without
Airflow could not read.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from tradewind.commands.adopt_arguments import Arguments, Told, entries_of, told_value
from tradewind.commands.adopt_checks import CHECKS
from tradewind.commands.adopt_names import BASE, OWN
from tradewind.commands.adopt_table import ROWS, Row

__all__ = ["DECORATORS", "NAMES_OF_ROW", "OFFICIAL", "Official"]

NAMES_OF_ROW = re.compile(r"`([a-z][a-z0-9_]*)(\.\.\.)?(?:=([^`]+))?`")
"""Finds in what a row is about names of parameters, whether more begin so, and a value."""


@dataclass(frozen=True)
class Official:
    """An official operator that Tradewind has too.

    Args:
        module: Where it is imported from.
        name: Its name there.
        ours: The name in `tradewind.airflow`.
        needs: Parameters that a call must give: Tradewind's operator has another default.
        by_hand: Why no import of it is changed, and what to do; nothing where it can be.
        families: Further groups of rows in the table that are about it.
    """

    module: str
    name: str
    ours: str
    needs: tuple[str, ...] = ()
    by_hand: str = ""
    families: tuple[str, ...] = ()

    @property
    def path(self) -> str:
        """Module and name."""
        return f"{self.module}.{self.name}"

    def rows(self) -> Iterator[Row]:
        """Go through what differs; a row that says not what it is about goes on with the last."""
        for group in (self.ours, *self.families):
            about = ""
            for what, official, here in ROWS.get(group, ()):
                about = what or about
                names = NAMES_OF_ROW.findall(about)
                # A family's row may be about what only some of its operators have.
                if group == self.ours or not names or any(self.has(one[0]) for one in names):
                    yield about, official, here

    def refusals(self, given: Arguments, arguments: Arguments) -> Iterator[str]:
        """Tell why a call cannot be switched.

        Args:
            given: What the call gives.
            arguments: The same, and what `default_args` add of the operator's own parameters.

        Yields:
            A reason each.
        """
        for name in given:
            if name not in OWN[self.ours] and name not in BASE:
                yield f"{name}=: Tradewind's {self.ours} has no such parameter"
        for name in self.needs:
            if name not in arguments:
                yield f"{name}= is not given, and Tradewind's {self.ours} has another default"
        for check in CHECKS.get(self.ours, ()):
            yield from check(arguments)

    def reached_by(self, defaults: Arguments) -> dict[str, ast.expr]:
        """Choose from `default_args` what is the operator's own; all tasks have the rest."""
        return {name: value for name, value in defaults.items() if name in OWN[self.ours]}

    def has(self, name: str, *, more: bool = False) -> bool:
        """Say whether Tradewind's operator has a parameter; `more` asks for one that begins so."""
        every = OWN[self.ours] | BASE
        return name in every or (more and any(one.startswith(name) for one in every))

    def loses_row_numbers(self, arguments: Arguments) -> bool:
        """Say whether a call makes CSV that has a column of row numbers officially alone."""
        if self.ours != "SqlToS3Operator":
            return False
        kind = told_value(arguments["file_format"]) if "file_format" in arguments else Told("csv")
        if kind is None or str(kind.value).lower() != "csv":
            return False
        both = [arguments[name] for name in ("df_kwargs", "pd_kwargs") if name in arguments]
        return not any("index" in (entries_of(one) or ()) for one in both)


_AMAZON = "airflow.providers.amazon.aws"
_GOOGLE = "airflow.providers.google.cloud.transfers"
_STORAGE = "airflow.providers.google.cloud.operators"
_MICROSOFT = "airflow.providers.microsoft.azure.transfers"
_MOVES = ("transfers",)
_COPIES = ("copies between stores",)
# The row about arguments of hooks stands with those of the operator named here.
_AZURE = (*_COPIES, "LocalFilesystemToWasbOperator")
_JOBS = ("jobs of SageMaker",)
_BIGQUERY = ("jobs of BigQuery",)
_CONNECTION = "switch by hand to SqlToGCSOperator, with sql_conn_id= for the connection"

OFFICIAL: tuple[Official, ...] = (
    *(
        Official(f"{_AMAZON}.{module}", name, name, families=_MOVES)
        for module, name in (
            ("transfers.sql_to_s3", "SqlToS3Operator"),
            ("transfers.mongo_to_s3", "MongoToS3Operator"),
            ("transfers.http_to_s3", "HttpToS3Operator"),
            ("transfers.s3_to_sql", "S3ToSqlOperator"),
            ("operators.s3", "S3CopyObjectOperator"),
        )
    ),
    *(
        Official(f"{module}.{file}", name, name, families=families)
        for module, file, name, families in (
            (_GOOGLE, "s3_to_gcs", "S3ToGCSOperator", _COPIES),
            (_GOOGLE, "gcs_to_gcs", "GCSToGCSOperator", _COPIES),
            (_GOOGLE, "local_to_gcs", "LocalFilesystemToGCSOperator", _COPIES),
            (_GOOGLE, "azure_blob_to_gcs", "AzureBlobStorageToGCSOperator", _COPIES),
            (_GOOGLE, "sftp_to_gcs", "SFTPToGCSOperator", _COPIES),
            (_GOOGLE, "gcs_to_sftp", "GCSToSFTPOperator", _COPIES),
            (f"{_AMAZON}.transfers", "sftp_to_s3", "SFTPToS3Operator", _COPIES),
            (f"{_AMAZON}.transfers", "s3_to_sftp", "S3ToSFTPOperator", _COPIES),
            (f"{_AMAZON}.transfers", "gcs_to_s3", "GCSToS3Operator", _COPIES),
            (f"{_AMAZON}.transfers", "local_to_s3", "LocalFilesystemToS3Operator", _COPIES),
            (f"{_AMAZON}.transfers", "azure_blob_to_s3", "AzureBlobStorageToS3Operator", _AZURE),
            (_MICROSOFT, "s3_to_wasb", "S3ToAzureBlobStorageOperator", _AZURE),
            (_MICROSOFT, "local_to_wasb", "LocalFilesystemToWasbOperator", _COPIES),
            (_MICROSOFT, "gcs_to_wasb", "GCSToAzureBlobStorageOperator", _COPIES),
            (_MICROSOFT, "sftp_to_wasb", "SFTPToWasbOperator", _COPIES),
            (_STORAGE, "gcs", "GCSSynchronizeBucketsOperator", _COPIES),
        )
    ),
    *(
        Official(f"airflow.providers.google.cloud.{module}", name, name, families=_BIGQUERY)
        for module, name in (
            ("operators.bigquery", "BigQueryInsertJobOperator"),
            ("transfers.bigquery_to_gcs", "BigQueryToGCSOperator"),
            ("transfers.gcs_to_bigquery", "GCSToBigQueryOperator"),
        )
    ),
    Official(
        f"{_GOOGLE}.postgres_to_gcs", "PostgresToGCSOperator", "SqlToGCSOperator", families=_MOVES
    ),
    Official(
        f"{_GOOGLE}.mysql_to_gcs",
        "MySQLToGCSOperator",
        "SqlToGCSOperator",
        # Without any, Tradewind's operator reads postgres_default.
        needs=("mysql_conn_id",),
        families=_MOVES,
    ),
    *(
        Official(f"{_GOOGLE}.{module}", name, "SqlToGCSOperator", by_hand=_CONNECTION)
        for module, name in (
            ("mssql_to_gcs", "MSSQLToGCSOperator"),
            ("oracle_to_gcs", "OracleToGCSOperator"),
            ("presto_to_gcs", "PrestoToGCSOperator"),
            ("trino_to_gcs", "TrinoToGCSOperator"),
        )
    ),
    *(
        Official(f"{_AMAZON}.operators.sagemaker", name, name, families=_JOBS)
        for name in (
            "SageMakerProcessingOperator",
            "SageMakerTrainingOperator",
            "SageMakerTransformOperator",
            "SageMakerTuningOperator",
        )
    ),
    *(
        Official(f"airflow.providers.{module}", name, name)
        for module, name in (
            ("amazon.aws.operators.sagemaker", "SageMakerEndpointOperator"),
            ("docker.operators.docker", "DockerOperator"),
            ("ssh.operators.ssh", "SSHOperator"),
            ("apache.livy.operators.livy", "LivyOperator"),
            ("apache.spark.operators.spark_submit", "SparkSubmitOperator"),
        )
    ),
)
"""The official operators that Tradewind has too."""

DECORATORS: dict[str, str] = {
    "docker": "@task.docker runs the function in the container; @task.docker_job asks the function "
    "for the command: write it anew by hand",
    "ssh": "@task.ssh_job has SSHOperator's differences: switch by hand",
}
"""Decorators whose like Tradewind has under another name, and why none is changed."""
