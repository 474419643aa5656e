"""The MongoDB of `tradewind up mongodb`, as its clients see it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from processes import gone
from tradewind.errors import SetupError
from tradewind.local import Systems, up
from tradewind.local.processes import free_port, wait_until
from tradewind.systems.mongodb.local import SYSTEM


@pytest.fixture
def installed() -> None:
    try:
        SYSTEM.check()
    except SetupError as error:
        pytest.skip(str(error))


@contextmanager
def client(systems: Systems, **other: Any) -> Iterator[MongoClient[dict[str, Any]]]:
    environment = systems.environment
    settings = {"password": environment["MONGODB_PASSWORD"], **other}
    with MongoClient(environment["MONGODB_URI"], **settings) as opened:
        yield opened


def test_reads_snapshots_and_transacts(local_mongodb: Systems) -> None:
    with client(local_mongodb) as mongo:
        boats = mongo.get_default_database()["boats"]
        assert boats.full_name == "tradewind.boats"
        boats.insert_one({"_id": 1})
        with mongo.start_session() as session, session.start_transaction():
            boats.insert_one({"_id": 2}, session=session)
            session.abort_transaction()
        with mongo.start_session(snapshot=True) as session:
            assert list(boats.find({}, session=session)) == [{"_id": 1}]
            boats.insert_one({"_id": 3})
            assert list(boats.find({}, session=session)) == [{"_id": 1}]


def test_is_found_as_a_replica_set(local_mongodb: Systems) -> None:
    with client(local_mongodb, replicaSet="tradewind") as mongo:
        assert mongo.admin.command("ping")["ok"] == 1


def test_refuses_strangers(local_mongodb: Systems) -> None:
    with (
        client(local_mongodb, password="wrong") as mongo,
        pytest.raises(OperationFailure, match="Authentication failed"),
    ):
        mongo.admin.command("ping")
    with (
        MongoClient(local_mongodb["mongodb"].endpoint) as mongo,
        pytest.raises(OperationFailure, match="requires authentication"),
    ):
        mongo.tradewind.boats.find_one()


@pytest.mark.usefixtures("installed")
def test_data_survive_a_kill_another_port_and_a_new_password(data: Path) -> None:
    port = free_port()
    with up(["mongodb"], data=data, ports={"mongodb": port}) as systems:
        with client(systems) as mongo:
            mongo.tradewind.kept.insert_one({"_id": "kept"})
        pid = systems["mongodb"].pids[0]
        os.kill(pid, signal.SIGKILL)
    assert wait_until(lambda: gone(pid), seconds=10)
    with up(["mongodb"], data=data) as systems:
        assert not systems["mongodb"].endpoint.endswith(f":{port}")
        with client(systems) as mongo:
            assert list(mongo.tradewind.kept.find()) == [{"_id": "kept"}]
        before = systems.environment["MONGODB_PASSWORD"]
    (data / "credentials.json").unlink()
    with up(["mongodb"], data=data) as systems:
        with client(systems) as mongo:
            assert list(mongo.tradewind.kept.find()) == [{"_id": "kept"}]
        with (
            client(systems, password=before) as mongo,
            pytest.raises(OperationFailure, match="Authentication failed"),
        ):
            mongo.admin.command("ping")


def test_missing_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(SetupError, match=r"mongodb: .*'mongod'.*tradewind\[local-mongodb\]"):
        SYSTEM.check()
