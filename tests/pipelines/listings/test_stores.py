"""The parameter `store`: the same months and results in S3, Google Cloud Storage and Azure."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from emulators import Emulator
from listings import crunch
from listings.seed import City
from tradewind.move.store import Store
from tradewind.systems.azure.store import AzureStore
from tradewind.systems.gcs.store import GCSStore
from tradewind.systems.s3.store import S3Store

HISTORY = crunch.months("2015-04", "2015-06")
COLUMNS = (
    "id,name,host_id,host_name,neighbourhood,latitude,longitude,room_type,price,"
    "minimum_nights,number_of_reviews,last_review,download_date"
)
NAMES = ("falls.json", "movers.jsonl", "rises.json", "trend.json")


def put(store: Store, key: str, data: bytes) -> None:
    upload = store.upload(key)
    upload.write(data)
    upload.complete()


def get(store: Store, key: str) -> bytes:
    return b"".join(store.read(key))


def program(store: str, bucket: str, environment: dict[str, str]) -> Any:
    """Run the program as a stranger's machine would: without this project."""
    surroundings = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    return subprocess.run(
        [
            *(sys.executable, Path(crunch.__file__)),
            *(f"--store={store}", f"--bucket={bucket}", "--start=2015-04", "--month=2015-06"),
        ],
        env={**surroundings, **environment},
        capture_output=True,
        text=True,
    )


def connect(
    monkeypatch: pytest.MonkeyPatch, fake_gcs: Emulator, azurite: Emulator, **azure: Any
) -> None:
    google = {"conn_type": "google_cloud_platform", "extra": {"is_anonymous": True}}
    wasb = {
        "conn_type": "wasb",
        "host": azurite.endpoint,
        "login": azurite.account,
        "password": azurite.key,
    }
    monkeypatch.setenv("AIRFLOW_CONN_GOOGLE_CLOUD_DEFAULT", json.dumps(google))
    monkeypatch.setenv("AIRFLOW_CONN_WASB_DEFAULT", json.dumps({**wasb, **azure}))
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", fake_gcs.endpoint)


@pytest.mark.airflow
def test_every_store_has_the_same_results_and_report(
    s3_store: S3Store,
    gcs_store: GCSStore,
    azure_store: AzureStore,
    fake_gcs: Emulator,
    azurite: Emulator,
    local_s3: Any,
    monkeypatch: pytest.MonkeyPatch,
):
    from listings import settings
    from listings.operators import PublishReportOperator

    connect(monkeypatch, fake_gcs, azurite)
    for name, value in local_s3.environment.items():
        monkeypatch.setenv(name, value)
    city = City(rows=60)
    stores: dict[str, tuple[Store, str]] = {
        "s3": (s3_store, s3_store.bucket),
        "gs": (gcs_store, gcs_store.bucket),
        "az": (azure_store, azure_store.container),
    }
    found: dict[str, list[bytes]] = {}
    for name, (store, bucket) in stores.items():
        for month in HISTORY:
            rows = [COLUMNS, *(",".join(map(_cell, row)) for row in city.month(month))]
            put(store, f"listings/{month}.csv", "".join(f"{row}\n" for row in rows).encode())
        put(store, "reviews/2015-06.jsonl", b'{"stars": 4}\n')
        put(store, "rates/2015-06.jsonl", b'{"currency": "USD", "rate": 1.1}\n')
        variables = {"endpoint": "endpoint", "account": "account", "key": "access_key"}
        told = {
            f"LISTINGS_STORE_{to.upper()}": settings.access(name, one)
            for one, to in {**variables, "sas": "sas_token", "token": "token"}.items()
        }
        done = program(name, bucket, told)
        assert done.returncode == 0, done.stderr
        report = PublishReportOperator(
            task_id="report", store=name, bucket=bucket, month="2015-06"
        ).execute({})
        assert report["report"] == f"{name}://{bucket}/reports/2015-06/index.html"
        assert len(get(store, "reports/2015-06/index.html")) == report["bytes"]
        found[name] = [get(store, f"results/2015-06/{one}") for one in NAMES]
    assert found["s3"] == found["gs"] == found["az"]
    assert json.loads(found["gs"][2])

    gone = program("gs", "none-such", {"LISTINGS_STORE_ENDPOINT": fake_gcs.endpoint})
    assert gone.returncode == 1
    assert "gs://none-such/listings/2015-04.csv is missing" in gone.stderr


def _cell(value: Any) -> str:
    text = "" if value is None else str(value)
    return f'"{text.replace(chr(34), chr(34) * 2)}"' if set(text) & set(',"\n\r') else text


@pytest.mark.airflow
def test_the_program_is_told_of_the_store_in_use_alone(
    fake_gcs: Emulator, azurite: Emulator, monkeypatch: pytest.MonkeyPatch
):
    from listings import settings

    names = ("endpoint", "account", "key", "sas", "token")
    connect(monkeypatch, fake_gcs, azurite)

    def told(store: str) -> dict[str, str]:
        return {
            name: settings.access(store, name) for name in names if settings.access(store, name)
        }

    assert told("s3") == {}
    assert told("gs") == {"endpoint": fake_gcs.endpoint}
    there = {"endpoint": azurite.endpoint, "account": azurite.account}
    assert told("az") == {**there, "key": azurite.key}
    signature = "?sv=2024-01-01&sig=abc%3D"
    connect(monkeypatch, fake_gcs, azurite, password=None, extra={"sas_token": signature})
    assert told("az") == {**there, "sas": signature[1:]}
