"""Foreign clients against the service, unchanged: boto3 by the book, AWS CLI, SageMaker SDK 2.x."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clients import clients_python
from sagemaker_service import KMEANS, ROLE, make_client
from tradewind.local import Systems
from tradewind.systems.sagemaker import recordio
from waiting import until

SCRIPTS = Path(__file__).with_name("clients")


@pytest.fixture(scope="module")
def bucket(local_sagemaker: Systems) -> str:
    name = f"clients-{uuid.uuid4().hex[:8]}"
    s3 = make_client("s3", local_sagemaker["s3"].endpoint, local_sagemaker.environment)
    s3.create_bucket(Bucket=name)
    random = np.random.default_rng(7)
    centres = np.array([[0, 0], [0, 10], [10, 0]], np.float32)
    points = np.repeat(centres, 100, axis=0) + random.normal(0, 0.1, (300, 2)).astype("f4")
    random.shuffle(points)
    s3.put_object(Bucket=name, Key="train/points.pbr", Body=bytes(recordio.encode_batch(points)))
    s3.put_object(Bucket=name, Key="batch/rows.csv", Body=b"0,0\n0,10\n10,0\n")
    return name


@pytest.fixture
def environment(local_sagemaker: Systems, tmp_path: Path) -> dict[str, str]:
    """What a client needs; nothing of this machine's own AWS configuration."""
    kept = {key: os.environ[key] for key in ("PATH", "LANG") if key in os.environ}
    nowhere = {
        "HOME": str(tmp_path),
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
        "AWS_EC2_METADATA_DISABLED": "true",
        "PYTHONWARNINGS": "ignore",
    }
    return kept | nowhere | local_sagemaker.environment


def run(command: list[str | Path], environment: dict[str, str]) -> str:
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-6000:]
    return done.stdout


def test_boto3_by_the_book(bucket: str, environment: dict[str, str], tmp_path: Path) -> None:
    result = tmp_path / "result.json"
    run([sys.executable, SCRIPTS / "book.py", bucket, "train/", str(result)], environment)
    found = json.loads(result.read_text())
    assert found["job"]["ModelArtifacts"]["S3ModelArtifacts"] == (
        f"s3://{bucket}/output/classifier-2026-01-01/output/model.tar.gz"
    )
    assert len({row["closest_cluster"] for row in found["predictions"]}) == 3
    assert all(row["distance_to_cluster"] < 0.5 for row in found["predictions"])


@pytest.mark.clients
def test_sagemaker_sdk(bucket: str, environment: dict[str, str]) -> None:
    output = run([clients_python(), SCRIPTS / "sdk_kmeans.py", bucket], environment)
    found = json.loads(output.splitlines()[-1])
    assert found["status"] == "Completed"
    assert found["artifacts"].startswith(f"s3://{bucket}/models/kmeans-")
    assert found["artifacts"].endswith("/output/model.tar.gz")
    assert found["metrics"]["train:msd"] < 0.1
    assert len(set(found["clusters"])) == 3
    assert max(found["distances"]) < 0.5
    assert [row["closest_cluster"] for row in found["by_csv"]] == found["clusters"]
    assert len(set(found["again"])) == 3
    assert found["transformed"].count("closest_cluster") == 3
    assert found["endpoint"] not in found["left"]
    # fit() prints the job's log: the lines of CloudWatch Logs, and the status on its way.
    assert "#quality_metric: host=algo-1, train msd <loss>=" in output
    assert "host=algo-2" in output
    assert "Training job completed" in output or "Completed - Training job completed" in output
    assert "Billable seconds:" in output


