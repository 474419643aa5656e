"""A thin guard before the emulator of BigQuery: it behaves as documented where that does not.

Run as ``python -m tradewind.systems.bigquery.guard --port P --upstream HOST:PORT``. It has no part
in production. What it adds to ``bqemulator`` 1.4:

- A job id is taken once: a second job of that id is answered with 409, whatever became of the
  first.
- A job goes on when its client is gone, is seen as RUNNING meanwhile, and can be cancelled while
  it waits: one with the label ``guard_wait`` waits so many seconds before it begins.
- The rows of a SELECT stand in a table (``configuration.query.destinationTable``): it is filled
  when somebody first looks at it.
- What the emulator refuses outright becomes the job's ``errorResult``.
- An extract job writes what a pattern stands for: one object, numbered as BigQuery's first one.
- Objects of ``gs://``, files to the emulator, are listed, read and deleted by GCS's JSON API.
- A file is uploaded as ``*/*`` too, which is what the official client calls it.
- Each request has its own connection to the emulator, which resets idle ones.

Source: https://cloud.google.com/bigquery/docs/reference/rest/v2/jobs
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import re
import threading
import time
import urllib.parse
import uuid
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tradewind.systems.bigquery.guard_objects import answer

__all__ = ["main", "serve"]

_JOBS = re.compile(r"/bigquery/v2/projects/([^/]+)/jobs")
_JOB = re.compile(r"/bigquery/v2/projects/([^/]+)/jobs/([^/]+?)(/cancel)?")
_RESULTS = re.compile(r"/bigquery/v2/projects/([^/]+)/queries/([^/]+)")
_KEPT = re.compile(r"/bigquery/v2/projects/[^/]+/datasets/_guard_results/tables/([^/]+)")
_UPLOAD = re.compile(r"/(?:resumable/)?upload/bigquery/v2/projects/([^/]+)/jobs")
_SELECT = re.compile(r"\s*(?:--[^\n]*\n|\s)*(?:SELECT|WITH|\()", re.IGNORECASE)
_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "host", "date", "server"}
_RESULTS_DATASET = "_guard_results"
_FIRST = "000000000000"
_SHORT = 0.3
"""Seconds within which a job may end before its insertion is answered."""
_LONGEST = 10.0
"""Seconds for which ``getQueryResults`` waits, as the documentation has it."""


@dataclass
class _Job:
    """A job that the guard has accepted."""

    project: str
    name: str
    body: dict[str, Any]
    created: float = field(default_factory=time.time)
    ended: threading.Event = field(default_factory=threading.Event)
    cancelled: threading.Event = field(default_factory=threading.Event)
    begun: bool = False
    error: dict[str, Any] | None = None
    destination: dict[str, str] | None = None
    keep: str = ""

    def resource(self) -> dict[str, Any]:
        state = "DONE" if self.ended.is_set() else "RUNNING" if self.begun else "PENDING"
        status: dict[str, Any] = {"state": state}
        times = {"creationTime": str(int(self.created * 1000))}
        if self.error and self.ended.is_set():
            status |= {"errorResult": self.error, "errors": [self.error]}
            times |= {"startTime": times["creationTime"], "endTime": str(int(time.time() * 1000))}
        return {
            "kind": "bigquery#job",
            "id": f"{self.project}:US.{self.name}",
            "jobReference": {"projectId": self.project, "jobId": self.name, "location": "US"},
            "configuration": self.body.get("configuration", {}),
            "status": status,
            "statistics": times,
        }


class _Guard:
    def __init__(self, upstream: str, objects: Path | None = None) -> None:
        self.upstream = upstream
        self.objects = objects
        self.lock = threading.Lock()
        self.jobs: dict[tuple[str, str], _Job] = {}
        self.kept: dict[str, _Job] = {}
        self.projects: set[str] = set()

    def ask(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """Send one request to the emulator."""
        connection = http.client.HTTPConnection(self.upstream, timeout=300)
        try:
            connection.request(method, path, body or None, headers or {})
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()

    def post(self, path: str, body: Any) -> tuple[int, Any]:
        sent = json.dumps(body).encode()
        status, _, answer = self.ask("POST", path, sent, {"Content-Type": "application/json"})
        return status, json.loads(answer or b"{}")

    def claim(self, project: str, name: str, body: dict[str, Any]) -> _Job | None:
        """Accept a job; None where its id is taken."""
        with self.lock:
            if (project, name) in self.jobs:
                return None
            status, _, _ = self.ask("GET", f"/bigquery/v2/projects/{project}/jobs/{name}")
            if status == 200:
                return None
            job = self.jobs[project, name] = _Job(project, name, body)
            return job

    def run(self, job: _Job) -> None:
        """Run a job to its end."""
        try:
            labels = job.body.get("configuration", {}).get("labels", {})
            if job.cancelled.wait(float(labels.get("guard_wait", 0))):
                job.error = {"reason": "stopped", "message": "Job execution was cancelled"}
                return
            job.begun = True
            body = self._plain_extract(job.body)
            status, answer = self.post(f"/bigquery/v2/projects/{job.project}/jobs", body)
            if status >= 400:
                told = answer.get("error", {})
                reasons = told.get("errors") or [{}]
                reason = "backendError" if status >= 500 else "invalid"
                job.error = {
                    "reason": reasons[0].get("reason", reason) if status < 500 else reason,
                    "message": told.get("message", "no reason given"),
                }
            elif "errorResult" not in answer.get("status", {}):
                self._keep_rows(job)
        except (OSError, ValueError, http.client.HTTPException) as error:
            job.error = {"reason": "backendError", "message": f"the emulator is gone: {error}"}
        finally:
            job.ended.set()

    def _plain_extract(self, body: dict[str, Any]) -> dict[str, Any]:
        """Spell a pattern as the name of the first object, and make the folder that it is in."""
        configuration = body.get("configuration", {})
        extract = configuration.get("extract", {})
        uris = [str(uri).replace("*", _FIRST) for uri in extract.get("destinationUris", [])]
        if not uris:
            return body
        if self.objects is not None and uris[0].startswith("gs://"):
            file = (self.objects / uris[0].removeprefix("gs://")).resolve()
            if file.is_relative_to(self.objects.resolve()):
                file.parent.mkdir(parents=True, exist_ok=True)
        plain = {**extract, "destinationUris": uris}
        return {**body, "configuration": {**configuration, "extract": plain}}

    def _keep_rows(self, job: _Job) -> None:
        query = job.body.get("configuration", {}).get("query", {})
        text = str(query.get("query", "")).strip().rstrip(";")
        if "destinationTable" in query or ";" in text or not _SELECT.match(text):
            return
        reference = {"projectId": job.project, "datasetId": _RESULTS_DATASET}
        table = "anon" + uuid.uuid4().hex
        job.keep = f"CREATE TABLE `{job.project}`.`{_RESULTS_DATASET}`.`{table}` AS {text}"
        job.destination = {**reference, "tableId": table}
        self.kept[table] = job

    def fill(self, table: str) -> None:
        """Fill the table of a SELECT's rows, once."""
        with self.lock:
            job = self.kept.pop(table, None)
        if job is None:
            return
        reference = {"projectId": job.project, "datasetId": _RESULTS_DATASET}
        if job.project not in self.projects:
            made = {"datasetReference": reference}
            self.post(f"/bigquery/v2/projects/{job.project}/datasets", made)
            self.projects.add(job.project)
        query = job.body["configuration"]["query"]
        copy = {
            "jobReference": {"projectId": job.project, "jobId": f"guard_{uuid.uuid4().hex}"},
            "configuration": {"query": {**query, "query": job.keep}},
        }
        self.post(f"/bigquery/v2/projects/{job.project}/jobs", copy)

    def shown(self, job: _Job, told: Any) -> Any:
        """Say in the emulator's description of a job what the guard knows."""
        told["configuration"] = {**job.body.get("configuration", {}), **told["configuration"]}
        told["configuration"]["labels"] = job.body.get("configuration", {}).get("labels", {})
        statistics = told.get("statistics", {})
        for name in ("creationTime", "startTime", "endTime"):
            if name in statistics:
                statistics[name] = str(int(float(statistics[name])))
        if job.destination and "query" in told["configuration"]:
            told["configuration"]["query"]["destinationTable"] = job.destination
        return told


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    guard: _Guard

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, text in headers.items():
            if name.lower() not in _HOP:
                self.send_header(name, text)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _json(self, status: int, body: Any) -> None:
        self._answer(status, {"Content-Type": "application/json"}, json.dumps(body).encode())

    def _taken(self, project: str, name: str) -> None:
        message = f"Already Exists: Job {project}:US.{name}"
        reason = {"message": message, "domain": "global", "reason": "duplicate"}
        self._json(409, {"error": {"code": 409, "message": message, "errors": [reason]}})

    def _handle(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        folder = self.guard.objects
        headers = dict(self.headers.items())
        if folder and (told := answer(folder, self.command, self.path, headers)):
            self._answer(*told)
            return
        path = urllib.parse.urlsplit(self.path).path
        if self.command == "POST" and (found := _JOBS.fullmatch(path)):
            self._insert(found[1], json.loads(body))
        elif (found := _JOB.fullmatch(path)) and self.command in ("GET", "POST"):
            self._job(found[1], found[2], bool(found[3]), body)
        elif self.command == "GET" and (found := _RESULTS.fullmatch(path)):
            self._results(found[1], found[2], body)
        elif self.command == "POST" and (found := _UPLOAD.fullmatch(path)):
            self._upload(found[1], body)
        elif self.command == "GET" and (found := _JOBS.fullmatch(path)):
            self._list(found[1], body)
        else:
            if kept := _KEPT.fullmatch(path):
                self.guard.fill(kept[1])
            self._answer(*self._forward(body))

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _handle

    def _forward(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        headers = {
            name: text
            for name, text in self.headers.items()
            if name.lower() not in ("connection", "host", "accept-encoding", "content-length")
        }
        return self.guard.ask(self.command, self.path, body, headers)

    def _insert(self, project: str, body: dict[str, Any]) -> None:
        reference = body.setdefault("jobReference", {"projectId": project})
        name = reference.setdefault("jobId", f"job_{uuid.uuid4().hex}")
        if body.get("configuration", {}).get("dryRun"):
            self._json(*self.guard.post(f"/bigquery/v2/projects/{project}/jobs", body))
            return
        job = self.guard.claim(project, name, body)
        if job is None:
            self._taken(project, name)
            return
        threading.Thread(target=self.guard.run, args=(job,), daemon=True).start()
        job.ended.wait(_SHORT)
        self._job(project, name, False, b"", method="GET")

    def _job(
        self, project: str, name: str, cancel: bool, body: bytes, method: str | None = None
    ) -> None:
        name = urllib.parse.unquote(name)
        job = self.guard.jobs.get((project, name))
        if cancel and job is not None:
            job.cancelled.set()
            job.ended.wait(_SHORT)
            self._json(200, {"kind": "bigquery#jobCancelResponse", "job": job.resource()})
        elif job is not None and (job.error or not job.ended.is_set()):
            self._json(200, job.resource())
        elif job is not None and not cancel:
            status, _, told = self.guard.ask("GET", f"/bigquery/v2/projects/{project}/jobs/{name}")
            self._json(status, self.guard.shown(job, json.loads(told)))
        else:
            self._answer(*self._forward(body))

    def _results(self, project: str, name: str, body: bytes) -> None:
        job = self.guard.jobs.get((project, urllib.parse.unquote(name)))
        if job is not None:
            query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
            wait = float(query.get("timeoutMs", ["10000"])[0]) / 1000
            job.ended.wait(min(wait, _LONGEST))
            if not job.ended.is_set():
                self._json(
                    200,
                    {
                        "kind": "bigquery#getQueryResultsResponse",
                        "jobReference": job.resource()["jobReference"],
                        "jobComplete": False,
                    },
                )
                return
            if job.error:
                told = {"code": 400, "message": job.error["message"], "errors": [job.error]}
                self._json(400, {"error": told})
                return
        self._answer(*self._forward(body))

    def _upload(self, project: str, body: bytes) -> None:
        """Refuse a job id that is taken, and lead what follows through here."""
        found = re.search(rb'"jobId"\s*:\s*"([^"]+)"', body[: 1 << 16])
        if found is not None:
            name = found[1].decode()
            told = re.search(rb'"labels"\s*:\s*(\{[^{}]*\})', body[: 1 << 16])
            labels = json.loads(told[1]) if told else {}
            job = self.guard.claim(project, name, {"configuration": {"labels": labels}})
            if job is None:
                self._taken(project, name)
                return
            job.begun = True
            job.ended.set()
        # What the official client sends for a file of no known type.
        body = body.replace(b"content-type: */*", b"content-type: application/octet-stream", 1)
        status, headers, answer = self._forward(body)
        for header in [name for name in headers if name.lower() == "location"]:
            place = urllib.parse.urlsplit(headers[header])
            here = f"{self.headers.get('Host')}"
            headers[header] = urllib.parse.urlunsplit(place._replace(netloc=here))
        self._answer(status, headers, answer)

    def _list(self, project: str, body: bytes) -> None:
        """List the emulator's jobs, with labels and with those that it does not know yet."""
        status, _, answer = self._forward(body)
        told = json.loads(answer)
        listed = {one["jobReference"]["jobId"]: one for one in told.get("jobs", [])}
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
        states = {state.upper() for state in query.get("stateFilter", [])}
        begin = float(query.get("minCreationTime", ["0"])[0])
        with self.guard.lock:
            jobs = [job for job in self.guard.jobs.values() if job.project == project]
        for job in jobs:
            if job.name in listed:
                listed[job.name] = self.guard.shown(job, {"configuration": {}, **listed[job.name]})
            elif not told.get("nextPageToken") and job.created * 1000 >= begin:
                listed[job.name] = {**job.resource(), "state": job.resource()["status"]["state"]}
        told["jobs"] = [
            {**one, "errorResult": one["status"]["errorResult"]}
            if one.get("status", {}).get("errorResult")
            else one
            for one in listed.values()
            if not one["jobReference"]["jobId"].startswith("guard_")
            and (not states or one.get("status", {}).get("state", "DONE") in states)
        ]
        self._json(status, told)


def serve(port: int, upstream: str, objects: Path | None = None) -> ThreadingHTTPServer:
    """Make the server; it serves once ``serve_forever`` is called.

    Args:
        port: Port of the loopback interface; 0 for any.
        upstream: ``HOST:PORT`` of the emulator.
        objects: The folder that it takes ``gs://`` for.
    """
    handler = type("Handler", (_Handler,), {"guard": _Guard(upstream, objects)})
    server = ThreadingHTTPServer(("127.0.0.1", port), handler)
    server.daemon_threads = True
    return server


def main() -> int:
    """Serve until the parent is gone."""
    parser = argparse.ArgumentParser(description="A thin guard before the emulator of BigQuery.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--upstream", required=True)
    parser.add_argument("--objects", type=Path)
    arguments = parser.parse_args()
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()
    serve(arguments.port, arguments.upstream, arguments.objects).serve_forever()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
