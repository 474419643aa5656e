"""The folder that the emulator of BigQuery takes for Google Cloud Storage, as its JSON API.

A part of `tradewind.systems.bigquery.guard`, which has no part in production. It lists, reads and
deletes; a generation is the time at which a file was written. Source:
https://cloud.google.com/storage/docs/json_api/v1/objects
"""

from __future__ import annotations

import datetime
import json
import re
import urllib.parse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

__all__ = ["answer"]

_PATH = re.compile(r"/storage/v1/b/([^/]+)/o(?:/([^/]+))?")
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")

Answer = tuple[int, dict[str, str], bytes]


def answer(folder: Path, method: str, address: str, headers: Mapping[str, str]) -> Answer | None:
    """Answer a request about objects; None where it is about something else.

    Args:
        folder: It has a folder for each bucket.
        method: ``GET`` or ``DELETE``.
        address: Path and query.
        headers: Of the request.

    Returns:
        Status, headers and body.
    """
    split = urllib.parse.urlsplit(address)
    found = _PATH.fullmatch(split.path)
    if found is None:
        return None
    query = dict(urllib.parse.parse_qsl(split.query))
    bucket = (folder / urllib.parse.unquote(found[1])).resolve()
    if not bucket.is_relative_to(folder.resolve()):
        return _json(400, {"error": {"code": 400, "message": "no such bucket"}})
    if found[2] is None:
        items = [_told(bucket, file) for file in _files(bucket, query.get("prefix", ""))]
        return _json(200, {"kind": "storage#objects", "items": items})
    file = (bucket / urllib.parse.unquote(found[2])).resolve()
    if not file.is_relative_to(bucket) or not file.is_file():
        return _json(404, {"error": {"code": 404, "message": "no such object"}})
    told = _told(bucket, file)
    if query.get("generation", told["generation"]) != told["generation"]:
        return _json(404, {"error": {"code": 404, "message": "no such generation"}})
    if method == "DELETE":
        file.unlink()
        return 204, {}, b""
    if query.get("alt") != "media":
        return _json(200, told)
    return _bytes(file, headers.get("Range", ""))


def _files(bucket: Path, prefix: str) -> Iterator[Path]:
    files = sorted(file for file in bucket.rglob("*") if file.is_file())
    yield from (file for file in files if file.relative_to(bucket).as_posix().startswith(prefix))


def _told(bucket: Path, file: Path) -> dict[str, Any]:
    state = file.stat()
    written = datetime.datetime.fromtimestamp(state.st_mtime, datetime.UTC)
    return {
        "name": file.relative_to(bucket).as_posix(),
        "size": str(state.st_size),
        "generation": str(state.st_mtime_ns),
        "updated": written.isoformat(),
    }


def _bytes(file: Path, asked: str) -> Answer:
    size = file.stat().st_size
    found = _RANGE.fullmatch(asked)
    begin = int(found[1]) if found else 0
    end = min(int(found[2]) + 1, size) if found and found[2] else size
    with file.open("rb") as opened:
        opened.seek(begin)
        body = opened.read(max(0, end - begin))
    return (206 if found else 200), {"Content-Type": "application/octet-stream"}, body


def _json(status: int, body: Any) -> Answer:
    return status, {"Content-Type": "application/json"}, json.dumps(body).encode()
