"""HTTP bodies that are not whole: compressed and cut off, or in parts."""

from __future__ import annotations

import gzip
import json
import zlib
from typing import Any

import httpx
import pyarrow as pa
import pytest

from rest_server import Asked, Reply, serving
from tradewind.errors import InputError, RetryError, TradewindError
from tradewind.move.formats.jsonl import JsonLinesFormat
from tradewind.systems.http.connection import HttpConnection, Retries
from tradewind.systems.http.job_server import JobServer, RestConnection
from tradewind.systems.http.source import HttpBodySource, RestSource

QUICK = Retries(attempts=2, backoff=0.001)
RECORDS = [{"id": number, "name": f"name {number}"} for number in range(10)]
LINES = [json.dumps(record).encode() + b"\n" for record in RECORDS]
WHOLE = b"".join(LINES)
ARRAY = json.dumps(RECORDS).encode()


def flushed(bits: int) -> bytes:
    """The first lines whole, the stream without its end: as of a server that died in between."""
    stream = zlib.compressobj(wbits=bits)
    return stream.compress(b"".join(LINES[:4])) + stream.flush(zlib.Z_SYNC_FLUSH)


def raw_deflate(data: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-15)
    return stream.compress(data) + stream.flush()


def zstd(data: bytes) -> bytes:
    return pa.Codec("zstd").compress(data, asbytes=True)


def members(data: bytes) -> bytes:
    return gzip.compress(data[:200]) + gzip.compress(b"") + gzip.compress(data[200:])


def sent(encoding: str, raw: bytes, **headers: str) -> Reply:
    return Reply(
        raw=raw, kind="application/x-ndjson", headers={"content-encoding": encoding} | headers
    )


ZIPPED = gzip.compress(WHOLE)
DAMAGED = ZIPPED[:-8] + bytes(4) + ZIPPED[-4:]

RIGHT = {
    "gzip": sent("gzip", ZIPPED),
    "x-gzip in capitals": sent("X-GZip", ZIPPED),
    "several members": sent("gzip", members(WHOLE)),
    "zeros behind": sent("gzip", ZIPPED + bytes(512)),
    "deflate": sent("deflate", zlib.compress(WHOLE)),
    "deflate without its frame": sent("deflate", raw_deflate(WHOLE)),
    "two after each other": sent("deflate, gzip", gzip.compress(zlib.compress(WHOLE))),
    "zstd": sent("zstd", zstd(WHOLE)),
    "identity": sent("identity", WHOLE),
    "a 206 that is the whole": Reply(
        raw=WHOLE,
        status=206,
        kind="application/x-ndjson",
        headers={"content-range": f"bytes 0-{len(WHOLE) - 1}/{len(WHOLE)}"},
    ),
    "a 206 that counts records": Reply(
        raw=WHOLE, status=206, kind="application/x-ndjson", headers={"content-range": "0-9/1000"}
    ),
}

WRONG = {
    "gzip cut at a line": (sent("gzip", flushed(31)), RetryError, "it was cut off"),
    "gzip cut at once": (sent("gzip", ZIPPED[:10]), RetryError, "it was cut off"),
    "gzip of no byte": (sent("gzip", b"", connection="close"), RetryError, "it was cut off"),
    "gzip without its trailer": (sent("gzip", ZIPPED[:-8]), RetryError, "it was cut off"),
    "gzip, its trailer cut": (sent("gzip", ZIPPED[:-1]), RetryError, "it was cut off"),
    "gzip with another checksum": (sent("gzip", DAMAGED), RetryError, "is damaged"),
    "second member cut": (sent("gzip", members(WHOLE)[:-9]), RetryError, "it was cut off"),
    "junk behind": (sent("gzip", ZIPPED + b"junk"), RetryError, "is damaged"),
    "no gzip at all": (sent("gzip", WHOLE), RetryError, "is damaged"),
    "deflate cut at a line": (sent("deflate", flushed(15)), RetryError, "it was cut off"),
    "unframed deflate cut": (sent("deflate", flushed(-15)), RetryError, "it was cut off"),
    "deflate without its checksum": (
        sent("deflate", zlib.compress(WHOLE)[:-4]),
        RetryError,
        "it was cut off",
    ),
    "deflate of one byte": (sent("deflate", b"x"), RetryError, "it was cut off"),
    "junk behind deflate": (
        sent("deflate", zlib.compress(WHOLE) + b"junk"),
        RetryError,
        "more behind its end",
    ),
    "inner one cut": (
        sent("deflate, gzip", gzip.compress(flushed(15))),
        RetryError,
        "it was cut off",
    ),
    "zstd cut": (sent("zstd", zstd(WHOLE)[:-2]), RetryError, "it was cut off"),
    "one that is not known": (sent("br", WHOLE), InputError, "Content-Encoding 'br'"),
    "a part": (
        Reply(raw=WHOLE, status=206, headers={"content-range": f"bytes 0-{len(WHOLE) - 1}/9999"}),
        InputError,
        "a part that nobody asked for",
    ),
    "a part of what is not told": (
        Reply(raw=WHOLE, status=206, headers={"content-range": f"bytes 0-{len(WHOLE) - 1}/*"}),
        InputError,
        "a part that nobody asked for",
    ),
    "several parts": (
        Reply(raw=WHOLE, status=206, kind="multipart/byteranges; boundary=x"),
        InputError,
        "a part that nobody asked for",
    ),
}


