"""The systems of the crash test: each started on its own, and asked what is left on it.

For the tests in ``tests/airflow/test_crashes.py`` and for ``bench/bench_crash.py``.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from busybox import IMAGE, busybox_root
from container_engine import docker_engine
from job_server import job_server
from livy_server import livy_server
from ssh_server import ssh_server

SPARK = Path(__file__).resolve().parents[1] / ".venv-spark" / "bin"

#: No session is made: what is Spark's here is spark-submit and its driver's life. A session takes
#: seconds on a small machine, and is what tests/systems/spark/test_client.py has.
_APPLICATION = """
import os, sys, time
run, folder = sys.argv[1], {folder!r}
with open(folder + "/began", "a") as file:
    file.write(run + "\\n")
print("running", flush=True)
time.sleep(0.8)
with open(folder + "/ended", "a") as file:
    file.write(run + "\\n")
with open(os.environ.get("TRADEWIND_RESULT", os.devnull), "w") as file:
    file.write("42")
"""


@dataclass
class CrashSystem:
    """A system that runs work.

    Args:
        environment: How Airflow finds it.
        left: Tells what is there that nobody needs any more.
        clean: Takes it away.
        jobs: For systems whose work cannot write into a file: when each job of a run has begun and
            ended, in seconds since 1970, by the date of the run.
    """

    environment: dict[str, str] = field(default_factory=dict)
    left: Callable[[], list[str]] = list
    clean: Callable[[], None] = lambda: None
    jobs: Callable[[str], list[tuple[float, float]]] | None = None


def folders_of(*folders: Path) -> CrashSystem:
    """Describe a system whose leftovers are entries of folders."""

    def left() -> list[str]:
        return [entry.name for each in folders if each.exists() for entry in each.iterdir()]

    def clean() -> None:
        for each in folders:
            for entry in each.iterdir() if each.exists() else ():
                entry.unlink() if entry.is_symlink() or entry.is_file() else shutil.rmtree(entry)

    return CrashSystem({}, left, clean)


@contextmanager
def process(folder: Path) -> Iterator[CrashSystem]:
    yield folders_of(folder / "jobs")


@contextmanager
def docker(folder: Path) -> Iterator[CrashSystem]:
    root = busybox_root()
    with docker_engine() as engine:
        engine.import_image(*IMAGE.split(":"), root)

        def clean() -> None:
            for container in engine.containers():
                engine.client.delete(f"/containers/{container['Id']}", params={"force": "true"})

        yield CrashSystem(
            {"DOCKER_HOST": engine.address},
            lambda: [f"{each['Names'][0]} {each['State']}" for each in engine.containers()],
            clean,
        )


@contextmanager
def ssh(folder: Path) -> Iterator[CrashSystem]:
    with ssh_server(Path(tempfile.mkdtemp(prefix="sshd-", dir=folder))) as server:
        connection = {
            "conn_type": "ssh",
            "host": "127.0.0.1",
            "port": server.port,
            "login": server.username,
            "extra": {"key_file": str(server.key_file), "host_key": server.host_key},
        }
        # The official SSHRemoteJobOperator is told of the second one.
        system = folders_of(folder / "jobs", folder / "remote-jobs")
        system.environment = {"AIRFLOW_CONN_SSH_DEFAULT": json.dumps(connection)}
        yield system


@contextmanager
def http(folder: Path) -> Iterator[CrashSystem]:
    with job_server(folder / "api") as server:
        connection = {"conn_type": "http", "host": server.url}

        def left() -> list[str]:
            return [job.name for job in list(server.jobs.values())]

        yield CrashSystem({"AIRFLOW_CONN_JOBS": json.dumps(connection)}, left)


@contextmanager
def livy(folder: Path) -> Iterator[CrashSystem]:
    with livy_server(folder / "livy") as server:
        script = server.script(
            f'echo "$1" >> {folder}/began; echo running; sleep 0.8; echo "$1" >> {folder}/ended\n'
        )
        host, _, port = server.url.removeprefix("http://").partition(":")
        connection = {"conn_type": "livy", "host": host, "port": int(port)}

        def batches() -> list[tuple[int, str]]:
            with urllib.request.urlopen(f"{server.url}/batches?size=1000", timeout=30) as answer:
                told = json.load(answer)
            return [(each["id"], each["state"]) for each in told["sessions"]]

        def clean() -> None:
            for number, _ in batches():
                order = urllib.request.Request(f"{server.url}/batches/{number}", method="DELETE")
                urllib.request.urlopen(order, timeout=30).close()

        yield CrashSystem(
            {"AIRFLOW_CONN_LIVY": json.dumps(connection), "TRADEWIND_TEST_SCRIPT": script},
            lambda: [f"batch {number} {state}" for number, state in batches()],
            clean,
        )


@contextmanager
def spark(folder: Path) -> Iterator[CrashSystem]:
    if shutil.which("java") is None or not (SPARK / "spark-submit").exists():
        pytest.skip(
            "needs Java (openjdk-17-jre-headless) and .venv-spark "
            "(python3 scripts/environment.py .venv-spark requirements/spark.txt)"
        )
    application = folder / "application.py"
    application.write_text(_APPLICATION.format(folder=str(folder)))
    system = folders_of(folder / "jobs")
    system.environment = {
        "AIRFLOW_CONN_SPARK": json.dumps({"conn_type": "spark", "host": "local[1]"}),
        "TRADEWIND_TEST_APPLICATION": str(application),
        "PYSPARK_PYTHON": str(SPARK / "python"),
        "PATH": f"{SPARK}:{os.environ['PATH']}",
        "SPARK_LOCAL_IP": "127.0.0.1",
    }
    yield system


@contextmanager
def sagemaker(folder: Path) -> Iterator[CrashSystem]:
    from sagemaker_service import make_client, sagemaker_data
    from tradewind.local import up

    with up(["sagemaker"], data=folder / "sagemaker") as systems:
        sagemaker_data(systems, "crashes")
        client = make_client("sagemaker", systems["sagemaker"].endpoint, systems.environment)

        def jobs(date: str) -> list[tuple[float, float]]:
            told = client.list_training_jobs(NameContains=date)["TrainingJobSummaries"]
            return [
                (
                    job["CreationTime"].timestamp(),
                    job["TrainingEndTime"].timestamp() if "TrainingEndTime" in job else math.inf,
                )
                for job in told
            ]

        yield CrashSystem(
            {
                "AIRFLOW_CONN_AWS_DEFAULT": systems.environment["AIRFLOW_CONN_AWS_DEFAULT"],
                "TRADEWIND_TEST_BUCKET": "crashes",
            },
            jobs=jobs,
        )


SYSTEMS = {
    "process": process,
    "docker": docker,
    "ssh": ssh,
    "http": http,
    "livy": livy,
    "spark": spark,
    "sagemaker": sagemaker,
}

#: What takes a second or more to import and is needed by every attempt, for `Supervised`.
PRELOAD = (
    "tradewind.run.supervise",
    "tradewind.systems.docker.backend",
    "tradewind.systems.livy.backend",
    "tradewind.systems.process.backend",
    "tradewind.systems.spark.backend",
    "tradewind.systems.ssh.backend",
    "tradewind.airflow.backends",
    "tradewind.airflow.rest_backends",
    "asyncssh",
    "httpx",
)
