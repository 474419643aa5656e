"""What ``tradewind adopt`` tells is what the pages say and the operators do."""

from __future__ import annotations

import importlib.util
import inspect
import json
import re
from pathlib import Path
from typing import Any

import pytest

from adopting import AMAZON, CALL, OURS, SQL, Adopt
from tradewind.commands.adopt_names import BASE, OWN
from tradewind.commands.adopt_operators import OFFICIAL
from tradewind.commands.adopt_table import ROWS

ROOT = Path(__file__).resolve().parents[2]


# ------------------------------------------------------------------------------------ what differs


def differs(adopt: Adopt, text: str) -> list[str]:
    adopt.write(text)
    _, told = adopt.told()
    (switched,) = told["files"][0]["switched"]
    return [one["what"] for one in switched["differs"]]


def test_what_differs_is_told_for_parameters_in_use(adopt: Adopt):
    assert differs(
        adopt, f"{SQL}\n{CALL.format(', replace=True, pd_kwargs=dict(index=False)')}"
    ) == ["`df_kwargs`, `pd_kwargs`"]
    text = f"{SQL}\nDAG('d', default_args=D)\nD = {{'parameters': [1]}}\n{CALL.format('')}"
    assert differs(adopt, text) == [
        "CSV without `index=`",
        "`parameters`",
        "`replace=False`",
        "`replace=False`",
    ]
    ssh = "from airflow.providers.ssh.operators.ssh import SSHOperator\n"
    assert differs(adopt, ssh + "SSHOperator(task_id='t', command='c', get_pty=True)") == [
        "`get_pty`",
        "`command`",
    ]


def test_default_args_from_elsewhere_are_told(adopt: Adopt):
    adopt.write(f"{SQL}\nfrom mine import D\nDAG('d', default_args=D)\n{CALL.format('')}")
    _, told = adopt.told()
    assert "default_args are not written out" in told["files"][0]["switched"][0]["notes"][0]


# -------------------------------------------------------------------------------------------- table


def pages() -> dict[str, set[tuple[str, str, str]]]:
    """Read the rows of the pages about the operators."""
    found: dict[str, set[tuple[str, str, str]]] = {}
    for page, start, end, group in (
        ("airflow-operators.md", "## What differs", "\n## Connections", "transfers"),
        ("airflow-work.md", "## `DockerOperator`", "\n## `SSHOperator`", "DockerOperator"),
        ("airflow-work.md", "## `SSHOperator`", "\n## `@task", "SSHOperator"),
        ("airflow-rest-jobs.md", "## LivyOperator", None, "LivyOperator"),
        ("bigquery.md", "## What differs", "\n## Values", "jobs of BigQuery"),
        ("airflow-spark.md", "## What differs", None, "SparkSubmitOperator"),
        ("airflow-sagemaker.md", "## Jobs", "\n## `SageMakerE", "jobs of SageMaker"),
        ("airflow-sagemaker.md", "## `SageMakerE", "\n## Perm", "SageMakerEndpointOperator"),
    ):
        text = (ROOT / "docs" / page).read_text()
        text = text[text.index(start) :].partition(end)[0] if end else text[text.index(start) :]
        for line in text.splitlines():
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            if not line.startswith("|") or set(cells[0]) == {"-"} or "here" in cells[2:3]:
                continue
            head = re.match(r"\*\*([\w ]+)\*\* ?", cells[0])
            if head:
                group = head[1] if " " in head[1] else f"{head[1]}Operator"
                cells[0] = cells[0][head.end() :]
            found.setdefault(group, set()).add((cells[0], cells[1], cells[2]))
    return found


def test_the_table_is_that_of_the_pages():
    written = pages()
    assert {group: set(rows) for group, rows in ROWS.items()} == written


def test_what_is_refused_is_documented_as_it_is():
    page = (ROOT / "docs" / "adopt.md").read_text()
    for one in OFFICIAL:
        assert f"`{one.name}`" in page, one.name


@pytest.mark.airflow
def test_the_names_are_those_of_the_operators():
    from airflow.sdk import BaseOperator

    import tradewind.airflow

    for name, own in OWN.items():
        known: set[str] = set()
        for parent in getattr(tradewind.airflow, name).__mro__:
            above = issubclass(BaseOperator, parent) or not issubclass(parent, BaseOperator)
            if not above and "__init__" in vars(parent):
                known |= set(inspect.signature(parent.__init__).parameters)
        base = set(inspect.signature(BaseOperator.__init__).parameters)
        assert own == known - base - {"args", "kwargs", "self"}, name
        assert base - {"args", "kwargs", "self"} <= BASE  # that of an older Airflow has fewer


