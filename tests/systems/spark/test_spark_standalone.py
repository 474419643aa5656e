"""Spark standalone: a real master and a real worker, in client and in cluster mode.

Over 400 lines: all of it shares a cluster, which takes seconds to start.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import uuid
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from killing import Worker, spread
from notebook import Notebook
from processes import gone
from spark_cluster import (
    PYTHON,
    QUICK,
    SparkCluster,
    needs_spark,
    spark_cluster,
    spark_environment,
    spark_home,
)
from tradewind.errors import InputError, RetryError
from tradewind.local.processes import free_port, wait_until
from tradewind.owner import Owner
from tradewind.run.backend import JobState, WorkFailedError
from tradewind.run.supervise import Outcome, supervise
from tradewind.systems.process.backend import ProcessBackend
from tradewind.systems.spark.backend import SparkSubmit
from tradewind.systems.spark.standalone import read_properties
from tradewind.testing.conformance.backend import BackendConformance, until_ended, until_logged

pytestmark = [needs_spark, pytest.mark.spark, pytest.mark.xdist_group("spark")]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkCluster]:
    with spark_cluster(tmp_path_factory.mktemp("standalone")) as cluster:
        yield cluster
        assert cluster.running() == []


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "jobs"


@pytest.fixture
def backend(root: Path) -> ProcessBackend:
    return ProcessBackend(root)


@pytest.fixture
def owner() -> Owner:
    return Owner("dag", uuid.uuid4().hex, "spark")


def run(
    backend: ProcessBackend, owner: Owner, work: SparkSubmit, lines: list[str], **more: Any
) -> Outcome:
    return supervise(
        backend,
        owner,
        work.command(),
        log=lambda line: lines.append(line.text),
        state_store=Notebook(),
        **more,
    )


SHELL = """
import java.util.Base64;

public class Shell {
  public static void main(String[] arguments) throws Exception {
    byte[] script = Base64.getDecoder().decode(arguments[0]);
    ProcessBuilder shell = new ProcessBuilder("sh", "-c", new String(script, "UTF-8"));
    System.exit(shell.inheritIO().start().waitFor());
  }
}
"""


@pytest.fixture(scope="module")
def jar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A jar whose main class ``Shell`` runs a shell script: a driver without Spark, quick."""
    if shutil.which("javac") is None:
        pytest.skip("needs javac: apt-get install default-jdk-headless")
    folder = tmp_path_factory.mktemp("jar")
    (folder / "Shell.java").write_text(SHELL)
    subprocess.run(["javac", "-nowarn", "-d", folder, folder / "Shell.java"], check=True)
    with zipfile.ZipFile(folder / "shell.jar", "w") as file:
        file.write(folder / "Shell.class", "Shell.class")
    return folder / "shell.jar"


def submit(cluster: SparkCluster, application: Path | str, *arguments: str, **more: Any) -> Any:
    given: dict[str, Any] = {
        "master": cluster.master,
        "application": str(application),
        "arguments": list(arguments),
        "conf": {**QUICK, "spark.cores.max": "1"},
        "options": {"driver-memory": "512m", "executor-memory": "512m", "name": "a name"},
        "environment": {"PYSPARK_PYTHON": str(PYTHON)},
        "deploy_mode": "cluster",
        "rest_port": cluster.rest_port,
        "ui_port": cluster.ui_port,
        "poll_seconds": 0.2,
    }
    return SparkSubmit(**{**given, **more})


def script(cluster: SparkCluster, jar: Path, text: str, **environment: str) -> SparkSubmit:
    import base64

    options = {"driver-memory": "512m", "class": "Shell"}
    encoded = base64.b64encode(text.encode()).decode()
    return submit(cluster, jar, encoded, options=options, environment=environment)


