"""What version 0.1 called otherwise still works, with a warning."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tradewind.former_names import FORMER_ATTRIBUTES
from tradewind.owner import Owner
from tradewind.run.backend import Backend, Job, JobState, JobStatus, LogLine
from tradewind.run.supervise import claim, supervise

OWNER = Owner("dag", "run", "task")


def test_names_lead_to_what_they_are_called_today():
    for module, names in FORMER_ATTRIBUTES.items():
        found = importlib.import_module(f"tradewind.{module}")
        for former, today in names.items():
            with pytest.warns(DeprecationWarning, match=f"is now {today}"):
                assert getattr(found, former) is getattr(found, today)
        with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
            getattr(found, "nonsense")  # noqa: B009


def test_owners_and_jobs_have_their_former_fields():
    with pytest.warns(DeprecationWarning, match="life is now clears"):
        owner = Owner("dag", "run", "task", life=2)
    assert owner == Owner("dag", "run", "task", clears=2)
    job = Job("name", owner.digest, "", 1, JobStatus(JobState.RUNNING))
    with pytest.warns(DeprecationWarning, match="is now"):
        assert (owner.life, job.sight.status) == (2, JobState.RUNNING)


def test_a_backend_written_for_version_0_1_runs():
    with pytest.warns(
        DeprecationWarning,
        match="look, remove, start, stop. It is now status, delete, submit, cancel",
    ):

        class Former(Backend[str]):
            name = "former"

            def __init__(self) -> None:
                self.there: dict[str, dict[str, str]] = {}

            def name_of(self, owner: Owner, number: int) -> str:
                return owner.name()

            def start(self, owner: Owner, number: int, work: str, *, tell: Mapping[str, str]):
                self.there[self.name_of(owner, number)] = dict(tell)

            def look(self, name: str) -> JobStatus:
                return JobStatus(JobState.SUCCEEDED if name in self.there else JobState.ABSENT)

            def logs(self, name: str, after: str | None, *, wait: float) -> Iterator[LogLine]:
                return iter(())

            def result(self, name: str, *, limit: int) -> bytes | None:
                return self.there[name]["answer"].encode()

            def stop(self, name: str) -> None:
                pass

            def remove(self, name: str) -> None:
                self.there.pop(name, None)

            def list(self, owner: Owner | None = None) -> Iterator[Job]:
                return iter(())

    class Notebook(dict[str, str]):
        set = dict.__setitem__

    backend: Any = Former()
    with pytest.warns(DeprecationWarning, match="tell is now variables"):
        assert claim(backend, OWNER, "work", state_store=Notebook(), tell={"answer": "1"}).started
    with pytest.warns(DeprecationWarning, match="memory is now state_store"):
        outcome = supervise(
            backend, OWNER, "work", memory=Notebook(), variables={"answer": "42"}, log=print
        )
    assert outcome.result == "42"
    assert backend.there == {}


def test_a_backend_of_today_answers_to_its_former_methods(tmp_path):
    from tradewind.run.job_folder import Command
    from tradewind.systems.process.backend import ProcessBackend

    class Mine(ProcessBackend):
        def status(self, name: str) -> JobStatus:
            return super().status(name)

    backend: Any = Mine(tmp_path)
    name = backend.name_of(OWNER, 1)
    with pytest.warns(DeprecationWarning, match="start is now submit"):
        backend.start(OWNER, 1, Command("true"), tell={})
    with pytest.warns(DeprecationWarning, match="look is now status"):
        assert backend.look(name).state is not JobState.ABSENT
    with pytest.warns(DeprecationWarning, match="remove is now delete"):
        backend.remove(name)
    assert backend.status(name).state is JobState.ABSENT