def test_a_body_is_taken_whole_or_not_at_all() -> None:
    replies = {f"/{at}": reply for at, reply in enumerate(RIGHT.values())}
    replies |= {f"/w{at}": reply for at, (reply, _, _) in enumerate(WRONG.values())}
    # One page that is read whole, too.
    for name, raw in {"/cut": gzip.compress(ARRAY)[:-8], "/two": members(ARRAY)}.items():
        replies[name] = Reply(raw=raw, headers={"content-encoding": "gzip"})

    def answer(asked: Asked) -> Reply:
        assert asked.headers["accept-encoding"] == "gzip, deflate"
        reply = replies[asked.path]
        if reply.headers.get("connection") == "close":
            # Ends with the connection: nobody says how long it is.
            return Reply(raw=reply.raw, kind=reply.kind, headers=reply.headers, cut=0, length=False)
        return reply

    def records(path: str) -> bytes:
        rest = RestSource(
            HttpConnection(server.url, retries=QUICK, verify=False),
            path,
            lines=LINED.get(path, True),
        )
        encoded = rest.encoded(JsonLinesFormat())
        assert encoded is not None
        return b"".join(encoded.chunks)

    def body(path: str) -> bytes:
        source = HttpBodySource(HttpConnection(server.url, retries=QUICK, verify=False), path)
        return b"".join(source.encoded(JsonLinesFormat()).chunks)

    def checked(path: str) -> bytes:
        source = HttpBodySource(
            HttpConnection(server.url, retries=QUICK, verify=False),
            path,
            check=lambda response: True,
        )
        return b"".join(source.encoded(JsonLinesFormat()).chunks)

    with serving(answer) as server:
        for at, name in enumerate(RIGHT):
            assert [json.loads(line) for line in records(f"/{at}").splitlines()] == RECORDS, name
            assert body(f"/{at}") == checked(f"/{at}") == WHOLE, name
        for at, (name, (_, kind, says)) in enumerate(WRONG.items()):
            for read in (records, body, checked):
                assert says in refused(read, f"/w{at}", kind), (name, read)
        assert "it was cut off" in refused(records, "/cut", RetryError)
        assert [json.loads(line) for line in records("/two").splitlines()] == RECORDS


LINED = {"/cut": False, "/two": False}


def refused(read: Any, path: str, kind: type[TradewindError]) -> str:
    with pytest.raises(TradewindError) as caught:
        read(path)
    assert type(caught.value) is kind, (path, caught.value)
    return str(caught.value)


def test_a_long_body_is_cut_in_its_middle_and_an_empty_one_is_whole() -> None:
    """What was handed on before the end is known is not published."""
    data = bytes(range(256)) * 40_000
    replies = {
        "/long": gzip.compress(data, 1),
        "/cut": gzip.compress(data, 1)[:-3],
        "/empty": b"",
        "/none": gzip.compress(b""),
    }

    def answer(asked: Asked) -> Reply:
        return Reply(raw=replies[asked.path], headers={"content-encoding": "gzip"})

    with serving(answer) as server:
        connection = HttpConnection(server.url, retries=QUICK, verify=False)

        def chunks(path: str) -> list[bytes]:
            return list(HttpBodySource(connection, path).encoded(JsonLinesFormat()).chunks)

        assert b"".join(chunks("/long")) == data
        assert chunks("/empty") == chunks("/none") == []
        with pytest.raises(RetryError, match="is not whole, after 10,"):
            chunks("/cut")
        asked_for = len(server.asked)
        # A part that is asked for is one.
        part = HttpBodySource(connection, "/long", headers={"Range": "bytes=0-9"})
        assert b"".join(part.encoded(JsonLinesFormat()).chunks) == data
        assert server.asked[asked_for].headers["range"] == "bytes=0-9"


def test_job_servers_and_an_auth_that_reads_answers() -> None:
    class Reading(httpx.Auth):
        requires_response_body = True

    said = json.dumps({"state": "done"}).encode()
    bodies = [gzip.compress(said[:5]) + gzip.compress(said[5:]), gzip.compress(said)[:-8]]

    def answer(asked: Asked) -> Reply:
        return Reply(raw=bodies[int(asked.path[1:])], headers={"content-encoding": "gzip"})

    with serving(answer) as server:
        jobs = JobServer(
            RestConnection(server.url, verify=False, auth=Reading(), attempts=1), "API"
        )
        try:
            assert jobs.json(jobs.ask("GET", "/0", what="job"), "job") == {"state": "done"}
            with pytest.raises(RetryError, match="it was cut off"):
                jobs.ask("GET", "/1", what="job")
            with (
                pytest.raises(RetryError, match="it was cut off"),
                jobs.stream("/1", what="log", params={}) as (_, _, chunks),
            ):
                list(chunks)
        finally:
            jobs.close()