PYTHON_APPLICATION = """
import json, os, sys, time
with open(sys.argv[1], "a") as file:
    file.write("ran\\n")
print("pid", os.getpid(), os.environ["COLOUR"], os.environ["TRADEWIND_OWNER"], flush=True)
print("BASH_ENV" in os.environ, flush=True)
if sys.argv[2] == "sleep":
    time.sleep(300)
if sys.argv[2] == "spark":
    from pyspark.sql import SparkSession
    spark = SparkSession.builder.getOrCreate()
    total = spark.range(100).selectExpr("sum(id)").first()[0]
    print(spark.sparkContext.master, spark.sparkContext.appName)
    spark.stop()
else:
    total = 4950
text = json.dumps({"total": total})
if path := os.environ.get("TRADEWIND_RESULT"):
    with open(path, "w") as file:
        file.write(text)
else:
    print("TRADEWIND_RESULT=" + text)
sys.exit(int(sys.argv[3]))
"""


@pytest.fixture
def application(tmp_path: Path) -> Path:
    path = tmp_path / "application.py"
    path.write_text(PYTHON_APPLICATION)
    return path


def python(cluster: SparkCluster, application: Path, what: str, code: int = 0) -> SparkSubmit:
    environment = {"PYSPARK_PYTHON": str(PYTHON), "COLOUR": 'it\'s "green" $HOME'}
    runs = str(application.parent / "runs")
    return submit(cluster, application, runs, what, str(code), environment=environment)


class TestConformance(BackendConformance):
    """The driver's exit status, its order of stdout and stderr and bytes are not told by Spark."""

    pytestmark = pytest.mark.long

    @pytest.fixture(autouse=True)
    def _cluster(self, cluster: SparkCluster, jar: Path) -> None:
        self.cluster, self.jar = cluster, jar

    @pytest.fixture
    def backend(self, root: Path) -> ProcessBackend:
        return ShownBackend(root)

    def work(self, text: str, **environment: str) -> Any:
        return script(self.cluster, self.jar, text, **environment).command()

    def test_a_failure_tells_its_exit_code(self, backend, start):
        status = until_ended(backend, start("exit 3"))
        assert (status.state, status.exit_code) == (JobState.FAILED, 1)
        assert "is FAILED" in (status.reason or "")

    def test_a_signal_is_told_in_words(self, backend, start):
        status = until_ended(backend, start("kill -KILL $PPID"))
        assert status.state is JobState.FAILED
        assert "is FAILED" in (status.reason or "")

    def test_odd_lines_arrive_whole(self, backend, start):
        # Bytes that are no UTF-8 come through a page of text.
        text = r"printf 'no end'; sleep 0.3; printf ' yet\n\n'; printf 'caf\303\251\n'; "
        name = start(text + "printf last")
        until_ended(backend, name)
        lines = [line.text for line in backend.logs(name, None, wait=0)]
        assert lines == ["no end yet", "", "caf\u00e9", "last"]

    def test_a_result_is_handed_back(self, backend, start):
        name = start("""echo before; echo 'TRADEWIND_RESULT={"rows": 3}'; echo after""")
        until_ended(backend, name)
        assert backend.result(name, limit=100) == b'{"rows": 3}'
        assert [line.text for line in backend.logs(name, None, wait=0)] == ["before", "after"]
        with pytest.raises(InputError, match="larger than 5 bytes"):
            backend.result(name, limit=5)

    def test_the_environment_arrives_as_it_is(self, backend, start):
        # Of what the submitter is told it hands on what has the names that work is told.
        odd = 'it\'s "odd" $HOME `x` \\ \u00e9'
        told = {"TRADEWIND_TOLD": "2026-01-01", "AIRFLOW_CTX_TASK_ID": "task"}
        text = 'printf "%s\\n" "$ODD" "$TRADEWIND_TOLD" "$AIRFLOW_CTX_TASK_ID"'
        name = start(text, variables=told, ODD=odd)
        until_ended(backend, name)
        lines = [line.text for line in backend.logs(name, None, wait=0)]
        assert lines == [odd, "2026-01-01", "task"]


