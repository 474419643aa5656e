"""Parameters and templated fields are the official operators'."""

from __future__ import annotations

import importlib
import inspect
import json
import warnings
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import BaseOperator

import tradewind.airflow as ours
from tradewind.errors import InputError

pytestmark = pytest.mark.airflow


AMAZON, AZURE = (
    "airflow.providers.amazon.aws.transfers",
    "airflow.providers.microsoft.azure.transfers",
)
TRANSFERS = {
    "LocalFilesystemToS3Operator": f"{AMAZON}.local_to_s3",
    "AzureBlobStorageToS3Operator": f"{AMAZON}.azure_blob_to_s3",
    "LocalFilesystemToWasbOperator": f"{AZURE}.local_to_wasb",
    "S3ToAzureBlobStorageOperator": f"{AZURE}.s3_to_wasb",
}


def official(name: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if name in TRANSFERS:
            found = getattr(importlib.import_module(TRANSFERS[name]), name)
        elif name == "S3CopyObjectOperator":
            from airflow.providers.amazon.aws.operators.s3 import S3CopyObjectOperator as found
        elif name == "SqlToS3Operator":
            from airflow.providers.amazon.aws.transfers.sql_to_s3 import SqlToS3Operator as found
        elif name == "MongoToS3Operator":
            from airflow.providers.amazon.aws.transfers.mongo_to_s3 import (
                MongoToS3Operator as found,
            )
        elif name.startswith("SageMaker"):
            from airflow.providers.amazon.aws.operators import sagemaker

            found = getattr(sagemaker, name)
        elif name == "HttpToS3Operator":
            from airflow.providers.amazon.aws.transfers.http_to_s3 import HttpToS3Operator as found
        else:
            from airflow.providers.amazon.aws.transfers.s3_to_sql import S3ToSqlOperator as found
        return found


def parameters(kind: Any) -> dict[str, Any]:
    known: dict[str, Any] = {}
    for parent in reversed(kind.__mro__):
        above = issubclass(BaseOperator, parent) or not issubclass(parent, BaseOperator)
        if not above and "__init__" in vars(parent):
            known |= inspect.signature(parent.__init__).parameters
    return {name: known[name] for name in known if name not in ("self", "kwargs", "args")}


NAMES = [
    *TRANSFERS,
    "HttpToS3Operator",
    "MongoToS3Operator",
    "S3CopyObjectOperator",
    "S3ToSqlOperator",
    "SageMakerEndpointOperator",
    "SageMakerProcessingOperator",
    "SageMakerTrainingOperator",
    "SageMakerTransformOperator",
    "SageMakerTuningOperator",
    "SqlToS3Operator",
]


@pytest.mark.parametrize("name", NAMES)
def test_the_official_parameters(name: str):
    theirs, mine = parameters(official(name)), parameters(getattr(ours, name))
    missing = set(theirs) - set(mine) - {"region"}  # a former name, kept for partial()
    assert not missing
    for parameter in set(theirs) & set(mine) - {"deferrable"}:  # None here: as Airflow is set up
        if (name, parameter) != ("S3ToSqlOperator", "parser"):  # which may be left out here
            assert mine[parameter].default == theirs[parameter].default, parameter
        assert mine[parameter].kind == theirs[parameter].kind, parameter


RECORDED = json.loads((Path(__file__).parent / "official_parameters.json").read_text())


# The providers of these are not among the tools of development: what stands in the file was read
# from docker 4.6.1, ssh 7.0.1 and apache-livy 4.6.4, and of Google's from the sources of
# Airflow's repository in 2026.
@pytest.mark.parametrize("name", RECORDED)
def test_the_official_parameters_of_providers_that_are_not_installed(name: str):
    theirs, kind = RECORDED[name], getattr(ours, name)
    mine = parameters(kind)
    assert not set(theirs["parameters"]) - set(mine)
    for parameter, default in theirs["parameters"].items():
        if parameter != "deferrable" and default is not None:
            assert repr(mine[parameter].default) == default
    assert set(theirs["template_fields"]) <= set(kind.template_fields)
    assert set(theirs["template_ext"]) <= set(kind.template_ext)


@pytest.mark.parametrize("name", NAMES)
def test_the_official_templates(name: str):
    theirs, mine = official(name), getattr(ours, name)
    assert set(theirs.template_fields) <= set(mine.template_fields)
    assert tuple(theirs.template_ext) == tuple(mine.template_ext)
    assert theirs.template_fields_renderers.items() <= mine.template_fields_renderers.items()


def sql_to_s3(**more: Any) -> Any:
    given = {"query": "SELECT 1", "s3_bucket": "b", "s3_key": "k", "sql_conn_id": "db"}
    return ours.SqlToS3Operator(**{"task_id": "t", **given, **more})


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"file_format": "avro"}, "doesn't support 'avro'"),
        ({"df_kwargs": {"path_or_buf": "x"}}, "path_or_buf"),
        ({"pd_kwargs": {"columns": ["a"]}}, "columns"),
        ({"max_rows_per_file": 2, "groupby_kwargs": {"by": "a"}}, "choose one"),
        ({"groupby_kwargs": {"level": 0}}, "give the names of columns"),
        ({"groupby_kwargs": {"by": "a", "dropna": True}}, "would drop rows"),
        ({"read_kwargs": {"parse_dates": ["a"]}}, "'parse_dates' has no meaning"),
        ({"df_type": "dask"}, "'pandas' or 'polars'"),
    ],
)
@pytest.mark.filterwarnings("ignore:The 'pd_kwargs' parameter:DeprecationWarning")
def test_wrong_arguments_are_refused_when_the_file_is_read(arguments: dict[str, Any], says: str):
    with pytest.raises(InputError, match=says):
        sql_to_s3(**arguments)


