"""The object stores beside S3: what `tradewind up` prints leads there, and data stay."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tradewind.airflow.connections.stores import store_of
from tradewind.errors import SetupError
from tradewind.local import up
from tradewind.local.system import find_systems
from tradewind.systems.azure.store import AzureStore
from tradewind.systems.gcs.store import GCSStore
from tradewind.systems.sftp.store import SFTPStore

pytestmark = pytest.mark.airflow


@pytest.mark.parametrize("name", ["azure", "gcs", "sftp"])
def test_clients_are_led_there_and_data_stay(
    name: str, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    try:
        find_systems()[name].check()
    except SetupError as error:
        pytest.skip(str(error))
    for again in (False, True):
        with up([name], data=data) as systems:
            for variable, value in systems.environment.items():
                monkeypatch.setenv(variable, value)
            found: list[tuple[Any, str]]
            if name == "azure":
                uri = "az://tradewind/a/b"
                found = [store_of(uri), AzureStore.from_uri(uri)]
            elif name == "gcs":
                uri = "gs://tradewind/a/b"
                found = [store_of(uri), GCSStore.from_uri(uri)]
            else:
                notes = systems[name].offer.notes
                uri = f"sftp://{notes['files']}/a/b"
                place = systems[name].endpoint + f"{notes['files']}/a/b"
                found = [store_of(uri), store_of(uri, "ssh_default"), SFTPStore.from_uri(place)]
                assert found[0][0].absolute("a").endswith("/files/a"), "where a login begins"
            if not again:
                store, key = found[0]
                upload = store.upload(key)
                upload.write(b"data")
                upload.complete()
            for store, key in found:
                store.check()
                assert b"".join(store.read(key)) == b"data"
                if name == "azure":
                    store.client.close()


@pytest.mark.parametrize("name", ["azure", "gcs", "sftp"])
def test_what_is_missing_is_said(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("TRADEWIND_AZURITE", "TRADEWIND_FAKE_GCS_SERVER"):
        monkeypatch.setenv(variable, "/nowhere")
    monkeypatch.setattr("tradewind.systems.sftp.local._PATH", "/nowhere")
    with pytest.raises(SetupError, match=f"^{name}: .* is not installed. Install"):
        find_systems()[name].check()
