"""What a process and a process over SSH have in common, where work is ill-behaved."""

from __future__ import annotations

import os
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from notebook import Notebook
from processes import gone
from ssh_server import SSHServer, ssh_server
from tradewind.errors import InputError
from tradewind.local.processes import wait_until
from tradewind.owner import Owner
from tradewind.run.backend import JobState, WorkFailedError
from tradewind.run.job_folder import JobFolderBackend
from tradewind.run.supervise import end, supervise
from tradewind.systems.process.backend import Command, ProcessBackend
from tradewind.systems.ssh.backend import SSHBackend, SSHConnection
from tradewind.testing.conformance.backend import until_ended, until_logged

pytestmark = pytest.mark.xdist_group("run-ssh")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "jobs"


@pytest.fixture(params=["process", "ssh"])
def backend(
    request: pytest.FixtureRequest, connection: SSHConnection, root: Path
) -> Iterator[JobFolderBackend]:
    if request.param == "process":
        yield ProcessBackend(root)
        return
    backend = SSHBackend(connection, root=str(root))
    yield backend
    backend.close()


@pytest.fixture
def owner() -> Owner:
    return Owner("folder", uuid.uuid4().hex, "work")


#: Of a process with nothing to know it by: its session and its environment are its own.
NO_TRACE = "env -i setsid sh -c 'echo $$ > PID; exec sleep 7777' &"


@pytest.mark.parametrize(
    "daemon",
    [
        "setsid sh -c 'echo $$ > PID; exec sleep 7777' &",
        "( ( setsid sh -c 'echo $$ > PID; exec sleep 7777' & ) & )",
        "nohup setsid sh -c 'trap \"\" TERM HUP; echo $$ > PID; sleep 7777; sleep 7777' &",
        NO_TRACE,
    ],
)
def test_what_is_ended_ends_with_its_daemons(
    backend: JobFolderBackend, owner: Owner, tmp_path: Path, daemon: str
):
    if daemon == NO_TRACE and not control_groups():
        pytest.skip("this account may make no control groups")
    pid = tmp_path / "pid"
    before = control_groups()
    with subprocess.Popen(["setsid", "sleep", "300"]) as stranger:
        script = f"{daemon.replace('PID', str(pid))}\necho ready\nsleep 300"
        backend.submit(owner, 1, Command(script), variables={})
        name = backend.name_of(owner, 1)
        until_logged(backend, name, "ready")
        assert wait_until(lambda: pid.exists() and bool(pid.read_text().strip()), seconds=10)
        end(backend, name, grace=0.5)
        assert wait_until(lambda: gone(int(pid.read_text())), seconds=10)
        assert stranger.poll() is None
        stranger.kill()
    left = [each for folder in before for each in folder.glob(f"tradewind-{name}.*")]
    assert left == []