@pytest.mark.airflow
def test_every_official_operator_is_there():
    import tradewind.airflow

    ours = {name for name in tradewind.airflow.__all__ if name.endswith("Operator")}
    # These take the place of none: see docs/airflow-operators.md and docs/airflow-rest-jobs.md.
    alone = {"HttpJobOperator", "LivySessionOperator", "TransferOperator"}
    alone |= {"SqlToAzureBlobOperator", "SqlToBigQueryOperator"}
    assert {one.ours for one in OFFICIAL} == set(OWN) == ours - alone
    recorded = json.loads((ROOT / "tests/airflow/official_parameters.json").read_text())
    for name, told in recorded.items():
        assert set(told["parameters"]) <= OWN[name] | BASE
        assert any(one.name == name for one in OFFICIAL)
    for one in OFFICIAL:
        if one.module.startswith((AMAZON, "airflow.providers.microsoft")):
            # Not imported: some need providers that are not among the tools of development.
            spec = importlib.util.find_spec(one.module)
            assert spec is not None, one.module
            assert f"class {one.name}(" in Path(str(spec.origin)).read_text(), one.path


@pytest.mark.airflow
@pytest.mark.filterwarnings("ignore:The 'pd_kwargs' parameter:DeprecationWarning")
def test_the_official_examples_are_switched_and_are_what_the_tests_run(adopt: Adopt):
    ours = (ROOT / "tests/airflow/dags/official_examples.py").read_text()
    official = re.sub(
        r"from tradewind.airflow import \([^)]*\)\n",
        "".join(
            f"from {one.module} import {one.name}\n"
            for one in OFFICIAL
            if f"{one.ours}(" in ours and not one.by_hand
        ),
        ours,
    )
    for name in ("get_data", "get_data_with_server_side_cursor"):
        official = official.replace(f"{name} = SqlTo", f"{name} = PostgresTo")
    official = official.replace("mysql_to_gcs = SqlTo", "mysql_to_gcs = MySQLTo")
    assert official.count("airflow.providers") == 7
    found, reasons = adopt.switch(official)
    assert reasons == []
    assert "airflow.providers" not in found
    assert adopt.run("--check")[0] == 0
    made: dict[str, Any] = {}
    exec(compile(found, "examples.py", "exec"), made)
    modules = {type(one).__module__ for one in made.values() if hasattr(one, "task_id")}
    assert modules
    assert all(one.startswith("tradewind.") for one in modules)


@pytest.mark.airflow
@pytest.mark.filterwarnings("ignore:The '.*pd_kwargs' parameter:DeprecationWarning")
@pytest.mark.parametrize(
    "more",
    [
        {"df_kwargs": {"index": True, "sep": ";", "header": False, "compression": "gzip"}},
        {"df_kwargs": {"index": False, "orient": "records", "lines": True}, "file_format": "json"},
        {"df_kwargs": {"compression": "lz4", "engine": "pyarrow"}, "file_format": "parquet"},
        {"df_kwargs": {"index": True}, "file_format": "parquet"},
        {"df_kwargs": {"orient": "split"}, "file_format": "json"},
        {"df_kwargs": {"quoting": 1}},
        {"df_kwargs": {"header": ["a"]}},
        {"pd_kwargs": {"date_format": "%Y"}},
        {"read_kwargs": {"coerce_float": False, "chunksize": 9}},
        {"read_kwargs": {"coerce_float": True}},
        {"groupby_kwargs": {"by": ["a", "b"], "sort": True}},
        {"groupby_kwargs": {"level": 0}},
        {"df_type": "dask"},
        {"file_format": "PARQUET"},
        {"file_format": "avro"},
    ],
)
def test_left_alone_is_what_the_operator_refuses(adopt: Adopt, more: dict[str, Any]):
    from tradewind.airflow import SqlToS3Operator
    from tradewind.errors import InputError

    arguments = "".join(f", {name}={value!r}" for name, value in more.items())
    found, reasons = adopt.switch(f"{SQL}\n{CALL.format(arguments)}\n")
    try:
        SqlToS3Operator(task_id="t", query="q", s3_bucket="b", s3_key="k", sql_conn_id="c", **more)
    except InputError:
        assert found.startswith(SQL)
        assert reasons
    else:
        assert found.startswith(OURS)


GCS = {"sql": "q", "bucket": "b", "filename": "f"}
S3_GCS = {"bucket": "b", "dest_gcs": "gs://b/"}
GCS_GCS = {"source_bucket": "b", "destination_bucket": "c"}
LOCAL_GCS = {"src": "a", "dst": "b", "bucket": "c"}
WASB = {"file_path": "f", "container_name": "c", "blob_name": "b"}
S3_WASB = {"s3_bucket": "b", "container_name": "c", "s3_key": "k", "blob_name": "n"}
BLOB_S3 = {"container_name": "c", "dest_s3_key": "s3://b/"}
COPY = {"source_bucket_key": "s3://b/k", "dest_bucket_key": "s3://b/l"}
GCS_BQ = {"bucket": "b", "source_objects": "o", "destination_project_dataset_table": "d.t"}
MONGO = {"mongo_collection": "c", "mongo_query": {}, "s3_bucket": "b", "s3_key": "k"}


