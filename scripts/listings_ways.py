"""The four ways to run crunch.py, on this machine: a container engine, sshd, Spark, Livy.

Each function starts what one way needs and gives the variables that lead Airflow to it, or raises
`SetupError` with the remedy. The systems are those of the tests.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests")]

import httpx  # noqa: E402
import pytest  # noqa: E402

from container_engine import Engine, docker_engine, podman_engine  # noqa: E402
from listings_image import IMAGE, PROGRAM, make_image  # noqa: E402
from livy_server import livy_server  # noqa: E402
from spark_cluster import HAS_SPARK, JAVA_OPTIONS, spark_home  # noqa: E402
from ssh_server import ssh_server  # noqa: E402
from tradewind.errors import SetupError  # noqa: E402

__all__ = ["WAYS", "start_ways"]

Way = Callable[[ExitStack, Path], dict[str, str]]
_SPARK_REMEDY = (
    "Spark is missing: apt-get install default-jre-headless, and "
    "python3 scripts/environment.py .venv-spark requirements/spark.txt"
)


def docker(stack: ExitStack, folder: Path) -> dict[str, str]:
    """A container engine with the image: the one that is there, else one of the demo's own."""
    engine = _running_engine()
    if engine is None:
        engine = stack.enter_context(docker_engine() if _has("dockerd") else podman_engine())
    _image(engine)
    return {"DOCKER_HOST": engine.address, "LISTINGS_IMAGE": IMAGE}


def ssh(stack: ExitStack, folder: Path) -> dict[str, str]:
    """An sshd on a port of its own that lets this account in by a key made for it."""
    server = stack.enter_context(ssh_server(folder))
    connection = {
        "conn_type": "ssh",
        "host": "127.0.0.1",
        "port": server.port,
        "login": server.username,
        "extra": {"key_file": str(server.key_file), "host_key": server.host_key},
    }
    return {"AIRFLOW_CONN_SSH_DEFAULT": json.dumps(connection), "LISTINGS_PYTHON": sys.executable}


def spark(stack: ExitStack, folder: Path) -> dict[str, str]:
    """Spark in this machine's processes: spark-submit in client mode, two cores."""
    if not HAS_SPARK:
        raise SetupError(_SPARK_REMEDY)
    connection = {"conn_type": "spark", "host": "local[2]"}
    return {
        **_spark_environment(),
        "PATH": f"{spark_home() / 'bin'}:{os.environ['PATH']}",
        "AIRFLOW_CONN_SPARK_DEFAULT": json.dumps(connection),
    }


def livy(stack: ExitStack, folder: Path) -> dict[str, str]:
    """A Livy server that submits to the same Spark."""
    if not HAS_SPARK:
        raise SetupError(_SPARK_REMEDY)
    os.environ.update(_spark_environment())
    home = str(spark_home())
    server = stack.enter_context(livy_server(folder, spark_home=home, allowed=PROGRAM.parent))
    address = urlsplit(server.url)
    connection = {"conn_type": "livy", "host": address.hostname, "port": address.port}
    return {"AIRFLOW_CONN_LIVY_DEFAULT": json.dumps(connection)}


WAYS: Mapping[str, Way] = {"docker": docker, "ssh": ssh, "spark": spark, "livy": livy}


def start_ways(
    stack: ExitStack, folder: Path, wanted: list[str]
) -> tuple[dict[str, dict[str, str]], dict[str, str]]:
    """Start what can be started.

    Args:
        stack: Stops it all at its end.
        folder: For their files.
        wanted: Names of ways.

    Returns:
        Variables by way, of those that run; and why each other one does not, with its remedy.

    Raises:
        SetupError: There is no way of such a name.
    """
    if unknown := sorted(set(wanted) - set(WAYS)):
        raise SetupError(
            f"LISTINGS_WAYS names {', '.join(unknown)}; there are {', '.join(WAYS)}. "
            "Name some of these, with commas between them."
        )
    ready: dict[str, dict[str, str]] = {}
    missing: dict[str, str] = {}
    for name in wanted:
        place = folder / name
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        try:
            ready[name] = WAYS[name](stack, place)
        except pytest.skip.Exception as error:
            missing[name] = str(error)
        except (SetupError, AssertionError, OSError, subprocess.SubprocessError) as error:
            missing[name] = f"{type(error).__name__}: {error}"
    return ready, missing


def _running_engine() -> Engine | None:
    address = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    socket = Path(address.removeprefix("unix://"))
    if not address.startswith("unix://") or not os.access(socket, os.W_OK):
        return None
    engine = Engine(socket.parent, socket)
    return engine if engine.answers() else None


def _image(engine: Engine) -> None:
    """Build the image from its Dockerfile; without a registry, from this machine's Python."""
    if _has("docker") and _can_pull(engine):
        here = PROGRAM.parent
        command = ["docker", "-H", engine.address, "build", "--quiet", "--network=host"]
        command += ["-f", str(here / "image" / "Dockerfile"), "-t", IMAGE, str(here)]
        with_registry = subprocess.run(command, capture_output=True, timeout=300)
        if with_registry.returncode == 0:
            return
    make_image(engine)


def _can_pull(engine: Engine) -> bool:
    """Whether the engine gets the Dockerfile's base from a registry, within a bounded time."""
    where = {"fromImage": "python", "tag": "3.11-slim"}
    try:
        with engine.client.stream("POST", "/images/create", params=where, timeout=15) as answer:
            return answer.is_success and "errorDetail" not in "".join(answer.iter_text())
    except httpx.HTTPError:
        return False


def _spark_environment() -> dict[str, str]:
    return {
        "SPARK_HOME": str(spark_home()),
        # This Python has pyarrow; its workers need nothing else.
        "PYSPARK_PYTHON": sys.executable,
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_SUBMIT_OPTS": JAVA_OPTIONS,
    }


def _has(program: str) -> bool:
    return shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") is not None
