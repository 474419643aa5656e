"""A real HTTP API on loopback that runs shell scripts as jobs, misbehaviour included."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

Fault = Callable[["Handler"], bool]
"""Is asked before a request is answered; true: it has answered itself."""


@dataclass
class Job:
    """One job: a process group, its log and result as files."""

    number: int
    name: str
    folder: Path
    process: subprocess.Popen[bytes]
    started: datetime = field(default_factory=lambda: datetime.now(UTC))

    def described(self) -> dict[str, Any]:
        code = self.process.poll()
        state = "running" if code is None else "failed" if code else "succeeded"
        shown = None if code is None else 128 - code if code < 0 else code
        return {
            "id": self.number,
            "name": self.name,
            "state": state,
            "exit_code": shown,
            "created": self.started.isoformat(),
        }

    def lines(self) -> list[str]:
        ended = self.process.poll() is not None
        *lines, rest = (self.folder / "log").read_bytes().split(b"\n")
        return [
            line.decode(errors="replace") for line in [*lines, *([rest] if ended * rest else [])]
        ]

    def end(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


class JobServer:
    """Where it is, what it was asked, and what it should do wrong.

    Args:
        folder: Of the jobs' files.
        unique: Whether a name that is taken is refused.
        keys: Whether ``Idempotency-Key`` is heeded.
    """

    def __init__(self, folder: Path, *, unique: bool, keys: bool) -> None:
        self.folder, self.unique, self.keys = folder, unique, keys
        self.url = ""
        self.jobs: dict[int, Job] = {}
        self.known_keys: dict[str, int] = {}
        self.lock = threading.Lock()
        self.asked: list[tuple[str, str]] = []
        self.headers: list[dict[str, str]] = []
        self.faults: list[Fault] = []
        self.lost_answers = 0
        self.window: int | None = None
        self.authorization: str | None = None

    def start(self, wanted: dict[str, Any], key: str | None) -> tuple[int, Any]:
        if not isinstance(wanted.get("script"), str):
            return 422, {"message": "script is required"}
        with self.lock:
            if key is not None and self.keys and key in self.known_keys:
                return 200, self.jobs[self.known_keys[key]].described()
            name = wanted.get("name", "")
            if self.unique and name in [job.name for job in self.jobs.values()]:
                return 409, {"message": f"there is a job {name}"}
            number = len(self.known_keys) + len(self.jobs) + len(self.asked) + 1
            folder = self.folder / str(number)
            folder.mkdir(parents=True)
            with (folder / "log").open("wb") as log:
                process = subprocess.Popen(
                    ["/bin/sh", "-c", wanted["script"]],
                    stdout=log,
                    stderr=log,
                    stdin=subprocess.DEVNULL,
                    start_new_session=True,
                    env={
                        "PATH": os.environ["PATH"],
                        **wanted.get("env", {}),
                        "TRADEWIND_RESULT": str(folder / "result"),
                    },
                )
            self.jobs[number] = Job(number, name, folder, process)
            if key is not None:
                self.known_keys[key] = number
            return 201, self.jobs[number].described()

    def find(self, word: str) -> Job | None:
        with self.lock:
            found = [job for job in self.jobs.values() if word in (str(job.number), job.name)]
        return found[0] if found else None

    def remove(self, job: Job) -> None:
        with self.lock:
            self.jobs.pop(job.number, None)
        job.end()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    jobs: JobServer

    def answer(self) -> None:
        jobs = self.jobs
        parts = urllib.parse.urlsplit(self.path)
        length = int(self.headers.get("content-length") or 0)
        body = self.rfile.read(length) if length else b""
        with jobs.lock:
            jobs.asked.append((self.command, parts.path))
            jobs.headers.append({name.lower(): text for name, text in self.headers.items()})
            fault = jobs.faults.pop(0) if jobs.faults else None
        if fault is not None and fault(self):
            return
        if jobs.authorization not in (None, self.headers.get("authorization")):
            self.reply(401, {"message": "who are you?"})
            return
        if not parts.path.startswith("/api/"):
            self.reply(404, {"message": "nothing here"})
            return
        words = [urllib.parse.unquote(word) for word in parts.path.split("/")[2:]]
        status, told = self.act(words, dict(urllib.parse.parse_qsl(parts.query)), body)
        if self.command == "POST" and jobs.lost_answers:
            jobs.lost_answers -= 1
            self.close_connection = True
            return
        self.reply(status, told)

    def act(self, words: list[str], query: dict[str, str], body: bytes) -> tuple[int, Any]:
        jobs = self.jobs
        if words == ["jobs"] and self.command == "POST":
            return jobs.start(json.loads(body), self.headers.get("idempotency-key"))
        if words == ["jobs"]:
            with jobs.lock:
                all_jobs = list(jobs.jobs.values())
            first, size = int(query.get("offset", 0)), int(query.get("size", 1000))
            return 200, {"jobs": [job.described() for job in all_jobs[first : first + size]]}
        job = jobs.find(words[1])
        if job is None:
            return 404, {"message": "no such job"}
        if self.command == "DELETE":
            jobs.remove(job)
            return 200, {}
        if words[2:] == ["cancel"]:
            job.end()
            return 200, {}
        if words[2:] == ["log"]:
            lines = job.lines()
            if jobs.window:
                return 200, {"log": lines[-jobs.window :]}
            first = int(query.get("from", 0))
            return 200, {"log": lines[first : first + int(query.get("size", 10**9))]}
        if words[2:] == ["text"]:
            return 200, (job.folder / "log").read_bytes()
        if words[2:] == ["result"]:
            file = job.folder / "result"
            return (200, file.read_bytes()) if file.exists() else (404, {})
        return 200, job.described()

    def reply(self, status: int, told: Any, headers: dict[str, str] | None = None) -> None:
        body = told if isinstance(told, bytes) else json.dumps(told).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        for name, text in (headers or {}).items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_DELETE = answer

    def log_message(self, *arguments: object) -> None:
        pass


@contextmanager
def job_server(folder: Path, *, unique: bool = True, keys: bool = False) -> Iterator[JobServer]:
    jobs = JobServer(folder, unique=unique, keys=keys)

    class Bound(Handler):
        pass

    Bound.jobs = jobs
    http = ThreadingHTTPServer(("127.0.0.1", 0), Bound)
    http.daemon_threads = True
    jobs.url = f"http://127.0.0.1:{http.server_port}/api"
    thread = threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield jobs
    finally:
        http.shutdown()
        thread.join()
        http.server_close()
        for job in list(jobs.jobs.values()):
            job.end()