@pytest.mark.airflow
@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("PostgresToGCSOperator", {**GCS, "export_format": "CSV", "schema_filename": None}),
        ("PostgresToGCSOperator", {**GCS, "export_format": "avro"}),
        ("PostgresToGCSOperator", {**GCS, "export_format": "parquet", "gzip": True}),
        ("PostgresToGCSOperator", {**GCS, "schema_filename": "s"}),
        ("PostgresToGCSOperator", {**GCS, "schema": [{}]}),
        ("PostgresToGCSOperator", {**GCS, "partition_columns": ["a"]}),
        ("PostgresToGCSOperator", {**GCS, "stringify_dict": True}),
        ("MongoToS3Operator", {**MONGO, "compression": "gzip"}),
        ("MongoToS3Operator", {**MONGO, "compression": "xz"}),
        ("HttpToS3Operator", {"s3_key": "s3://b/k", "log_response": True}),
        ("HttpToS3Operator", {"s3_key": "s3://b/k", "extra_options": {"timeout": 3}}),
        ("S3CopyObjectOperator", {**COPY, "meta_data_directive": "COPY"}),
        ("S3CopyObjectOperator", {**COPY, "meta_data_directive": "REPLACE"}),
        ("DockerOperator", {"image": "i", "auto_remove": "force", "host_tmp_dir": None}),
        ("DockerOperator", {"image": "i", "auto_remove": True}),
        ("DockerOperator", {"image": "i", "host_tmp_dir": "/tmp"}),
        ("DockerOperator", {"image": "i", "retrieve_output": True}),
        ("S3ToGCSOperator", {**S3_GCS, "deferrable": False, "apply_wildcard": True}),
        ("S3ToGCSOperator", {**S3_GCS, "deferrable": True}),
        ("S3ToGCSOperator", {**S3_GCS, "apply_gcs_prefix": True, "apply_wildcard": True}),
        ("GCSToS3Operator", {"gcs_bucket": "b", "dest_s3_key": "s3://b/", "gcp_user_project": "p"}),
        ("GCSToGCSOperator", {**GCS_GCS, "source_object": "a", "delimiter": ".csv"}),
        ("GCSToGCSOperator", {**GCS_GCS, "source_object": "a", "delimiter": "/"}),
        ("GCSToGCSOperator", {**GCS_GCS, "source_object": "a", "source_objects": ["b"]}),
        ("GCSToGCSOperator", {**GCS_GCS, "source_object": "a", "retention_mode": "Locked"}),
        ("LocalFilesystemToGCSOperator", {**LOCAL_GCS, "chunk_size": 262144}),
        ("LocalFilesystemToGCSOperator", {**LOCAL_GCS, "chunk_size": 5}),
        ("LocalFilesystemToWasbOperator", {**WASB, "load_options": {"overwrite": True}}),
        ("LocalFilesystemToWasbOperator", {**WASB, "load_options": {"timeout": 1}}),
        ("S3ToAzureBlobStorageOperator", {**S3_WASB, "s3_extra_args": {"region_name": "r"}}),
        ("S3ToAzureBlobStorageOperator", {**S3_WASB, "s3_extra_args": {"config": 1}}),
        ("AzureBlobStorageToS3Operator", {**BLOB_S3, "wasb_extra_args": {"x": 1}}),
        ("AzureBlobStorageToGCSOperator", {"unheard_of": 1}),
        ("BigQueryInsertJobOperator", {"configuration": {}, "cancel_on_kill": True}),
        ("BigQueryInsertJobOperator", {"configuration": {}, "cancel_on_kill": False}),
        ("GCSToBigQueryOperator", {**GCS_BQ, "source_format": "Parquet", "force_delete": False}),
        ("GCSToBigQueryOperator", {**GCS_BQ, "source_format": "GOOGLE_SHEETS"}),
        ("GCSToBigQueryOperator", {**GCS_BQ, "external_table": True}),
        ("GCSToBigQueryOperator", {**GCS_BQ, "force_delete": True}),
        ("GCSToBigQueryOperator", {**GCS_BQ, "autodetect": False}),
        ("GCSToBigQueryOperator", {**GCS_BQ, "autodetect": False, "schema_object": "s"}),
        ("GCSToBigQueryOperator", {**GCS_BQ, "schema_update_options": ["ALLOW_ANYTHING"]}),
        ("GCSToBigQueryOperator", {**GCS_BQ, "src_fmt_configs": {"nullMarker": "-"}}),
        ("GCSToBigQueryOperator", {**GCS_BQ, "src_fmt_configs": {"useAvroLogicalTypes": True}}),
    ],
)
def test_left_alone_is_what_the_other_operators_refuse(
    adopt: Adopt, name: str, given: dict[str, Any]
):
    import tradewind.airflow
    from tradewind.errors import InputError

    (one,) = [official for official in OFFICIAL if official.name == name]
    arguments = "".join(f", {parameter}={value!r}" for parameter, value in given.items())
    before = f"from {one.module} import {name}\n{name}(task_id='t'{arguments})\n"
    found, _ = adopt.switch(before)
    try:
        getattr(tradewind.airflow, one.ours)(task_id="t", **given)
    except (InputError, TypeError):
        assert found == before
    else:
        assert found.startswith("from tradewind.airflow import")