class ShownBackend(ProcessBackend):
    """Without the lines that Spark, its JVM and the submitter write beside the driver's own."""

    def logs(self, name: str, after: str | None, *, wait: float) -> Iterator[Any]:
        for line in super().logs(name, after, wait=wait):
            words = (
                "Spark: ",
                "WARNING: Using incubator",
                "Using Spark's default log4j",
                "driver-",
            )
            if not line.text.startswith(words) and " INFO " not in line.text:
                yield line

    def last_line(self, name: str) -> str | None:
        return super(ProcessBackend.__mro__[1], self).last_line(name)


def test_a_python_driver_runs_once_and_hands_back_its_result(
    cluster, backend, owner, application, tmp_path
):
    # Another process claims it and is killed as a worker is; the retry reattaches to it.
    work = python(cluster, application, "plain")
    claiming = f"""
import os, signal
from tradewind.run.supervise import claim
from tradewind.systems.process.backend import Command, ProcessBackend
from tradewind.owner import Owner
class Notes(dict):
    set = dict.__setitem__
claim(ProcessBackend({str(tmp_path / "jobs")!r}), {owner!r}, {work.command()!r},
      state_store=Notes())
"""
    claiming = claiming.replace(repr(work.command()), spelled(work))
    claiming += "os.kill(os.getpid(), signal.SIGKILL)\n"
    killed = subprocess.run([sys.executable, "-c", claiming], capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    lines: list[str] = []
    outcome = run(backend, owner, work, lines, variables={"TRADEWIND_OWNER": "unused"})
    assert outcome.reattached
    assert json.loads(outcome.result or "") == {"total": 4950}
    assert (tmp_path / "runs").read_text() == "ran\n"
    (told,) = [line for line in lines if line.startswith("pid ")]
    assert told.split(" ", 2)[2] == 'it\'s "green" $HOME me'
    assert "False" in lines
    assert not [line for line in lines if "Launch Command" in line or "TRADEWIND_RESULT" in line]
    assert list(backend.list()) == []


def spelled(work: SparkSubmit) -> str:
    command = work.command()
    return f"Command({command.script!r}, {{'TRADEWIND_OWNER': 'me'}}, undo={command.undo!r})"


def test_stopping_ends_the_driver_and_its_python(cluster, backend, owner, application):
    backend.submit(
        owner,
        1,
        python(cluster, application, "sleep").command(),
        variables={"TRADEWIND_OWNER": "me"},
    )
    name = backend.name_of(owner, 1)
    pid = int(until_starts(backend, name, "pid ").split(" ")[1])
    assert not gone(pid)
    backend.cancel(name)
    status = until_ended(backend, name)
    assert "SIGTERM" in (status.reason or "")
    assert cluster.running() == []
    assert wait_until(lambda: gone(pid), seconds=5)
    backend.delete(name)


def until_starts(backend: ProcessBackend, name: str, text: str) -> str:
    found: list[str] = []

    def look() -> bool:
        found.extend(
            line.text for line in backend.logs(name, None, wait=0) if line.text.startswith(text)
        )
        return bool(found)

    assert wait_until(look, seconds=90, interval=0.2)
    return found[0]


@pytest.mark.parametrize("noted", [pytest.param(True, marks=pytest.mark.long), False])
def test_no_driver_is_left_when_its_submitter_was_killed(cluster, backend, root, owner, jar, noted):
    work = script(cluster, jar, "echo ready; sleep 300")
    backend.submit(owner, 1, work.command(), variables={})
    name = backend.name_of(owner, 1)
    until_logged(backend, name, "ready")
    # A driver of somebody else, which stays.
    other = Owner("other", uuid.uuid4().hex, "spark")
    backend.submit(other, 1, script(cluster, jar, "echo ready; sleep 300").command(), variables={})
    until_logged(backend, backend.name_of(other, 1), "ready")
    for line in (root / name / "process", root / backend.name_of(other, 1) / "process"):
        os.killpg(os.getsid(int(line.read_text().split()[0])), signal.SIGKILL)
    until_ended(backend, name)
    if not noted:
        # As if it had been killed between the answer of the master and its note.
        path = root / name / "driver"
        note = json.loads(path.read_text())
        path.write_text(json.dumps({**note, "id": None}))
    assert len(cluster.running()) == 2
    backend.delete(name)
    assert len(cluster.running()) == 1
    backend.cancel(backend.name_of(other, 1))
    assert wait_until(lambda: cluster.running() == [], seconds=20)
    backend.delete(backend.name_of(other, 1))
    assert list(root.iterdir()) == []


def test_a_driver_that_waits_cannot_be_told_and_is_not_killed_blindly(
    cluster, backend, root, owner, jar
):
    work = script(cluster, jar, "sleep 300")
    # More memory than the worker has: it waits for another one.
    work = submit(cluster, jar, *work.arguments, options={"driver-memory": "64g", "class": "Shell"})
    backend.submit(owner, 1, work.command(), variables={})
    name = backend.name_of(owner, 1)
    path = root / name / "driver"
    assert wait_until(lambda: path.exists() and json.loads(path.read_text())["id"], seconds=20)
    os.killpg(os.getsid(int((root / name / "process").read_text().split()[0])), signal.SIGKILL)
    note = path.read_text()
    path.write_text(json.dumps({**json.loads(note), "id": None}))
    with pytest.raises(RetryError, match=r"driver-\d+-\d+ may be this job's"):
        backend.delete(name)
    assert len(cluster.running()) == 1
    path.write_text(note)
    backend.delete(name)
    assert cluster.running() == []


def test_a_master_that_is_not_there_is_told(cluster, backend, owner, jar):
    work = submit(cluster, jar, options={"class": "Shell"}, rest_port=free_port())
    with pytest.raises(WorkFailedError, match=r"127.0.0.1:\d+ cannot be reached.*rest-port"):
        run(backend, owner, work, [])
    assert list(backend.list()) == []


def test_a_port_that_is_another_service_is_told(cluster, backend, owner, jar):
    work = submit(cluster, jar, options={"class": "Shell"}, rest_port=cluster.ui_port)
    with pytest.raises(WorkFailedError, match="is not the REST server of a Spark master"):
        run(backend, owner, work, [])


@pytest.mark.parametrize(
    ("application", "message"),
    [("/nowhere/at/all.jar", "is ERROR: .*/nowhere/at/all.jar")],
)
def test_an_application_that_is_not_there_is_told(cluster, backend, owner, application, message):
    work = submit(cluster, application, options={"class": "Main", "driver-memory": "512m"})
    with pytest.raises(WorkFailedError, match=message):
        run(backend, owner, work, [])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"options": {}}, "main class.*java_class"),
        ({"options": {"class": "A", "proxy-user": "me"}}, "proxy_user has no meaning"),
        ({"options": {"class": "A", "properties-file": "/nowhere"}}, "/nowhere cannot be read"),
        ({"deploy_mode": "local"}, "'local' is no deploy mode"),
        ({"master": "k8s://https://here"}, "cluster mode is not supported"),
        ({"master": "local[2]"}, "cluster mode is not supported"),
        ({"master": "spark"}, "'spark' is no master"),
        ({"application": ""}, "no application"),
    ],
)
def test_what_can_never_run_is_told_at_once(change, message):
    given = {"master": "spark://here:7077", "application": "/a.jar", "deploy_mode": "cluster"}
    with pytest.raises(InputError, match=message):
        SparkSubmit(**{**given, **change}).command()


