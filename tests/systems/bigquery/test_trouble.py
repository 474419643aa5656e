"""BigQuery in trouble: quotas, overload, other locations.

The emulator knows no quotas and no locations, so a server of ours before it answers as documented:
https://cloud.google.com/bigquery/docs/error-messages
"""

from __future__ import annotations

import http.client
import json
import threading
import uuid
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pyarrow as pa
import pytest

from bigquery_places import Place, load
from tradewind.errors import InputError, RetryError, SetupError
from tradewind.local import Systems
from tradewind.owner import Owner
from tradewind.run.backend import JobState
from tradewind.systems.bigquery.backend import BigQueryBackend
from tradewind.systems.bigquery.commit import Claims
from tradewind.systems.bigquery.connection import BigQueryConnection, TableName
from tradewind.systems.bigquery.errors import failure_of_job
from tradewind.systems.bigquery.source import BigQuerySource
from tradewind.systems.bigquery.table import BigQueryTable
from tradewind.testing.conformance.source import rows_of

pytestmark = pytest.mark.xdist_group("bigquery")

pytest.importorskip("google.cloud.bigquery")


class Trouble:
    """A server before the emulator, which answers each kind of request with a failure first.

    Args:
        upstream: ``HOST:PORT`` of the emulator.
    """

    def __init__(self, upstream: str) -> None:
        self.upstream = upstream
        self.answers: list[tuple[int, str, str]] = []
        """Status, reason and message: each is given once to each method and path."""
        self.given = 0
        self._counts: dict[str, int] = {}
        self._lock = threading.Lock()
        handler = type("Handler", (_Handler,), {"trouble": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = False
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        self.address = f"http://127.0.0.1:{self._server.server_port}"

    def next(self, what: str) -> tuple[int, str, str] | None:
        with self._lock:
            number = self._counts.get(what, 0)
            if number >= len(self.answers):
                return None
            self._counts[what] = number + 1
            self.given += 1
            return self.answers[number]

    def begin(self, *answers: tuple[int, str, str]) -> None:
        self.answers, self.given, self._counts = list(answers), 0, {}

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    trouble: Trouble

    def log_message(self, *_: Any) -> None:
        pass

    def _handle(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = self.path.partition("?")[0]
        if failed := self.trouble.next(f"{self.command} {path}"):
            status, reason, message = failed
            told = {"code": status, "message": message}
            told |= {"errors": [{"reason": reason, "message": message}]} if reason else {}
            self._answer(status, {"Content-Type": "application/json"}, json.dumps({"error": told}))
            return
        connection = http.client.HTTPConnection(self.trouble.upstream, timeout=60)
        headers = {name: text for name, text in self.headers.items() if name != "Accept-Encoding"}
        connection.request(self.command, self.path, body or None, headers)
        answer = connection.getresponse()
        found, kept = answer.read(), ("content-type", "location", "range")
        connection.close()
        self._answer(
            answer.status,
            {name: text for name, text in answer.getheaders() if name.lower() in kept},
            found,
        )

    def _answer(self, status: int, headers: dict[str, str], body: bytes | str) -> None:
        sent = body.encode() if isinstance(body, str) else body
        self.send_response(status)
        for name, text in {**headers, "Content-Length": str(len(sent))}.items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(sent)

    do_GET = do_POST = do_PUT = do_DELETE = _handle


@pytest.fixture(scope="module")
def place(local_bigquery: Systems) -> Iterator[Place]:
    made = Place(local_bigquery.environment)
    yield made
    made.client.close()


@pytest.fixture
def trouble(place: Place) -> Iterator[Trouble]:
    made = Trouble(str(place.connection.endpoint).removeprefix("http://"))
    yield made
    made.close()


QUOTA = (403, "rateLimitExceeded", "Exceeded rate limits: too many api requests per user")
GONE = (503, "", "The service is currently unavailable.")


def test_quotas_and_overload_are_waited_for(place: Place, trouble: Trouble) -> None:
    connection = replace(place.connection, endpoint=trouble.address, storage_endpoint=None)
    name = f"t{uuid.uuid4().hex[:8]}"
    trouble.begin(QUOTA)
    load(pa.table({"id": [1, 2]}), BigQueryTable(connection, name, create=True))
    assert trouble.given > 5  # tables, the upload, jobs: each was refused once
    trouble.begin(GONE)
    assert rows_of(BigQuerySource(connection, table=name)) == [{"id": 1}, {"id": 2}]
    backend = BigQueryBackend(connection)
    owner = Owner("d", uuid.uuid4().hex, "t")
    trouble.begin(QUOTA)
    work = {"query": {"query": "SELECT 1", "useLegacySql": False}}
    backend.submit(owner, 1, work, variables={})
    assert backend.status(backend.name_of(owner, 1)).state is not JobState.ABSENT
    backend.close()
    assert trouble.given > 1


def test_what_stays_in_trouble_is_left_to_a_retry(
    place: Place, trouble: Trouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tradewind.systems.bigquery.errors.PATIENCE", 0.1)
    connection = replace(place.connection, endpoint=trouble.address, storage_endpoint=None)
    for answer, said in ((QUOTA, "rate limits"), (GONE, "unavailable")):
        trouble.begin(*[answer] * 50)
        with pytest.raises(RetryError, match=said) as caught:
            rows_of(BigQuerySource(connection, table="nothing"))
        assert "BigQuery, project" in str(caught.value)
        assert "nothing" in str(caught.value)
        with pytest.raises(RetryError, match=said):
            load(pa.table({"id": [1]}), BigQueryTable(connection, "t", create=True))


def test_errors_name_what_to_do() -> None:
    for reason, message, error, said in (
        ("quotaExceeded", "Quota exceeded: imports per table", RetryError, "Try again"),
        ("jobRateLimitExceeded", "too many", RetryError, "Try again"),
        ("notFound", "Not found: Dataset p:d was not found in location US", SetupError, "location"),
        ("notFound", "Not found: Table p:d.t", SetupError, "Create it"),
        (
            "invalid",
            "Cannot read and write in different locations: source: US, destination: EU",
            SetupError,
            "--set-from or --set-to location=EU",
        ),
        ("accessDenied", "Access Denied: Project p", SetupError, "BigQuery Job User"),
        ("invalidQuery", "Syntax error", InputError, "Syntax error"),
    ):
        found = failure_of_job("BigQuery, project p", {"reason": reason, "message": message})
        assert type(found) is error, reason
        assert said in str(found)
        assert "BigQuery, project p" in str(found)


def test_a_dataset_that_is_missing_is_named(place: Place) -> None:
    absent = BigQueryTable(place.connection, "no_such_dataset.t", create=True)
    with pytest.raises(SetupError, match=r"no_such_dataset.*Create it, or correct"):
        load(pa.table({"id": [1]}), absent)
    with pytest.raises(SetupError, match="no_such_dataset"):
        rows_of(BigQuerySource(place.connection, table="no_such_dataset.t"))


def test_jobs_are_looked_for_where_their_dataset_is() -> None:
    """The emulator is everywhere: so what is asked for is looked at, not what comes of it."""
    from google.api_core.exceptions import NotFound

    asked: list[dict[str, Any]] = []

    class Client:
        def get_job(self, name: str, **options: Any) -> Any:
            asked.append(options)
            raise NotFound("no job")  # type: ignore[no-untyped-call]

    client: Any = Client()
    claims = Claims(client, TableName("p", "d", "t"), Owner("d", "r", "t"), "BigQuery")
    claims.location = "asia-northeast1"
    claims.settle()
    assert [one["location"] for one in asked] == ["asia-northeast1"]
    for made in (BigQuerySource, BigQueryTable):
        found: Any = made.from_uri("bigquery://p/d", {"table": "t", "location": "EU"})
        assert found.connection == BigQueryConnection("p", "d", location="EU")
