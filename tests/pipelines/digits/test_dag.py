"""The DAG as Airflow reads it."""

import re

import pytest

from digits_airflow import PIPELINES, driver

pytestmark = pytest.mark.airflow

ORDER = [
    "download_mnist",
    "extract_mnist_data",
    "sagemaker_train_model",
    "evaluate_model",
    "sagemaker_deploy_model",
]


@pytest.fixture(scope="module")
def read(tmp_path_factory):
    """Reads the DAG folder as Airflow does, with environment variables set."""
    home = tmp_path_factory.mktemp("airflow")
    with driver(home, {}, home / "log") as airflow:

        def read(**variables):
            airflow.send(look=variables)
            return airflow.receive()

        yield read


def test_the_dag_is_read_without_errors_and_without_connections(read):
    found = read()
    assert found["errors"] == {}
    assert found["dags"] == ["digits", "listings"]
    # Of each pipeline .airflowignore lets one file be read.
    assert found["files"] == ["digits/dag.py", "listings/dag.py"]
    assert found["schedule"] == "@daily"
    assert set(found["tasks"]) == set(ORDER)
    for task, after in zip(ORDER, [*ORDER[1:], None], strict=True):
        assert found["tasks"][task]["downstream"] == ([after] if after else [])
    kinds = {name: task["class"] for name, task in found["tasks"].items()}
    assert kinds["download_mnist"][:2] == ["DownloadOperator", "S3CopyObjectOperator"]
    assert "SageMakerTrainingOperator" in kinds["sagemaker_train_model"]
    assert "SageMakerEndpointOperator" in kinds["sagemaker_deploy_model"]
    assert found["tasks"]["sagemaker_deploy_model"]["at_once"] == 1
    # Read every few seconds by the DAG processor: what takes long to import is for the tasks.
    assert found["heavy"] == []


def test_parameters_have_defaults_that_work_here(read):
    params = read()["params"]
    assert params["bucket"] == "tradewind-digits"
    assert params["aws_conn_id"] == "aws_default"
    assert params["k"] == 256
    assert set(params) >= {
        "source_bucket",
        "source_key",
        "role",
        "image",
        "training_instance",
        "serving_instance",
        "min_accuracy",
        "max_drop",
        "keep",
        "endpoint",
    }


def test_every_parameter_is_documented_with_its_default(read):
    page = (PIPELINES.parent / "docs" / "digits.md").read_text()
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*?) ?\|", page, re.MULTILINE))
    params = read()["params"]
    assert {name: rows.get(name, "missing").strip("`") for name in params} == {
        name: "" if value is None else str(value) for name, value in params.items()
    }


def test_defaults_come_from_the_environment(read):
    params = read(
        TRADEWIND_DIGITS_BUCKET="my-bucket",
        TRADEWIND_DIGITS_K="20",
        TRADEWIND_DIGITS_MIN_ACCURACY="0.5",
        TRADEWIND_DIGITS_ROLE="arn:aws:iam::123456789012:role/x",
    )["params"]
    assert params["bucket"] == "my-bucket"
    assert params["k"] == 20
    assert params["min_accuracy"] == 0.5
    assert params["role"].endswith("/x")


@pytest.mark.parametrize(
    ("variable", "value"),
    [("K", "many"), ("K", "3"), ("ENDPOINT", "not/a name"), ("MIN_ACCURACY", "93")],
)
def test_a_wrong_default_is_an_error_that_names_it(read, variable, value):
    found = read(**{f"TRADEWIND_DIGITS_{variable}": value})
    assert found["dags"] == ["listings"]
    (error,) = found["errors"].values()
    assert variable.lower() in error.lower()
    assert value in error
