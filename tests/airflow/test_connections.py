"""Airflow's connections as the settings of what moves data."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from tradewind.airflow.connections import (
    find_connection,
    source_of_connection,
    target_of_connection,
)
from tradewind.airflow.connections.sql import database_of, sql_source, sql_table
from tradewind.errors import InputError, SetupError
from tradewind.systems.azure.airflow import azure_settings
from tradewind.systems.http.airflow import http_connection
from tradewind.systems.mongodb.airflow import connection_of as mongo_of
from tradewind.systems.mongodb.source import MongoSource

pytestmark = pytest.mark.airflow

SECRET = "hunter2-very-secret"


def mongo_connection(conn_id):
    return mongo_of(find_connection(conn_id))


def mongo_source(conn_id, **options):
    return MongoSource(mongo_connection(conn_id), **options)


def test_a_missing_connection_says_how_to_make_one():
    with pytest.raises(SetupError, match=r"no connection 'nowhere'.*AIRFLOW_CONN_NOWHERE"):
        find_connection("nowhere")


def test_postgres(connect: Any):
    source: Any = sql_source(
        connect(
            "postgres",
            host="db.example",
            port=5433,
            login="app",
            password=SECRET,
            schema="shop",
            extra={"sslmode": "require", "cursor": "dictcursor", "connect_timeout": 5},
        ),
        query="SELECT 1",
    )
    connection = source.connection
    assert (connection.host, connection.port, connection.user) == ("db.example", 5433, "app")
    assert (connection.password, connection.database) == (SECRET, "shop")
    assert connection.options["sslmode"] == "require"
    assert "cursor" not in connection.options
    assert SECRET not in repr(connection) + repr(source) + source.describe()


def test_parameters_of_the_postgres_hook(connect: Any):
    conn_id = connect("postgres", host="db.example", login="app", schema="shop")
    params = {"database": "other", "options": "-c search_path=mine"}
    source: Any = sql_source(conn_id, query="SELECT 1", hook_params=params)
    assert source.connection.database == "other"
    assert source.connection.options["options"] == "-c search_path=mine"
    with pytest.raises(InputError, match="'keepalive' has no meaning"):
        sql_source(conn_id, query="SELECT 1", hook_params={"keepalive": 1})


def test_a_table_of_a_database_without_target(connect: Any):
    conn_id = connect("trino", host="db.example")
    with pytest.raises(SetupError, match="'trino', into which nothing is loaded yet"):
        sql_table(conn_id, "t")


def test_a_connection_that_is_no_database(connect: Any):
    with pytest.raises(SetupError, match=r"no SQL database|has no hook"):
        sql_source(connect("http", host="api.example"), query="SELECT 1")


def test_names_of_data_for_lineage(connect: Any):
    conn_id = connect("postgres", host="db.example", schema="shop", login="app")
    database = database_of(conn_id)
    assert database.table("listings") == ("postgres://db.example:5432", "shop.public.listings")
    assert database.table("web.visits").name == "shop.web.visits"
    read = database.tables_of("SELECT * FROM listings JOIN web.visits USING (id)")
    assert {each.name for each in read} == {"shop.public.listings", "shop.web.visits"}
    assert database.tables_of("not SQL at all (") == ()


def test_mongo(connect: Any):
    conn_id = connect(
        "mongo",
        host="mongo.example",
        port=27018,
        login="app",
        password=SECRET,
        schema="shop",
        extra={"authSource": "admin", "ssl": "true", "allow_insecure": "true"},
    )
    connection = mongo_connection(conn_id)
    assert connection.address == "mongo.example:27018"
    assert connection.database == "shop"
    assert SECRET in connection.uri
    assert SECRET not in repr(connection)
    assert connection.options["authSource"] == "admin"
    assert connection.options["tlsAllowInvalidCertificates"] is True
    assert connection.options["tls"] is True
    assert mongo_source(conn_id, collection="orders").database == "shop"
    assert mongo_source(conn_id, database="other", collection="orders").database == "other"


def test_mongo_without_a_database(connect: Any):
    with pytest.raises(InputError, match="no database is named"):
        mongo_source(connect("mongo", host="mongo.example"), collection="orders")


def test_http(connect: Any):
    conn_id = connect(
        "http",
        host="api.example",
        schema="https",
        port=8443,
        login="app",
        password=SECRET,
        extra={"X-Team": "blue", "timeout": 7, "verify": False, "max_redirects": 2},
    )
    connection = http_connection(conn_id, headers={"X-More": "1"})
    assert connection.base_url == "https://api.example:8443"
    assert connection.headers == {"X-Team": "blue", "X-More": "1"}
    assert connection.auth == ("app", SECRET)
    assert (connection.read_timeout, connection.verify, connection.redirects) == (7.0, False, 2)
    assert SECRET not in repr(connection)


def test_http_host_with_a_scheme(connect: Any):
    assert http_connection(connect("http", host="https://api.example/v1")).base_url == (
        "https://api.example/v1"
    )


def test_http_options_are_read_as_the_hook_reads_them(connect: Any):
    conn_id = connect("http", host="api.example")
    given = {"verify": "/ca.pem", "cert": ["/c.pem", "/k.pem"], "timeout": [3, 9]}
    connection = http_connection(conn_id, extra_options=given)
    assert connection.verify == "/ca.pem"
    assert connection.cert == ("/c.pem", "/k.pem")
    assert (connection.connect_timeout, connection.read_timeout) == (3.0, 9.0)
    with pytest.raises(InputError, match="'pool' has no meaning here"):
        http_connection(conn_id, extra_options={"pool": 1})
    with pytest.raises(InputError, match="would store an error page"):
        http_connection(conn_id, extra_options={"check_response": False})


def test_http_auth_of_requests_serves(connect: Any):
    import httpx
    from requests.auth import HTTPBasicAuth, HTTPProxyAuth

    conn_id = connect("http", host="api.example", login="app", password=SECRET)
    assert http_connection(conn_id, auth_type=HTTPBasicAuth).auth == ("app", SECRET)
    auth: Any = http_connection(conn_id, auth_type=HTTPProxyAuth).auth
    request = next(auth.auth_flow(httpx.Request("GET", "http://api.example/")))
    assert request.headers["Proxy-Authorization"].startswith("Basic ")


@pytest.mark.parametrize(
    ("fields", "settings"),
    [
        (
            {"login": "account", "password": SECRET},
            {"account": "account", "credential": SECRET},
        ),
        (
            {"login": "account", "extra": {"shared_access_key": SECRET}},
            {"account": "account", "credential": SECRET},
        ),
        (
            {"host": "https://account.blob.core.windows.net", "extra": {"sas_token": "?sv=1"}},
            {"account": "account", "credential": "?sv=1"},
        ),
        (
            {"extra": {"connection_string": f"AccountName=account;AccountKey={SECRET}=="}},
            {"account": "account", "credential": f"{SECRET}=="},
        ),
        (
            {
                "extra": {
                    "connection_string": "AccountName=devstoreaccount1;AccountKey=k;"
                    "BlobEndpoint=http://127.0.0.1:10000/devstoreaccount1;"
                }
            },
            {
                "account": "devstoreaccount1",
                "credential": "k",
                "endpoint": "http://127.0.0.1:10000/devstoreaccount1",
            },
        ),
        (
            {"host": "http://127.0.0.1:10000/devstoreaccount1", "password": SECRET},
            {
                "account": "devstoreaccount1",
                "credential": SECRET,
                "endpoint": "http://127.0.0.1:10000/devstoreaccount1",
            },
        ),
    ],
)
def test_azure(connect: Any, fields: dict[str, Any], settings: dict[str, Any]):
    assert azure_settings(connect("wasb", **fields)) == settings


def test_azure_service_principal(connect: Any):
    from azure.identity import ClientSecretCredential

    conn_id = connect(
        "wasb",
        host="account.blob.core.windows.net",
        login="app-id",
        password=SECRET,
        extra={"tenant_id": "00000000-0000-0000-0000-000000000000"},
    )
    settings = azure_settings(conn_id)
    assert settings["account"] == "account"
    assert isinstance(settings["credential"], ClientSecretCredential)


def test_azure_without_an_account(connect: Any):
    with pytest.raises(SetupError, match="names no storage account"):
        azure_settings(connect("wasb", password=SECRET))


# --- as the command line names them


def test_a_source_of_a_connection(connect: Any):
    conn_id = connect("postgres", host="db.example", login="app", schema="shop")
    source: Any = source_of_connection(
        conn_id, {"query": "SELECT 1", "connections": "2", "split": "ctid"}
    )
    assert (source.query, source.connections) == ("SELECT 1", 2)
    with pytest.raises(InputError, match="no option 'quer'"):
        source_of_connection(conn_id, {"quer": "SELECT 1"})


def test_operators_of_queries_hand_on_how_long_a_row_may_be(
    connect: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
):
    from tradewind.airflow import SqlToGCSOperator, SqlToS3Operator
    from tradewind.systems.files.store import FileStore

    conn_id = connect("sqlite", host=str(tmp_path / "a.db"))
    store = FileStore(tmp_path)
    monkeypatch.setattr(SqlToS3Operator, "store_and_key", lambda operator: (store, "a"))
    monkeypatch.setattr("tradewind.systems.gcs.airflow.gcs_store", lambda *given, **more: store)
    common = {"task_id": "t", "sql_conn_id": conn_id}
    for limit in (None, 5):
        for operator in (
            SqlToS3Operator(
                query="SELECT 1", s3_bucket="b", s3_key="k", max_row_bytes=limit, **common
            ),
            SqlToGCSOperator(
                sql="SELECT 1", bucket="b", filename="a", max_row_bytes=limit, **common
            ),
        ):
            assert operator.plan_move({}).source.max_row_bytes == (limit or 64 << 20)


def test_a_table_of_a_connection(connect: Any):
    conn_id = connect("postgres", host="db.example", login="app", schema="shop")
    options = {"table": "t", "mode": "upsert", "keys": "a,b", "create": "true"}
    target: Any = target_of_connection(conn_id, options)
    assert (target.table, target.mode, target.keys, target.create) == (
        "t",
        "upsert",
        ("a", "b"),
        True,
    )
    with pytest.raises(InputError, match="tabel"):
        target_of_connection(conn_id, {"tabel": "t"})


def test_a_connection_of_a_system_that_runs_jobs_is_no_place_of_rows(connect: Any):
    for made in (source_of_connection, target_of_connection):
        with pytest.raises(InputError, match="leads to Apache Livy: it runs jobs"):
            made(connect("livy", host="livy.example"), {"query": "SELECT 1"})


def test_a_collection_of_a_connection(connect: Any):
    conn_id = connect("mongo", host="mongo.example", schema="shop")
    source: Any = source_of_connection(conn_id, {"collection": "c", "query": '{"a": 1}'})
    assert (source.database, source.collection, source.query) == ("shop", "c", {"a": 1})
    with pytest.raises(InputError, match="is to be JSON"):
        source_of_connection(conn_id, {"collection": "c", "query": "{"})


def test_an_api_of_a_connection(connect: Any):
    conn_id = connect("http", host="api.example")
    source: Any = source_of_connection(conn_id, {"path": "/items", "pagination": "page:p"})
    assert source.path == "/items"
    assert source.pagination.param == "p"


def test_masking(connect: Any, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    find_connection(connect("postgres", host="db.example", login="app", password=SECRET))
    assert SECRET not in caplog.text
