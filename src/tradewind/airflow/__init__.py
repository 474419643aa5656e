"""What Airflow sees of Tradewind: operators that say what is moved, never how.

Everything here is imported when it is first used, and the libraries of outside systems not before a
task runs: this package costs a DAG file next to nothing.
"""

from __future__ import annotations

import importlib
import importlib.metadata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tradewind.airflow.descriptions import Http, MongoCollection, Objects, Sql, Table
    from tradewind.airflow.operators.azure_blob import (
        AzureBlobStorageToGCSOperator,
        AzureBlobStorageToS3Operator,
        S3ToAzureBlobStorageOperator,
    )
    from tradewind.airflow.operators.gcs_synchronize import GCSSynchronizeBucketsOperator
    from tradewind.airflow.operators.gcs_to_gcs import GCSToGCSOperator
    from tradewind.airflow.operators.gcs_to_s3 import GCSToS3Operator
    from tradewind.airflow.operators.gcs_to_sftp import GCSToSFTPOperator
    from tradewind.airflow.operators.gcs_to_wasb import GCSToAzureBlobStorageOperator
    from tradewind.airflow.operators.http_to_s3 import HttpToS3Operator
    from tradewind.airflow.operators.local_to_stores import (
        LocalFilesystemToGCSOperator,
        LocalFilesystemToS3Operator,
        LocalFilesystemToWasbOperator,
    )
    from tradewind.airflow.operators.mongo_to_s3 import MongoToS3Operator
    from tradewind.airflow.operators.s3_copy_object import S3CopyObjectOperator
    from tradewind.airflow.operators.s3_to_gcs import S3ToGCSOperator
    from tradewind.airflow.operators.s3_to_sftp import S3ToSFTPOperator
    from tradewind.airflow.operators.s3_to_sql import S3ToSqlOperator
    from tradewind.airflow.operators.sftp_to_gcs import SFTPToGCSOperator
    from tradewind.airflow.operators.sftp_to_s3 import SFTPToS3Operator
    from tradewind.airflow.operators.sftp_to_wasb import SFTPToWasbOperator
    from tradewind.airflow.operators.sql_to_azure_blob import SqlToAzureBlobOperator
    from tradewind.airflow.operators.sql_to_bigquery import SqlToBigQueryOperator
    from tradewind.airflow.operators.sql_to_gcs import SqlToGCSOperator
    from tradewind.airflow.operators.sql_to_s3 import SqlToS3Operator
    from tradewind.airflow.operators.transfer import TransferOperator
    from tradewind.airflow.retrying import retry_policy
    from tradewind.airflow.spread import spread_transfer
    from tradewind.systems.bigquery.load_operator import GCSToBigQueryOperator
    from tradewind.systems.bigquery.operators import (
        BigQueryInsertJobOperator,
        BigQueryToGCSOperator,
    )
    from tradewind.systems.docker.operators import DockerOperator
    from tradewind.systems.http.operators import HttpJobOperator
    from tradewind.systems.livy.operators import LivyOperator
    from tradewind.systems.livy.session_operator import LivySessionOperator
    from tradewind.systems.sagemaker.endpoint_operator import SageMakerEndpointOperator
    from tradewind.systems.sagemaker.operators import (
        SageMakerProcessingOperator,
        SageMakerTrainingOperator,
        SageMakerTransformOperator,
        SageMakerTuningOperator,
    )
    from tradewind.systems.spark.operators import SparkSubmitOperator
    from tradewind.systems.ssh.operators import SSHOperator

__all__ = [
    "AzureBlobStorageToGCSOperator",
    "AzureBlobStorageToS3Operator",
    "BigQueryInsertJobOperator",
    "BigQueryToGCSOperator",
    "DockerOperator",
    "GCSSynchronizeBucketsOperator",
    "GCSToAzureBlobStorageOperator",
    "GCSToBigQueryOperator",
    "GCSToGCSOperator",
    "GCSToS3Operator",
    "GCSToSFTPOperator",
    "Http",
    "HttpJobOperator",
    "HttpToS3Operator",
    "LivyOperator",
    "LivySessionOperator",
    "LocalFilesystemToGCSOperator",
    "LocalFilesystemToS3Operator",
    "LocalFilesystemToWasbOperator",
    "MongoCollection",
    "MongoToS3Operator",
    "Objects",
    "S3CopyObjectOperator",
    "S3ToAzureBlobStorageOperator",
    "S3ToGCSOperator",
    "S3ToSFTPOperator",
    "S3ToSqlOperator",
    "SFTPToGCSOperator",
    "SFTPToS3Operator",
    "SFTPToWasbOperator",
    "SSHOperator",
    "SageMakerEndpointOperator",
    "SageMakerProcessingOperator",
    "SageMakerTrainingOperator",
    "SageMakerTransformOperator",
    "SageMakerTuningOperator",
    "SparkSubmitOperator",
    "Sql",
    "SqlToAzureBlobOperator",
    "SqlToBigQueryOperator",
    "SqlToGCSOperator",
    "SqlToS3Operator",
    "Table",
    "TransferOperator",
    "retry_policy",
    "spread_transfer",
]

