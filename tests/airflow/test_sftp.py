"""SFTP by Airflow's connections."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ssh_server import SSHServer, ssh_server
from tradewind.airflow import Objects, TransferOperator
from tradewind.airflow.connections import source_of_connection
from tradewind.airflow.connections.stores import store_of
from tradewind.errors import InputError, SetupError
from tradewind.systems.sftp.airflow import sftp_store
from tradewind.systems.sftp.store import SFTPStore

pytestmark = pytest.mark.airflow

SECRET = "hunter2-very-secret"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SSHServer]:
    with ssh_server(tmp_path_factory.mktemp("sshd")) as server:
        yield server


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def make(**fields: Any) -> None:
        text = json.dumps({"conn_type": "sftp", **fields})
        monkeypatch.setenv("AIRFLOW_CONN_SFTP_DEFAULT", text)

    return make


def test_files_are_moved(server: SSHServer, connect: Callable[..., None], tmp_path: Path) -> None:
    extra = {"key_file": str(server.key_file), "host_key": server.host_key}
    connect(host="127.0.0.1", port=server.port, login=server.username, extra=extra)
    (tmp_path / "in.csv").write_text("id\n1\n2\n")
    TransferOperator(
        task_id="move",
        source=Objects(f"sftp://127.0.0.1:{server.port}{tmp_path}/in.csv"),
        target=Objects(f"sftp://{tmp_path}/out/all.jsonl", conn_id="sftp_default"),
    ).execute({})
    assert (tmp_path / "out/all.jsonl").read_text() == '{"id":1}\n{"id":2}\n'
    source = source_of_connection("sftp_default", {"key": f"sftp://{tmp_path}/out/*.jsonl"})
    with source.batches() as batches:
        assert [row["id"] for batch in batches for row in batch.to_pylist()] == [1, 2]


def test_the_store_is_the_folder_that_is_named(connect: Callable[..., None]) -> None:
    connect(host="files.example", login="me", password=SECRET)
    for uri in ("sftp:///a/b/x*.csv", "sftp://me@files.example:22/a/b/x*.csv"):
        store, key = store_of(uri)
        assert isinstance(store, SFTPStore)
        assert (store.root, key, store.host, store.username) == (
            "/a/b",
            "x*.csv",
            "files.example",
            "me",
        )
        assert SECRET not in repr(store)


def test_a_password_goes_to_its_own_host_alone(connect: Callable[..., None]) -> None:
    connect(host="files.example", login="me", password=SECRET)
    for place in ("other.example", "you@files.example", "files.example:2222"):
        with pytest.raises(InputError, match=r"leads to me@files\.example") as refused:
            sftp_store(place)
        assert SECRET not in str(refused.value)
    with pytest.raises(InputError, match="has a password") as refused:
        sftp_store(f"me:{SECRET}@files.example")
    assert SECRET not in str(refused.value)


def test_the_host_may_stand_in_the_uri_alone(connect: Callable[..., None]) -> None:
    connect()
    store = sftp_store("me@files.example")
    assert (store.host, store.username) == ("files.example", "me")
    with pytest.raises(SetupError, match="no host"):
        sftp_store("")
