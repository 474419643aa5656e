"""Copies within Google Cloud Storage: the store does them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from uuid import uuid4

import httpx
import pytest

from emulators import Emulator
from tradewind.errors import InputError, RetryError
from tradewind.move.copy import copy_object
from tradewind.owner import Owner
from tradewind.systems.gcs.store import GCSStore

OWNER = Owner("d", "r", "t")


@pytest.fixture
def buckets(fake_gcs: Emulator, monkeypatch: pytest.MonkeyPatch) -> tuple[GCSStore, GCSStore]:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", fake_gcs.endpoint)
    names = [f"rewrite-{uuid4().hex[:8]}" for _ in range(2)]
    for name in names:
        httpx.post(f"{fake_gcs.endpoint}/storage/v1/b", json={"name": name})
    return GCSStore(names[0]), GCSStore(names[1])


def put(store: GCSStore, key: str, data: bytes, **more: Any) -> None:
    upload = store.upload(key, **more)
    upload.write(data)
    upload.complete()


def test_the_data_do_not_pass_through(
    buckets: tuple[GCSStore, GCSStore], monkeypatch: pytest.MonkeyPatch
):
    source, target = buckets
    put(source, "a b/ü", b"x" * 1000, content_type="text/csv", metadata={"colour": "blue"})
    put(target, "copy", b"another's")

    def read(*_: Any, **__: Any) -> Any:
        raise AssertionError("the data were read")

    with monkeypatch.context() as during:
        during.setattr(GCSStore, "read", read)
        receipt = copy_object(source, "a b/ü", target, "copy", owner=OWNER)
        again = copy_object(source, "a b/ü", target, "copy", owner=OWNER, skip_equal=True)
    assert receipt.bytes == 1000
    assert again.skipped == (target.uri("copy"),)
    info = target.head("copy")
    assert info is not None
    assert (info.content_type, info.metadata["colour"]) == ("text/csv", "blue")
    assert info.metadata["tradewind-owner"] == OWNER.digest
    assert b"".join(target.read("copy")) == b"x" * 1000
    other = Owner("d", "r", "other")
    with pytest.raises(InputError, match="exists and replace=False"):
        copy_object(source, "a b/ü", target, "copy", owner=other, replace=False)


class _Steps(BaseHTTPRequestHandler):
    """A store that copies in three steps; no emulator does, nor knows these conditions."""

    asked: list[tuple[str, bytes]]
    refuses = 0

    def do_GET(self) -> None:
        self._answer(404 if "/b/to/" in self.path else 200, {"generation": "7", "contentType": "t"})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.asked.append((self.path, body))
        step = len(self.asked)
        if self.refuses:
            self._answer(self.refuses, {})
        elif step < 3:
            told = {
                "done": False,
                "rewriteToken": f"t{step}",
                "totalBytesRewritten": str(step * 10),
            }
            self._answer(200, told)
        else:
            told = {"done": True, "totalBytesRewritten": "30", "resource": {"generation": "9"}}
            self._answer(200, told)

    def _answer(self, status: int, told: dict[str, Any]) -> None:
        text = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    class Handler(_Steps):
        asked: list[tuple[str, bytes]] = []  # noqa: RUF012

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{server.server_port}")
        yield Handler
        server.shutdown()
        thread.join()


def rewrite(copied: Any, **more: Any) -> str | None:
    from tradewind.move.store import ObjectInfo

    source, target = GCSStore("from"), GCSStore("to")
    given: dict[str, Any] = {"metadata": {"a": "b"}, "create_only": True, "copied": copied, **more}
    monkey: Any = target
    monkey.check = lambda: None
    return target.copy_from(source, ObjectInfo("k/1", 30, "7"), "l", **given)


def test_a_long_copy_goes_on_by_its_token(steps: Any):
    told: list[int] = []
    assert rewrite(told.append) == "9"
    assert told == [10, 10, 10]
    paths = [path for path, _ in steps.asked]
    assert all("/b/from/o/k%2F1/rewriteTo/b/to/o/l?" in path for path in paths)
    assert all("sourceGeneration=7&ifGenerationMatch=0" in path for path in paths)
    assert [path.partition("rewriteToken=")[2] for path in paths] == ["", "t1", "t2"]
    assert json.loads(steps.asked[0][1]) == {"contentType": "t", "metadata": {"a": "b"}}


@pytest.mark.parametrize(
    ("status", "create_only", "error", "says"),
    [
        (412, True, InputError, "gs://to/l exists"),
        (412, False, RetryError, "replaced meanwhile"),
        (404, True, RetryError, "gs://from/k/1 was deleted"),
    ],
)
def test_what_came_between(steps: Any, status: int, create_only: bool, error: Any, says: str):
    steps.refuses = status
    with pytest.raises(error, match=says):
        rewrite(lambda _: None, create_only=create_only)
