"""Containers of a real Docker engine, which the tests start.

Over 400 lines: one backend; its cases share an engine, which takes seconds to start.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from busybox import IMAGE
from container_engine import Engine as EngineOfTests
from notebook import Notebook
from tradewind.errors import InputError, RetryError, SetupError
from tradewind.owner import Owner
from tradewind.run.backend import AlreadyStartedError, JobState
from tradewind.run.supervise import supervise
from tradewind.systems.docker.backend import Container, DockerBackend, Engine
from tradewind.testing.conformance.backend import BackendConformance, until_ended, until_logged

pytestmark = [pytest.mark.container, pytest.mark.xdist_group("run-docker")]


@pytest.fixture
def engine(daemon: EngineOfTests) -> Iterator[Engine]:
    engine = Engine(daemon.address)
    yield engine
    engine.close()


@pytest.fixture
def backend(engine: Engine) -> DockerBackend:
    return DockerBackend(engine)


@pytest.fixture
def owner() -> Owner:
    return Owner("docker", uuid.uuid4().hex, "work")


def shell(script: str, **options) -> Container:
    return Container(IMAGE, ["sh", "-c", script], network_mode="none", **options)


class TestConformance(BackendConformance):
    def work(self, script: str, **environment: str) -> Container:
        return shell(script, environment=environment)


def test_a_container_that_was_claimed_and_not_started_is_started_once(
    backend: DockerBackend, owner: Owner, monkeypatch: pytest.MonkeyPatch
):
    def die(name: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(backend._claims, "_begin", die)
    with pytest.raises(KeyboardInterrupt):
        backend.submit(owner, 1, shell("echo ran"), variables={})
    monkeypatch.undo()
    name = backend.name_of(owner, 1)
    assert backend.status(name).state is JobState.PENDING
    backend.resume(name)
    until_ended(backend, name)
    backend.resume(name)
    assert [line.text for line in backend.logs(name, None, wait=0)] == ["ran"]
    backend.delete(name)


def test_a_container_of_another_attempt_is_not_started_again(
    backend: DockerBackend, owner: Owner, daemon: EngineOfTests, monkeypatch: pytest.MonkeyPatch
):
    """An attempt stalls between its claim and the start; the next one resumes it, to its end."""
    add_folder, name = backend._claims._add_folder, backend.name_of(owner, 1)
    other = DockerBackend(backend._engine)

    def stall(name: str, *, needed: bool) -> None:
        add_folder(name, needed=needed)
        with pytest.raises(AlreadyStartedError):
            other.submit(owner, 1, shell("echo no"), variables={})
        other.resume(name)
        until_ended(other, name)

    monkeypatch.setattr("tradewind.systems.docker.claim._SOON_SECONDS", 0.0)
    monkeypatch.setattr(backend._claims, "_add_folder", stall)
    with pytest.raises(AlreadyStartedError):
        backend.submit(owner, 1, shell("echo ran"), variables={})
    assert [line.text for line in other.logs(name, None, wait=0)] == ["ran"]

    def stall_longer(name: str, *, needed: bool) -> None:
        other.delete(name)
        add_folder(name, needed=needed)

    other.delete(name)
    monkeypatch.setattr(backend._claims, "_add_folder", stall_longer)
    with pytest.raises(AlreadyStartedError):
        backend.submit(owner, 1, shell("echo ran"), variables={})
    assert daemon.containers() == []


def test_what_the_former_version_left_before_its_claim_goes_with_the_work(
    backend: DockerBackend, owner: Owner, daemon: EngineOfTests
):
    name = backend.name_of(owner, 1)
    backend._claims._create(f"{name}-0a0b0c0d", owner, 1, shell("true"), {})
    assert list(backend.list(owner)) == []
    backend.submit(owner, 1, shell("true"), variables={})
    until_ended(backend, name)
    backend.delete(name)
    assert daemon.containers() == []


def test_too_much_memory_is_told(backend: DockerBackend, owner: Owner):
    script = (
        "head -c 200m /dev/zero | tail -c 199m >/dev/null; x=$(head -c 100m /dev/zero | tr '\\0' x)"
    )
    backend.submit(owner, 1, shell(script, mem_limit="16m"), variables={})
    status = until_ended(backend, backend.name_of(owner, 1))
    assert status.state is JobState.FAILED
    assert "more memory than its limit of 16 MiB" in (status.reason or "")
    backend.delete(backend.name_of(owner, 1))


@pytest.mark.parametrize(
    ("work", "message"),
    [
        (Container("tradewind-tests/none:1", "true", pull="never"), "is not there, and it is not"),
        (Container(IMAGE, ["/no/such/program"], network_mode="none"), "no such file"),
        (Container(IMAGE, ["true"], mem_limit="much"), "'much' is no size"),
        (Container("UPPER CASE", ["true"]), "UPPER CASE"),
        (Container(IMAGE, ["true"], pull="sometimes"), "missing, always or never"),
    ],
)  # fmt: skip
def test_what_can_never_run_is_refused_at_once_and_nothing_is_left(
    backend: DockerBackend, owner: Owner, daemon: EngineOfTests, work: Container, message: str
):
    with pytest.raises(InputError, match=message):
        backend.submit(owner, 1, work, variables={})
    assert daemon.containers() == []


def test_a_mount_of_a_folder_that_is_not_there_is_refused(
    backend: DockerBackend, owner: Owner, daemon: EngineOfTests, tmp_path: Path
):
    missing = {"Type": "bind", "Source": str(tmp_path / "missing"), "Target": "/x"}
    with pytest.raises(InputError, match=str(tmp_path / "missing")):
        backend.submit(owner, 1, shell("true", mounts=[missing]), variables={})
    assert daemon.containers() == []


def log_config(backend: DockerBackend, owner: Owner, daemon: EngineOfTests, **options) -> Any:
    backend.submit(owner, 1, shell("true", **options), variables={})
    name = backend.name_of(owner, 1)
    found = daemon.client.get(f"/containers/{name}/json").json()["HostConfig"]["LogConfig"]
    backend.delete(name)
    return found


def test_the_log_is_kept_whole_in_the_engine_s_quickest_form(
    backend: DockerBackend, owner: Owner, daemon: EngineOfTests
):
    found = log_config(backend, owner, daemon)
    assert found["Type"] == "local"
    assert found["Config"] == {"max-size": "1000t", "max-file": "1", "compress": "false"}


def test_the_log_is_kept_as_the_engine_is_set_up_where_that_is_wanted(
    backend: DockerBackend, owner: Owner, daemon: EngineOfTests
):
    assert log_config(backend, owner, daemon, local_log=False)["Type"] == "json-file"
    assert log_config(backend, owner, daemon, tty=True)["Type"] == "json-file"
    wanted = {"Type": "json-file", "Config": {"max-size": "1m"}}
    assert log_config(backend, owner, daemon, host_config={"LogConfig": wanted}) == wanted


@pytest.mark.long
def test_no_line_of_a_log_is_lost_that_the_engine_would_rotate(
    backend: DockerBackend, owner: Owner
):
    # More than the five files of 20 MB that the driver keeps when it is told nothing.
    count = 1_200_000
    script = f"/bin/busybox yes {'x' * 99} | head -n {count}"
    backend.submit(owner, 1, shell(script), variables={})
    name = backend.name_of(owner, 1)
    until_ended(backend, name, deadline=120)
    assert sum(line.text == "x" * 99 for line in backend.logs(name, None, wait=0)) == count
    backend.delete(name)


# httpcore leaves the socket of a refused connection to the garbage collector, which warns.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_engine_that_is_not_there_is_told():
    backend = DockerBackend(Engine("unix:///no/such/docker.sock"))
    with pytest.raises(SetupError, match=r"docker\.sock: it cannot be reached"):
        backend.status("x")
    with pytest.raises(SetupError, match="no address of an engine"):
        Engine("ftp://host")


def test_private_values_are_not_shown():
    work = shell("true", private_environment={"TOKEN": "s3cret"})
    assert "s3cret" not in repr(work)


def test_user_folder_and_entrypoint(backend: DockerBackend, owner: Owner):
    work = Container(
        IMAGE,
        ["id -u; pwd; echo done > $TRADEWIND_RESULT"],
        entrypoint=["sh", "-c"],
        user="1234",
        working_dir="/tmp",
        network_mode="none",
        cpus=0.5,
    )
    backend.submit(owner, 1, work, variables={})
    name = backend.name_of(owner, 1)
    assert until_ended(backend, name).state is JobState.SUCCEEDED
    assert [line.text for line in backend.logs(name, None, wait=0)] == ["1234", "/tmp"]
    assert backend.result(name, limit=100) == b"done\n"
    backend.delete(name)


def test_a_terminal_s_log_is_read_too(backend: DockerBackend, owner: Owner):
    backend.submit(owner, 1, shell("echo one; echo two", tty=True), variables={})
    name = backend.name_of(owner, 1)
    until_ended(backend, name)
    lines = list(backend.logs(name, None, wait=0))
    assert [line.text for line in lines] == ["one", "two"]
    assert [line.text for line in backend.logs(name, lines[0].cursor, wait=0)] == ["two"]
    backend.delete(name)


def test_no_line_of_a_terminal_is_left_out_for_long_ones(backend: DockerBackend, owner: Owner):
    # Each of ten lines is many messages of the engine's.
    script = "echo one; for i in $(seq 10); do head -c 400000 /dev/zero | tr '\\0' x; echo; done"
    backend.submit(owner, 1, shell(script, tty=True), variables={})
    name = backend.name_of(owner, 1)
    until_ended(backend, name)
    first = next(iter(backend.logs(name, None, wait=0)))
    assert len(list(backend.logs(name, first.cursor, wait=0))) == 10
    backend.delete(name)


def test_what_is_left_of_a_log_is_whole_be_it_little_or_much(backend: DockerBackend, owner: Owner):
    long_line = "head -c 3000000 /dev/zero | tr '\\0' x; echo"
    backend.submit(owner, 1, shell(f"seq 300; {long_line}; seq 5"), variables={})
    name = backend.name_of(owner, 1)
    until_ended(backend, name)
    lines = list(backend.logs(name, None, wait=0))
    # A long line comes in jobs.
    jobs = ["x" * size for size in (1 << 20, 1 << 20, 3_000_000 - (2 << 20))]
    expected = [*map(str, range(1, 301)), *jobs, *"12345"]
    assert [line.text for line in lines] == expected
    for known in (1, 171, 172, 173, 299, 300, 301, 302, 303, 304, 307, 308):
        left = list(backend.logs(name, lines[known - 1].cursor, wait=0))
        assert [line.text for line in left] == expected[known:]
    backend.delete(name)


@pytest.mark.parametrize("count", [3, 3_000])
def test_a_log_that_was_followed_is_read_to_its_end(
    backend: DockerBackend, owner: Owner, count: int
):
    script = f"trap 'seq {count}; exit' TERM; echo ready; while :; do sleep 0.1; done"
    backend.submit(owner, 1, shell(script), variables={})
    name = backend.name_of(owner, 1)
    ready = next(iter(backend.logs(name, None, wait=10)))
    # Nothing more comes now: the connection stays open.
    assert list(backend.logs(name, ready.cursor, wait=0.1)) == []
    backend.cancel(name)
    until_ended(backend, name)
    left = [line.text for line in backend.logs(name, ready.cursor, wait=0)]
    assert left == [str(number) for number in range(1, count + 1)]
    backend.delete(name)


def test_what_is_there_of_a_log_that_goes_on_is_told_at_once(backend: DockerBackend, owner: Owner):
    backend.submit(owner, 1, shell("seq 500; echo ready; exec sleep 1000"), variables={})
    name = backend.name_of(owner, 1)
    ready = until_logged(backend, name, "ready")
    assert list(backend.logs(name, ready.cursor, wait=0.1)) == []
    assert list(backend.logs(name, ready.cursor, wait=0)) == []
    assert len(list(backend.logs(name, None, wait=0))) == 501
    backend.delete(name)


def test_a_container_that_goes_while_its_log_is_read_is_for_the_next_look_to_judge(
    backend: DockerBackend, owner: Owner, daemon: EngineOfTests
):
    backend.submit(owner, 1, shell("echo ready; exec sleep 1000"), variables={})
    name = backend.name_of(owner, 1)
    ready = until_logged(backend, name, "ready")
    assert backend.status(name).state is JobState.RUNNING
    daemon.client.delete(f"/containers/{name}", params={"force": "true"}).raise_for_status()
    # The engine answers 404, for which no task fails for good.
    for after, wait in ((ready.cursor, 0.0), (None, 0.0), (None, 0.1)):
        with pytest.raises(RetryError):
            list(backend.logs(name, after, wait=wait))
    with pytest.raises(RetryError):
        backend.result(name, limit=10)
    assert backend.status(name).state is JobState.ABSENT
    assert list(backend.logs(name, ready.cursor, wait=0)) == []


def test_lines_have_the_time_they_were_written(backend: DockerBackend, owner: Owner):
    backend.submit(owner, 1, shell("echo one"), variables={})
    name = backend.name_of(owner, 1)
    line = until_logged(backend, name, "one")
    assert line.time is not None
    assert line.time.tzinfo is not None
    backend.delete(name)


@pytest.mark.parametrize(
    ("script", "kind"),
    [
        ("ln -s /etc/passwd $TRADEWIND_RESULT", "a symbolic link"),
        ("mkdir $TRADEWIND_RESULT; echo x > $TRADEWIND_RESULT/file", "a directory"),
        ("mkfifo $TRADEWIND_RESULT", "a FIFO"),
    ],
)
def test_a_result_that_is_no_file_ends_the_task_once(
    backend: DockerBackend, owner: Owner, daemon: EngineOfTests, script: str, kind: str
):
    with pytest.raises(InputError, match=kind):
        supervise(backend, owner, shell(script), log=lambda _: None, state_store=Notebook())
    assert daemon.containers() == []


@pytest.mark.parametrize("size", [16_383, 16_384, 40_000, 1_000_000])
@pytest.mark.parametrize("tty", [False, True])
def test_a_long_line_is_whole_with_and_without_a_terminal(
    backend: DockerBackend, owner: Owner, tty: bool, size: int
):
    script = f"echo first; head -c {size} /dev/zero | tr '\\0' x; echo; printf 'a\\rb\\n'"
    lines: list[str] = []
    supervise(
        backend,
        owner,
        shell(script, tty=tty),
        log=lambda line: lines.append(line.text),
        state_store=Notebook(),
    )
    assert lines == ["first", "x" * size, "a\rb"]


@pytest.mark.parametrize("tty", [False, True])
def test_a_last_line_is_whole_with_and_without_a_terminal(
    backend: DockerBackend, owner: Owner, tty: bool
):
    script = "head -c 40000 /dev/zero | tr '\\0' x; echo"
    work = shell(script, tty=tty)
    outcome = supervise(
        backend, owner, work, log=lambda _: None, state_store=Notebook(), last_line=True
    )
    assert outcome.result == "x" * 40_000
    backend.submit(owner, 2, work, variables={})
    until_ended(backend, backend.name_of(owner, 2))
    assert backend.last_line(backend.name_of(owner, 2)) == "x" * 40_000
    backend.delete(backend.name_of(owner, 2))


@pytest.mark.parametrize("tty", [False, True])
def test_a_line_without_an_end_is_handed_on_in_pieces(
    backend: DockerBackend, owner: Owner, tty: bool
):
    backend.submit(owner, 1, shell("head -c 5000000 /dev/zero | tr '\\0' x", tty=tty), variables={})
    name = backend.name_of(owner, 1)
    until_ended(backend, name)
    found = list(backend.logs(name, None, wait=0))
    assert [len(line.text) for line in found] == [1 << 20] * 4 + [5_000_000 - (4 << 20)]
    assert [line.goes_on for line in found] == [True] * 4 + [False]
    # Whoever comes back in the middle gets the rest.
    rest = list(backend.logs(name, found[1].cursor, wait=0))
    assert [len(line.text) for line in rest] == [len(line.text) for line in found[2:]]
    assert len(backend.last_line(name) or "") == 5_000_000
    backend.delete(name)


def test_what_was_created_and_never_renamed_is_told_and_removed(
    backend: DockerBackend, owner: Owner, daemon: EngineOfTests
):
    name = backend.name_of(owner, 1)
    backend._claims._create(f"{name}-0a0b0c0d", owner, 1, shell("true"), {})
    assert list(backend.list()) == []
    (job,) = backend.unclaimed()
    assert (job.owner, job.title, job.number) == (owner.digest, str(owner), 1)
    backend.submit(owner, 1, shell("sleep 60"), variables={})
    backend.delete_unclaimed(name)
    assert backend.status(name).state is JobState.RUNNING
    backend.delete_unclaimed(job.name)
    assert [each["Names"] for each in daemon.containers()] == [[f"/{name}"]]
    backend.delete(name)


def test_a_command_that_cannot_be_split_is_told_in_words(
    backend: DockerBackend, owner: Owner, daemon: EngineOfTests
):
    with pytest.raises(InputError, match="list of words"):
        backend.submit(owner, 1, Container(IMAGE, "echo it's"), variables={})
    assert daemon.containers() == []


class Counting(Engine):
    """An engine whose calls are counted, but for looks that find work still running.

    How many of those there are is a matter of the machine.
    """

    calls = 0

    def ask(self, *arguments: Any, **options: Any) -> Any:
        answer = super().ask(*arguments, **options)
        looks = arguments[0] == "GET" and arguments[1].endswith("/json")
        told = answer.json() if looks else None
        self.calls += not (isinstance(told, dict) and told.get("State", {}).get("Running"))
        return answer

    def tail(self, *arguments: Any, **options: Any) -> Any:
        self.calls += 1
        return super().tail(*arguments, **options)

    def stream(self, *arguments: Any, **options: Any) -> Any:
        self.calls += 1
        return super().stream(*arguments, **options)


def test_a_line_of_a_container_costs_few_calls(owner: Owner, daemon: EngineOfTests):
    engine = Counting(daemon.address)
    backend = DockerBackend(engine)
    supervise(
        backend,
        owner,
        shell("echo hello"),
        log=lambda _: None,
        state_store=Notebook(),
        last_line=True,
    )
    backend.close()
    print(f"{engine.calls} calls of the engine")
    assert engine.calls <= 10
