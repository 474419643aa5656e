"""Operators between systems that the DAGs of the other tests leave out."""

from __future__ import annotations

import io
import json
import sqlite3
from contextlib import closing
from datetime import UTC
from pathlib import Path
from threading import Thread
from typing import Any

import pyarrow.parquet as pq
import pytest

from emulators import Emulator, versity_user
from object_moves import ManyRows
from tradewind.airflow import (
    HttpToS3Operator,
    Objects,
    Sql,
    SqlToAzureBlobOperator,
    SqlToGCSOperator,
    Table,
    TransferOperator,
)
from tradewind.airflow.connections.stores import store_of
from tradewind.errors import InputError
from tradewind.local import Systems
from tradewind.move.formats.jsonl import JsonLinesFormat
from tradewind.move.objects.target import ObjectTarget
from tradewind.move.transfer import transfer
from tradewind.owner import Owner
from tradewind.systems.s3.airflow import split_s3

pytestmark = pytest.mark.airflow

QUERY = "SELECT 1 AS id, 'a' AS name UNION ALL SELECT 2, NULL ORDER BY 1"


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Any:
    def make(conn_id: str, conn_type: str, **fields: Any) -> str:
        text = json.dumps({"conn_type": conn_type, **fields})
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", text)
        return conn_id

    return make


@pytest.fixture
def database(connect: Any, tmp_path: Path) -> str:
    """A connection to a SQLite file, ``it.db``."""
    (tmp_path / "it.db").touch()
    made: str = connect("file_db", "sqlite", host=str(tmp_path / "it.db"))
    return made


def run(task: Any) -> Any:
    return task.execute({})


def read(uri: str, conn_id: str | None = None) -> bytes:
    store, key = store_of(uri, conn_id)
    return b"".join(store.read(key))


def test_sql_to_gcs(
    fake_gcs: Emulator, database: str, connect: Any, monkeypatch: pytest.MonkeyPatch
):
    import httpx

    monkeypatch.setenv("STORAGE_EMULATOR_HOST", fake_gcs.endpoint)
    connect("google_cloud_default", "google_cloud_platform", extra={"is_anonymous": True})
    httpx.post(f"{fake_gcs.endpoint}/storage/v1/b", json={"name": "airflow-gcs"})
    given = {"sql": QUERY, "bucket": "airflow-gcs", "sql_conn_id": database}
    told = run(SqlToGCSOperator(task_id="t", filename="rows.json", **given))
    assert told["rows"] == 2
    assert read("gs://airflow-gcs/rows.json") == b'{"id":1,"name":"a"}\n{"id":2,"name":null}\n'
    given.update(export_format="csv", field_delimiter=";", null_marker="-")
    run(SqlToGCSOperator(task_id="t", filename="rows_{}.csv", exclude_columns={"id"}, **given))
    assert read("gs://airflow-gcs/rows_0.csv") == b"name\na\n-\n"


def test_sql_to_azure_blob(azurite: Emulator, database: str, connect: Any):
    from azure.storage.blob import BlobServiceClient

    with BlobServiceClient(azurite.endpoint, credential=azurite.key) as client:
        client.create_container("airflow-azure")
    connect("wasb_default", "wasb", host=azurite.endpoint, password=azurite.key)
    task = SqlToAzureBlobOperator(
        task_id="t",
        query=QUERY,
        sql_conn_id=database,
        container_name="airflow-azure",
        blob_name="out/rows",
        file_format="parquet",
    )
    told = run(task)
    assert azurite.key not in json.dumps(told)
    table = pq.read_table(io.BytesIO(read("az://airflow-azure/out/rows.parquet")))
    assert table.to_pydict() == {"id": [1, 2], "name": ["a", None]}


def test_mariadb_into_sqlite_and_back(
    local_mariadb: Systems, database: str, connect: Any, tmp_path: Path
):
    mysql = json.loads(local_mariadb.environment["AIRFLOW_CONN_MYSQL_DEFAULT"])
    connect("maria", **mysql)
    query = "SELECT 1 AS id, %s AS name UNION ALL SELECT 2, NULL ORDER BY 1"
    move = TransferOperator(
        task_id="t",
        source=Sql("maria", query, parameters=["a"]),
        target=Table(database, "airflow_words", create=True),
    )
    assert run(move)["rows"] == 2
    with closing(sqlite3.connect(tmp_path / "it.db")) as opened:
        assert opened.execute("SELECT * FROM airflow_words").fetchall() == [(1, "a"), (2, None)]
    back = TransferOperator(
        task_id="t",
        source=Sql(database, "SELECT * FROM airflow_words WHERE id = ?", parameters=[1]),
        target=Table("maria", "airflow_words", create=True),
    )
    assert run(back)["rows"] == 1


