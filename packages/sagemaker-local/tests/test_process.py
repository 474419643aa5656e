"""The service as a process: its start, its end, its refusals."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil

from sagemaker_service import KMEANS, ROLE, SageMakerProcess
from tradewind.local import Systems
from waiting import until


def refusal(*arguments: str) -> str:
    command = [sys.executable, "-m", "sagemaker_local", "serve", "--port=0", *arguments]
    environment = os.environ | {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret"}
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    return done.stderr


def test_a_port_in_use(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        error = refusal(f"--data={tmp_path}", "--s3-endpoint=http://127.0.0.1:1", f"--port={port}")
    assert f"cannot listen on 127.0.0.1:{port}" in error
    assert "--port" in error


def test_a_broken_database(tmp_path: Path) -> None:
    (tmp_path / "state.sqlite").write_bytes(b"no database" * 1000)
    error = refusal(f"--data={tmp_path}", "--s3-endpoint=http://127.0.0.1:1")
    assert "state.sqlite" in error
    assert "Move it away" in error


def test_a_folder_in_use(local_s3: Systems, tmp_path: Path) -> None:
    with SageMakerProcess(local_s3, tmp_path / "data"):
        error = refusal(f"--data={tmp_path / 'data'}", "--s3-endpoint=http://127.0.0.1:1")
    assert "Another local SageMaker is running" in error


def test_the_end_leaves_nothing_running(local_s3: Systems, tmp_path: Path) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        with SageMakerProcess(local_s3, tmp_path / "data") as process:
            service = psutil.Process(process._process.pid)
            process.client("sagemaker").create_training_job(
                TrainingJobName=f"job-{int(number)}",
                AlgorithmSpecification={"TrainingImage": KMEANS, "TrainingInputMode": "Pipe"},
                RoleArn=ROLE,
                OutputDataConfig={"S3OutputPath": "s3://no-such-bucket/out"},
                ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1},
                HyperParameters={"k": "2", "feature_dim": "2"},
            )
            children = until(lambda: service.children(recursive=True))  # noqa: B023
            started = time.monotonic()
            os.kill(service.pid, number)
            assert process._process.wait(30) == 0
            # Seconds, not the grace of a training job.
            assert time.monotonic() - started < 15
            assert not any(child.is_running() for child in children)


def test_a_kill_leaves_no_trainer(local_s3: Systems, tmp_path: Path) -> None:
    with SageMakerProcess(local_s3, tmp_path / "data") as process:
        service = psutil.Process(process._process.pid)
        sagemaker = process.client("sagemaker")
        sagemaker.create_training_job(
            TrainingJobName="job",
            AlgorithmSpecification={"TrainingImage": KMEANS, "TrainingInputMode": "Pipe"},
            RoleArn=ROLE,
            OutputDataConfig={"S3OutputPath": "s3://no-such-bucket/out"},
            ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1},
            HyperParameters={"k": "2", "feature_dim": "2"},
        )
        children = until(lambda: service.children(recursive=True))
        process.restart()
        sagemaker = process.client("sagemaker")
        until(lambda: not any(child.is_running() for child in children))

        def status() -> str:
            described = sagemaker.describe_training_job(TrainingJobName="job")
            return str(described["TrainingJobStatus"])

        until(lambda: status() == "Failed", seconds=60)
