"""Airflow with real systems around it: one metadata database and one process a test process."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

# Airflow writes a configuration on import; never into the home of who runs the tests.
os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="tradewind-airflow-"))

import pytest

from airflow_runs import Runs, make_home, runs
from tradewind.local import Systems

DAGS = Path(__file__).parent / "dags"
TEXT = "It is all text, ä too.\n".encode() * 1000


@pytest.fixture(scope="session")
def airflow_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """AIRFLOW_HOME with a metadata database."""
    home = tmp_path_factory.mktemp("airflow-home")
    make_home(home)
    return home


@pytest.fixture(scope="session")
def connections(
    local_postgres: Systems,
    local_mongodb: Systems,
    local_s3: Systems,
    api: str,
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> dict[str, str]:
    """Environment with Airflow connections to PostgreSQL, MongoDB, S3 and an HTTP API.

    MariaDB and Google Cloud Storage are there too, where they are to be had.
    """
    host, port = api.removeprefix("http://").split(":")
    connection = {"conn_type": "http", "host": host, "port": int(port)}
    more: dict[str, str] = {}
    with contextlib.suppress(pytest.skip.Exception):
        found = request.getfixturevalue("local_mariadb").environment
        more["AIRFLOW_CONN_MYSQL_DEFAULT"] = found["AIRFLOW_CONN_MYSQL_DEFAULT"]
    with contextlib.suppress(pytest.skip.Exception):
        more["STORAGE_EMULATOR_HOST"] = request.getfixturevalue("fake_gcs").endpoint
        google = {"conn_type": "google_cloud_platform", "extra": {"is_anonymous": True}}
        more["AIRFLOW_CONN_GOOGLE_CLOUD_DEFAULT"] = json.dumps(google)
    return {
        **more,
        **{
            name: value
            for systems in (local_postgres, local_mongodb, local_s3)
            for name, value in systems.environment.items()
            if name.startswith("AIRFLOW_CONN_")
        },
        "AIRFLOW_CONN_HTTP_DEFAULT": json.dumps(connection),
        "TRADEWIND_TEST_FOLDER": str(tmp_path_factory.mktemp("files")),
    }


@pytest.fixture(scope="session")
def dag_runs(airflow_home: Path, connections: dict[str, str]) -> Iterator[Runs]:
    """Runs the DAGs of ``tests/airflow/dags``."""
    with runs(airflow_home, DAGS, connections) as one:
        yield one


@pytest.fixture(scope="session")
def s3_client(local_s3: Systems) -> Any:
    """A boto3 client of the S3 server."""
    import boto3
    from botocore.config import Config

    environment = local_s3.environment
    return boto3.client(
        "s3",
        endpoint_url=environment["AWS_ENDPOINT_URL_S3"],
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        region_name=environment["AWS_REGION"],
        config=Config(s3={"addressing_style": "path"}),
    )


@pytest.fixture(scope="session")
def postgres(local_postgres: Systems) -> Callable[[str], list[tuple[Any, ...]]]:
    """Runs SQL on the PostgreSQL server."""
    import asyncpg

    environment = local_postgres.environment

    def execute(sql: str) -> list[tuple[Any, ...]]:
        async def ask() -> list[tuple[Any, ...]]:
            connection = await asyncpg.connect(
                host=environment["PGHOST"],
                port=int(environment["PGPORT"]),
                user=environment["PGUSER"],
                password=environment["PGPASSWORD"],
                database=environment["PGDATABASE"],
            )
            try:
                if sql.lstrip().upper().startswith("SELECT"):
                    return [tuple(row) for row in await connection.fetch(sql)]
                await connection.execute(sql)
                return []
            finally:
                await connection.close()

        return asyncio.run(ask())

    return execute


@pytest.fixture(scope="session")
def mongo(local_mongodb: Systems) -> Iterator[Any]:
    """The database of the connection ``mongo_default``."""
    from pymongo import MongoClient

    environment = local_mongodb.environment
    password = environment["MONGODB_PASSWORD"]
    with MongoClient(environment["MONGODB_URI"], password=password) as client:
        yield client[json.loads(environment["AIRFLOW_CONN_MONGO_DEFAULT"])["schema"]]


class _Api(BaseHTTPRequestHandler):
    """``/file.txt``, and ``/items?page=N`` of three pages."""

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        if path == "/file.txt":
            self._answer(TEXT, "text/plain")
        elif path == "/items":
            page = int(dict(pair.split("=") for pair in query.split("&") if pair).get("page", 1))
            items = [{"id": page * 10 + n} for n in range(2)] if page <= 3 else []
            self._answer(json.dumps({"items": items}).encode(), "application/json")
        else:
            self.send_error(404)

    def _answer(self, body: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="session")
def api() -> Iterator[str]:
    """The address of an HTTP API."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Api)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes a connection ``it``."""

    def make(conn_type: str, **fields: Any) -> str:
        text = json.dumps({"conn_type": conn_type, **fields})
        monkeypatch.setenv("AIRFLOW_CONN_IT", text)
        return "it"

    return make