@pytest.mark.clients
class TestAwsCli:
    @pytest.fixture
    def aws(self, environment: dict[str, str]) -> Any:
        program = clients_python().with_name("aws")

        def call(*words: str) -> Any:
            output = run([program, "--output", "json", *words], environment)
            return json.loads(output) if output.strip() else None

        return call

    def test_train_deploy_invoke_delete(
        self, aws: Any, environment: dict[str, str], bucket: str, tmp_path: Path
    ) -> None:
        assert aws("sts", "get-caller-identity")["Account"] == "123456789012"
        role = aws("iam", "get-role", "--role-name", "sagemaker")["Role"]["Arn"]
        job, endpoint = "cli-job", "cli-endpoint"
        channel = {
            "ChannelName": "train",
            "DataSource": {
                "S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{bucket}/train/"}
            },
        }
        aws(
            "sagemaker",
            "create-training-job",
            "--training-job-name",
            job,
            "--algorithm-specification",
            f"TrainingImage={KMEANS},TrainingInputMode=Pipe",
            "--role-arn",
            role,
            "--input-data-config",
            json.dumps([channel]),
            "--output-data-config",
            f"S3OutputPath=s3://{bucket}/cli",
            "--resource-config",
            "InstanceType=ml.m5.large,InstanceCount=1,VolumeSizeInGB=1",
            "--stopping-condition",
            "MaxRuntimeInSeconds=600",
            "--hyper-parameters",
            "k=3,feature_dim=2,mini_batch_size=50",
            "--tags",
            "Key=team,Value=digits",
        )
        # The CLI's waiter looks every two minutes: it is asked when the job is done.
        endpoint_url = environment["AWS_ENDPOINT_URL_SAGEMAKER"]
        sagemaker = make_client("sagemaker", endpoint_url, environment)
        until(
            lambda: (
                sagemaker.describe_training_job(TrainingJobName=job)["TrainingJobStatus"]
                != "InProgress"
            ),
            seconds=90,
        )
        waiter = "training-job-completed-or-stopped"
        aws("sagemaker", "wait", waiter, "--training-job-name", job)
        described = aws("sagemaker", "describe-training-job", "--training-job-name", job)
        assert described["TrainingJobStatus"] == "Completed"
        tags = aws("sagemaker", "list-tags", "--resource-arn", described["TrainingJobArn"])
        assert tags["Tags"] == [{"Key": "team", "Value": "digits"}]
        # Listings are fetched page by page.
        listed = aws("sagemaker", "list-training-jobs", "--page-size", "1")
        assert job in [item["TrainingJobName"] for item in listed["TrainingJobSummaries"]]

        group = "/aws/sagemaker/TrainingJobs"
        names = ["--log-group-name", group, "--log-stream-name-prefix", f"{job}/"]
        (stream,) = aws("logs", "describe-log-streams", *names)["logStreams"]
        assert stream["logStreamName"].startswith(f"{job}/algo-1-")
        found = aws("logs", "filter-log-events", *names, "--filter-pattern", "quality_metric")
        assert "train msd" in found["events"][0]["message"]

        model_url = described["ModelArtifacts"]["S3ModelArtifacts"]
        container = f"Image={KMEANS},ModelDataUrl={model_url}"
        named = ["--execution-role-arn", ROLE, "--model-name", endpoint]
        aws("sagemaker", "create-model", *named, "--primary-container", container)
        variant = (
            f"VariantName=all,ModelName={endpoint},InstanceType=ml.t2.medium,InitialInstanceCount=1"
        )
        config = ["--endpoint-config-name", endpoint]
        aws("sagemaker", "create-endpoint-config", *config, "--production-variants", variant)
        aws("sagemaker", "create-endpoint", "--endpoint-name", endpoint, *config)
        aws("sagemaker", "wait", "endpoint-in-service", "--endpoint-name", endpoint)
        answer = tmp_path / "answer"
        body = tmp_path / "body.csv"
        body.write_text("0,10\n")
        told = aws(
            "sagemaker-runtime",
            "invoke-endpoint",
            "--endpoint-name",
            endpoint,
            "--content-type",
            "text/csv",
            "--body",
            body.as_uri(),
            str(answer),
        )
        assert told["InvokedProductionVariant"] == "all"
        (prediction,) = json.loads(answer.read_text())["predictions"]
        assert prediction["distance_to_cluster"] < 0.5

        aws("sagemaker", "delete-endpoint", "--endpoint-name", endpoint)
        aws("sagemaker", "wait", "endpoint-deleted", "--endpoint-name", endpoint)
        aws("sagemaker", "delete-endpoint-config", *config)
        aws("sagemaker", "delete-model", "--model-name", endpoint)

    def test_an_error_reads_well(self, aws: Any, environment: dict[str, str]) -> None:
        done = subprocess.run(
            [clients_python().with_name("aws"), "sagemaker", "list-apps"],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode != 0
        assert "UnknownOperationException" in done.stderr
        assert "CreateTrainingJob" in done.stderr