def test_former_names_warn():
    with pytest.warns(DeprecationWarning, match="'pd_kwargs' parameter is deprecated"):
        assert sql_to_s3(pd_kwargs={"index": False}).df_kwargs == {"index": False}
    with pytest.warns(DeprecationWarning, match="'read_pd_kwargs' parameter is deprecated"):
        sql_to_s3(read_pd_kwargs={"chunksize": 10})


@pytest.mark.parametrize(
    ("name", "arguments", "says"),
    [
        ("MongoToS3Operator", {"compression": "xz"}, "choose 'gzip', 'zstd' or None"),
        ("HttpToS3Operator", {"log_response": True}, "streamed and never whole"),
        ("S3CopyObjectOperator", {"kms_key_id": "k"}, "must both be specified"),
        ("S3CopyObjectOperator", {"meta_data_directive": "REPLACE"}, "metadata are copied"),
        ("SqlToGCSOperator", {"schema_filename": "s.json"}, "Parquet holds its schema"),
        ("SqlToGCSOperator", {"partition_columns": ["a"]}, "parts={'by'"),
        ("SqlToGCSOperator", {"export_format": "avro"}, "choose from json, csv, parquet"),
        ("SqlToGCSOperator", {"postgres_conn_id": "a", "mysql_conn_id": "b"}, "Give one of"),
    ],
)
def test_what_the_others_refuse(name: str, arguments: dict[str, Any], says: str):
    required: dict[str, dict[str, Any]] = {
        "MongoToS3Operator": {"mongo_collection": "c", "mongo_query": {}, "s3_bucket": "b"},
        "S3CopyObjectOperator": {"source_bucket_key": "s3://b/k", "dest_bucket_key": "s3://b/l"},
        "SqlToGCSOperator": {"sql": "SELECT 1", "bucket": "b", "filename": "f"},
    }
    given = {"task_id": "t", **required.get(name, {}), **arguments}
    if name in ("MongoToS3Operator", "HttpToS3Operator"):
        given["s3_key"] = "k"
    with pytest.raises(InputError, match=says):
        getattr(ours, name)(**given)


def test_default_args_reach_inherited_parameters():
    from airflow.sdk import DAG

    with DAG("d", schedule=None, default_args={"sql_conn_id": "db", "aws_conn_id": "mine"}):
        task = ours.SqlToS3Operator(task_id="t", query="SELECT 1", s3_bucket="b", s3_key="k")
    assert (task.sql_conn_id, task.aws_conn_id) == ("db", "mine")


def test_partial_and_expand():
    from airflow.sdk import DAG

    with DAG("d", schedule=None):
        mapped = ours.SqlToS3Operator.partial(
            task_id="t", s3_bucket="b", sql_conn_id="db", query="SELECT 1"
        ).expand(s3_key=["a", "b"])
    assert mapped.task_id == "t"
