"""`HttpJobOperator` and `LivyOperator` in DAGs, waited for and deferred, through a gateway."""

from __future__ import annotations

import base64
import json
import re
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from requests.auth import HTTPBasicAuth

from airflow_runs import Runs, runs
from job_server import JobServer, job_server
from livy_server import LivyServer, livy_server
from tradewind.airflow import HttpJobOperator, LivyOperator
from tradewind.errors import InputError
from tradewind.systems.http.backend import RestConnection
from tradewind.systems.livy.backend import LivyBackend

pytestmark = [pytest.mark.airflow, pytest.mark.xdist_group("airflow-rest-jobs")]

DAGS = Path(__file__).parent / "rest_dags"
PAGE = Path(__file__).parents[2] / "docs" / "airflow-rest-jobs.md"
AUTHORIZATION = "Basic " + base64.b64encode(b"user:s3cret-word").decode()


@contextmanager
def gateway(target: str, prefix: str) -> Iterator[tuple[str, list[str | None]]]:
    """Passes on what comes below a prefix and with the right login."""
    seen: list[str | None] = []

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            seen.append(self.headers.get("authorization"))
            if seen[-1] != AUTHORIZATION or not self.path.startswith(prefix):
                self.send_error(401)
                return
            length = int(self.headers.get("content-length") or 0)
            request = urllib.request.Request(
                target + self.path.removeprefix(prefix),
                data=self.rfile.read(length) if length else None,
                method=self.command,
                headers={"Content-Type": "application/json"},
            )
            try:
                with urllib.request.urlopen(request, timeout=60) as answer:
                    status, body = answer.status, answer.read()
            except urllib.error.HTTPError as error:
                status, body = error.code, error.read()
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_DELETE = answer

        def log_message(self, *arguments: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    thread = threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{http.server_port}", seen
    finally:
        http.shutdown()
        thread.join()
        http.server_close()


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JobServer]:
    with job_server(tmp_path_factory.mktemp("jobs")) as server:
        server.authorization = AUTHORIZATION
        yield server


@pytest.fixture(scope="module")
def rest_runs(
    airflow_home: Path, jobs: JobServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Runs]:
    """Runs the DAGs; Livy is not there."""
    with runs(airflow_home, DAGS, environment("jobs", jobs.url, "/nowhere")) as one:
        yield one


def environment(conn_id: str, url: str, scripts: str) -> dict[str, str]:
    connection = {"conn_type": "http", "host": url, "login": "user", "password": "s3cret-word"}
    return {
        f"AIRFLOW_CONN_{conn_id.upper()}": json.dumps(connection),
        "TRADEWIND_TEST_SCRIPTS": scripts,
        "PYTHONPATH": str(Path(__file__).parents[1]),
    }


def test_jobs_of_an_http_api(rest_runs: Runs, jobs: JobServer):
    told = rest_runs.run("http_jobs")
    assert told["tasks"] == {
        "job_False": "success",
        "job_True": "success",
        "failing": "failed",
        "wrong": "failed",
    }, told["log"][-6000:]
    xcoms = told["xcoms"]
    assert xcoms["job_False"] == {"rows": 3, "task": "job_False"}
    assert xcoms["job_True"] == {"rows": 3, "task": "job_True"}
    assert told["log"].count("hello world on 2026-01-01") == 2
    assert told["log"].count("last words") == 2
    assert "exit status 7" in told["log"]
    assert "script is required" in told["log"]
    assert "s3cret-word" not in told["log"]
    assert jobs.jobs == {}
    assert {headers["authorization"] for headers in jobs.headers} == {AUTHORIZATION}


def blocks() -> list[str]:
    found = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(found) == 2, "each is run"
    return found


def test_the_example_of_the_page(airflow_home: Path, jobs: JobServer, tmp_path: Path):
    (tmp_path / "example.py").write_text(blocks()[0])
    with runs(airflow_home, tmp_path, environment("jobs", jobs.url, "/nowhere")) as one:
        told = one.run("docs_http_job")
    assert told["tasks"] == {"count": "success"}, told["log"][-6000:]
    assert told["xcoms"]["count"] == {"rows": 3}
    assert told["log"].count("counting on 2026-01-01") == 1
    assert jobs.jobs == {}


@contextmanager
def sessions_of_livy(airflow_home: Path, folder: Path, dag: str) -> Iterator[Runs]:
    """Runs a DAG by a Livy behind a gateway and by the same without; no session may be left."""
    dags = folder / "dags"
    dags.mkdir()
    (dags / "sessions.py").write_text(dag)
    with (
        livy_server(folder / "livy", sessions=True) as livy,
        gateway(livy.url, "/gateway/livy") as (url, _),
        gateway(livy.url, "") as (plain, _),
    ):
        more = environment("gated", url, "") | environment("livy", plain, "")
        with runs(airflow_home, dags, more) as one:
            yield one
        with urllib.request.urlopen(f"{livy.url}/sessions", timeout=10) as answer:
            assert json.loads(answer.read())["sessions"] == []


