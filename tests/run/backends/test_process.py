"""Processes of this machine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from processes import gone
from tradewind.errors import InputError, RetryError, SetupError
from tradewind.local.processes import wait_until
from tradewind.owner import Owner
from tradewind.run.supervise import end
from tradewind.run.backend import Status
from tradewind.systems.process.backend import Command, LocalShell, ProcessBackend
from tradewind.testing.conformance.backend import BackendConformance, until_ended, until_logged


class TestConformance(BackendConformance):
    @pytest.fixture
    def backend(self, tmp_path: Path) -> ProcessBackend:
        return ProcessBackend(tmp_path / "jobs")

    def work(self, script: str, **environment: str) -> Command:
        return Command(script, environment)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "jobs"


@pytest.fixture
def backend(root: Path) -> ProcessBackend:
    return ProcessBackend(root)


OWNER = Owner("dag", "run", "task")


def supervisor(root: Path, name: str) -> int:
    return int((root / name / "process").read_text().split()[0])


def test_a_vanished_process_is_a_failure_and_its_children_are_ended(
    backend: ProcessBackend, root: Path
):
    backend.start(OWNER, 1, Command("echo $$; echo ready; sleep 60"), tell={})
    name = backend.name_of(OWNER, 1)
    until_logged(backend, name, "ready")
    work = int(next(backend.logs(name, None, wait=0)).text)
    os.kill(supervisor(root, name), signal.SIGKILL)
    sight = until_ended(backend, name)
    assert sight.status is Status.FAILED
    assert "left no exit status" in (sight.reason or "")
    assert not gone(work)
    backend.remove(name)
    assert wait_until(lambda: gone(work), seconds=10)


def test_what_ignores_every_request_is_gone_when_it_is_removed(backend: ProcessBackend, root: Path):
    for _ in range(10):
        backend.start(
            OWNER, 1, Command("trap '' TERM; sleep 300 & echo $! $$; echo ready; wait"), tell={}
        )
        name = backend.name_of(OWNER, 1)
        until_logged(backend, name, "ready")
        pids = next(backend.logs(name, None, wait=0)).text.split()
        pids.append(str(supervisor(root, name)))
        end(backend, name, grace=0)
        # Not a moment later: nothing is there any more that could write into the folder.
        assert list(root.iterdir()) == []
        assert all(gone(int(pid)) for pid in pids)


def test_what_was_started_and_outlives_work_that_was_stopped_is_ended(
    backend: ProcessBackend, root: Path
):
    script = "(trap '' TERM; echo ready; exec sleep 300) & echo $!; wait"
    backend.start(OWNER, 1, Command(script), tell={})
    name = backend.name_of(OWNER, 1)
    until_logged(backend, name, "ready")
    (pid,) = [line.text for line in backend.logs(name, None, wait=0) if line.text != "ready"]
    end(backend, name)
    assert gone(int(pid))
    assert list(root.iterdir()) == []


def test_work_that_is_stopped_before_it_has_begun_does_not_begin(
    backend: ProcessBackend, root: Path
):
    for number in range(1, 20):
        backend.start(OWNER, number, Command("sleep 60; echo x >> begun"), tell={})
        name = backend.name_of(OWNER, number)
        backend.stop(name)
        assert until_ended(backend, name).exit_code == 143
        backend.remove(name)
    assert list(root.iterdir()) == []


def test_who_ends_the_task_does_not_cut_a_script_short(root: Path):
    # Airflow signals the whole process group of a task.
    program = (
        "import os, signal, sys\n"
        "from tradewind.systems.process.backend import LocalShell\n"
        "signal.signal(signal.SIGTERM, lambda *_: None)\n"
        "print(LocalShell().run(f'kill -TERM -{os.getpid()}; sleep 0.2; echo whole'))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, start_new_session=True
    )
    assert done.stdout == "whole\n\n", done.stderr


def test_a_task_that_times_out_lets_a_script_come_to_its_end(root: Path, tmp_path: Path):
    def time_out(*_: object) -> None:
        raise KeyError("time is up")

    before = signal.signal(signal.SIGALRM, time_out)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        with pytest.raises(KeyError):
            LocalShell().run(f"sleep 0.6; touch {tmp_path}/whole")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert (tmp_path / "whole").exists()


def test_a_shell_that_is_killed_is_told():
    with pytest.raises(RetryError, match="SIGKILL"):
        LocalShell().run("kill -KILL $$")


def test_a_pid_that_another_process_has_by_now_is_not_taken_for_it(
    backend: ProcessBackend, root: Path
):
    backend.start(OWNER, 1, Command("true"), tell={})
    name = backend.name_of(OWNER, 1)
    until_ended(backend, name)
    job = root / name
    (job / "exit").unlink()
    (job / "process").write_text(f"{os.getpid()} 1 another-start-of-this-machine\n")
    assert backend.look(name).status is Status.FAILED
    backend.remove(name)
    assert not job.exists()


def test_nothing_is_left_of_a_start_that_came_second(backend: ProcessBackend, root: Path):
    from tradewind.run.backend import AlreadyStartedError

    backend.start(OWNER, 1, Command("true"), tell={})
    with pytest.raises(AlreadyStartedError):
        backend.start(OWNER, 1, Command("true"), tell={})
    assert len([path for path in root.iterdir() if path.name.startswith(".")]) == 1
    until_ended(backend, backend.name_of(OWNER, 1))
    backend.remove(backend.name_of(OWNER, 1))
    assert list(root.iterdir()) == []


def test_files_are_for_their_account_alone_and_secrets_do_not_stay(
    backend: ProcessBackend, root: Path
):
    backend.start(OWNER, 1, Command("echo $TOKEN", {"TOKEN": "s3cret"}), tell={})
    name = backend.name_of(OWNER, 1)
    until_ended(backend, name)
    assert (root / name).resolve().stat().st_mode & 0o077 == 0
    files = [path for path in (root / name).resolve().iterdir() if path.name != "log"]
    assert not [path for path in files if b"s3cret" in path.read_bytes()]
    assert "s3cret" not in repr(Command("true", {"TOKEN": "s3cret"}))
    backend.remove(name)


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (Command("true", {"A-B": "1"}), "'A-B' cannot name an environment variable"),
        (Command("echo \0"), "NUL"),
        (Command("true", folder="/nowhere/at/all"), "no folder /nowhere/at/all"),
    ],
)
def test_what_can_never_run_is_refused_at_once(
    backend: ProcessBackend, root: Path, command: Command, message: str
):
    with pytest.raises(InputError, match=message):
        backend.start(OWNER, 1, command, tell={})
    assert not root.exists() or list(root.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(SetupError, match="cannot be made"):
        ProcessBackend(tmp_path / "file" / "jobs").start(OWNER, 1, Command("true"), tell={})


def test_a_command_that_is_not_there_says_so(backend: ProcessBackend):
    backend.start(OWNER, 1, Command("no-such-command-at-all"), tell={})
    sight = until_ended(backend, backend.name_of(OWNER, 1))
    assert sight.exit_code == 127
    assert "there is no such command" in (sight.reason or "")
    backend.remove(backend.name_of(OWNER, 1))


def test_work_runs_in_the_folder_asked_for(backend: ProcessBackend, tmp_path: Path):
    backend.start(OWNER, 1, Command("pwd", folder=str(tmp_path)), tell={})
    until_logged(backend, backend.name_of(OWNER, 1), str(tmp_path))
    backend.remove(backend.name_of(OWNER, 1))


def test_a_listing_starts_no_program_for_each_job(
    backend: ProcessBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for index, script in enumerate(("sleep 300", "exit 3")):
        backend.start(Owner("dag", "run", "task", index), 1, Command(script), tell={})
    ended = backend.name_of(Owner("dag", "run", "task", 1), 1)
    until_ended(backend, ended)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "sh").symlink_to("/bin/sh")
    with monkeypatch.context() as patch:
        patch.setenv("PATH", str(tmp_path / "bin"))
        found = sorted(backend.list(), key=lambda piece: piece.title)
    assert [piece.sight.status for piece in found] == [Status.RUNNING, Status.FAILED]
    assert found[1].sight.exit_code == 3
    age = datetime.now(UTC) - found[0].started
    assert timedelta(seconds=-2) < age < timedelta(minutes=5)
    for piece in found:
        backend.remove(piece.name)


def test_what_work_has_made_elsewhere_is_undone_when_it_is_removed(
    backend: ProcessBackend, root: Path, tmp_path: Path
):
    elsewhere = tmp_path / "elsewhere"
    undo = f'[ -e "${{TRADEWIND_RESULT%/result}}/command" ] && rm {elsewhere}'
    work = Command(f"touch {elsewhere}; echo ready; sleep 60", undo=undo)
    backend.start(OWNER, 1, work, tell={})
    name = backend.name_of(OWNER, 1)
    until_logged(backend, name, "ready")
    backend.remove(name)
    assert not elsewhere.exists()
    assert list(root.iterdir()) == []


def test_what_cannot_be_undone_keeps_its_folder(
    backend: ProcessBackend, root: Path, tmp_path: Path
):
    allowed = tmp_path / "allowed"
    undo = f"echo 'the system is\naway'; [ -e {allowed} ]"
    backend.start(OWNER, 1, Command("true", undo=undo), tell={})
    name = backend.name_of(OWNER, 1)
    until_ended(backend, name)
    with pytest.raises(RetryError, match="still there: the system is away"):
        backend.remove(name)
    assert backend.look(name).status is Status.SUCCEEDED
    allowed.touch()
    backend.remove(name)
    assert list(root.iterdir()) == []


def test_vanished_work_is_undone_when_it_is_stopped(
    backend: ProcessBackend, root: Path, tmp_path: Path
):
    undone = tmp_path / "undone"
    work = Command("echo ready; sleep 60", undo=f"touch {undone}")
    backend.start(OWNER, 1, work, tell={})
    name = backend.name_of(OWNER, 1)
    until_logged(backend, name, "ready")
    os.kill(supervisor(root, name), signal.SIGKILL)
    until_ended(backend, name)
    backend.stop(name)
    assert wait_until(undone.exists, seconds=10)
    backend.remove(name)


def test_a_full_disk_is_told_as_such(tmp_path: Path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)],
        check=False,
        capture_output=True,
    )
    if mounted.returncode:
        pytest.skip("a small disk needs the right to mount one")
    try:
        backend = ProcessBackend(disk / "jobs")
        owner = Owner("dag", "full", "task")
        script = f"head -c 1m /dev/zero > {disk}/rest; echo 'no more'; exit 3"
        backend.start(owner, 1, Command(script), tell={})
        name = backend.name_of(owner, 1)
        sight = until_ended(backend, name)
        assert sight.status is Status.FAILED
        assert f"the disk with its job folder in {disk}/jobs is full" in (sight.reason or "")
        with pytest.raises(SetupError, match=r"is the disk full\?"):
            backend.start(owner, 2, Command("true # " + "x" * 100_000), tell={})
        backend.remove(name)
        assert [each.name for each in (disk / "jobs").iterdir()] == []
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_work_says_why_it_has_failed(backend: ProcessBackend):
    said = "no\tsuch \\n thing"
    script = f"echo '{said}' > \"${{TRADEWIND_RESULT%/result}}/reason\"; exit 3"
    script = script.replace("echo", "printf '%s\\n'")
    backend.start(OWNER, 1, Command(script), tell={})
    name = backend.name_of(OWNER, 1)
    sight = until_ended(backend, name)
    assert (sight.reason or "").endswith(f"exit status 3: {said}")
    assert [piece.sight for piece in backend.list(OWNER)] == [sight]
    backend.remove(name)
