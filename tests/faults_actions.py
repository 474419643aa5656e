"""What the crash tests of running carry out in a worker."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tradewind.owner import Owner
from tradewind.run.backend import LogLine
from tradewind.run.supervise import supervise

ACTIONS: dict[str, Callable[..., Any]] = {}
Environment = dict[str, str] | None


def action(function: Callable[..., Any]) -> Callable[..., Any]:
    ACTIONS[function.__name__] = function
    return function


def warm() -> None:
    """Import what the actions need; open nothing."""
    import asyncssh  # noqa: F401
    import httpx  # noqa: F401

    import tradewind.systems.docker.backend
    import tradewind.systems.livy.backend
    import tradewind.systems.process.backend
    import tradewind.systems.ssh.backend  # noqa: F401


class FileMemory:
    """What Airflow's task state store is for, as a file that is replaced whole."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)

    def get(self, key: str) -> str | None:
        found: str | None = self._all().get(key)
        return found

    def set(self, key: str, value: str) -> None:
        new = self._path.with_suffix(".new")
        new.write_text(json.dumps({**self._all(), key: value}))
        new.replace(self._path)

    def _all(self) -> dict[str, str]:
        return dict(json.loads(self._path.read_text())) if self._path.exists() else {}


def _supervise(
    backend: Any, run: str, work: Any, memory: str, log: str, limit: int | None = None
) -> str | None:
    """Supervise it; where a limit is given, its result has to be one for Airflow, as in a task."""
    from tradewind.airflow.results import check_result

    result = {} if limit is None else {"result_limit": limit, "check": check_result}
    with open(log, "a") as file:

        def write(line: LogLine) -> None:
            file.write(f"{line.text}\n")
            file.flush()

        owner = Owner("faults", run, "work")
        outcome = supervise(
            backend,
            owner,
            work,
            log=write,
            state_store=FileMemory(memory),
            poll_seconds=0.2,
            **result,
        )
    return outcome.result


@action
def process(root: str, script: str, environment: Environment = None, **rest: Any) -> str | None:
    from tradewind.systems.process.backend import Command, ProcessBackend

    return _supervise(ProcessBackend(root), work=Command(script, environment or {}), **rest)


@action
def docker(
    engine: str, image: str, script: str, shared: str, environment: Environment = None, **rest: Any
):
    from tradewind.systems.docker.backend import Container, DockerBackend, Engine

    work = Container(
        image,
        ["sh", "-c", script],
        private_environment=environment or {},
        network_mode="none",
        mounts=[{"Type": "bind", "Source": shared, "Target": shared}],
    )
    return _supervise(DockerBackend(Engine(engine)), work=work, **rest)


@action
def ssh(port: int, username: str, key_file: str, known_hosts: str, root: str, **rest: Any):
    from tradewind.systems.ssh.backend import Command, SSHBackend, SSHConnection

    connection = SSHConnection(
        "127.0.0.1", username, port, key_file=key_file, known_hosts=known_hosts
    )
    work = Command(rest.pop("script"), rest.pop("environment", {}))
    return _supervise(SSHBackend(connection, root=root), work=work, **rest)


@action
def rest(url: str, script: str, **rest: str):
    from tradewind.systems.http.backend import (
        JobApi,
        JobLog,
        RestConnection,
        RestJob,
        RestJobBackend,
    )

    api = JobApi(
        log=JobLog("/jobs/{id}/log", offset="from"),
        result_path="/jobs/{id}/result",
        cancel=("POST", "/jobs/{id}/cancel"),
    )
    work = RestJob({"script": script})
    return _supervise(RestJobBackend(RestConnection(url), api), work=work, **rest)


@action
def livy(url: str, script: str, memory: str, **rest: str):
    from tradewind.systems.http.backend import RestConnection, RestJob
    from tradewind.systems.livy.backend import LivyBackend

    file = Path(memory).with_name("script.sh")
    # A batch hands back nothing but its description.
    file.write_text(f"TRADEWIND_RESULT=/dev/null\n{script}")
    backend = LivyBackend(RestConnection(url))
    told = _supervise(backend, work=RestJob({"file": str(file)}), memory=memory, **rest)
    return "42\n" if json.loads(told or "")["state"] == "success" else told


@action
def yarn(cluster: dict[str, str], script: str, **rest: str):
    from tradewind.systems.http.backend import RestConnection
    from tradewind.systems.yarn.backend import YarnBackend
    from yarn_cluster import ShellApplication, YarnCluster

    places = {name: Path(cluster[name]) for name in ("conf", "folder", "jars", "classes")}
    there = YarnCluster(url=cluster["url"], scheduler=cluster["scheduler"], **places)
    backend = YarnBackend([RestConnection(there.url)])
    return _supervise(backend, work=ShellApplication(there, script, {}), **rest)


@action
def standalone(root: str, submit: dict[str, Any], script: str, **rest: str):
    import base64

    from tradewind.systems.process.backend import ProcessBackend
    from tradewind.systems.spark.backend import SparkSubmit

    # A driver in a standalone cluster hands back a line of its stdout.
    script = script.replace("echo 42 > $TRADEWIND_RESULT", "echo TRADEWIND_RESULT=42")
    work = SparkSubmit(arguments=[base64.b64encode(script.encode()).decode()], **submit)
    return _supervise(ProcessBackend(root), work=work.command(), **rest)


@action
def sagemaker(
    environment: dict[str, str], bucket: str, script: str, run: str, memory: str, **rest: str
):
    import os

    from sagemaker_service import KMEANS, ROLE
    from tradewind.systems.sagemaker.backend import SageMakerBackend

    os.environ.update(environment)
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{bucket}/train/"}
    work = {
        "AlgorithmSpecification": {"TrainingImage": KMEANS, "TrainingInputMode": "File"},
        "RoleArn": ROLE,
        "HyperParameters": {"k": "2", "feature_dim": "2"},
        "InputDataConfig": [
            {
                "ChannelName": "train",
                "ContentType": "text/csv;label_size=0",
                "DataSource": {"S3DataSource": source},
            }
        ],
        "OutputDataConfig": {"S3OutputPath": f"s3://{bucket}/models"},
        "ResourceConfig": {
            "InstanceCount": 1,
            "InstanceType": "ml.m5.large",
            "VolumeSizeInGB": 1,
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
    }
    backend = SageMakerBackend()
    told = _supervise(backend, run=run, work=work, memory=memory, **rest)
    # Instead of the script, which nothing runs: a line for each job that there is.
    jobs = list(backend.list(Owner("faults", run, "work")))
    Path(memory).with_name("ran").write_text("x\n" * len(jobs))
    return "42\n" if json.loads(told or "")["TrainingJobStatus"] == "Completed" else told
