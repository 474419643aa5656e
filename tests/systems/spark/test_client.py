"""spark-submit in client mode, by a real Spark."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from notebook import Notebook
from tradewind.errors import InputError, SetupError
from tradewind.owner import Owner
from tradewind.run.supervise import supervise
from tradewind.systems.process.backend import ProcessBackend
from tradewind.systems.spark.backend import SparkSubmit

SPARK = Path(__file__).parents[3] / ".venv-spark" / "bin"
BINARY = str(SPARK / "spark-submit")
OWNER = Owner("dag", "run", "spark")

needs_spark = pytest.mark.skipif(
    shutil.which("java") is None or not (SPARK / "spark-submit").exists(),
    reason="needs Java (openjdk-17-jre-headless) and .venv-spark "
    "(python3 scripts/environment.py .venv-spark requirements/spark.txt)",
)
together = pytest.mark.xdist_group("spark")

APPLICATION = """
import os, sys
from pyspark.sql import SparkSession
with open(sys.argv[1], "a") as file:
    file.write("ran\\n")
spark = SparkSession.builder.getOrCreate()
total = spark.range(100).selectExpr("sum(id)").first()[0]
with open(os.environ["TRADEWIND_RESULT"], "w") as file:
    file.write(str(total))
print("master", spark.sparkContext.master, os.environ["COLOUR"])
spark.stop()
"""


@pytest.fixture
def application(tmp_path: Path) -> Path:
    path = tmp_path / "application.py"
    path.write_text(APPLICATION)
    return path


def submit(application: Path, master: str) -> SparkSubmit:
    environment = {
        "COLOUR": "it's green",
        "PYSPARK_PYTHON": str(SPARK / "python"),
        "SPARK_LOCAL_IP": "127.0.0.1",
    }
    return SparkSubmit(
        master,
        str(application),
        arguments=[str(application.parent / "runs")],
        conf={"spark.ui.enabled": "false", "spark.sql.shuffle.partitions": "1"},
        options={"name": "a name", "driver-memory": "512m", "executor-memory": "512m"},
        environment=environment,
        binary=BINARY,
    )


@pytest.fixture
def attended(tmp_path: Path) -> Callable[..., tuple[str | None, bool, list[str]]]:
    def attended(work: SparkSubmit) -> tuple[str | None, bool, list[str]]:
        backend = ProcessBackend(tmp_path / "jobs")
        lines: list[str] = []
        outcome = supervise(
            backend,
            OWNER,
            work.command(),
            log=lambda line: lines.append(line.text),
            state_store=Notebook(),
        )
        assert list(backend.list()) == []
        return outcome.result, outcome.reattached, lines

    return attended


@needs_spark
@together
@pytest.mark.spark
def test_a_job_whose_attendant_is_killed_runs_once(application, attended, tmp_path):
    # Another process claims the work and is killed as a worker is; the retry reattaches to it.
    work = submit(application, "local[1]")
    script = f"""
import os, signal
from tradewind.owner import Owner
from tradewind.run.supervise import claim
from tradewind.systems.process.backend import ProcessBackend
from tradewind.systems.spark.backend import SparkSubmit
class Notes(dict):
    set = dict.__setitem__
work = SparkSubmit({work.master!r}, {work.application!r}, {work.arguments!r}, {work.conf!r},
    {work.options!r}, {work.environment!r}, binary={work.binary!r})
claim(ProcessBackend({str(tmp_path / "jobs")!r}), Owner("dag", "run", "spark"), work.command(),
    state_store=Notes())
os.kill(os.getpid(), signal.SIGKILL)
"""
    killed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    result, was_reattached, lines = attended(work)
    assert (result, was_reattached) == ("4950", True)
    assert "master local[1] it's green" in lines
    assert (tmp_path / "runs").read_text() == "ran\n"


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"master": "sparc://here"}, InputError, "'sparc://here' is no master"),
        ({"application": ""}, InputError, "no application"),
        ({"application": "/nowhere/a.py"}, InputError, "no application /nowhere/a.py"),
        ({"deploy_mode": "cluster"}, InputError, "Use client mode"),
        ({"conf": {"spark.submit.deployMode": "cluster"}}, InputError, "Use client mode"),
        ({"deploy_mode": "here"}, InputError, "'here' is no deploy mode"),
        ({"master": "yarn", "deploy_mode": "cluster"}, InputError, "the backend of YARN"),
        ({"binary": "no-such-submit"}, SetupError, "no-such-submit is not on this worker's PATH"),
    ],
)
def test_what_cannot_run_is_told_at_once(application, change, error, says):
    settings = {"master": "local", "application": str(application), "binary": "sh", **change}
    with pytest.raises(error, match=says):
        SparkSubmit(**settings).command()


def test_secrets_are_not_shown(application):
    work = SparkSubmit(
        "yarn",
        str(application),
        arguments=["s3cret"],
        conf={"spark.password": "s3cret"},
        environment={"TOKEN": "s3cret"},
        binary="sh",
    )
    assert "s3cret" not in repr(work)
    assert "spark.yarn.appMasterEnv.TOKEN=s3cret" in work.command().script


@pytest.mark.airflow
def test_the_operator_reads_its_connection_as_the_official_one(application, monkeypatch):
    from tradewind.airflow import SparkSubmitOperator

    monkeypatch.setenv(
        "AIRFLOW_CONN_CLUSTER",
        '{"conn_type": "spark", "host": "spark://head", "port": 7077, "extra": {"queue": "q"}}',
    )
    operator = SparkSubmitOperator(
        task_id="count",
        conn_id="cluster",
        application=str(application),
        application_args=["--day", 1],
        conf={"spark.cores.max": 2},
        java_class="Main",
        num_executors=3,
        spark_binary="sh",
    )
    script = operator.make_work({}).script
    assert script == (
        "exec sh --master spark://head:7077 --deploy-mode client --conf spark.cores.max=2 "
        f"--num-executors 3 --name arrow-spark --class Main --queue q {application} --day 1"
    )