def test_any_database_by_its_hook(local_postgres: Systems, connect: Any, tmp_path: Path):
    # Redshift speaks PostgreSQL's protocol without its COPY: read by the hook's connection.
    postgres = json.loads(local_postgres.environment["AIRFLOW_CONN_POSTGRES_DEFAULT"])
    connect("redshift", **{**postgres, "extra": {"redshift": True}})
    move = TransferOperator(
        task_id="t",
        source=Sql("redshift", "SELECT %s AS id, 'x' AS name", parameters=[7]),
        target=Objects(f"file://{tmp_path}/rows.csv"),
    )
    run(move)
    assert (tmp_path / "rows.csv").read_bytes() == b"id,name\n7,x\n"


def test_what_a_database_cannot_is_said(database: str):
    with pytest.raises(InputError, match=r"SQLiteSource has no split. Leave it out"):
        Sql(database, "SELECT 1", split="id", connections=2).source()


def test_s3_settings_of_a_connection(connect: Any):
    connect(
        "my_s3",
        "aws",
        login="AKIAEXAMPLE",
        password="a-secret-key",
        extra={
            "region_name": "eu-central-1",
            "verify": False,
            "config_kwargs": {"s3": {"addressing_style": "path"}},
            "service_config": {"s3": {"endpoint_url": "http://127.0.0.1:1"}},
        },
    )
    store: Any = store_of("s3://bucket/key", "my_s3")[0]
    assert store.client.meta.endpoint_url == "http://127.0.0.1:1"
    assert store.client.meta.region_name == "eu-central-1"
    assert store.client.meta.config.s3["addressing_style"] == "path"
    assert "a-secret-key" not in repr(store) + store.describe()


def test_buckets_of_s3(connect: Any):
    extra = {"service_config": {"s3": {"bucket_name": "usual"}}}
    connect("my_s3", "aws", extra=extra)
    names = {"conn_id": "my_s3", "bucket_argument": "s3_bucket", "key_argument": "s3_key"}
    assert split_s3("b", "k/l", **names) == ("b", "k/l")
    assert split_s3(None, "s3://b/k/l", **names) == ("b", "k/l")
    assert split_s3(None, "k/l", **names) == ("usual", "k/l")
    with pytest.raises(InputError, match="leave s3_bucket out"):
        split_s3("b", "s3://b/k", **names)
    with pytest.raises(InputError, match=r"name no object: None, 'k'"):
        split_s3(None, "k", **{**names, "conn_id": None})


@pytest.mark.parametrize(
    ("uri", "says"),
    [
        ("ftp://host/key", "no URI of an object store. Begin it with az://"),
        ("s3://bucket", "names no object"),
        ("/tmp/file.csv", "no URI of an object store"),
    ],
)
def test_uris_that_are_none(uri: str, says: str):
    with pytest.raises(InputError, match=says):
        store_of(uri)


def test_credentials_that_renew_themselves_do_so_while_data_move(
    connect: Any, monkeypatch: pytest.MonkeyPatch
):
    """A role's credentials: the session is the hook's, which asks for new ones in time."""
    from datetime import datetime, timedelta

    from airflow.providers.amazon.aws.hooks.base_aws import BaseSessionFactory

    asked: list[int] = []

    def credentials(self: Any) -> dict[str, Any]:
        asked.append(1)
        return {
            "access_key": f"AKIA{len(asked)}",
            "secret_key": "s",
            "token": "t",
            # Within botocore's window of mandatory renewal: the next request asks again.
            "expiry_time": (datetime.now(UTC) + timedelta(minutes=5)).isoformat(),
        }

    monkeypatch.setattr(BaseSessionFactory, "_refresh_credentials", credentials)
    connect(
        "role",
        "aws",
        login="AKIAEXAMPLE",
        password="a-secret-key",
        extra={"region_name": "eu-west-1", "role_arn": "arn:aws:iam::123456789012:role/reader"},
    )
    store: Any = store_of("s3://bucket/key", "role")[0]
    signer = store.client._request_signer._credentials
    before = len(asked)
    first, second = signer.get_frozen_credentials(), signer.get_frozen_credentials()
    assert first.access_key != second.access_key
    assert len(asked) > before


