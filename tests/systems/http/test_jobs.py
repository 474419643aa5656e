"""Jobs of HTTP APIs, against one that really runs scripts.

Over 400 lines: one backend; its cases share a server that runs scripts.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from job_server import Handler, JobServer, job_server
from notebook import Notebook
from tradewind.errors import InputError, RetryError, SetupError
from tradewind.local.processes import free_port
from tradewind.owner import Owner
from tradewind.run.backend import AlreadyStartedError, JobState, LogLine, WorkFailedError
from tradewind.run.supervise import Decision, LeftError, Outcome, StoppedError, supervise
from tradewind.systems.http.backend import (
    JobApi,
    JobLog,
    RestConnection,
    RestJob,
    RestJobBackend,
)
from tradewind.testing.conformance.backend import BackendConformance, until_ended, until_logged

API = JobApi(
    system="the test's API",
    exit_code="$.exit_code",
    started="$.created",
    listing_offset="offset",
    listing_size="size",
    log=JobLog("/jobs/{id}/log", offset="from", size="size", page=20_000),
    result_path="/jobs/{id}/result",
    cancel=("POST", "/jobs/{id}/cancel"),
    environment="$.env",
)
KEYED = dataclasses.replace(API, name=None, listing=None, idempotency_header="Idempotency-Key")
NAMELESS = dataclasses.replace(API, unique=False, taken_status=())
OWNER = Owner("dag", "run", "task")


@pytest.fixture(scope="module")
def module_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JobServer]:
    with job_server(tmp_path_factory.mktemp("jobs")) as server:
        yield server


@pytest.fixture
def server(tmp_path: Path) -> Iterator[JobServer]:
    with job_server(tmp_path / "jobs") as server:
        yield server


@pytest.fixture
def opened() -> Iterator[list[RestJobBackend]]:
    backends: list[RestJobBackend] = []
    yield backends
    for backend in backends:
        backend.close()


@pytest.fixture
def connect(opened: list[RestJobBackend]):
    def connect(url: str, api: JobApi = API, **options) -> RestJobBackend:
        opened.append(RestJobBackend(RestConnection(url, backoff=0.01, **options), api))
        return opened[-1]

    return connect


@pytest.fixture
def backend(server: JobServer, connect) -> RestJobBackend:
    return connect(server.url)


def script(text: str) -> RestJob:
    return RestJob({"script": text})


class TestConformance(BackendConformance):
    api = API

    @pytest.fixture
    def backend(self, module_server: JobServer, connect) -> RestJobBackend:
        return connect(module_server.url, self.api)

    def work(self, script: str, **environment: str) -> RestJob:
        return RestJob({"script": script, "env": environment})


class TestConformanceByNames(TestConformance):
    """Names stand in the paths, the log is one text, and what ends a job is its removal."""

    api = dataclasses.replace(
        API,
        look="/jobs/{name}",
        log=JobLog("/jobs/{name}/text", lines=""),
        result_path="/jobs/{name}/result",
        cancel=("POST", "/jobs/{name}/cancel"),
        remove=("DELETE", "/jobs/{name}"),
    )


def run(backend: RestJobBackend, text: str, memory: Notebook | None = None) -> Outcome:
    return supervise(
        backend,
        OWNER,
        script(text),
        log=lambda line: None,
        state_store=Notebook() if memory is None else memory,
        poll_seconds=0.2,
    )


def test_work_runs_once_through_its_whole_life(backend, server, tmp_path):
    ran = tmp_path / "ran"
    memory = Notebook()
    text = f"echo x >> {ran}; echo 42 > $TRADEWIND_RESULT"
    assert run(backend, text, memory).result == "42\n"
    assert run(backend, text, memory).result == "42\n"
    assert ran.read_text() == "x\n"
    assert server.jobs == {}


def test_a_failure_is_told_and_the_next_attempt_starts_anew(backend, server, tmp_path):
    memory, ran = Notebook(), tmp_path / "ran"
    text = f"echo x >> {ran}; [ $(wc -l < {ran}) -ge 2 ]"
    with pytest.raises(WorkFailedError, match="exit status 1"):
        run(backend, text, memory)
    assert run(backend, text, memory).name.endswith("-2")
    assert server.jobs == {}


def test_another_worker_attends_what_the_first_has_started(server, connect, tmp_path):
    ran = tmp_path / "ran"
    text = f"echo x >> {ran}; sleep 0.3; echo 5 > $TRADEWIND_RESULT"
    connect(server.url).submit(OWNER, 1, script(text), variables={})
    outcome = run(connect(server.url), text)
    assert (outcome.result, outcome.reattached) == ("5\n", True)
    assert ran.read_text() == "x\n"


# ------------------------------------------------------------------------------------ lost answers


def test_a_start_whose_answer_was_lost_is_found_by_its_name(backend, server, tmp_path):
    ran = tmp_path / "ran"
    server.lost_answers = 1
    assert run(backend, f"echo x >> {ran}").name == backend.name_of(OWNER, 1)
    assert ran.read_text() == "x\n"
    assert server.asked.count(("POST", "/api/jobs")) == 2


def test_where_names_are_not_unique_a_lost_start_is_looked_for_and_not_repeated(tmp_path, connect):
    ran = tmp_path / "ran"
    with job_server(tmp_path / "jobs", unique=False) as server:
        server.lost_answers = 1
        run(connect(server.url, NAMELESS), f"echo x >> {ran}")
        assert server.asked.count(("POST", "/api/jobs")) == 1
    assert ran.read_text() == "x\n"


def test_where_names_are_not_unique_one_of_two_that_start_at_once_is_cancelled(tmp_path, connect):
    with job_server(tmp_path / "jobs", unique=False) as server:
        first, second = connect(server.url, NAMELESS), connect(server.url, NAMELESS)
        first.submit(OWNER, 1, script("sleep 60"), variables={})
        with pytest.raises(AlreadyStartedError, match="another attempt"):
            second.submit(OWNER, 1, script("sleep 60"), variables={})
        assert len(server.jobs) == 1
        name = first.name_of(OWNER, 1)
        assert first.status(name).state is second.status(name).state is JobState.RUNNING


def test_a_key_gives_the_same_job_again(tmp_path, connect):
    ran = tmp_path / "ran"
    with job_server(tmp_path / "jobs", unique=False, keys=True) as server:
        server.lost_answers = 1
        outcome = run(connect(server.url, KEYED), f"echo x >> {ran}; echo 1 > $TRADEWIND_RESULT")
        assert outcome.result == "1\n"
        assert ran.read_text() == "x\n"
        assert {h["idempotency-key"] for h in server.headers if "idempotency-key" in h} == {
            outcome.name
        }


# ---------------------------------------------------------------------------------------- trouble


def too_many(handler: Handler) -> bool:
    handler.reply(429, {"message": "slowly"}, {"Retry-After": "1"})
    return True


def broken(handler: Handler) -> bool:
    handler.reply(503, b"<html><style>x{}</style><b>Down</b> for a moment</html>")
    return True


def silent(handler: Handler) -> bool:
    handler.close_connection = True
    return True


def a_login_page(handler: Handler) -> bool:
    handler.reply(200, b"<html>Log in</html>")
    return True


def elsewhere(handler: Handler) -> bool:
    handler.reply(302, b"", {"Location": "https://user:pw@login.example/?token=1"})
    return True


@pytest.mark.parametrize("faults", [[too_many], [broken, silent, broken]])
def test_passing_trouble_is_waited_out(backend, server, faults):
    server.faults = list(faults)
    backend.submit(OWNER, 1, script("true"), variables={})
    name = backend.name_of(OWNER, 1)
    server.faults = list(faults)
    assert backend.status(name).state is not JobState.ABSENT
    server.faults = list(faults)
    backend.delete(name)
    assert server.jobs == {}


def test_trouble_that_stays_is_told_as_it_is(backend, server):
    server.faults = [broken] * 10
    with pytest.raises(RetryError, match=r"the test's API at http.*Down for a moment.*503"):
        backend.status(backend.name_of(OWNER, 1))


def test_a_server_that_asks_for_long_patience_is_left_to_the_retry(server, connect):
    def tomorrow(handler: Handler) -> bool:
        handler.reply(503, {}, {"Retry-After": "86400"})
        return True

    server.faults = [tomorrow]
    with pytest.raises(RetryError):
        list(connect(server.url).list())
    assert len(server.asked) == 1


def test_wrong_credentials_are_told_without_showing_them(server, connect):
    server.authorization = "something else"
    backend = connect(server.url, auth=("user", "s3cret-word"))
    with pytest.raises(SetupError, match=r"who are you.*401.*auth_type") as caught:
        backend.submit(OWNER, 1, script("true"), variables={})
    assert "s3cret-word" not in str(caught.value)
    assert "s3cret-word" not in repr(RestConnection("http://x", auth=("user", "s3cret-word")))


def test_a_refused_port_is_told_at_once(connect):
    with pytest.raises(SetupError, match=r"cannot be reached.*check host, port"):
        list(connect(f"http://127.0.0.1:{free_port()}").list())


def test_a_server_that_goes_away_may_come_back(tmp_path, connect):
    def last_answer(handler: Handler) -> bool:
        handler.close_connection = True
        return False

    with job_server(tmp_path / "jobs") as server:
        backend = connect(server.url)
        server.faults = [last_answer]
        assert list(backend.list()) == []
    with pytest.raises(RetryError, match="cannot be reached"):
        list(backend.list())


@pytest.mark.parametrize("address", ["ftp://host", "host:80", ""])
def test_an_address_that_is_none_is_told(address: str):
    with pytest.raises(SetupError, match="not the address of an HTTP API"):
        RestJobBackend(RestConnection(address), API)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (a_login_page, "no JSON but begins with '<html>Log in.*prefix"),
        (elsewhere, r"points to https://login\.example/:"),
        (lambda handler: bool(handler.reply(200, {"other": 1}) or 1), "no list of jobs at"),
        (lambda handler: bool(handler.reply(404, {}) or 1), "Check address, prefix and path"),
    ],
)
def test_answers_of_another_service_are_told(backend, server, fault, message):
    server.faults = [fault]
    with pytest.raises(SetupError, match=message):
        list(backend.list(OWNER))


def test_a_description_without_state_or_with_an_unknown_one_is_told(server, connect):
    backend = connect(server.url, dataclasses.replace(API, state="$.nothing"))
    backend.submit(OWNER, 1, script("sleep 60"), variables={})
    name = backend.name_of(OWNER, 1)
    with pytest.raises(SetupError, match=r"no state at \$.nothing"):
        backend.status(name)
    strict = connect(server.url, dataclasses.replace(API, running=frozenset({"busy"})))
    with pytest.raises(SetupError, match=r"state is 'running'.*Add it"):
        strict.status(name)


def test_work_that_is_refused_is_told_with_the_reason(backend):
    with pytest.raises(InputError, match=r"script is required.*422"):
        backend.submit(OWNER, 1, RestJob({"nothing": 1}), variables={})
    with pytest.raises(InputError, match="the body is no JSON"):
        backend.submit(OWNER, 1, RestJob({"script": object()}), variables={})


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"cancel": None, "remove": None}, "work that cannot be stopped is not started"),
        ({"name": None}, "a retry could not find the job again"),
        ({"listing": None}, "a retry could not find the job again"),
        ({"look": "/jobs/{number}"}, "'/jobs/{number}' is wrong"),
        ({"state": "state"}, "not a JSON path"),
        ({"succeeded": frozenset()}, "no state of success"),
    ],
)
def test_a_declaration_that_cannot_keep_the_promise_is_refused(wrong, message):
    with pytest.raises(InputError, match=message):
        dataclasses.replace(API, **wrong)


# -------------------------------------------------------------------------------------------- logs


def test_a_moving_window_loses_and_repeats_nothing_it_can_show(server, connect):
    server.window = 40
    windowed = dataclasses.replace(API, log=JobLog("/jobs/{id}/log", window=True))
    backend = connect(server.url, windowed)
    text = "i=0; while [ $i -lt 120 ]; do i=$((i+1)); echo $((i % 7)) $i; sleep 0.01; done"
    backend.submit(OWNER, 1, script(text), variables={})
    name, cursor = backend.name_of(OWNER, 1), None
    seen: list[str] = []

    def read() -> None:
        nonlocal cursor
        for line in backend.logs(name, cursor, wait=0):
            cursor = line.cursor
            seen.append(line.text)

    while not backend.status(name).state.ended:
        read()
    read()
    assert seen == [f"{number % 7} {number}" for number in range(1, 121)]


def test_jobs_on_many_pages_are_all_listed(server, connect):
    backend = connect(server.url, dataclasses.replace(API, listing_page=2))
    for number in range(1, 6):
        backend.submit(OWNER, number, script("true"), variables={})
    until_ended(backend, backend.name_of(OWNER, 5))
    assert [piece.number for piece in backend.list(OWNER)] == [1, 2, 3, 4, 5]


def test_a_thousand_jobs_are_one_call(backend, server):
    backend.submit(OWNER, 1, script("true"), variables={})
    server.asked.clear()
    api = dataclasses.replace(API, listing_offset=None)
    other = RestJobBackend(RestConnection(server.url), api)
    assert len(list(other.list())) == 1
    other.close()
    assert server.asked == [("GET", "/api/jobs")]


def test_attempts_that_race_run_one_piece_of_work(server, connect, tmp_path):
    ran = tmp_path / "ran"
    outcomes: list[Outcome] = []
    together = threading.Barrier(3)

    def attempt(backend: RestJobBackend, memory: Notebook) -> None:
        together.wait()
        text = f"echo x >> {ran}; sleep 0.5; echo 5 > $TRADEWIND_RESULT"
        outcomes.append(run(backend, text, memory))

    memory = Notebook()
    threads = [
        threading.Thread(target=attempt, args=(connect(server.url), memory)) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [outcome.result for outcome in outcomes] == ["5\n"] * 3
    assert ran.read_text() == "x\n"


def test_a_silent_log_ends_in_time(backend):
    backend.submit(OWNER, 1, script("echo a; sleep 60"), variables={})
    name = backend.name_of(OWNER, 1)
    line = until_logged(backend, name, "a")
    assert line == LogLine("a", "1")
    assert list(backend.logs(name, line.cursor, wait=0.1)) == []


# ------------------------------------------------------------------------------- waits that hear


def in_half_a_minute(handler: Handler) -> bool:
    handler.reply(503, {}, {"Retry-After": "29"})
    return True


@pytest.mark.parametrize("asked", [Decision.LEAVE, Decision.CANCEL])
@pytest.mark.parametrize("claimed", [False, True], ids=["claiming", "supervising"])
def test_a_wait_that_the_server_asks_for_ends_when_the_task_does(server, connect, asked, claimed):
    backend = connect(server.url)
    if claimed:
        backend.submit(OWNER, 1, script("sleep 60"), variables={})
    at = []  # requests that were made when the task was asked to end

    def slowly(handler: Handler) -> bool:
        at.append(len(server.asked))
        return in_half_a_minute(handler)

    def decide() -> Decision:
        if not at:
            return Decision.CONTINUE
        at.append(len(server.asked))
        return asked

    if not claimed:
        server.faults = [slowly]
    else:
        # The claim lists what is there; then the job is looked at.
        server.faults = [lambda handler: False, slowly]
    error = LeftError if asked is Decision.LEAVE else StoppedError
    with pytest.raises(error):
        supervise(
            backend,
            OWNER,
            script("sleep 60"),
            log=lambda line: None,
            state_store=Notebook(),
            decide=decide,
        )
    assert at[0] == at[1]  # that request was not made again
    left = claimed and asked is Decision.LEAVE
    assert [job.number for job in backend.list(OWNER)] == ([1] if left else [])
    if left:
        backend.delete(backend.name_of(OWNER, 1))
