"""The data set comes from any store, and goes to S3, where SageMaker reads it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from emulators import Emulator
from tradewind.local import Systems
from tradewind.systems.azure.store import AzureStore
from tradewind.systems.gcs.store import GCSStore
from tradewind.systems.s3.store import S3Store

pytestmark = pytest.mark.airflow


def test_the_data_set_comes_from_any_store(
    s3_store: S3Store,
    gcs_store: GCSStore,
    azure_store: AzureStore,
    fake_gcs: Emulator,
    azurite: Emulator,
    local_s3: Systems,
    monkeypatch: pytest.MonkeyPatch,
):
    from digits.operators import DownloadOperator

    google = {"conn_type": "google_cloud_platform", "extra": {"is_anonymous": True}}
    wasb = {"conn_type": "wasb", "host": azurite.endpoint, "login": azurite.account}
    environment = {
        **local_s3.environment,
        "AIRFLOW_CONN_GOOGLE_CLOUD_DEFAULT": json.dumps(google),
        "AIRFLOW_CONN_MY_AZURE": json.dumps({**wasb, "password": azurite.key}),
        "STORAGE_EMULATOR_HOST": fake_gcs.endpoint,
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    sources: dict[str, tuple[Any, str, str]] = {
        "s3": (s3_store, s3_store.bucket, ""),
        "gs": (gcs_store, gcs_store.bucket, ""),
        "az": (azure_store, azure_store.container, "my_azure"),
    }
    for scheme, (store, bucket, connection) in sources.items():
        upload = store.upload("in/mnist.pkl.gz")
        upload.write(scheme.encode() * 1000)
        upload.complete()
        told = DownloadOperator(
            task_id="download_mnist",
            store=scheme,
            store_conn_id=connection,
            source_bucket_name=bucket,
            source_bucket_key="in/mnist.pkl.gz",
            dest_bucket_name=s3_store.bucket,
            dest_bucket_key=f"digits/{scheme}.gz",
        ).execute({})
        assert told["source"].startswith(f"{scheme}://{bucket}/"), told
        assert b"".join(s3_store.read(f"digits/{scheme}.gz")) == scheme.encode() * 1000