def control_groups() -> list[Path]:
    """This process's own, where it may make others below (version 2)."""
    path = next(
        (
            line.removeprefix("0::/").strip()
            for line in Path("/proc/self/cgroup").read_text().splitlines()
            if line.startswith("0::/")
        ),
        "",
    )
    roots = (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified"))
    found = [root / path for root in roots if (root / "cgroup.controllers").exists()][:1]
    return [each for each in found if os.access(each / "cgroup.procs", os.W_OK)]


@pytest.mark.parametrize(
    ("script", "kind"),
    [
        ("ln -s /etc/shadow $TRADEWIND_RESULT", "a symbolic link"),
        ("mkdir $TRADEWIND_RESULT", "a directory"),
        ("mkfifo $TRADEWIND_RESULT", "a FIFO"),
        ("head -c 3000 /dev/zero > $TRADEWIND_RESULT", "larger than 1,000 bytes"),
        ("printf '\\377' > $TRADEWIND_RESULT", "no text in UTF-8"),
    ],
)
def test_a_result_that_is_none_ends_the_task_once(
    backend: JobFolderBackend, owner: Owner, root: Path, script: str, kind: str
):
    with pytest.raises(InputError, match=kind):
        supervise(
            backend,
            owner,
            Command(script),
            log=lambda _: None,
            state_store=Notebook(),
            result_limit=1_000,
        )
    assert list(root.iterdir()) == []


def test_a_link_in_the_place_of_the_folder_is_not_followed(
    backend: JobFolderBackend, owner: Owner, root: Path, tmp_path: Path
):
    backend.submit(owner, 1, Command("echo mine > $TRADEWIND_RESULT"), variables={})
    name = backend.name_of(owner, 1)
    until_ended(backend, name)
    other = tmp_path / "other"
    (root / name).resolve().rename(other)
    (other / "result").write_text("secret")
    (root / os.readlink(root / name)).symlink_to(other)
    assert backend.result(name, limit=100) is None


def test_a_folder_that_is_gone_has_no_result(
    backend: JobFolderBackend, owner: Owner, root: Path, monkeypatch: pytest.MonkeyPatch
):
    fetch = backend.result

    def removed_before(name: str, *, limit: int) -> bytes | None:
        subprocess.run(["rm", "-rf", (root / name).resolve(), root / name], check=True)
        return fetch(name, limit=limit)

    monkeypatch.setattr(backend, "result", removed_before)
    work = Command("echo mine > $TRADEWIND_RESULT")
    with pytest.raises(WorkFailedError, match="removed it before its result was read"):
        supervise(backend, owner, work, log=lambda _: None, state_store=Notebook())


def test_a_line_without_an_end_is_handed_on_in_pieces(backend: JobFolderBackend, owner: Owner):
    script = "yes é | head -n 1000000 | tr -d '\\n'"
    backend.submit(owner, 1, Command(script), variables={})
    name = backend.name_of(owner, 1)
    until_ended(backend, name)
    found = list(backend.logs(name, None, wait=0))
    assert [line.goes_on for line in found] == [True, False]
    assert "".join(line.text for line in found) == "é" * 1_000_000
    rest = list(backend.logs(name, found[0].cursor, wait=0))
    assert rest == found[1:]
    assert backend.last_line(name) == "é" * 1_000_000
    backend.delete(name)


@pytest.mark.parametrize("left", ["owner", "."], ids=["without an owner", "a name alone"])
def test_what_a_removal_has_left_is_told_and_removed(
    backend: JobFolderBackend, owner: Owner, root: Path, left: str
):
    backend.submit(owner, 1, Command("true"), variables={})
    name = backend.name_of(owner, 1)
    until_ended(backend, name)
    assert list(backend.unclaimed()) == []
    # As rm has left it when it was killed.
    subprocess.run(["rm", "-r", (root / name).resolve() / left.strip(".")], check=True)
    assert list(backend.list()) == []
    (job,) = backend.unclaimed()
    assert (job.owner, job.number) == (owner.digest, 1)
    backend.delete_unclaimed(job.name)
    assert list(root.iterdir()) == []


def test_what_was_prepared_and_never_claimed_is_told_and_removed(
    backend: JobFolderBackend, owner: Owner, root: Path
):
    backend.submit(owner, 1, Command("true"), variables={})
    name = backend.name_of(owner, 1)
    until_ended(backend, name)
    assert list(backend.unclaimed()) == []
    hidden = os.readlink(root / name)
    backend.delete_unclaimed(hidden)
    assert backend.status(name).state is JobState.SUCCEEDED
    (root / name).unlink()
    (job,) = backend.unclaimed()
    assert (job.name, job.owner, job.title) == (hidden, owner.digest, str(owner))
    backend.delete_unclaimed(hidden)
    assert list(root.iterdir()) == []


@pytest.fixture
def greeting(tmp_path: Path) -> Iterator[SSHServer]:
    """An sshd for an account whose start-up file prints."""
    home = tmp_path / "home"
    home.mkdir()
    (home / ".bashrc").write_text(
        'echo "Welcome, it is $(date +%s.%N)"\necho noise >&2\nexport FROM_BASHRC=yes\n'
    )
    folder = tmp_path / "sshd"
    folder.mkdir()
    with ssh_server(folder) as server:
        server.stop()
        with (folder / "config").open("a") as config:
            config.write(f"SetEnv HOME={home}\n")
        server.start()
        yield server


@pytest.mark.parametrize("absolute", [False, True])
def test_an_account_that_greets_runs_work_once_and_in_its_place(
    greeting: SSHServer, tmp_path: Path, owner: Owner, absolute: bool
):
    home = tmp_path / "home"
    where = str(tmp_path / "there") if absolute else ".tradewind/jobs"
    way = SSHConnection(
        "127.0.0.1",
        greeting.username,
        greeting.port,
        key_file=str(greeting.key_file),
        known_hosts=str(greeting.known_hosts),
    )
    work = Command("SHLVL=2 exec bash -c 'date >> ~/ran; echo $FROM_BASHRC; echo é'")
    backend = SSHBackend(way, root=where)
    backend.submit(owner, 1, work, variables={})
    name = backend.name_of(owner, 1)
    until_ended(backend, name)
    backend.close()
    lines: list[str] = []
    again = SSHBackend(way, root=where)
    outcome = supervise(
        again,
        owner,
        work,
        log=lambda line: lines.append(line.text),
        state_store=Notebook(),
        last_line=True,
    )
    again.close()
    assert (outcome.reattached, outcome.result, lines) == (True, "é", ["yes", "é"])
    assert len((home / "ran").read_text().splitlines()) == 1
    left = {".bashrc", "ran"} | (set() if absolute else {".tradewind"})
    assert {each.name for each in home.iterdir()} == left


def test_a_system_that_restarts_is_waited_for(
    connection: SSHConnection, server: SSHServer, owner: Owner, root: Path
):
    backend = SSHBackend(connection, root=str(root))
    lines: list[str] = []

    def restart_once(line: object) -> None:
        lines.append(str(line))
        if len(lines) == 1:
            server.stop()
            subprocess.Popen(["sleep", "1"]).wait()
            import threading

            threading.Timer(2, server.start).start()

    work = Command("echo one; sleep 1; echo two")
    outcome = supervise(
        backend, owner, work, log=restart_once, state_store=Notebook(), last_line=True
    )
    assert outcome.result == "two"
    backend.close()


@pytest.mark.parametrize(
    ("left", "state"),
    [("daemon", "kept"), ("owner", "fresh")],
    ids=["with a daemon", "in part"],
)
def test_a_folder_that_somebody_removes_ends_its_job_and_the_next_attempt_runs(
    backend: JobFolderBackend, owner: Owner, root: Path, tmp_path: Path, left: str, state: str
):
    ran, notebook = tmp_path / "ran", Notebook()
    daemon = "setsid sleep 7779 & echo $! >> PIDS\n" if left == "daemon" else ""
    remove = "$f/owner" if left == "owner" else "$f"
    first = (
        f"{daemon}echo $$ >> PIDS\n[ -e {ran} ] && exit 0\necho x > {ran}\n"
        f'f=$(dirname "$TRADEWIND_RESULT"); cd /; rm -rf "{remove}"; sleep 7779'
    ).replace("PIDS", str(tmp_path / "pids"))

    def attempt() -> None:
        nonlocal notebook
        notebook = notebook if state == "kept" else Notebook()
        supervise(backend, owner, Command(first), log=lambda _: None, state_store=notebook)

    with pytest.raises(WorkFailedError, match="somebody else has removed it"):
        attempt()
    # Before another attempt begins: nothing runs twice at once.
    pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
    assert all(gone(pid) for pid in pids)
    assert list(root.iterdir()) == []
    attempt()
    assert len((tmp_path / "pids").read_text().split()) == 2 * len(pids)
    assert list(root.iterdir()) == []
    assert not [found for each in control_groups() for found in each.glob("tradewind-*folder*")]


def test_what_a_job_leaves_running_ends_with_its_folder(
    backend: JobFolderBackend, owner: Owner, root: Path, tmp_path: Path
):
    pids = tmp_path / "pids"
    started = (
        "nohup sleep 7778 & echo $! >> PIDS\n"
        "(trap '' TERM HUP; exec setsid sleep 7778) & echo $! >> PIDS\n"
        "( setsid sh -c 'echo $$ >> PIDS; exec sleep 7778' & )\n"
        # Still writing when the job ends.
        "(sleep 0.5; echo late > LATE) &\n"
        "until [ $(wc -l < PIDS) -ge 3 ]; do sleep 0.05; done\n"
    ).replace("PIDS", str(pids))
    ends = [("echo 3 > $TRADEWIND_RESULT", False), ("exit 3", True)]
    for number, (last, fails) in enumerate(ends):
        pids.unlink(missing_ok=True)
        late = tmp_path / f"late-{number}"
        work = Command(started.replace("LATE", str(late)) + last)
        of = Owner(owner.dag, owner.run, f"work{number}")
        if fails:
            with pytest.raises(WorkFailedError, match="status 3"):
                supervise(backend, of, work, log=lambda _: None, state_store=Notebook())
        else:
            outcome = supervise(backend, of, work, log=lambda _: None, state_store=Notebook())
            assert (outcome.result or "").strip() == "3"
        assert [pid for pid in pids.read_text().split() if not gone(int(pid))] == []
        assert late.read_text() == "late\n"
        assert list(root.iterdir()) == []
