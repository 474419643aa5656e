"""Credentials of Airflow's Google connections: each kind is taken, none is shown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tradewind.errors import SetupError

pytestmark = pytest.mark.airflow

SECRET = "hunter2-very-secret"


def test_google_service_account(connect: Any, google_key: dict[str, str]):
    from tradewind.systems.gcs.airflow import google_credentials

    credentials = google_credentials(
        connect("google_cloud_platform", extra={"keyfile_dict": json.dumps(google_key)})
    )
    assert credentials.service_account_email == google_key["client_email"]
    assert credentials.scopes == ["https://www.googleapis.com/auth/cloud-platform"]


def test_google_impersonation(connect: Any, google_key: dict[str, str]):
    from tradewind.systems.gcs.airflow import google_credentials

    extra = {
        "keyfile_dict": google_key,
        "scope": "https://www.googleapis.com/auth/devstorage.read_write",
        "impersonation_chain": "first@p.example,last@p.example",
    }
    credentials = google_credentials(connect("google_cloud_platform", extra=extra))
    assert credentials.service_account_email == "last@p.example"


def test_a_faulty_google_key_is_not_shown(connect: Any):
    from tradewind.systems.gcs.airflow import google_credentials

    key = {"private_key": SECRET, "client_email": "a@p.example", "token_uri": "https://t.example"}
    with pytest.raises(SetupError, match="gives no Google credentials") as caught:
        google_credentials(connect("google_cloud_platform", extra={"keyfile_dict": key}))
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None


def test_bigquery_takes_each_kind_of_google_credentials_and_shows_none(
    connect: Any, google_key: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """No cloud is asked: what is looked at is who would ask."""
    pytest.importorskip("google.cloud.bigquery")
    from tradewind.airflow import (
        BigQueryInsertJobOperator,
        BigQueryToGCSOperator,
        GCSToBigQueryOperator,
        Sql,
        Table,
    )
    from tradewind.systems.bigquery.airflow import bigquery_connection
    from tradewind.systems.bigquery.export import _store_of

    for name in ("BIGQUERY_EMULATOR_HOST", "STORAGE_EMULATOR_HOST"):
        monkeypatch.delenv(name, raising=False)
    key, federated = tmp_path / "key.json", tmp_path / "federated.json"
    key.write_text(json.dumps(google_key))
    pool = "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/a/providers/b"
    identity = {
        "type": "external_account",
        "audience": pool,
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": "https://sts.example/v1/token",
        "credential_source": {"file": str(key)},
    }
    federated.write_text(json.dumps(identity))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(key))
    chain = "first@p.example,last@p.example"
    for extra, kind, account in (
        ({"keyfile_dict": google_key}, "service_account", google_key["client_email"]),
        ({"key_path": str(key)}, "service_account", google_key["client_email"]),
        ({}, "service_account", google_key["client_email"]),  # application default ones
        ({"credential_config_file": str(federated)}, "identity_pool", None),
        ({"credential_config_file": json.dumps(identity)}, "identity_pool", None),
        ({"key_path": str(key), "impersonation_chain": chain}, "impersonated", "last@p.example"),
    ):
        conn_id = connect("google_cloud_platform", extra={"project": "p", **extra})
        common: dict[str, Any] = {"task_id": "t", "gcp_conn_id": conn_id}
        source: Any = Sql(conn_id, "SELECT 1", export="gs://b/p").source()
        table: Any = Table(conn_id, "d.t").target()
        whole = {
            "source": source.connection,
            "table": table.connection,
            "job": BigQueryInsertJobOperator(configuration={}, **common).connection(),
            "export": BigQueryToGCSOperator(
                source_project_dataset_table="d.t",
                destination_cloud_storage_uris=["gs://b/k"],
                **common,
            ).connection(),
            "load": GCSToBigQueryOperator(
                bucket="b",
                source_objects="k",
                destination_project_dataset_table="d.t",
                **common,
            ).connection(),
        }
        for what, connection in whole.items():
            made = connection.credentials()
            assert kind in type(made).__module__, (what, extra)
            assert getattr(made, "service_account_email", account) == account
            assert google_key["private_key"][40:80] not in repr(connection)
        client = source.connection.client()
        assert kind in type(client._credentials).__module__
        client.close()
        assert _store_of(source.connection, "b").http._credentials is source.connection.credentials
        asked = bigquery_connection(conn_id, impersonation_chain="other@p.example")
        assert asked.credentials().service_account_email == "other@p.example"


def test_tokens_behind_an_impersonation_are_hidden():
    from google.auth.impersonated_credentials import Credentials
    from google.oauth2.credentials import Credentials as User

    from tradewind.redaction import redacted
    from tradewind.systems.gcs.credentials import remember_credentials

    user: Any = User(token="token-of-the-source", refresh_token="refresh-of-the-source")
    made: Any = Credentials(user, "a@p.example", ["scope"])
    made.token = "token-of-the-account"
    remember_credentials(made)
    said = redacted("token-of-the-source refresh-of-the-source token-of-the-account")
    assert "of-the" not in said


@pytest.fixture(scope="session")
def google_key() -> dict[str, str]:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return {
        "type": "service_account",
        "private_key": key.decode(),
        "client_email": "app@project.example",
        "token_uri": "https://oauth2.example/token",
    }