_HOME = {
    **dict.fromkeys(("Http", "MongoCollection", "Objects", "Sql", "Table"), "airflow.descriptions"),
    **dict.fromkeys(
        (
            "AzureBlobStorageToGCSOperator",
            "AzureBlobStorageToS3Operator",
            "S3ToAzureBlobStorageOperator",
        ),
        "airflow.operators.azure_blob",
    ),
    **dict.fromkeys(
        ("BigQueryInsertJobOperator", "BigQueryToGCSOperator"), "systems.bigquery.operators"
    ),
    "GCSToBigQueryOperator": "systems.bigquery.load_operator",
    "GCSSynchronizeBucketsOperator": "airflow.operators.gcs_synchronize",
    "GCSToAzureBlobStorageOperator": "airflow.operators.gcs_to_wasb",
    "GCSToGCSOperator": "airflow.operators.gcs_to_gcs",
    "GCSToS3Operator": "airflow.operators.gcs_to_s3",
    "GCSToSFTPOperator": "airflow.operators.gcs_to_sftp",
    **dict.fromkeys(
        (
            "LocalFilesystemToGCSOperator",
            "LocalFilesystemToS3Operator",
            "LocalFilesystemToWasbOperator",
        ),
        "airflow.operators.local_to_stores",
    ),
    "S3ToGCSOperator": "airflow.operators.s3_to_gcs",
    "DockerOperator": "systems.docker.operators",
    "HttpJobOperator": "systems.http.operators",
    "HttpToS3Operator": "airflow.operators.http_to_s3",
    "LivyOperator": "systems.livy.operators",
    "LivySessionOperator": "systems.livy.session_operator",
    "MongoToS3Operator": "airflow.operators.mongo_to_s3",
    "S3CopyObjectOperator": "airflow.operators.s3_copy_object",
    "S3ToSFTPOperator": "airflow.operators.s3_to_sftp",
    "SFTPToGCSOperator": "airflow.operators.sftp_to_gcs",
    "SFTPToS3Operator": "airflow.operators.sftp_to_s3",
    "SFTPToWasbOperator": "airflow.operators.sftp_to_wasb",
    "S3ToSqlOperator": "airflow.operators.s3_to_sql",
    "SSHOperator": "systems.ssh.operators",
    "SageMakerEndpointOperator": "systems.sagemaker.endpoint_operator",
    **dict.fromkeys(
        (
            "SageMakerProcessingOperator",
            "SageMakerTrainingOperator",
            "SageMakerTransformOperator",
            "SageMakerTuningOperator",
        ),
        "systems.sagemaker.operators",
    ),
    "SparkSubmitOperator": "systems.spark.operators",
    "SqlToAzureBlobOperator": "airflow.operators.sql_to_azure_blob",
    "SqlToBigQueryOperator": "airflow.operators.sql_to_bigquery",
    "SqlToGCSOperator": "airflow.operators.sql_to_gcs",
    "SqlToS3Operator": "airflow.operators.sql_to_s3",
    "TransferOperator": "airflow.operators.transfer",
    "retry_policy": "airflow.retrying",
    "spread_transfer": "airflow.spread",
}


_OLDEST = (3, 2)


def _check_version() -> None:
    """Refuse an Airflow that is too old, before an operator of ours fails in its own way."""
    try:
        version = importlib.metadata.version("apache-airflow-core")
    except importlib.metadata.PackageNotFoundError:
        try:
            # Before version 3 all was one distribution.
            version = importlib.metadata.version("apache-airflow")
        except importlib.metadata.PackageNotFoundError:
            return
    if tuple(int(part) for part in version.split(".")[:2]) < _OLDEST:
        raise ImportError(
            f"Tradewind needs Airflow {_OLDEST[0]}.{_OLDEST[1]} or newer, and {version} is "
            "installed here: upgrade Airflow."
        )


_check_version()


def __getattr__(name: str) -> Any:
    """Import what is asked for (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"tradewind.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
