"""The DAG as Airflow reads it."""

import re
import subprocess
import sys

import pytest

from digits_airflow import PIPELINES, airflow_environment, driver

pytestmark = pytest.mark.airflow

ORDER = [
    "download_mnist",
    "extract_mnist_data",
    "sagemaker_train_model",
    "evaluate_model",
    "sagemaker_deploy_model",
]


def read(tmp_path, **environment):
    with driver(tmp_path, environment, tmp_path / "log") as airflow:
        airflow.send(look=True)
        return airflow.receive()


def test_the_dag_is_read_without_errors_and_without_connections(tmp_path):
    found = read(tmp_path)
    assert found["errors"] == {}
    assert found["dags"] == ["digits"]
    assert found["files"] == ["digits/dag.py"]
    assert found["schedule"] == "@daily"
    assert set(found["tasks"]) == set(ORDER)
    for task, after in zip(ORDER, [*ORDER[1:], None], strict=True):
        assert found["tasks"][task]["downstream"] == ([after] if after else [])
    kinds = {name: task["class"] for name, task in found["tasks"].items()}
    assert kinds["download_mnist"][0] == "S3CopyObjectOperator"
    assert "SageMakerTrainingOperator" in kinds["sagemaker_train_model"]
    assert "SageMakerEndpointOperator" in kinds["sagemaker_deploy_model"]
    assert found["tasks"]["sagemaker_deploy_model"]["at_once"] == 1
    # Read every few seconds by the DAG processor: what takes long to import is for the tasks.
    assert found["heavy"] == []


def test_parameters_have_defaults_that_work_here(tmp_path):
    params = read(tmp_path)["params"]
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


def test_every_parameter_is_documented_with_its_default(tmp_path):
    page = (PIPELINES.parent / "docs" / "digits.md").read_text()
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*?) ?\|", page, re.MULTILINE))
    params = read(tmp_path)["params"]
    assert {name: rows.get(name, "missing").strip("`") for name in params} == {
        name: str(value) for name, value in params.items()
    }


def test_defaults_come_from_the_environment(tmp_path):
    params = read(
        tmp_path,
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
def test_a_wrong_default_is_an_error_that_names_it(tmp_path, variable, value):
    found = read(tmp_path, **{f"TRADEWIND_DIGITS_{variable}": value})
    assert found["dags"] == []
    (error,) = found["errors"].values()
    assert variable.lower() in error.lower()
    assert value in error


def test_only_dag_files_are_read(tmp_path):
    """Airflow's own search, with .airflowignore, finds one file a pipeline."""
    code = (
        "import sys; from pathlib import Path; from airflow.utils.file import list_py_file_paths;"
        "print(*list_py_file_paths(Path(sys.argv[1])), sep='\\n')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(PIPELINES)],
        env=airflow_environment(tmp_path, {}),
        capture_output=True,
        text=True,
        check=True,
    )
    files = [line for line in done.stdout.splitlines() if line.startswith(str(PIPELINES))]
    assert files == [str(PIPELINES / "digits" / "dag.py")]
