"""Code in an interactive session of Apache Livy: one session and one statement for a job.

The claim is the session's name, which is unique on its Livy. A statement has no name; so whoever
finds the session ready and without a statement posts it. Two that do so at the same instant post
two: the first one counts, and the second one finds in the interpreter that it is not the first,
before its code begins. Statements of a session run one after the other, so that is certain.

Protocol: https://livy.apache.org/docs/latest/rest-api.html. Sessions have unique names since 0.6.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from tradewind.errors import InputError, RetryError
from tradewind.run.backend import JobState, JobStatus, LogLine
from tradewind.systems.http.backend import RestConnection, RestJobBackend
from tradewind.systems.livy.backend import BATCHES

__all__ = ["KINDS", "SESSIONS", "LivySessionBackend", "guarded"]

_SAYS = "Tradewind: this session has run its statement"
#: What comes before the code: only the first statement of an interpreter gets past it.
_GUARDS = {
    "pyspark": (
        'if globals().setdefault("_tradewind_statement", "{mark}") != "{mark}":\n'
        f'    raise RuntimeError("{_SAYS}")\n'
    ),
    "spark": (
        'if (Option(System.getProperties.putIfAbsent("tradewind.statement", "{mark}"))'
        f'.exists(_ != "{{mark}}")) throw new IllegalStateException("{_SAYS}")\n'
    ),
}
KINDS = tuple(_GUARDS)
"""The kinds of sessions whose interpreter can be asked whether a statement is its first."""

SESSIONS = replace(
    BATCHES,
    start=("POST", "/sessions"),
    listing="/sessions",
    look="/sessions/{name}",
    log=None if BATCHES.log is None else replace(BATCHES.log, path="/sessions/{name}/log"),
    page="/ui/session/{id}",
    remove=("DELETE", "/sessions/{name}"),
)
"""Livy's sessions. Livy ends one that nobody has used for an hour (livy.server.session.timeout)."""


class LivySessionBackend(RestJobBackend):
    """Runs code in sessions of a Livy server.

    The result is what the code has written, or what it hands to Livy as JSON.

    Args:
        connection: Where Livy is, prefix included.
        code: What is run in a session that is ready; None only watches.
        kind: Of the sessions, one of `KINDS`.
    """

    def __init__(
        self, connection: RestConnection, *, code: str | None = None, kind: str = "pyspark"
    ) -> None:
        super().__init__(connection, SESSIONS)
        self._code = None if code is None else guarded(code, kind)

    def resume(self, name: str) -> None:
        """Post the statement when the session is ready and has none."""
        if self._code is None:
            return
        told = self.describe(name)
        if told is None or told.get("state") != "idle" or self._statement(name) is not None:
            return
        # Not repeated when its answer is lost: the next look shows whether it arrived.
        self._server.ask(
            "POST",
            self._path("/sessions/{name}/statements", name, ""),
            what=f"the statement of {name}",
            repeat=False,
            json={"code": self._code},
        )

    def _job_status(self, told: Any, name: str) -> JobStatus:
        state = told.get("state") if isinstance(told, dict) else None
        if state in ("busy", "shutting_down"):
            # One that shuts down is dead or gone in a moment.
            return JobStatus(JobState.RUNNING)
        if state == "idle":
            statement = self._statement(name)
            if statement is None:
                return JobStatus(JobState.PENDING, "its session is ready, and has no statement yet")
            return _status_of(statement)
        status = super()._job_status(told, name)
        if status.state is JobState.SUCCEEDED:
            return JobStatus(JobState.FAILED, "its session has ended, and its statement with it")
        return status

    def _statement(self, name: str) -> dict[str, Any] | None:
        """Give the first statement of a session; None where there is none."""
        what = f"the statement of {name}"
        path = self._path("/sessions/{name}/statements", name, "")
        response = self._server.ask("GET", path, what=what, fine=(400, 404))
        if response.status_code >= 400:
            # The session has ended since it was looked at.
            raise RetryError(str(self._server.error(response, what)))
        found = self._server.json(response, what).get("statements") or ()
        return min(found, key=lambda one: int(one["id"]), default=None)

    def logs(self, name: str, after: str | None, *, wait: float) -> Iterator[LogLine]:
        """Read the driver's log as it is written, and what the statement has written at its end.

        A cursor is how many lines of the statement are known, and that of the driver's log.
        """
        known, _, inner = (after or "0|").partition("|")
        for line in super().logs(name, inner or None, wait=wait):
            inner = line.cursor
            yield line._replace(cursor=f"{known}|{inner}")
        if wait > 0 or (told := self.describe(name)) is None or told.get("state") != "idle":
            return
        lines = _output_lines(self._statement(name) or {})
        for number, text in enumerate(lines[int(known) :], int(known) + 1):
            yield LogLine(text, f"{number}|{inner}")

    def result(self, name: str, *, limit: int) -> bytes | None:
        """Take what the statement hands back: its JSON, or else what it has written."""
        data = ((self._statement(name) or {}).get("output") or {}).get("data") or {}
        if "application/json" in data:
            content = json.dumps(data["application/json"]).encode()
        else:
            content = str(data.get("text/plain") or "").encode()
        if len(content) > limit:
            raise InputError(
                f"{self._where}: the result of {name} is larger than {limit:,} bytes. Write it to "
                "a store, and hand back where it stands."
            )
        return content or None


def guarded(code: str, kind: str) -> str:
    """Put before a statement what lets only the first one of an interpreter run.

    Args:
        code: The statement.
        kind: Of the session, one of `KINDS`.

    Raises:
        InputError: The interpreter of that kind cannot be asked.
    """
    if kind not in _GUARDS:
        raise InputError(
            f"Livy: the kind {kind!r} cannot be kept from running twice. Use one of "
            f"{', '.join(KINDS)}; SQL runs there by spark.sql(...)."
        )
    if not code.strip():
        raise InputError("Livy: there is no code. Say what is to run.")
    return _GUARDS[kind].format(mark=secrets.token_hex(8)) + code


def _status_of(statement: dict[str, Any]) -> JobStatus:
    state = statement.get("state")
    if state in ("waiting", "running", "cancelling"):
        return JobStatus(JobState.RUNNING)
    output = statement.get("output") or {}
    if state == "available" and output.get("status") == "ok":
        return JobStatus(JobState.SUCCEEDED)
    said = ": ".join(str(output[key]) for key in ("ename", "evalue") if output.get(key))
    return JobStatus(JobState.FAILED, said[:1_000] or f"its statement is {state!r}")


def _output_lines(statement: dict[str, Any]) -> list[str]:
    """Give what a statement that has ended has written, and where it has failed."""
    output = statement.get("output") or {}
    lines = str((output.get("data") or {}).get("text/plain") or "").splitlines()
    for part in output.get("traceback") or ():
        lines.extend(str(part).splitlines())
    return lines
