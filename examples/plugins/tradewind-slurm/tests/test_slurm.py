"""The plugin passes the public suite against a real Slurm, and is found by sweep."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tradewind_slurm.backend import SlurmBackend, SlurmJob

from tradewind.errors import InputError, SetupError
from tradewind.owner import Owner
from tradewind.run.backend import JobState
from tradewind.run.supervise import end
from tradewind.testing.conformance.backend import BackendConformance, until_ended, until_logged

pytestmark = pytest.mark.xdist_group("slurm")


@pytest.fixture
def backend(slurm: Path, tmp_path: Path) -> SlurmBackend:
    return SlurmBackend(tmp_path / "jobs")


class TestSlurm(BackendConformance):
    def work(self, script: str, **environment: str) -> SlurmJob:
        return SlurmJob(script, environment)

    def test_a_job_that_was_claimed_and_not_submitted_is_submitted_once(
        self, backend, owner, monkeypatch
    ) -> None:
        """The worker died between the claim and sbatch, or before it wrote the id down."""
        name = backend.name_of(owner, 1)
        with monkeypatch.context() as dying:
            dying.setattr(backend, "resume", lambda name: None)
            backend.submit(owner, 1, self.work("echo once; sleep 60"), variables={})
        assert backend.status(name).state is JobState.PENDING
        backend.resume(name)
        until_logged(backend, name, "once")
        folder = backend._folder(name)
        (folder / "job").unlink()
        backend.resume(name)
        assert [line.text for line in backend.logs(name, None, wait=0)] == ["once"]
        told = subprocess.run(
            ["squeue", "--noheader", "--name", name, "--format=%A"], capture_output=True, text=True
        )
        assert told.stdout.split() == [(folder / "job").read_text()]
        backend.delete(name)

    def test_a_second_submission_runs_nothing(self, backend, owner) -> None:
        name = backend.name_of(owner, 1)
        backend.submit(owner, 1, self.work("echo ran"), variables={})
        until_ended(backend, name)
        run = str(backend._folder(name) / "run")
        subprocess.run(["sbatch", "--wait", "--output=/dev/null", run], check=True)
        assert [line.text for line in backend.logs(name, None, wait=0)] == ["ran"]
        backend.delete(name)

    def test_a_job_whose_folder_somebody_removes_ends_and_leaves_no_claim(
        self, backend, owner
    ) -> None:
        name = backend.name_of(owner, 1)
        backend.submit(owner, 1, self.work("echo ready; sleep 60"), variables={})
        until_logged(backend, name, "ready")
        shutil.rmtree(backend._folder(name))
        assert backend.status(name).state is JobState.ABSENT
        backend.resume(name)
        end(backend, name)
        queued = ["squeue", "--noheader", "--name", name, "--format=%A"]
        assert subprocess.run(queued, capture_output=True, check=True).stdout == b""
        assert [path.name for path in backend._root.iterdir()] == []

    def test_the_environment_of_the_worker_does_not_arrive(self, backend, start, monkeypatch):
        monkeypatch.setenv("SECRET_OF_THE_WORKER", "s3cr3t")
        name = start('echo "${SECRET_OF_THE_WORKER-none}"')
        until_ended(backend, name)
        assert [line.text for line in backend.logs(name, None, wait=0)] == ["none"]

    def test_a_time_limit_is_told_in_words(self, backend, owner) -> None:
        with pytest.raises(InputError, match="Correct the options"):
            backend.submit(owner, 1, SlurmJob("true", {}, ("--partition=nowhere",)), variables={})
        backend.delete(backend.name_of(owner, 1))


def test_sweep_finds_what_a_task_has_left(backend: SlurmBackend, tmp_path: Path) -> None:
    owner = Owner("gone", "run", "task")
    backend.submit(owner, 1, SlurmJob("sleep 60"), variables={})
    tradewind = [sys.executable, "-m", "tradewind.cli"]
    extra = {"root": str(tmp_path / "jobs")}
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(tmp_path / "airflow"),
        "AIRFLOW_CONN_MY_SLURM": json.dumps({"conn_type": "slurm", "extra": extra}),
        "AIRFLOW_CONN_EMPTY": json.dumps({"conn_type": "slurm"}),
    }
    sweep = [*tradewind, "sweep", "--slurm=connection:my_slurm"]
    name = backend.name_of(owner, 1)
    ended = subprocess.run([*sweep, "--json"], env=environment, capture_output=True, text=True)
    assert name in ended.stdout, ended.stderr
    ended = subprocess.run(
        [*sweep, "--yes", "--older-than=0s"],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert backend.status(name).state is JobState.ABSENT, ended.stdout + ended.stderr
    doctor = [*tradewind, "doctor", "--connection=my_slurm", "--connection=empty"]
    ended = subprocess.run(doctor, env=environment, capture_output=True, text=True)
    assert "may be written from here" in ended.stdout
    assert "is UP" in ended.stdout
    assert "names no folder. Set root" in ended.stdout


def test_the_operator_describes_the_job(slurm: Path, tmp_path: Path, monkeypatch) -> None:
    from tradewind_slurm.operators import SlurmOperator

    operator: Any = SlurmOperator(
        task_id="t", command="echo 1", root="/shared", partition="batch", environment={"A": 1}
    )
    job = operator.make_work({})
    assert (job.script, job.environment, job.options) == (
        "echo 1",
        {"A": "1"},
        ("--partition=batch",),
    )
    assert operator.backend_spec().arguments == {"root": "/shared"}
    by_connection = SlurmOperator(task_id="t", command="echo 1", slurm_conn_id="my_slurm")
    assert by_connection.backend_spec().arguments == {"slurm_conn_id": "my_slurm"}
    with monkeypatch.context() as patched:
        extra = {"root": str(tmp_path / "jobs")}
        given = json.dumps({"conn_type": "slurm", "extra": extra})
        patched.setenv("AIRFLOW_CONN_MY_SLURM", given)
        with closing(by_connection.open_backend()) as opened:
            assert list(opened.list()) == []
        patched.setenv("AIRFLOW_CONN_MY_SLURM", json.dumps({"conn_type": "ssh"}))
        with pytest.raises(SetupError, match="of the type 'ssh'"):
            by_connection.open_backend()
