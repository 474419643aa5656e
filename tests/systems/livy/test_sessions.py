"""Code in sessions of a real Livy (what interprets it stands in: see livy_sessions)."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from livy_server import LivyServer, livy_server
from notebook import Notebook
from tradewind.errors import InputError
from tradewind.owner import Owner
from tradewind.run.backend import AlreadyStartedError, JobState, JobStatus, LogLine, WorkFailedError
from tradewind.run.supervise import Decision, LeftError, Outcome, StoppedError, supervise
from tradewind.systems.http.backend import RestConnection, RestJob
from tradewind.systems.http.job_server import LostAnswerError
from tradewind.systems.livy.session import LivySessionBackend, guarded

pytestmark = pytest.mark.xdist_group("run-livy-session")

SESSION = RestJob({"kind": "pyspark"})


@pytest.fixture(scope="module")
def livy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LivyServer]:
    with livy_server(tmp_path_factory.mktemp("livy"), sessions=True) as server:
        yield server


@pytest.fixture(autouse=True)
def no_session_is_left(livy: LivyServer) -> Iterator[None]:
    yield
    assert httpx.get(f"{livy.url}/sessions").json()["sessions"] == []


@pytest.fixture
def owner() -> Owner:
    return Owner("dag", uuid.uuid4().hex, "task")


@pytest.fixture
def connect(livy: LivyServer) -> Iterator[Any]:
    made: list[LivySessionBackend] = []

    def connect(code: str | None = None) -> LivySessionBackend:
        made.append(LivySessionBackend(RestConnection(livy.url, backoff=0.05), code=code))
        return made[-1]

    yield connect
    for backend in made:
        backend.close()


def run(backend: LivySessionBackend, owner: Owner, memory: Notebook, **more: Any) -> Outcome:
    keep = more.pop("log", lambda line: None)

    def log(line: LogLine) -> None:
        print(line.text)  # shown where the test fails
        keep(line)

    return supervise(backend, owner, SESSION, state_store=memory, log=log, poll_seconds=0.1, **more)


def until(backend: LivySessionBackend, name: str, *wanted: JobState) -> JobStatus:
    for _ in range(600):
        status = backend.status(name)
        if status.state in wanted:
            return status
        backend.resume(name)
        threading.Event().wait(0.05)
    raise AssertionError(status)


def statements(livy: LivyServer, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = httpx.get(f"{livy.url}/sessions/{name}/statements").json()[
        "statements"
    ]
    return found


def counting(path: Path) -> str:
    """Code that tells how often it ran."""
    return f"open({str(path)!r}, 'a').write('x')\n"


def test_code_runs_once_and_hands_back_what_it_wrote(connect, owner, tmp_path):
    lines: list[str] = []
    backend = connect(counting(tmp_path / "ran") + "print('a')\nprint('caf\u00e9')")
    outcome = run(backend, owner, Notebook(), log=lambda line: lines.append(line.text))
    assert (outcome.result, outcome.from_log) == ("a\ncaf\u00e9", False)
    assert lines[-2:] == ["a", "caf\u00e9"]
    assert (tmp_path / "ran").read_text() == "x"


@pytest.mark.long
def test_json_is_handed_back_as_json_and_has_a_limit(connect, owner):
    memory = Notebook()
    with pytest.raises(InputError, match="larger than 5 bytes"):
        run(connect("json = {'rows': 3}"), owner, memory, result_limit=5)
    outcome = run(connect("json = {'rows': 3}"), owner, memory)
    assert (outcome.result, outcome.name[-2:]) == ('{"rows": 3}', "-2")


@pytest.mark.long
def test_an_error_fails_with_its_words_and_the_next_attempt_starts_anew(connect, owner, tmp_path):
    ran, memory, lines = tmp_path / "ran", Notebook(), []
    code = counting(ran) + f"if open({str(ran)!r}).read() == 'x': raise ValueError('too few')"
    with pytest.raises(WorkFailedError, match="ValueError: too few"):
        run(connect(code), owner, memory, log=lambda line: lines.append(line.text))
    assert any("Traceback" in line for line in lines)
    assert run(connect(code), owner, memory).name.endswith("-2")
    assert ran.read_text() == "xx"


def test_a_retry_attends_the_session_of_an_attempt_that_died(connect, owner, tmp_path):
    ran, memory = tmp_path / "ran", Notebook()
    code = counting(ran) + "import time; time.sleep(1); print('done')"
    # It died after its claim: the session is there, and has no statement.
    first = connect(code)
    first.submit(owner, 1, SESSION, variables={})
    with pytest.raises(AlreadyStartedError):
        first.submit(owner, 1, SESSION, variables={})

    def leave() -> Decision:
        return Decision.LEAVE if ran.exists() else Decision.CONTINUE

    # It died while the statement ran.
    with pytest.raises(LeftError):
        run(connect(code), owner, memory, decide=leave)
    outcome = run(connect(code), owner, memory)
    assert (outcome.result, outcome.reattached) == ("done", True)
    assert ran.read_text() == "x"


def test_attempts_that_post_at_the_same_instant_run_the_code_once(
    livy, connect, owner, tmp_path, monkeypatch
):
    ran = tmp_path / "ran"
    code = counting(ran) + "print('done')"
    starter = connect()
    name = starter.name_of(owner, 1)
    starter.submit(owner, 1, SESSION, variables={})
    while starter.describe(name)["state"] != "idle":
        threading.Event().wait(0.05)
    # All of them see the session ready and without a statement.
    together = threading.Barrier(3)
    seen = LivySessionBackend._statement

    def at_once(self: LivySessionBackend, name: str) -> Any:
        found = seen(self, name)
        if found is None:
            together.wait(20)
        return found

    with monkeypatch.context() as patch:
        patch.setattr(LivySessionBackend, "_statement", at_once)
        threads = [threading.Thread(target=connect(code).resume, args=(name,)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(statements(livy, name)) == 3
    while any(each["state"] != "available" for each in statements(livy, name)):
        threading.Event().wait(0.05)
    says = [each["output"].get("evalue") for each in statements(livy, name)]
    assert says == [None, *["Tradewind: this session has run its statement"] * 2]
    assert run(connect(code), owner, Notebook()).result == "done"
    assert ran.read_text() == "x"


@pytest.mark.long
def test_a_lost_answer_posts_no_second_statement(connect, owner, tmp_path, monkeypatch):
    ran = tmp_path / "ran"
    backend = connect(counting(ran) + "print(1)")
    ask, lost = backend._server.ask, []

    def lose(method: str, path: str, **more: Any) -> Any:
        response = ask(method, path, **more)
        if method == "POST" and path.endswith("/statements"):
            lost.append(path)
            raise LostAnswerError("the connection broke")
        return response

    monkeypatch.setattr(backend._server, "ask", lose)
    assert run(backend, owner, Notebook()).result == "1"
    assert (ran.read_text(), len(lost)) == ("x", 1)


@pytest.mark.long
def test_stopping_deletes_the_session(connect, owner, tmp_path):
    code = counting(tmp_path / "ran") + "import time; time.sleep(60)"

    def stop() -> Decision:
        return Decision.CANCEL if (tmp_path / "ran").exists() else Decision.CONTINUE

    with pytest.raises(StoppedError):
        run(connect(code), owner, Notebook(), decide=stop)


def test_a_session_that_dies_is_a_failure(connect, owner):
    with pytest.raises(WorkFailedError, match=r"'(dead|error|killed)'"):
        run(connect("import os; os._exit(1)"), owner, Notebook())


@pytest.mark.long
def test_one_listing_tells_of_all_that_run(livy, connect, owner, tmp_path, monkeypatch):
    backend = connect("import time; time.sleep(60)")
    name = backend.name_of(owner, 1)
    backend.submit(owner, 1, SESSION, variables={"TRADEWIND_OWNER": "me"})
    until(backend, name, JobState.RUNNING)
    ask, asked = backend._server.ask, []

    def note(method: str, path: str, **more: Any) -> Any:
        asked.append(f"{method} {path}")
        return ask(method, path, **more)

    monkeypatch.setattr(backend._server, "ask", note)
    (job,) = backend.list()
    assert (job.name, job.status.state) == (name, JobState.RUNNING)
    assert set(asked) == {"GET /sessions"}
    backend.delete(name)


def test_a_session_that_can_never_run_is_refused_and_leaves_no_name_behind(connect, owner):
    backend = connect("print(1)")
    for body, message in (({"kind": "nonsense"}, "Invalid kind"), ({"x": 1}, "Unrecognized field")):
        with pytest.raises(InputError, match=message):
            backend.submit(owner, 1, RestJob(body), variables={})
    assert backend.status(backend.name_of(owner, 1)).state is JobState.ABSENT


@pytest.mark.parametrize(
    ("code", "kind", "says"),
    [("select 1", "sql", r"'sql' cannot.*spark\.sql"), (" ", "pyspark", "there is no code")],
)
def test_what_cannot_run_once_is_refused(code, kind, says):
    with pytest.raises(InputError, match=says):
        guarded(code, kind)
