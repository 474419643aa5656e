"""Livy's batches, on a real Livy server (what it takes for Spark is a shell: see livy_server)."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from livy_server import LivyServer, livy_server
from notebook import Notebook
from spark_cluster import needs_spark, spark_home
from tls_cases import Files, Pki, check_tls, http_environment, nothing_swept
from tls_front import reach
from tradewind.airflow.rest_backends import open_livy
from tradewind.errors import InputError, SetupError
from tradewind.local.processes import free_port
from tradewind.owner import Owner
from tradewind.run.backend import JobState, JobStatus, WorkFailedError
from tradewind.run.supervise import Outcome, supervise
from tradewind.systems.http.backend import RestConnection, RestJob
from tradewind.systems.livy.backend import LivyBackend
from tradewind.testing.conformance.backend import BackendConformance, until_ended, until_logged


@pytest.fixture(scope="module")
def livy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LivyServer]:
    with livy_server(tmp_path_factory.mktemp("livy")) as server:
        yield server


@pytest.fixture
def backend(livy: LivyServer) -> Iterator[LivyBackend]:
    backend = LivyBackend(RestConnection(livy.url, backoff=0.05))
    yield backend
    assert list(backend.list()) == [], "a batch was left"
    backend.close()


@pytest.fixture
def batch(livy: LivyServer):
    def batch(script: str, **environment: str) -> RestJob:
        conf = {f"spark.executorEnv.{name}": value for name, value in environment.items()}
        return RestJob({"file": livy.script(script), "conf": conf})

    return batch


class TestConformance(BackendConformance):
    @pytest.fixture(autouse=True)
    def made_of(self, batch) -> None:
        self.work = batch

    def test_work_runs_and_is_seen_to_succeed(self, backend, start):
        name = start("echo hello; echo world >&2")
        assert until_ended(backend, name) == JobStatus(JobState.SUCCEEDED)
        lines = [line.text for line in backend.logs(name, None, wait=0)]
        assert sorted(lines) == ["hello", "world"]

    def test_a_failure_tells_its_exit_code(self, backend, start):
        status = until_ended(backend, start("exit 3"))
        assert status == JobStatus(JobState.FAILED, "its state is 'dead'; its log may say why")

    test_a_signal_is_told_in_words = None  # Livy knows no exit status
    test_a_result_is_handed_back = None  # the result is the description of the batch
    test_no_result_is_none = None

    def test_stop_ends_the_work_and_all_it_has_started(self, backend, start):
        name = start("sh -c 'sleep 300 & echo child; wait' & echo ready; wait")
        until_logged(backend, name, "child")
        backend.cancel(name)
        backend.cancel(name)
        assert until_ended(backend, name).state is JobState.ABSENT

    def test_odd_lines_arrive_whole(self, backend, start):
        """But for bytes that are no UTF-8: at those, Livy 0.7.1 stops reading for good."""
        script = r"printf 'no end'; sleep 0.3; printf ' yet\n\n'; printf 'caf\303\251\n'; "
        script += "head -c 300000 /dev/zero | tr '\\0' x; echo; printf last"
        name = start(script)
        until_ended(backend, name)
        lines = [line.text for line in backend.logs(name, None, wait=0)]
        assert lines == ["no end yet", "", "caf\u00e9", "x" * 300_000, "last"]

    def test_work_that_ignores_the_request_is_stopped_all_the_same(self, backend, start):
        name = start("trap '' TERM INT; echo ready; while :; do sleep 1; done")
        until_logged(backend, name, "ready")
        backend.cancel(name)
        assert until_ended(backend, name).state is JobState.ABSENT

    def test_a_flood_is_whole(self, backend, start):
        """Livy keeps its last 200 lines: the rest of a flood is lost, and that is said."""
        name = start("echo one; read x < /dev/null; sleep 0.5; seq 1 5000")
        seen: list[str] = []
        cursor = None
        ended = False
        while not ended:
            ended = backend.status(name).state.ended
            for line in backend.logs(name, cursor, wait=0):
                cursor = line.cursor
                seen.append(line.text)
        numbers = [int(text) for text in seen if text.isdigit()]
        assert seen[0] == "one"
        assert numbers == sorted(set(numbers))
        assert numbers[-200:] == list(range(4801, 5001))

    def test_the_list_says_whose_each_piece_is(self, backend, owner, start):
        start("sleep 60", 1)
        start("exit 1", 2)
        until_ended(backend, backend.name_of(owner, 2))
        jobs = {job.number: job for job in backend.list(owner)}
        assert {number: job.owner for number, job in jobs.items()} == {
            1: owner.digest,
            2: owner.digest,
        }
        assert jobs[1].title == str(owner)
        assert jobs[2].status.state is JobState.FAILED
        assert {job.name for job in backend.list()} == {job.name for job in jobs.values()}
        assert list(backend.list(Owner("somebody", "else", "work"))) == []


OWNER = Owner("dag", "run", "task")


def run(backend: LivyBackend, work: RestJob, memory: Notebook, lines: list[str]) -> Outcome:
    return supervise(
        backend,
        OWNER,
        work,
        log=lambda line: lines.append(line.text),
        state_store=memory,
        poll_seconds=0.2,
    )


def test_a_batch_lives_its_whole_life(backend, batch):
    lines: list[str] = []
    outcome = run(backend, batch("echo a; sleep 0.3; echo b"), Notebook(), lines)
    assert lines == ["a", "b"]
    told = json.loads(outcome.result or "")
    assert (told["state"], told["name"]) == ("success", outcome.name)
    assert set(told) >= {"id", "appId", "appInfo"}
    assert "log" not in told


@needs_spark
@pytest.mark.long
def test_a_real_spark_is_told_its_owner(tmp_path):
    lines: list[str] = []
    with livy_server(tmp_path / "livy", spark_home=str(spark_home())) as livy:
        script = livy.scripts / "count.py"
        script.write_text(
            "from pyspark.sql import SparkSession\n"
            "spark = SparkSession.builder.getOrCreate()\n"
            "owner = spark.conf.get('spark.executorEnv.TRADEWIND_OWNER')\n"
            "print('COUNTED', spark.range(1000).count(), owner)\n"
        )
        backend = LivyBackend(RestConnection(livy.url))
        backend.submit(
            OWNER, 1, RestJob({"file": str(script)}), variables={"TRADEWIND_OWNER": "me"}
        )
        run(backend, RestJob({"file": "unused"}), Notebook(), lines)
        backend.close()
    assert lines.count("COUNTED 1000 me") == 1
    assert not [line for line in lines if "lines are missing" in line]


def test_a_failed_batch_is_removed_and_the_next_attempt_starts_anew(backend, batch, tmp_path):
    ran, memory = tmp_path / "ran", Notebook()
    work = batch(f"echo x >> {ran}; [ $(wc -l < {ran}) -ge 2 ]")
    with pytest.raises(WorkFailedError, match="dead"):
        run(backend, work, memory, [])
    assert run(backend, work, memory, []).name.endswith("-2")


def test_two_attempts_at_the_same_instant_run_one_batch(livy, backend, batch, tmp_path):
    ran, memory = tmp_path / "ran", Notebook()
    work = batch(f"echo x >> {ran}; sleep 0.5")
    together = threading.Barrier(3)
    outcomes: list[Outcome] = []

    def attempt() -> None:
        mine = LivyBackend(RestConnection(livy.url))
        together.wait()
        outcomes.append(run(mine, work, memory, []))
        mine.close()

    threads = [threading.Thread(target=attempt) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 3
    assert ran.read_text() == "x\n"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "File is required"),
        ({"file": "/etc/passwd"}, "Local path /etc/passwd cannot be added"),
        ({"file": "x.py", "nonsense": 1}, "Unrecognized field"),
    ],
)
def test_a_batch_that_can_never_run_is_refused_and_leaves_no_name_behind(backend, body, message):
    with pytest.raises(InputError, match=rf"Livy at http.*{message}.*status 400"):
        backend.submit(OWNER, 1, RestJob(body), variables={})
    assert backend.status(backend.name_of(OWNER, 1)).state is JobState.ABSENT


def test_a_wrong_prefix_and_a_wrong_port_are_told(livy):
    for url, message in (
        (f"{livy.url}/nowhere", "Check address, prefix and path"),
        (f"http://127.0.0.1:{free_port()}", "cannot be reached"),
    ):
        backend = LivyBackend(RestConnection(url))
        with pytest.raises(SetupError, match=message):
            list(backend.list(OWNER))
        backend.close()


def test_over_tls(
    livy: LivyServer, batch, pki: Pki, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """By a URI and the environment as by a connection of Airflow; wrong files send nothing."""

    def done(backend) -> bool:
        outcome = supervise(
            backend, Owner("d", "r", "tls"), batch("echo hello"), log=lambda _: None,
            state_store=Notebook(),
        )  # fmt: skip
        backend.close()
        return outcome is not None

    def by_airflow(host: str, port: int, authority: Path, own: Files | None) -> object:
        extra = {"verify": str(authority), "cert": list(map(str, own or ()))}
        given = {"conn_type": "livy", "host": f"https://{host}", "port": port, "extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_OVER_TLS", json.dumps(given))
        return done(open_livy("over_tls"))

    def by_uri(host: str, port: int, authority: Path, own: Files | None) -> object:
        with monkeypatch.context() as patch:
            http_environment(patch, authority, own)
            return nothing_swept("livy", f"https://{host}:{port}")

    port = urlsplit(livy.url).port
    assert port is not None
    for use in (by_airflow, by_uri):
        check_tls(pki, reach(port), use, trust="certificate as verify")
