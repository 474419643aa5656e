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
from tradewind.run.backend import JobState
from tradewind.run.supervise import end
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
    backend.submit(OWNER, 1, Command("echo $$; echo ready; sleep 60"), variables={})
    name = backend.name_of(OWNER, 1)
    until_logged(backend, name, "ready")
    work = int(next(backend.logs(name, None, wait=0)).text)
    os.kill(supervisor(root, name), signal.SIGKILL)
    status = until_ended(backend, name)
    assert status.state is JobState.FAILED
    assert "left no exit status" in (status.reason or "")
    assert not gone(work)
    backend.delete(name)
    assert wait_until(lambda: gone(work), seconds=10)


def test_what_ignores_every_request_is_gone_when_it_is_removed(backend: ProcessBackend, root: Path):
    for _ in range(10):
        backend.submit(
            OWNER,
            1,
            Command("trap '' TERM; sleep 300 & echo $! $$; echo ready; wait"),
            variables={},
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
    backend.submit(OWNER, 1, Command(script), variables={})
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
        backend.submit(OWNER, number, Command("sleep 60; echo x >> begun"), variables={})
        name = backend.name_of(OWNER, number)
        backend.cancel(name)
        assert until_ended(backend, name).exit_code == 143
        backend.delete(name)
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
    backend.submit(OWNER, 1, Command("true"), variables={})
    name = backend.name_of(OWNER, 1)
    until_ended(backend, name)
    job = root / name
    (job / "exit").unlink()
    (job / "process").write_text(f"{os.getpid()} 1 another-start-of-this-machine\n")
    assert backend.status(name).state is JobState.FAILED
    backend.delete(name)
    assert not job.exists()


def test_nothing_is_left_of_a_start_that_came_second(backend: ProcessBackend, root: Path):
    from tradewind.run.backend import AlreadyStartedError

    backend.submit(OWNER, 1, Command("true"), variables={})
    with pytest.raises(AlreadyStartedError):
        backend.submit(OWNER, 1, Command("true"), variables={})
    assert len([path for path in root.iterdir() if path.name.startswith(".")]) == 1
    until_ended(backend, backend.name_of(OWNER, 1))
    backend.delete(backend.name_of(OWNER, 1))
    assert list(root.iterdir()) == []


def test_files_are_for_their_account_alone_and_secrets_do_not_stay(
    backend: ProcessBackend, root: Path
):
    backend.submit(OWNER, 1, Command("echo $TOKEN", {"TOKEN": "s3cret"}), variables={})
    name = backend.name_of(OWNER, 1)
    until_ended(backend, name)
    assert (root / name).resolve().stat().st_mode & 0o077 == 0
    files = [path for path in (root / name).resolve().iterdir() if path.name != "log"]
    assert not [path for path in files if b"s3cret" in path.read_bytes()]
    assert "s3cret" not in repr(Command("true", {"TOKEN": "s3cret"}))
    backend.delete(name)


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
        backend.submit(OWNER, 1, command, variables={})
    assert not root.exists() or list(root.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(SetupError, match="cannot be made"):
        ProcessBackend(tmp_path / "file" / "jobs").submit(OWNER, 1, Command("true"), variables={})


def test_a_command_that_is_not_there_says_so(backend: ProcessBackend):
    backend.submit(OWNER, 1, Command("no-such-command-at-all"), variables={})
    status = until_ended(backend, backend.name_of(OWNER, 1))
    assert status.exit_code == 127
    assert "there is no such command" in (status.reason or "")
    backend.delete(backend.name_of(OWNER, 1))


def test_work_runs_in_the_folder_asked_for(backend: ProcessBackend, tmp_path: Path):
    backend.submit(OWNER, 1, Command("pwd", folder=str(tmp_path)), variables={})
    until_logged(backend, backend.name_of(OWNER, 1), str(tmp_path))
    backend.delete(backend.name_of(OWNER, 1))


def test_a_listing_starts_no_program_for_each_job(
    backend: ProcessBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for index, script in enumerate(("sleep 300", "exit 3")):
        backend.submit(Owner("dag", "run", "task", index), 1, Command(script), variables={})
    ended = backend.name_of(Owner("dag", "run", "task", 1), 1)
    until_ended(backend, ended)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "sh").symlink_to("/bin/sh")
    with monkeypatch.context() as patch:
        patch.setenv("PATH", str(tmp_path / "bin"))
        found = sorted(backend.list(), key=lambda job: job.title)
    assert [job.status.state for job in found] == [JobState.RUNNING, JobState.FAILED]
    assert found[1].status.exit_code == 3
    age = datetime.now(UTC) - found[0].started
    assert timedelta(seconds=-2) < age < timedelta(minutes=5)
    for job in found:
        backend.delete(job.name)


def test_what_work_has_made_elsewhere_is_undone_when_it_is_removed(
    backend: ProcessBackend, root: Path, tmp_path: Path
):
    elsewhere = tmp_path / "elsewhere"
    undo = f'[ -e "${{TRADEWIND_RESULT%/result}}/command" ] && rm {elsewhere}'
    work = Command(f"touch {elsewhere}; echo ready; sleep 60", undo=undo)
    backend.submit(OWNER, 1, work, variables={})
    name = backend.name_of(OWNER, 1)
    until_logged(backend, name, "ready")
    backend.delete(name)
    assert not elsewhere.exists()
    assert list(root.iterdir()) == []


def test_what_cannot_be_undone_keeps_its_folder(
    backend: ProcessBackend, root: Path, tmp_path: Path
):
    allowed = tmp_path / "allowed"
    undo = f"echo 'the system is\naway'; [ -e {allowed} ]"
    backend.submit(OWNER, 1, Command("true", undo=undo), variables={})
    name = backend.name_of(OWNER, 1)
    until_ended(backend, name)
    with pytest.raises(RetryError, match="still there: the system is away"):
        backend.delete(name)
    assert backend.status(name).state is JobState.SUCCEEDED
    allowed.touch()
    backend.delete(name)
    assert list(root.iterdir()) == []


def test_vanished_work_is_undone_when_it_is_stopped(
    backend: ProcessBackend, root: Path, tmp_path: Path
):
    undone = tmp_path / "undone"
    work = Command("echo ready; sleep 60", undo=f"touch {undone}")
    backend.submit(OWNER, 1, work, variables={})
    name = backend.name_of(OWNER, 1)
    until_logged(backend, name, "ready")
    os.kill(supervisor(root, name), signal.SIGKILL)
    until_ended(backend, name)
    backend.cancel(name)
    assert wait_until(undone.exists, seconds=10)
    backend.delete(name)


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
        backend.submit(owner, 1, Command(script), variables={})
        name = backend.name_of(owner, 1)
        status = until_ended(backend, name)
        assert status.state is JobState.FAILED
        assert f"the disk with its job folder in {disk}/jobs is full" in (status.reason or "")
        with pytest.raises(SetupError, match=r"is the disk full\?"):
            backend.submit(owner, 2, Command("true # " + "x" * 100_000), variables={})
        backend.delete(name)
        assert [each.name for each in (disk / "jobs").iterdir()] == []
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_work_says_why_it_has_failed(backend: ProcessBackend):
    said = "no\tsuch \\n thing"
    script = f"echo '{said}' > \"${{TRADEWIND_RESULT%/result}}/reason\"; exit 3"
    script = script.replace("echo", "printf '%s\\n'")
    backend.submit(OWNER, 1, Command(script), variables={})
    name = backend.name_of(OWNER, 1)
    status = until_ended(backend, name)
    assert (status.reason or "").endswith(f"exit status 3: {said}")
    assert [job.status for job in backend.list(OWNER)] == [status]
    backend.delete(name)