def test_what_the_master_is_asked_for(tmp_path):
    properties = tmp_path / "spark.properties"
    properties.write_text(
        "# a comment\nspark.a  one two\nspark.b=two\\\n more\nspark.c: three\n"
        "spark.driver.memory 9g"
    )
    assert read_properties(str(properties)) == {
        "spark.a": "one two",
        "spark.b": "two more",
        "spark.c": "three",
        "spark.driver.memory": "9g",
    }
    work = SparkSubmit(
        "spark://one:7077,two:7077",
        "hdfs:///app.jar",
        arguments=["1"],
        conf={"spark.b": "won"},
        options={
            "class": "Main",
            "jars": "x.jar",
            "driver-memory": "1g",
            "total-executor-cores": 3,
            "properties-file": str(properties),
        },
        environment={"TOKEN": "s3cret"},
        deploy_mode="cluster",
        rest_scheme="https",
        rest_port=1,
        ui_port=2,
    )
    command = work.command()
    request = json.loads(command.script.splitlines()[-2])
    assert request["rest"] == ["https://one:1", "https://two:1"]
    assert request["pages"] == ["https://one:2", "https://two:2"]
    create = request["create"]
    assert create["mainClass"] == "Main"
    assert create["appResource"] == "hdfs:///app.jar"
    assert create["appArgs"] == ["1"]
    assert create["environmentVariables"] == {"SPARK_ENV_LOADED": "1", "TOKEN": "s3cret"}
    assert create["sparkProperties"] == {
        "spark.a": "one two",
        "spark.b": "won",
        "spark.c": "three",
        "spark.driver.memory": "1g",
        "spark.cores.max": "3",
        "spark.jars": "x.jar,hdfs:///app.jar",
        "spark.master": "spark://one:7077,two:7077",
        "spark.submit.deployMode": "cluster",
    }
    assert "s3cret" not in repr(work)


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("points", [50])
def test_workers_are_killed_and_the_driver_runs_once(cluster, root, jar, tmp_path, points):
    actions = Path(__file__).parents[2] / "faults_actions.py"
    text = "echo x >> {}; for i in 1 2 3; do echo line $i; sleep 0.1; done; "
    text += "echo 42 > $TRADEWIND_RESULT"
    submitted = vars(script(cluster, jar, ""))
    given = {name: value for name, value in submitted.items() if name != "arguments"}

    def arguments(name: str) -> dict[str, Any]:
        (tmp_path / name).mkdir()
        ran, memory, log = (str(tmp_path / name / file) for file in ("ran", "memory", "log"))
        run = {"run": f"{uuid.uuid4()}", "script": text.format(ran), "memory": memory}
        return {**run, "log": log, "root": str(root), "submit": given}

    with Worker(actions, "tradewind.run") as worker:
        whole = worker.run("standalone", **arguments("whole"))
        assert whole["answer"] == "42", whole
        for point in spread(whole["points"], points):
            order = arguments(str(point))
            first = worker.run("standalone", die_at=point, **order)
            assert first == {"signal": 9} or first["answer"] == "42", first
            again = worker.run("standalone", **order)
            assert again.get("answer") == "42", (point, again)
            assert (tmp_path / str(point) / "ran").read_text() == "x\n", f"killed at {point}"
    assert cluster.running() == []
    assert list(root.iterdir()) == []


@pytest.mark.long
@pytest.mark.parametrize("mode", ["client", "cluster"])
def test_a_real_application_with_executors(cluster, backend, owner, application, mode):
    work = python(cluster, application, "spark")
    environment = {**spark_environment(), **work.environment}
    given = {**vars(work), "deploy_mode": mode, "environment": environment}
    given["binary"] = str(spark_home() / "bin" / "spark-submit")
    lines: list[str] = []
    outcome = run(backend, owner, SparkSubmit(**given), lines, variables={"TRADEWIND_OWNER": "me"})
    assert json.loads(outcome.result or "") == {"total": 4950}
    assert f"{cluster.master} a name" in lines