def test_the_example_of_sessions(airflow_home: Path, tmp_path: Path):
    with sessions_of_livy(airflow_home, tmp_path, blocks()[1]) as one:
        told = one.run("docs_livy_session")
    assert told["tasks"] == {"count": "success"}, told["log"][-6000:]
    assert told["xcoms"]["count"] == 1


@pytest.mark.long
def test_sessions_of_livy(airflow_home: Path, tmp_path: Path):
    dag = (DAGS / "livy_sessions.py").read_text()
    with sessions_of_livy(airflow_home, tmp_path, dag) as one:
        told = one.run("livy_sessions")
    assert told["tasks"] == {
        "session_False": "success",
        "session_True": "success",
        "failing": "failed",
    }, told["log"][-6000:]
    assert told["xcoms"]["session_False"] == told["xcoms"]["session_True"] == {"day": "2026"}
    assert "ValueError: too few" in told["log"]
    assert "s3cret-word" not in told["log"]


def test_batches_of_livy(airflow_home: Path, tmp_path: Path):
    with (
        livy_server(tmp_path / "livy") as livy,
        gateway(livy.url, "/gateway/livy") as (url, seen),
    ):
        write_scripts(livy)
        with runs(airflow_home, DAGS, environment("livy", url, str(livy.scripts))) as one:
            told = one.run("livy_batches")
        assert told["tasks"] == {
            "batch_False": "success",
            "batch_True": "success",
            "not_waited_for": "success",
            "failing": "failed",
        }, told["log"][-6000:]
        assert told["log"].count("hello world 2026-01-01 2") == 2
        assert told["log"].count("last words") == 2
        assert "the reason" in told["log"]
        assert "its state is 'dead'" in told["log"]
        assert "s3cret-word" not in told["log"]
        ids = {task: told["xcoms"][task] for task in ("batch_False", "batch_True")}
        assert len(set(ids.values())) == 2
        assert set(seen) == {AUTHORIZATION}
        backend = LivyBackend(RestConnection(livy.url))
        left = list(backend.list())
        # The one that was not waited for; its name may be cut before the task's.
        assert [piece.name.startswith("tradewind-") for piece in left] == [True], left
        for piece in left:
            backend.delete(piece.name)
        backend.close()


def write_scripts(livy: LivyServer) -> None:
    scripts = {
        "good": 'echo "hello $GREETED $1 $2"; sleep 1; echo last words',
        "slow": "sleep 60",
        "bad": "echo the reason; exit 3",
    }
    for name, text in scripts.items():
        (livy.scripts / f"{name}.sh").write_text(text)


def test_what_cannot_be_deferred_is_refused():
    keyed = {"name": None, "listing": None, "idempotency_header": "Idempotency-Key"}
    HttpJobOperator(task_id="a", api=keyed)
    with pytest.raises(InputError, match="a triggerer cannot find its job"):
        HttpJobOperator(task_id="a", deferrable=True, **keyed)
    with pytest.raises(InputError, match="no class at the top of a module"):
        LivyOperator(task_id="a", file="x", livy_conn_auth_type=lambda: None, deferrable=True)


def test_unknown_parts_of_a_declaration_are_refused():
    with pytest.raises(InputError, match="'stat' is nothing that a job API declares"):
        HttpJobOperator(task_id="a", api={"stat": "$.x"})


def test_a_field_overrides_the_declaration():
    made = HttpJobOperator(task_id="a", api={"state": "$.x"}, state="$.y", succeeded="done")
    assert made.api["state"] == "$.y"
    assert made.api["succeeded"] == ["done"]


def test_a_batch_is_spelled_as_livy_does():
    made = LivyOperator(
        task_id="a",
        file="x.jar",
        class_name="org.X",
        args=["a", 1, 2.5],
        conf={"spark.a": 1},
        jars=["a.jar"],
        py_files=["a.py"],
        files=["f"],
        driver_memory="1g",
        driver_cores="2",
        executor_memory="512m",
        executor_cores=3,
        num_executors="4",
        archives=["z.zip"],
        queue="q",
        name="ignored",
        proxy_user="someone",
        livy_conn_auth_type=HTTPBasicAuth,
        retry_args={"reraise": True},
        durable=True,
    )
    assert made.make_work({}).body == {
        "file": "x.jar",
        "className": "org.X",
        "args": ["a", "1", "2.5"],
        "conf": {"spark.a": 1},
        "jars": ["a.jar"],
        "pyFiles": ["a.py"],
        "files": ["f"],
        "driverMemory": "1g",
        "driverCores": 2,
        "executorMemory": "512m",
        "executorCores": 3,
        "numExecutors": 4,
        "archives": ["z.zip"],
        "queue": "q",
        "proxyUser": "someone",
    }
    assert made.backend_spec().arguments["auth_name"] == "requests.auth:HTTPBasicAuth"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"driver_memory": "much"}, "driver_memory='much' is no size"),
        ({"num_executors": "many"}, "num_executors='many' is no number"),
        ({"jars": "a.jar"}, "jars is no list"),
        ({"conf": {"a": ""}}, "conf is no dict of texts and numbers"),
    ],
)
def test_wrong_parameters_of_a_batch_are_told(wrong, message):
    with pytest.raises(InputError, match=message):
        LivyOperator(task_id="a", file="x", **wrong).make_work({})
