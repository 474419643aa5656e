"""Jobs of BigQuery, against its emulator: the claims that backends make, without a shell."""

from __future__ import annotations

import argparse
import json
import threading
import uuid
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from tradewind.commands.sweep_systems import add_system_options, listings
from tradewind.errors import InputError
from tradewind.local import Systems
from tradewind.owner import Owner
from tradewind.run.backend import AlreadyStartedError, JobState, WorkFailedError
from tradewind.run.supervise import claim, supervise
from tradewind.sweep.leftover import Leftover
from tradewind.systems.bigquery.backend import BigQueryBackend, dry_run
from tradewind.systems.bigquery.connection import BigQueryConnection
from tradewind.testing.conformance.backend import until_ended

pytestmark = pytest.mark.xdist_group("bigquery")

pytest.importorskip("google.cloud.bigquery")


class Notes(dict[str, str]):
    def set(self, key: str, value: str) -> None:
        self[key] = value


@pytest.fixture
def connection(local_bigquery: Systems) -> BigQueryConnection:
    environment = local_bigquery.environment
    return BigQueryConnection(
        environment["GOOGLE_CLOUD_PROJECT"],
        "tradewind",
        endpoint=environment["BIGQUERY_EMULATOR_HOST"],
    )


@pytest.fixture
def backend(connection: BigQueryConnection) -> Iterator[BigQueryBackend]:
    made = BigQueryBackend(connection)
    yield made
    made.close()


@pytest.fixture
def owner() -> Owner:
    return Owner("jobs", uuid.uuid4().hex, "work", deployment="here", generation="g1")


def query(sql: str, wait: int = 0) -> dict[str, Any]:
    labels = {"guard_wait": str(wait)} if wait else {}
    return {"query": {"query": sql, "useLegacySql": False}, "labels": labels}


def test_a_job_runs_once_and_tells_its_statistics(
    backend: BigQueryBackend, owner: Owner, connection: BigQueryConnection
) -> None:
    table = f"t{uuid.uuid4().hex}"
    client = connection.client()
    client.query(f"CREATE TABLE tradewind.{table} (id INT64)").result()
    work = query(f"INSERT INTO tradewind.{table} (id) VALUES (1)")
    memory = Notes()
    for attended in (False, True):
        outcome = supervise(backend, owner, work, log=lambda _: None, state_store=memory)
        assert outcome.reattached is attended
        told = json.loads(outcome.result or "")
        assert told["jobReference"]["jobId"] == outcome.name
        assert "query" in told["statistics"]
    # Also where the first attempt's memory is lost: the job is found by its id.
    assert supervise(backend, owner, work, log=lambda _: None, state_store=Notes()).reattached
    assert [tuple(row) for row in client.query(f"SELECT id FROM tradewind.{table}")] == [(1,)]
    with pytest.raises(AlreadyStartedError):
        backend.submit(owner, 1, work, variables={})
    (piece,) = backend.list(owner)
    assert (piece.owner, piece.task_run) == (owner.digest, owner.run_digest)
    client.close()


def test_of_many_that_start_at_once_one_does(backend: BigQueryBackend, owner: Owner) -> None:
    told: list[str] = []
    together = threading.Barrier(4)

    def start() -> None:
        together.wait()
        try:
            backend.submit(owner, 1, query("SELECT 1"), variables={})
            told.append("started")
        except AlreadyStartedError:
            told.append("taken")

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(told) == ["started", "taken", "taken", "taken"]


def test_a_failed_job_is_told_once_and_followed_by_the_next(
    backend: BigQueryBackend, owner: Owner
) -> None:
    memory = Notes()
    with pytest.raises(WorkFailedError, match="no_such_table") as caught:
        supervise(
            backend, owner, query("SELECT * FROM tradewind.no_such_table"),
            log=lambda _: None, state_store=memory,
        )  # fmt: skip
    assert not caught.value.final
    outcome = supervise(backend, owner, query("SELECT 1"), log=lambda _: None, state_store=memory)
    assert outcome.name == backend.name_of(owner, 2)
    name = backend.name_of(owner, 3)
    assert backend.status(name).state is JobState.ABSENT
    backend.cancel(name)
    backend.delete(name)


def test_a_running_job_is_cancelled_and_of_a_deleted_run_before_the_next(
    backend: BigQueryBackend, owner: Owner
) -> None:
    work = query("SELECT 1", wait=60)
    again, other = replace(owner, generation="g2"), replace(owner, deployment="there")
    for each in (owner, other, again):
        assert claim(backend, each, work, state_store=Notes()).started
    assert until_ended(backend, backend.name_of(owner, 1)).reason == "it was cancelled"
    for each in (other, again):
        name = backend.name_of(each, 1)
        assert backend.status(name).state in (JobState.PENDING, JobState.RUNNING)
        assert name in {piece.name for piece in backend.list()}
        backend.delete(name)
        assert until_ended(backend, name).state is JobState.FAILED


def test_a_job_that_nobody_supervises_is_swept(
    backend: BigQueryBackend,
    owner: Owner,
    connection: BigQueryConnection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", str(connection.endpoint))

    def left(*option: str) -> dict[str | None, Leftover]:
        return {one.owner: one for _, found in named(*option) for one in found}

    def named(*option: str) -> Iterator[tuple[str, Iterator[Leftover]]]:
        parser = argparse.ArgumentParser()
        add_system_options(parser)
        return listings(parser.parse_args(option or ["--bigquery", connection.project]))

    claim(backend, owner, query("SELECT 1", wait=60), state_store=Notes())
    for option in ((), ("--system", f"bigquery={connection.project}")):
        job = left(*option)[owner.digest]
        assert backend.name_of(owner, 1) in job.what
        assert job.task_run == owner.run_digest
    job.remove()
    assert until_ended(backend, backend.name_of(owner, 1)).reason == "it was cancelled"
    assert owner.digest not in left()


def test_a_dry_run_tells_and_runs_nothing(connection: BigQueryConnection) -> None:
    told = dry_run(connection, query("SELECT 1 AS one"))
    assert told["statementType"] == "SELECT"
    assert int(told["totalBytesProcessed"]) >= 0
    for wrong in ({}, {"copy": {}}, query("SELEC")):
        with pytest.raises(InputError, match="BigQuery"):
            dry_run(connection, wrong)


def test_a_configuration_of_no_kind_is_refused(backend: BigQueryBackend, owner: Owner) -> None:
    for wrong in ({}, {"query": {}, "load": {}}, {"labels": {"a": "b"}}):
        with pytest.raises(InputError, match="Give one of"):
            backend.submit(owner, 1, wrong, variables={})
    with pytest.raises(InputError, match="job id"):
        BigQueryBackend(BigQueryConnection("p"), called="no spaces")
