"""Airflow's official SageMaker operators, sync and deferrable, run by Airflow itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from pathlib import Path

import numpy as np
import pytest

from sagemaker_service import make_client
from tradewind.local import Systems
from tradewind.systems.sagemaker import recordio

SCRIPT = Path(__file__).with_name("clients") / "airflow_operators.py"


@pytest.fixture
def bucket(local_sagemaker: Systems) -> str:
    name = f"airflow-{uuid.uuid4().hex[:8]}"
    s3 = make_client("s3", local_sagemaker["s3"].endpoint, local_sagemaker.environment)
    s3.create_bucket(Bucket=name)
    random = np.random.default_rng(7)
    centres = np.array([[0, 0], [0, 10], [10, 0]], np.float32)
    points = np.repeat(centres, 100, axis=0) + random.normal(0, 0.1, (300, 2)).astype("f4")
    s3.put_object(Bucket=name, Key="train/points.pbr", Body=bytes(recordio.encode_batch(points)))
    s3.put_object(Bucket=name, Key="batch/rows.csv", Body=b"0,0\n0,10\n10,0\n")
    return name


@pytest.mark.airflow
@pytest.mark.timeout(600)
def test_the_official_operators(local_sagemaker: Systems, bucket: str, tmp_path: Path) -> None:
    environment = {key: os.environ[key] for key in ("PATH", "LANG") if key in os.environ}
    environment |= local_sagemaker.environment | {
        "HOME": str(tmp_path),
        "AIRFLOW_HOME": str(tmp_path / "airflow"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(SCRIPT.parent),
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
        "AWS_EC2_METADATA_DISABLED": "true",
        "PYTHONWARNINGS": "ignore",
    }
    # Everything is found by the connection alone, as it is in a real Airflow.
    for key in [key for key in environment if key.startswith("AWS_ENDPOINT_URL")]:
        del environment[key]

    def run(*words: str | Path) -> str:
        done = subprocess.run(
            [sys.executable, *words],
            env=environment,
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
        )
        output = done.stdout + done.stderr
        assert done.returncode == 0, output[-8000:]
        return output

    run("-m", "airflow", "db", "migrate")
    output = run(SCRIPT, bucket)
    result = json.loads(next(line for line in output.splitlines() if line.startswith('{"state"')))
    assert set(result["tasks"].values()) == {"success"}, output[-8000:]
    assert result["state"] == "success"
    # The job's log is in the task's log.
    assert "#quality_metric: host=algo-1, train msd <loss>=" in output

    endpoint = local_sagemaker["sagemaker"].endpoint
    sagemaker = make_client("sagemaker", endpoint, local_sagemaker.environment)
    jobs = sagemaker.list_training_jobs(NameContains="airflow-job")["TrainingJobSummaries"]
    assert [job["TrainingJobStatus"] for job in jobs] == ["Completed", "Completed"]
    described = sagemaker.describe_endpoint(EndpointName="airflow")
    assert described["EndpointConfigName"] == "airflow-third"
    runtime = make_client("sagemaker-runtime", endpoint, local_sagemaker.environment)
    for name in ("airflow", "airflow-deferred"):
        answer = runtime.invoke_endpoint(EndpointName=name, ContentType="text/csv", Body="10,0")
        (prediction,) = json.loads(answer["Body"].read())["predictions"]
        assert prediction["distance_to_cluster"] < 0.5
    s3 = make_client("s3", local_sagemaker["s3"].endpoint, local_sagemaker.environment)
    for name in ("transform", "deferred"):
        body = s3.get_object(Bucket=bucket, Key=f"airflow-{name}/rows.csv.out")["Body"].read()
        assert len(body.split()) == 3
    models = sagemaker.list_models(NameContains="airflow-transform")["Models"]
    assert models == []