def test_credentials_that_expire_while_data_move(
    versity: Emulator, connect: Any, monkeypatch: pytest.MonkeyPatch
):
    """A role whose credentials the server forgets in the middle: the next ones go on."""
    import secrets
    from datetime import datetime, timedelta

    import boto3
    from airflow.providers.amazon.aws.hooks.base_aws import BaseSessionFactory

    keys = {f"user{number}": secrets.token_hex(20) for number in (1, 2)}
    for name, secret in keys.items():
        versity_user(versity, "create-user", name, secret)
    valid, signed = ["user1"], []

    def credentials(self: Any) -> dict[str, Any]:
        signed.append(valid[0])
        return {
            "access_key": valid[0],
            "secret_key": keys[valid[0]],
            "token": None,
            # Within botocore's window of mandatory renewal: the next request asks again.
            "expiry_time": (datetime.now(UTC) + timedelta(minutes=5)).isoformat(),
        }

    def expire(row: int) -> None:
        if row == 8_000:
            valid[0] = "user2"
            versity_user(versity, "delete-user", "user1")

    monkeypatch.setattr(BaseSessionFactory, "_refresh_credentials", credentials)
    extra = {"region_name": "eu-west-1", "role_arn": "arn:aws:iam::123456789012:role/writer"}
    extra["service_config"] = {"s3": {"endpoint_url": versity.endpoint}}
    extra["config_kwargs"] = {"s3": {"addressing_style": "path"}}
    connect("role", "aws", login="AKIAEXAMPLE", password="a-secret-key", extra=extra)
    root = boto3.Session(versity.account, versity.key, region_name="eu-west-1")
    bucket = f"roles-{secrets.token_hex(4)}"
    client = root.client("s3", endpoint_url=versity.endpoint)
    client.create_bucket(
        Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    store: Any = store_of(f"s3://{bucket}/rows.csv", "role", part_bytes=5 << 20)[0]
    receipt = transfer(
        ManyRows(30_000, before=expire), ObjectTarget(store, "rows.csv"), Owner("d", "r", "t")
    )
    assert receipt.rows == 30_000
    assert {"user1", "user2"} <= set(signed)
    assert client.head_object(Bucket=bucket, Key="rows.csv")["ContentLength"] == receipt.bytes
    versity_user(versity, "delete-user", "user2")


@pytest.fixture
def echo() -> Any:
    """An HTTP server that keeps what it was asked; ``echo.asked``."""
    from http.server import BaseHTTPRequestHandler, HTTPServer

    asked: list[tuple[str, str, dict[str, str], bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked.append((self.command, self.path, headers, body))
            answer = b'[{"id": 1}]'
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_GET = do_POST

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        server.asked = asked  # type: ignore[attr-defined]
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("arguments", "path", "body", "kind"),
    [
        ({"data": {"a": "1"}}, "/x?a=1", b"", None),
        ({"data": "a=1&b=2"}, "/x?a=1&b=2", b"", None),
        (
            {"method": "POST", "data": {"a": "ä", "b": [1, 2]}},
            "/x",
            b"a=%C3%A4&b=1&b=2",
            "application/x-www-form-urlencoded",
        ),
        ({"data": "id=1&id=2&state=open"}, "/x?id=1&id=2&state=open", b"", None),
        (
            {"data": {"since": None, "active": True, "a": [1, None, 2]}},
            "/x?active=True&a=1&a=2",
            b"",
            None,
        ),
        (
            {"method": "POST", "data": {"since": None, "active": True}},
            "/x",
            b"active=True",
            "application/x-www-form-urlencoded",
        ),
        (
            {"endpoint": "x?flag&q=a%20b+c&id=1", "data": {"id": 2}},
            "/x?flag&q=a%20b+c&id=1&id=2",
            b"",
            None,
        ),
        ({"endpoint": "x?flag&q=a%20b"}, "/x?flag&q=a%20b", b"", None),
        ({"headers": {"X-More": "1", "X-None": None}}, "/x", b"", None),
        ({"method": "POST", "data": '{"a": 1}'}, "/x", b'{"a": 1}', None),
    ],
)
def test_requests_are_what_the_official_operator_sends(
    echo: Any, connect: Any, arguments: Any, path: str, body: bytes, kind: str | None
):
    host, port = echo.server_address
    fields = {"host": host, "port": port, "login": "me", "password": "pass-word"}
    connect("echo", "http", extra={"X-Team": "blue"}, **fields)
    task = HttpToS3Operator(
        task_id="t",
        http_conn_id="echo",
        s3_key="s3://b/k",
        **{"endpoint": "x", "headers": {"X-More": "1"}, **arguments},
    )
    assert b"".join(task._source().encoded(JsonLinesFormat()).chunks) == b'[{"id": 1}]'
    ((_, asked_path, headers, asked_body),) = echo.asked
    assert (asked_path, asked_body) == (path, body)
    assert headers.get("content-type") == kind
    assert (headers["x-team"], headers["x-more"]) == ("blue", "1")
    assert headers["authorization"].startswith("Basic ")
