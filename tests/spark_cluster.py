"""A real Spark standalone cluster of the tests' own: a master and a worker, on loopback."""

from __future__ import annotations

import json
import os
import shutil
import signal
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pytest

from tradewind.local.processes import bind_to_parent, free_port, spawn, wait_until

ROOT = Path(__file__).resolve().parent.parent
PYTHON = ROOT / ".venv-spark" / "bin" / "python"
HAS_SPARK = shutil.which("java") is not None and PYTHON.exists()

needs_spark = pytest.mark.skipif(
    not HAS_SPARK,
    reason="needs Java (openjdk-17-jre-headless) and .venv-spark "
    "(python3 scripts/environment.py .venv-spark requirements/spark.txt)",
)

#: What keeps a JVM small and quick to start.
JAVA_OPTIONS = "-XX:+UseSerialGC -XX:TieredStopAtLevel=1"


def spark_home() -> Path:
    """Find the folder of the Spark that pyspark brings."""
    (found,) = PYTHON.parent.parent.glob("lib/python3*/site-packages/pyspark")
    return found


def spark_environment() -> dict[str, str]:
    """Name the variables by which spark-submit finds itself, and stays on loopback."""
    return {
        "SPARK_HOME": str(spark_home()),
        "PYSPARK_PYTHON": str(PYTHON),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_SUBMIT_OPTS": JAVA_OPTIONS,
    }


#: The same for drivers and executors.
QUICK = {
    "spark.executorEnv.SPARK_LOCAL_IP": "127.0.0.1",
    "spark.driver.extraJavaOptions": JAVA_OPTIONS,
    "spark.executor.extraJavaOptions": JAVA_OPTIONS,
    "spark.ui.enabled": "false",
    "spark.sql.shuffle.partitions": "1",
}


@dataclass(frozen=True)
class SparkCluster:
    """Where it is.

    Args:
        port: Of the master.
        rest_port: Of the master's REST API.
        ui_port: Of the master's page.
        worker: Id of the worker's process.
    """

    port: int
    rest_port: int
    ui_port: int
    worker: int

    @property
    def master(self) -> str:
        """Its address as applications have it."""
        return f"spark://127.0.0.1:{self.port}"

    def page(self) -> dict[str, Any]:
        """Read the master's page."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.ui_port}/json/", timeout=10) as told:
            return dict(json.load(told))

    def drivers(self) -> dict[str, str]:
        """Tell the state of each driver there has been."""
        page = self.page()
        return {d["id"]: d["state"] for d in (*page["activedrivers"], *page["completeddrivers"])}

    def running(self) -> list[str]:
        """List drivers that have not ended."""
        return [one["id"] for one in self.page()["activedrivers"]]


@contextmanager
def spark_cluster(folder: Path, *, cores: int = 4) -> Iterator[SparkCluster]:
    """Start a master and a worker.

    Args:
        folder: For their files.
        cores: That the worker says to have.
    """
    folder.mkdir(parents=True, exist_ok=True)
    port, rest_port, ui_port, worker_port, worker_ui = (free_port() for _ in range(5))
    # HOME without a proxy's settings, temporary files of its own: nothing is left elsewhere.
    environment = {
        **os.environ,
        **spark_environment(),
        "SPARK_DAEMON_MEMORY": "192m",
        "SPARK_DAEMON_JAVA_OPTS": f"{JAVA_OPTIONS} -Dspark.master.rest.enabled=true "
        f"-Dspark.master.rest.host=127.0.0.1 -Dspark.master.rest.port={rest_port} "
        "-Dspark.worker.cleanup.enabled=false",
        "TMPDIR": str(folder),
    }
    program = [str(spark_home() / "bin" / "spark-class")]
    master = [*program, "org.apache.spark.deploy.master.Master", "--host", "127.0.0.1"]
    master += ["--port", str(port), "--webui-port", str(ui_port)]
    worker = [*program, "org.apache.spark.deploy.worker.Worker", "--host", "127.0.0.1"]
    worker += ["--port", str(worker_port), "--webui-port", str(worker_ui), "-c", str(cores)]
    worker += ["-m", "4g", "-d", str(folder / "work"), f"spark://127.0.0.1:{port}"]
    processes = []
    try:
        for name, command in (("master", master), ("worker", worker)):
            with (folder / f"{name}.log").open("wb") as log:
                processes.append(_start(command, folder, environment, log))
        found = SparkCluster(port, rest_port, ui_port, processes[1].pid)

        def ready() -> bool:
            assert all(process.poll() is None for process in processes), _said(folder)
            with suppress(OSError, ValueError):
                return bool(found.page()["workers"])
            return False

        assert wait_until(ready, seconds=90, interval=0.2), _said(folder)
        yield found
    finally:
        # The worker first: it ends the drivers that it has started.
        for process in reversed(processes):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(10)
            except Exception:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _start(command: list[str], folder: Path, environment: dict[str, str], log: IO[bytes]) -> Any:
    return spawn(
        bind_to_parent(command),
        cwd=folder,
        env=environment,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )


def _said(folder: Path) -> str:
    return "\n".join(path.read_text(errors="replace")[-2000:] for path in folder.glob("*.log"))
