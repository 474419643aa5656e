"""YARN: Hadoop's mini cluster, with shell scripts as applications, and with a real Spark.

Over 400 lines: all of it shares a cluster, which takes half a minute to start.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from killing import Worker, spread
from notebook import Notebook
from processes import gone
from spark_cluster import PYTHON, QUICK, needs_spark, spark_environment, spark_home
from tls_cases import Files, Pki, check_tls, http_environment, nothing_swept
from tls_front import reach
from tradewind.airflow.spark_backends import open_yarn
from tradewind.errors import InputError, RetryError, SetupError
from tradewind.local.processes import free_port, wait_until
from tradewind.owner import Owner
from tradewind.run.backend import AlreadyStartedError, JobState, JobStatus, WorkFailedError
from tradewind.run.supervise import Outcome, supervise
from tradewind.systems.http.backend import RestConnection
from tradewind.systems.spark.backend import SparkSubmit
from tradewind.systems.yarn.backend import YarnBackend
from tradewind.systems.yarn.logs import YarnLogs
from tradewind.testing.conformance.backend import BackendConformance, until_ended, until_logged
from yarn_cluster import ShellApplication, YarnCluster, yarn_cluster

pytestmark = [pytest.mark.spark, pytest.mark.xdist_group("yarn")]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[YarnCluster]:
    with yarn_cluster(tmp_path_factory.mktemp("yarn") / "cluster") as cluster:
        yield cluster
        assert cluster.running() == []


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def backend(cluster: YarnCluster, said: list[str]) -> Iterator[YarnBackend]:
    backend = YarnBackend([RestConnection(cluster.url)], say=said.append)
    yield backend
    backend.close()


@pytest.fixture
def owner() -> Owner:
    return Owner("Sales/Daily", uuid.uuid4().hex, "count rows", map_index=3)


def run(
    backend: YarnBackend, owner: Owner, work: Any, lines: list[str], memory: Any = None, **more: Any
) -> Outcome:
    return supervise(
        backend,
        owner,
        work,
        log=lambda line: lines.append(line.text),
        state_store=Notebook() if memory is None else memory,
        **more,
    )


@pytest.mark.long
class TestConformance(BackendConformance):
    """What YARN cannot do is said where it is overridden."""

    @pytest.fixture(autouse=True)
    def _cluster(self, cluster: YarnCluster) -> None:
        self.cluster = cluster

    def work(self, script: str, **environment: str) -> ShellApplication:
        return ShellApplication(self.cluster, script, environment)

    def test_nothing_is_there_before_and_after(self, backend, owner, start):
        # YARN's history cannot be deleted: what is removed has ended, and is listed no more among
        # all that runs.
        name = backend.name_of(owner, 1)
        assert backend.status(name).state is JobState.ABSENT
        start("true")
        until_ended(backend, name)
        backend.delete(name)
        backend.delete(name)
        assert backend.status(name).state is JobState.SUCCEEDED
        assert name not in [piece.name for piece in backend.list()]
        backend.cancel(name)

    def test_remove_ends_what_still_runs(self, backend, owner, start):
        name = start("echo ready; sleep 300")
        until_logged(backend, name, "ready")
        backend.delete(name)
        assert backend.status(name).state is JobState.FAILED
        assert name not in [piece.name for piece in backend.list()]

    def test_of_many_that_start_at_the_same_instant_one_does(self, backend, owner, start):
        # All may begin, and all but the first one are killed at once.
        together = threading.Barrier(4)
        told: list[str] = []

        def try_it() -> None:
            together.wait()
            try:
                start("echo once; sleep 60")
                told.append("started")
            except AlreadyStartedError:
                told.append("taken")

        threads = [threading.Thread(target=try_it) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(told) == ["started", "taken", "taken", "taken"]
        name = backend.name_of(owner, 1)
        until_logged(backend, name, "once")
        assert wait_until(lambda: len(self.cluster.running()) == 1, seconds=30)
        assert [piece.name for piece in backend.list(owner)] == [name]

    def test_the_list_says_whose_each_piece_is(self, backend, owner, start):
        # The list of all is that of what runs; an owner's has its history.
        start("sleep 60", 1)
        start("exit 1", 2)
        until_ended(backend, backend.name_of(owner, 2))
        pieces = {piece.number: piece for piece in backend.list(owner)}
        assert set(pieces) == {1, 2}
        for piece in pieces.values():
            assert (piece.owner, piece.title) == (owner.digest, str(owner))
            assert piece.started is not None
        assert pieces[1].status.state in (JobState.RUNNING, JobState.PENDING)
        assert pieces[2].status.state is JobState.FAILED
        assert [piece.name for piece in backend.list()] == [pieces[1].name]
        assert list(backend.list(Owner("somebody", "else", "work"))) == []


def test_work_runs_once_and_its_log_and_result_arrive(cluster, backend, owner, tmp_path):
    ran, memory, lines = tmp_path / "ran", Notebook(), list[str]()
    script = f"echo x >> {ran}; echo one; echo two >&2; sleep 2; printf 7 > $TRADEWIND_RESULT"
    work = ShellApplication(cluster, script, {})
    backend.submit(owner, 1, work, variables={"TRADEWIND_OWNER": 'the "owner" $1'})
    name = backend.name_of(owner, 1)
    (piece,) = backend.list(owner)
    assert (piece.name, piece.owner, piece.title, piece.number) == (
        name,
        owner.digest,
        str(owner),
        1,
    )
    assert name in [each.name for each in backend.list()]
    outcome = run(backend, owner, work, lines, memory)
    assert (outcome.result, outcome.reattached) == ("7", True)
    assert sorted(lines) == ["one", "two"]
    assert ran.read_text() == "x\n"
    assert backend.last_line(name) == "one"
    # What was told, and what a later attempt finds.
    assert run(backend, owner, work, lines, memory).result == "7"
    assert sorted(lines) == ["one", "two"]
    with pytest.raises(InputError, match="larger than 0 bytes"):
        backend.result(name, limit=0)


def test_a_failure_is_told_and_the_next_attempt_starts_anew(cluster, backend, owner):
    work = ShellApplication(cluster, "echo why; exit 3", {})
    memory, lines = Notebook(), list[str]()
    with pytest.raises(WorkFailedError, match=r"application_\d+_\d+: it ended with exit status 3"):
        run(backend, owner, work, lines, memory)
    assert lines == ["why"]
    work = ShellApplication(cluster, "true", {})
    assert run(backend, owner, work, lines, memory).name.endswith("-2")
    # A run that was deleted and made again under its id has nothing to do with that.
    again = run(backend, owner, work, lines, since=datetime.now(UTC))
    assert again.name.endswith("-3")


def test_what_is_stopped_ends_with_all_it_has_started(cluster, backend, owner, tmp_path):
    pids = tmp_path / "pids"
    script = f"sleep 300 & echo $! $$ > {pids}.new; mv {pids}.new {pids}; echo ready; wait"
    backend.submit(owner, 1, ShellApplication(cluster, script, {}), variables={})
    name = backend.name_of(owner, 1)
    until_logged(backend, name, "ready")
    backend.cancel(name)
    status = until_ended(backend, name)
    assert status.state is JobState.FAILED
    assert "it was killed" in (status.reason or "")
    assert all(wait_until(lambda p=p: gone(int(p)), seconds=10) for p in pids.read_text().split())
    backend.delete(name)


def test_of_two_attempts_the_one_that_was_taken_first_is_kept(cluster, backend, owner):
    # Neither sees the other before it submits, and the one whose id is higher submits first.
    class Slow(ShellApplication):
        def submit(self, tags: Any, environment: Any, **more: Any) -> str | None:
            mine = cluster.ask("POST", "/apps/new-application")["application-id"]
            other.submit(tags, environment, **more)
            time.sleep(0.01)
            cluster.ask(
                "POST",
                "/apps",
                {
                    "application-id": mine,
                    "application-name": "a script",
                    "queue": "default",
                    "application-tags": {"tag": list(tags)},
                    "resource": {"memory": 64, "vCores": 1},
                    "am-container-spec": {"commands": {"command": "sleep 60"}},
                },
            )
            return str(mine)

    other = ShellApplication(cluster, "sleep 60", {})
    with pytest.raises(AlreadyStartedError, match="by another attempt"):
        backend.submit(owner, 1, Slow(cluster, "", {}), variables={})
    name = backend.name_of(owner, 1)
    first, second = sorted(cluster.applications(name), key=lambda one: one["startedTime"])
    assert first["id"] > second["id"]
    assert wait_until(lambda: second["id"] not in cluster.running(), seconds=20)
    assert [piece.name for piece in backend.list(owner)] == [name]
    assert backend.status(name).state in (JobState.PENDING, JobState.RUNNING)
    backend.delete(name)
    assert cluster.running() == []


def test_a_queue_that_does_not_exist_is_told(cluster, backend, owner):
    work = ShellApplication(cluster, "true", {}, queue="nowhere")
    with pytest.raises(InputError, match=r"YARN at http.*unknown queue.*Correct yarn_queue"):
        backend.submit(owner, 1, work, variables={})


def test_addresses_that_lead_nowhere_are_told(cluster):
    for url, message in (
        (f"http://127.0.0.1:{free_port()}", "cannot be reached.*Start it"),
        (f"{cluster.url}/nowhere", "Check address, prefix and path"),
    ):
        backend = YarnBackend([RestConnection(url)])
        with pytest.raises(SetupError, match=message):
            list(backend.list())
        backend.close()


def test_the_resource_manager_that_is_active_is_found(cluster, owner):
    # Two that watch each other want ZooKeeper: the one that stands by answers as Hadoop's does.
    with standby(cluster.url) as address:
        managers = [
            RestConnection(f"http://127.0.0.1:{free_port()}", backoff=0.01),
            RestConnection(address),
            RestConnection(cluster.url),
        ]
        backend = YarnBackend(managers)
        assert run(backend, owner, ShellApplication(cluster, "true", {}), []).result is None
        backend.close()
        backend = YarnBackend(managers[:2])
        with pytest.raises((RetryError, SetupError), match=r"cannot be reached|stands by"):
            list(backend.list())
        backend.close()


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[ThreadingHTTPServer]:
    """Answer requests on loopback in the way of a handler."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def standby(active: str) -> Iterator[str]:
    class Standby(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(307)
            self.send_header("Location", f"{active}{self.path}")
            self.end_headers()
            self.wfile.write(b"This is standby RM. The redirect url is: " + active.encode())

        def log_message(self, *arguments: object) -> None:
            pass

    with serving(Standby) as server:
        yield f"http://127.0.0.1:{server.server_port}"


def test_a_log_that_is_out_of_reach_is_told_once(said):
    node = f"http://127.0.0.1:{free_port()}"
    ended = {"id": "application_1_0001", "amContainerLogs": f"{node}/logs/container_1_0001_01_1/me"}
    logs = YarnLogs(RestConnection(node), user=None, server=None, say=said.append)
    assert list(logs.lines(ended, None, ended=False)) == []
    (line,) = logs.lines(ended, None, ended=True)
    assert "out of reach" in line.text
    assert list(logs.lines(ended, line.cursor, ended=True)) == []
    assert (logs.last_line(ended), logs.file(ended, "result", 10)) == (None, None)
    (told,) = said
    assert f"{node}: it cannot be reached" in told
    logs.close()


@contextmanager
def moving_files(files: dict[str, bytes]) -> Iterator[str]:
    """NodeManager and log server in one, with files that move the moment that one is read.

    The real ones move them in an instant that no test can meet at will.
    """

    class Moving(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path, _, query = self.path.partition("?")
            place, name = path.rpartition("/")[0], path.rpartition("/")[2]
            looked_at = "size=0" in query
            here = "node" if "/node/" in place else "history"
            if here == self.server.place and name in files:
                if here == "node" and not looked_at:
                    self.server.place = "history"
                    self.send_error(404)
                    return
                content = files[name]
                head = f"LogType:{name}\nLogLength:{len(content)}\nLogContents:\n".encode()
                body = head + (b"" if looked_at else content) + b"\nEnd of LogType"
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            else:
                self.send_error(404)

        def log_message(self, *arguments: object) -> None:
            pass

    with serving(Moving) as server:
        server.place = "node"  # type: ignore[attr-defined]
        yield f"http://127.0.0.1:{server.server_port}"


@pytest.mark.parametrize("wanted", ["lines", "last line", "file", "no file"])
def test_files_on_their_way_to_the_log_server_are_read_all_the_same(said, wanted):
    files = {"stdout": b"one\ntwo", "stderr": b"", "result": b"42"}
    with moving_files(files) as node:
        ended = {"id": "application_1", "amContainerLogs": f"{node}/logs/container_1_0001_01_1/me"}
        server = f"{node}/ws/v1/history"
        logs = YarnLogs(RestConnection(node), user=None, server=server, say=said.append)
        if wanted == "lines":
            assert [line.text for line in logs.lines(ended, None, ended=True)] == ["one", "two"]
        elif wanted == "last line":
            with pytest.raises(RetryError, match="Try again"):
                logs.last_line(ended)
            assert logs.last_line(ended) == "two"
        elif wanted == "file":
            assert logs.file(ended, "result", 10) == b"42"
        else:
            assert logs.file(ended, "another", 10) is None
        logs.close()


@pytest.mark.long
def test_what_nobody_needs_is_swept(cluster, backend, owner, tmp_path):
    backend.submit(owner, 1, ShellApplication(cluster, "sleep 300", {}), variables={})
    command = [sys.executable, "-m", "tradewind.cli", "sweep", "--yarn", cluster.url, "--json"]
    # There is no Airflow to ask whether it is needed.
    environment = {**os.environ, "AIRFLOW_HOME": str(tmp_path)}
    for more, status, outcome in (
        ([], 3, "kept"),
        (["--yes", "--older-than", "0s"], 0, "removed"),
    ):
        done = subprocess.run([*command, *more], capture_output=True, text=True, env=environment)
        (line,) = done.stdout.splitlines()
        told = json.loads(line)
        assert (told["owner"], told["digest"]) == (str(owner), owner.digest)
        assert (done.returncode, told["outcome"]) == (status, outcome), done.stderr
    assert cluster.running() == []


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("points", [50])
def test_workers_are_killed_and_the_work_runs_once(cluster, backend, tmp_path, points):
    actions = Path(__file__).parents[2] / "faults_actions.py"
    script = "echo x >> {}; for i in 1 2 3; do echo line $i; sleep 0.2; done; "
    script += "echo 42 > $TRADEWIND_RESULT"
    given = {name: str(value) for name, value in vars(cluster).items()}
    environment = {"PYTHONPATH": str(Path(__file__).parents[2])}

    def arguments(name: str) -> dict[str, Any]:
        (tmp_path / name).mkdir()
        ran, memory, log = (str(tmp_path / name / file) for file in ("ran", "memory", "log"))
        run = {"run": f"{uuid.uuid4()}", "script": script.format(ran), "memory": memory}
        return {**run, "log": log, "cluster": given}

    with Worker(actions, "tradewind.run", environment) as worker:
        whole = worker.run("yarn", **arguments("whole"))
        assert whole["answer"] == "42\n", whole
        for point in spread(whole["points"], points):
            order = arguments(str(point))
            first = worker.run("yarn", die_at=point, **order)
            assert first == {"signal": 9} or first["answer"] == "42\n", first
            again = worker.run("yarn", **order)
            assert again.get("answer") == "42\n", (point, again)
            assert (tmp_path / str(point) / "ran").read_text() == "x\n", f"killed at {point}"
            lines = (tmp_path / str(point) / "log").read_text().split("\n")[:-1]
            assert set(lines) == {f"line {number}" for number in range(1, 4)}
    assert cluster.running() == []


# -------------------------------------------------------------------------------------------- Spark


APPLICATION = """
import os, sys
from pyspark.sql import SparkSession
with open(sys.argv[1], "a") as file:
    file.write("ran\\n")
spark = SparkSession.builder.getOrCreate()
# The driver alone can tell; executors are for the long form.
asked = spark.sql("SELECT 99 * 50")
if sys.argv[2] != "0":
    asked = spark.range(100).selectExpr("sum(id)")
total = asked.first()[0]
assert total == 4950
with open(os.environ["TRADEWIND_RESULT"], "w") as file:
    file.write(str(total))
print("master", spark.sparkContext.master, os.environ["COLOUR"], os.environ["TRADEWIND_OWNER"])
spark.stop()
sys.exit(int(sys.argv[2]))
"""


@pytest.fixture
def application(tmp_path: Path) -> Path:
    path = tmp_path / "application.py"
    path.write_text(APPLICATION)
    return path


def submit(
    cluster: YarnCluster, application: Path, code: int = 0, *, binary: str = "", **conf: str
) -> SparkSubmit:
    environment = {
        "COLOUR": "green",
        "HADOOP_CONF_DIR": str(cluster.conf),
        **spark_environment(),
    }
    return SparkSubmit(
        "yarn",
        str(application),
        arguments=[str(application.parent / "runs"), str(code)],
        conf={
            **QUICK,
            "spark.executor.instances": "1",
            "spark.executorEnv.PYSPARK_PYTHON": str(PYTHON),
            "spark.yarn.jars": f"local:{spark_home()}/jars/*",
            "spark.yarn.stagingDir": str(cluster.folder / "staging"),
            **conf,
        },
        options={"driver-memory": "512m", "executor-memory": "512m"},
        environment=environment,
        binary=binary or str(spark_home() / "bin" / "spark-submit"),
        deploy_mode="cluster",
    )


@needs_spark
def test_a_real_application_in_cluster_mode(cluster, backend, owner, application, said):
    # Another process claims it and is killed as a worker is; the retry reattaches to it.
    work = submit(cluster, application)
    script = f"""
import os, signal
from tradewind.owner import Owner
from tradewind.run.supervise import claim
from tradewind.systems.http.backend import RestConnection
from tradewind.systems.spark.backend import SparkSubmit
from tradewind.systems.yarn.backend import YarnBackend
class Notes(dict):
    set = dict.__setitem__
work = SparkSubmit({work.master!r}, {work.application!r}, {work.arguments!r}, {work.conf!r},
    {work.options!r}, {work.environment!r}, binary={work.binary!r}, deploy_mode="cluster")
claim(YarnBackend([RestConnection({cluster.url!r})]), {owner!r}, work.on_yarn(),
state_store=Notes(),
    variables={{"TRADEWIND_OWNER": "$me"}})
os.kill(os.getpid(), signal.SIGKILL)
"""
    killed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    lines: list[str] = []
    outcome = run(backend, owner, work.on_yarn(), lines)
    assert (outcome.result, outcome.reattached) == ("4950", True)
    assert "master yarn green $me" in lines
    assert (application.parent / "runs").read_text() == "ran\n"
    staging = cluster.folder / "staging"
    assert [path for path in staging.rglob("application_*") if path.is_dir()] == []


@needs_spark
@pytest.mark.long
def test_what_a_driver_fails_with_is_told(cluster, backend, owner, application, said):
    work = submit(cluster, application, 3)
    with pytest.raises(WorkFailedError, match="exit status 3: User application exited") as told:
        run(backend, owner, work.on_yarn(), [], variables={"TRADEWIND_OWNER": "me"})
    assert told.value.exit_code == 3
    assert any("Submitted application" in line for line in said)


@needs_spark
@pytest.mark.long
@pytest.mark.parametrize(
    ("conf", "error", "message"),
    [
        ({"spark.yarn.queue": "nowhere"}, InputError, "unknown queue.*yarn_queue"),
        ({"spark.files": "/nowhere/file"}, InputError, "/nowhere/file.*Name files that exist"),
        ({"spark.driver.memory": "lots"}, InputError, "memory must be.*Correct the configuration"),
        ({"spark.driver.memory": "900g"}, InputError, "memory.*Correct"),
    ],
)
def test_what_can_never_run_is_told_at_once(
    cluster, backend, owner, application, conf, error, message
):
    work = submit(cluster, application, **conf)
    work.options.pop("driver-memory")
    with pytest.raises(error, match=message):
        backend.submit(owner, 1, work.on_yarn(), variables={})
    assert cluster.running() == []


def test_an_upload_ends_with_the_worker(cluster, backend, owner, application, tmp_path):
    # A program that takes its time in the place of spark-submit: an upload cannot be had slow.
    slow = tmp_path / "slow-submit"
    slow.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\nexec sleep 300\n")
    slow.chmod(0o755)
    script = f"""
from tradewind.owner import Owner
from tradewind.systems.http.backend import RestConnection
from tradewind.systems.spark.backend import SparkSubmit
from tradewind.systems.yarn.backend import YarnBackend
work = SparkSubmit("yarn", {str(application)!r}, binary={str(slow)!r}, deploy_mode="cluster")
YarnBackend([RestConnection({cluster.url!r})]).start({owner!r}, 1, work.on_yarn(), variables={{}})
"""
    worker = subprocess.Popen([sys.executable, "-c", script])
    pid = tmp_path / "pid"
    assert wait_until(lambda: pid.exists() and pid.read_text().strip() != "", seconds=30)
    worker.kill()
    worker.wait()
    assert wait_until(lambda: gone(int(pid.read_text())), seconds=10)
    assert backend.status(backend.name_of(owner, 1)) == JobStatus(JobState.ABSENT)


def test_an_upload_is_ended_when_its_task_is(cluster, owner, application, tmp_path):
    slow = tmp_path / "slow-submit"
    slow.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\nexec sleep 300\n")
    slow.chmod(0o755)
    pid = tmp_path / "pid"
    backend = YarnBackend([RestConnection(cluster.url)], give_up=pid.exists)
    work = submit(cluster, application, binary=str(slow)).on_yarn()
    with pytest.raises(RetryError, match="was ended while it was submitting"):
        backend.submit(owner, 1, work, variables={})
    assert gone(int(pid.read_text()))
    backend.close()


def test_the_command_line(application, tmp_path):
    work = SparkSubmit(
        "yarn",
        str(application),
        conf={"spark.yarn.tags": "theirs", "spark.yarn.appMasterEnv.A": "mine"},
        options={"queue": "q"},
        environment={"B": "b"},
        binary="sh",
        deploy_mode="cluster",
    ).on_yarn()
    words = work.words(["ours"], {"A": "told", "B": "told", "C": "told"})
    conf = {words[at + 1] for at, word in enumerate(words) if word == "--conf"}
    assert conf == {
        "spark.yarn.tags=theirs,ours",
        "spark.yarn.appMasterEnv.A=mine",
        "spark.yarn.appMasterEnv.B=b",
        "spark.yarn.appMasterEnv.C=told",
        "spark.yarn.submit.waitAppCompletion=false",
        "spark.yarn.maxAppAttempts=1",
    }
    assert words[:5] == ["sh", "--master", "yarn", "--deploy-mode", "cluster"]
    assert words[-3:] == ["--queue", "q", str(application)]
    assert "b" not in repr(work).replace(str(application), "").split("'")


def test_names_are_tags():
    backend = YarnBackend([RestConnection("http://127.0.0.1:1")])
    long = Owner("D" * 200, "r" * 200, "t" * 200)
    name = backend.name_of(long, 12)
    assert len(name) == 100
    assert name.startswith("tradewind-d")
    assert name.endswith(f"-{long.digest}-12")
    backend.close()


def test_over_tls(cluster: YarnCluster, pki: Pki, monkeypatch: pytest.MonkeyPatch):
    """By a URI and the environment as by a connection of Airflow; wrong files send nothing."""

    def by_airflow(host: str, port: int, authority: Path, own: Files | None) -> object:
        extra = {
            "yarn_resourcemanager_webapp_address": f"https://{host}:{port}",
            "yarn_rm_verify": str(authority),
            "yarn_rm_cert": list(map(str, own or ())),
        }
        given = {"conn_type": "spark", "host": "yarn", "extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_OVER_TLS", json.dumps(given))
        backend = open_yarn("over_tls")
        try:
            return list(backend.list(Owner("nobody's", "run", "task"))) == []
        finally:
            backend.close()

    def by_uri(host: str, port: int, authority: Path, own: Files | None) -> object:
        with monkeypatch.context() as patch:
            http_environment(patch, authority, own)
            nothing_swept("yarn", f"https://{host}:{port}")  # but what other tests may have left
            return True

    port = urlsplit(cluster.url).port
    assert port is not None
    for use in (by_airflow, by_uri):
        check_tls(pki, reach(port), use, trust="certificate as verify")
