"""Systems that run work, as the attacks use them: by one action, with options, and what is left."""

from __future__ import annotations

import shutil
import subprocess
import uuid
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
import test_spark_standalone as standalone

from busybox import IMAGE, busybox_root
from container_engine import Engine, podman_engine
from job_server import job_server
from livy_server import livy_server
from matrices import Matrix
from spark_cluster import HAS_SPARK, spark_cluster
from tradewind.systems.http.backend import RestConnection
from tradewind.systems.livy.backend import LivyBackend
from yarn_cluster import yarn_cluster


@dataclass
class Runner:
    """A system that runs work.

    Args:
        on: What it is called in the table.
        action: As `faults_actions` knows it.
        options: What the action is told besides.
        left: Tells what is there that nobody needs.
        lanes: How many jobs the tests run there at once.
        lines: Whether the log's lines are those of the script alone.
    """

    on: str
    action: str
    options: dict[str, Any] = field(default_factory=dict)
    left: Callable[[], Sequence[Any]] = list
    lanes: int = 4
    lines: bool = True


Places = Callable[[pytest.FixtureRequest, Path, ExitStack], Runner]
PLACES: dict[str, tuple[Places, list[pytest.MarkDecorator]]] = {}
BACKENDS = Matrix("killed supervisors", "backend")


def place(*marks: pytest.MarkDecorator, backend: str = "") -> Callable[[Places], Places]:
    """Add a place by the function's name; `backend` is its system, where that is called otherwise.

    Args:
        marks: Of tests that run there.
        backend: As the registry has it.
    """

    def register(function: Places) -> Places:
        BACKENDS.row(backend=backend or function.__name__)
        PLACES[function.__name__] = (function, list(marks))
        return function

    return register


@contextmanager
def started(name: str, request: pytest.FixtureRequest, folder: Path) -> Iterator[Runner]:
    """Start it, or take what a fixture has started."""
    with ExitStack() as stack:
        yield PLACES[name][0](request, folder, stack)


def in_folder(jobs: Path) -> Callable[[], list[str]]:
    return lambda: [path.name for path in jobs.glob("*")]


@place()
def process(request: pytest.FixtureRequest, folder: Path, stack: ExitStack) -> Runner:
    jobs = folder / "jobs"
    return Runner("a process of this machine", "process", {"root": str(jobs)}, in_folder(jobs))


@place(pytest.mark.xdist_group("run-ssh"))
def ssh(request: pytest.FixtureRequest, folder: Path, stack: ExitStack) -> Runner:
    server, jobs = request.getfixturevalue("server"), folder / "jobs"
    options = {"root": str(jobs), "port": server.port, "username": server.username}
    files = {"key_file": str(server.key_file), "known_hosts": str(server.known_hosts)}
    return Runner("a process over SSH", "ssh", {**options, **files}, in_folder(jobs))


def engine(on: str, daemon: Engine, folder: Path) -> Runner:
    options = {"engine": daemon.address, "image": IMAGE, "shared": str(folder)}
    return Runner(on, "docker", options, daemon.containers)


@place(pytest.mark.container, pytest.mark.xdist_group("run-docker"))
def docker(request: pytest.FixtureRequest, folder: Path, stack: ExitStack) -> Runner:
    return engine("a container (Docker)", request.getfixturevalue("daemon"), folder)


@place(pytest.mark.container, pytest.mark.xdist_group("run-podman"), backend="docker")
def podman(request: pytest.FixtureRequest, folder: Path, stack: ExitStack) -> Runner:
    daemon = stack.enter_context(podman_engine())
    name, _, tag = IMAGE.partition(":")
    daemon.import_image(name, tag, busybox_root())
    return engine("a container (podman)", daemon, folder)


@place(backend="http")
def rest(request: pytest.FixtureRequest, folder: Path, stack: ExitStack) -> Runner:
    api = stack.enter_context(job_server(folder / "api"))
    return Runner("a job of an HTTP API", "rest", {"url": api.url}, lambda: list(api.jobs))


@place()
def livy(request: pytest.FixtureRequest, folder: Path, stack: ExitStack) -> Runner:
    there = stack.enter_context(livy_server(folder / "livy", allowed=folder))
    backend = stack.enter_context(closing(LivyBackend(RestConnection(there.url))))
    return Runner("a batch of Livy", "livy", {"url": there.url}, lambda: list(backend.list()))


@place(pytest.mark.spark, pytest.mark.xdist_group("yarn"))
def yarn(request: pytest.FixtureRequest, folder: Path, stack: ExitStack) -> Runner:
    cluster = stack.enter_context(yarn_cluster(folder / "yarn"))
    given = {name: str(value) for name, value in vars(cluster).items()}
    return Runner("an application on YARN", "yarn", {"cluster": given}, cluster.running, lanes=2)


@place(pytest.mark.spark, pytest.mark.xdist_group("spark"), backend="process")
def spark(request: pytest.FixtureRequest, folder: Path, stack: ExitStack) -> Runner:
    if not HAS_SPARK or shutil.which("javac") is None:
        pytest.skip("needs .venv-spark and a JDK: apt-get install default-jdk-headless")
    cluster = stack.enter_context(spark_cluster(folder / "spark"))
    (folder / "Shell.java").write_text(standalone.SHELL)
    subprocess.run(["javac", "-nowarn", "-d", folder, folder / "Shell.java"], check=True)
    with zipfile.ZipFile(folder / "shell.jar", "w") as file:
        file.write(folder / "Shell.class", "Shell.class")
    submitted = vars(standalone.script(cluster, folder / "shell.jar", ""))
    given = {name: value for name, value in submitted.items() if name != "arguments"}
    jobs = folder / "jobs"

    def left() -> list[str]:
        return [*in_folder(jobs)(), *cluster.running()]

    options = {"root": str(jobs), "submit": given}
    on = "a driver in a Spark standalone cluster"
    return Runner(on, "standalone", options, left, lanes=2, lines=False)


@place()
def sagemaker(request: pytest.FixtureRequest, folder: Path, stack: ExitStack) -> Runner:
    environment = request.getfixturevalue("local_sagemaker").environment
    keys = (environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"])
    session = boto3.Session(*keys, region_name=environment["AWS_REGION"])
    bucket = f"attack-{uuid.uuid4().hex[:8]}"
    client = session.client("s3", endpoint_url=environment["AWS_ENDPOINT_URL_S3"])
    where = {"LocationConstraint": environment["AWS_REGION"]}
    client.create_bucket(Bucket=bucket, CreateBucketConfiguration=where)
    client.put_object(Bucket=bucket, Key="train/data.csv", Body=b"1,2\n3,4\n5,6\n7,8\n" * 50)
    # Jobs are for ever, so that none is left over.
    options = {"environment": dict(environment), "bucket": bucket}
    return Runner("a training job of SageMaker", "sagemaker", options, lanes=2, lines=False)
