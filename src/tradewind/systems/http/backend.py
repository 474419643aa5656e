"""Jobs of any HTTP API, declared in a few lines.

The claim is the job's name, where the API keeps names unique; `JobApi` says what is left of the
promise where it does not.

Over 400 lines: one class with the methods of a backend, each of which a declaration decides.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from tradewind.backoff import rest
from tradewind.errors import InputError, RetryError, SetupError
from tradewind.json_path import MISSING, JsonPath
from tradewind.owner import Owner
from tradewind.run.backend import AlreadyStartedError, Backend, Job, JobState, JobStatus, LogLine
from tradewind.run.exit_status import describe_exit_status
from tradewind.systems.http.job_api import Call, JobApi, JobLog, RestJob
from tradewind.systems.http.job_server import JobServer, LostAnswerError, RestConnection
from tradewind.systems.http.moving_log import new_lines

__all__ = ["JobApi", "JobLog", "RestConnection", "RestJob", "RestJobBackend"]

_PREFIX = "tradewind-"
_NAME = re.compile(
    rf"^{_PREFIX}(?P<title>.*?-|t)(?:(?P<task_run>[0-9a-f]{{12}})-)?"
    r"(?P<owner>[0-9a-f]{12})-(?P<number>\d+)$"
)
#: From this on two digests and some words fit.
_LONG_NAME = 32
_POLL_SECONDS = 0.5
_REMOVE_SECONDS = 10.0
_STOP_SECONDS = 3.0
_GONE = (404, 410)

# Jobs of APIs without names and listings, by connection: known to this process alone.
_ASKED_FOR: dict[str, dict[str, str]] = {}


class RestJobBackend(Backend[RestJob]):
    """Runs jobs of an HTTP API.

    Memory: one answer; for a log, the lines of one page, and all of it where the API knows neither
    `JobLog.offset` nor a window.

    Args:
        connection: Where the API is.
        api: What it is like.
    """

    def __init__(self, connection: RestConnection, api: JobApi) -> None:
        self.name = api.system
        self.api = api
        self._server = JobServer(connection, api.system)
        self._where = self._server.where
        self._ids: dict[str, str] = {}
        if not api.named:
            self._ids = _ASKED_FOR.setdefault(self._where, {})

    def close(self) -> None:
        """Close its connections; jobs go on."""
        self._server.close()

    def name_of(self, owner: Owner, number: int) -> str:
        """Spell a name: lower-case letters, digits and hyphens.

        An owner with a generation has the digest of its task run in it, too, where there is room:
        what another generation has left is known by that, since a name is all that is kept.
        """
        end = f"-{number}"
        room = self.api.name_limit - len(_PREFIX) - len(end)
        if owner.deployment and owner.generation and room >= _LONG_NAME:
            room -= len(owner.run_digest) + 1
            readable = owner.name(limit=room).rpartition("-")[0]
            return "-".join([_PREFIX + (readable or "t"), owner.run_digest, owner.digest]) + end
        return _PREFIX + owner.name(limit=room) + end

    def about(self, work: RestJob) -> str:
        """Name the API."""
        return f"on {self._where}"

    def page(self, name: str) -> str | None:
        """Name the page that `JobApi.page` declares; by the job's id where that has it."""
        page = self.api.page
        if page is None:
            return None
        job_id = self._ids.get(name, "")
        if not job_id and "{id}" in page:
            told = self.describe(name)
            found = MISSING if told is None else JsonPath(self.api.id).find(told)
            if found is MISSING or found is None:
                return None
            job_id = str(found)
        return self._server.address + self._path(page, name, job_id)

    # ------------------------------------------------------------------------------------- start

    def submit(
        self, owner: Owner, number: int, work: RestJob, *, variables: Mapping[str, str]
    ) -> None:
        """Ask for the job, by its name."""
        api, name = self.api, self.name_of(owner, number)
        body: Any = dict(work.body)
        if api.environment is not None:
            path = JsonPath(api.environment)
            told = {
                form.format(key): variables[key]
                for key in variables
                for form in api.environment_names
            }
            found = path.find(body)
            body = path.put(body, {**told, **(found if isinstance(found, Mapping) else {})})
        if api.name is not None:
            body = JsonPath(api.name).put(body, name)
        try:
            body = json.dumps(body).encode()
        except (TypeError, ValueError) as error:
            raise InputError(f"{self._where}: {name}: the body is no JSON: {error}.") from error
        headers = {"Content-Type": "application/json"}
        if api.idempotency_header is not None:
            headers[api.idempotency_header] = name
        self._post(name, body, work.params, headers)
        if api.named and not api.unique:
            self._settle(name)

    def _post(
        self, name: str, body: bytes, params: Mapping[str, str], headers: Mapping[str, str]
    ) -> None:
        api = self.api
        lost: list[bool] = []
        what = f"the job {name}"
        safe = api.idempotency_header is not None or (api.named and api.unique)
        try:
            response = self._server.ask(
                api.start[0],
                self._path(api.start[1], name, ""),
                what=what,
                fine=(400, 409, 422) if api.taken_text else api.taken_status,
                repeat=safe,
                repeated_lost=lambda: lost.append(True),
                content=body,
                params=dict(params),
                headers=headers,
            )
        except LostAnswerError:
            if not api.named or self._find(name) is None:
                raise
            return
        except InputError:
            self._forget_refused(name)
            raise
        if self._is_taken(response):
            if lost:
                return  # by the request whose answer was lost
            raise AlreadyStartedError(f"{self._where}: {what} was started before.")
        if response.status_code >= 400:
            error = self._server.error(response, what)
            if isinstance(error, InputError):
                self._forget_refused(name)
            raise error
        if api.has_ids:
            found = JsonPath(api.id).find(self._server.json(response, what))
            if found is MISSING or found is None:
                raise SetupError(
                    f"{self._where}: {what} was asked for, and the answer has no id at {api.id}. "
                    "Correct the declaration's id."
                )
            self._ids[name] = str(found)

    def _is_taken(self, response: Any) -> bool:
        if response.status_code in self.api.taken_status:
            return True
        text = self.api.taken_text
        return bool(text and response.status_code >= 400 and re.search(text, response.text))

    def _forget_refused(self, name: str) -> None:
        if self.api.refused_is_kept:
            self.delete(name)

    def _settle(self, name: str) -> None:
        """Of jobs with the same name, the one with the lowest id is kept."""
        mine = self._ids.get(name)
        found = [str(JsonPath(self.api.id).find(job)) for job in self._jobs(name)]
        first = min(found, key=lambda one: (len(one), one) if one.isdigit() else (0, one))
        if mine is None or first == mine or len(found) < 2:
            return
        self._ids[name] = first
        for call in (self.api.cancel, self.api.remove):
            if call is not None:
                path = self._path(call[1], name, mine)
                self._server.ask(call[0], path, what=f"the job {name}", fine=(*_GONE, 409))
        raise AlreadyStartedError(f"{self._where}: the job {name} was started by another attempt.")

    # -------------------------------------------------------------------------------- look, list

    def status(self, name: str) -> JobStatus:
        """Ask for its description."""
        told = self.describe(name)
        return JobStatus(JobState.ABSENT) if told is None else self._job_status(told, name)

    def describe(self, name: str) -> Any:
        """Give what the API tells of a job; None where there is none.

        Args:
            name: What it is called.
        """
        path = self._path_of(self.api.look, name)
        if path is None:
            return None
        response = self._server.ask("GET", path, what=f"the job {name}", fine=_GONE)
        if response.status_code in _GONE:
            self._ids.pop(name, None)
            return None
        return self._server.json(response, f"the job {name}")

    def _job_status(self, told: Any, name: str) -> JobStatus:
        api = self.api
        state = _text(JsonPath(api.state).find(told))
        if state is None:
            raise SetupError(
                f"{self._where}: {name}: the answer has no state at {api.state}. Correct the "
                "declaration's state, or address and prefix of the connection."
            )
        if state in api.succeeded:
            return JobStatus(JobState.SUCCEEDED, exit_code=self._exit_code(told))
        if state in api.failed:
            code = self._exit_code(told)
            reason = _text(JsonPath(api.reason).find(told)) if api.reason else None
            if not reason:
                hint = "; its log may say why" if api.log else ""
                reason = (
                    describe_exit_status(code)
                    if code is not None
                    else f"its state is {state!r}{hint}"
                )
            return JobStatus(JobState.FAILED, reason, code)
        if state in api.pending:
            return JobStatus(JobState.PENDING, f"its state is {state!r}")
        if api.running and state not in api.running:
            raise SetupError(
                f"{self._where}: {name}: its state is {state!r}, and the declaration does not say "
                "what that means. Add it to pending, running, succeeded or failed."
            )
        return JobStatus(JobState.RUNNING)

    def _exit_code(self, told: Any) -> int | None:
        found = JsonPath(self.api.exit_code).find(told) if self.api.exit_code else None
        return found if isinstance(found, int) else None

    def list(self, owner: Owner | None = None) -> Iterator[Job]:
        """Ask for the listing, as many pages as it has."""
        if self.api.listing is None:
            names = self._names_from(owner) if owner and not self.api.has_ids else self._ids
            jobs = ((name, self.describe(name)) for name in tuple(names))
        else:
            path = JsonPath(self.api.name or "$")
            jobs = ((_text(path.find(job)) or "", job) for job in self._jobs())
        for name, job in jobs:
            match = _NAME.match(name)
            if match is None or job is None or (owner and match["owner"] != owner.digest):
                continue
            found = JsonPath(self.api.state).find(job)
            status = self.status(name) if found is MISSING else self._job_status(job, name)
            started = JsonPath(self.api.started).find(job) if self.api.started else None
            title = str(owner) if owner else match["title"].rstrip("-")
            yield Job(
                name,
                match["owner"],
                title,
                int(match["number"]),
                status,
                _time(started),
                task_run=match["task_run"] or "",
            )

    def _names_from(self, owner: Owner) -> Iterator[str]:
        """Names that are addresses are tried, one after the other, until one is free."""
        number = 1
        while self.describe(name := self.name_of(owner, number)) is not None:
            yield name
            number += 1

    def _jobs(self, name: str | None = None) -> Iterator[Any]:
        api = self.api
        known, last = 0, None
        while True:
            params: dict[str, str] = dict(api.listing_params)
            if api.listing_offset:
                params[api.listing_offset] = str(known)
            if api.listing_size:
                params[api.listing_size] = str(api.listing_page)
            response = self._server.ask("GET", api.listing or "", what="its jobs", params=params)
            found = JsonPath(api.jobs).find(self._server.json(response, "its jobs"))
            if not isinstance(found, list):
                raise SetupError(
                    f"{self._where}: its listing has no list of jobs at {api.jobs}. Correct the "
                    "declaration's jobs, or address and prefix of the connection."
                )
            for job in found:
                called = _text(JsonPath(api.name or "$").find(job))
                if called and _NAME.match(called) and api.has_ids:
                    self._ids.setdefault(called, str(JsonPath(api.id).find(job)))
                if name in (None, called):
                    yield job
            # An API that does not know the parameter would give the same page for ever.
            if not api.listing_offset or not found or found == last:
                return
            known, last = known + len(found), found

    # -------------------------------------------------------------------------------------- paths

    def _find(self, name: str) -> Any:
        if self.api.listing is None:
            return self.describe(name)
        return next(iter(self._jobs(name)), None)

    def _path_of(self, template: str, name: str) -> str | None:
        """Fill in a path; None where there is no job of that name."""
        job_id = self._ids.get(name, "")
        if not job_id and "{id}" in template:
            job = self._find(name) if self.api.named else None
            if job is None:
                return None
            job_id = self._ids[name] = str(JsonPath(self.api.id).find(job))
        return self._path(template, name, job_id)

    def _path(self, template: str, name: str, job_id: str) -> str:
        return template.format(name=quote(name, safe=""), id=quote(job_id, safe=""))

    # --------------------------------------------------------------------------------------- logs

    def logs(self, name: str, after: str | None, *, wait: float) -> Iterator[LogLine]:
        """Ask for what is new, about twice a second.

        A cursor is the number of lines known; of a moving window, see
        `tradewind.systems.http.moving_log`.
        """
        log = self.api.log
        if log is None:
            rest(wait)
            return
        end = time.monotonic() + wait
        while True:
            news = False
            for line in self._read(log, name, after):
                after, news = line.cursor, True
                yield line
            if news and log.offset:
                continue  # there may be another page
            if (left := end - time.monotonic()) <= 0:
                return
            rest(min(_POLL_SECONDS, left))

    def _read(self, log: JobLog, name: str, after: str | None) -> Iterator[LogLine]:
        path = self._path_of(log.path, name)
        if path is None:
            return
        params = dict(log.params)
        known = 0 if log.window else int(after or 0)
        if log.offset:
            params[log.offset] = str(known)
        if log.size:
            params[log.size] = str(log.page)
        response = self._server.ask(
            "GET", path, what=f"the log of {name}", params=params, fine=(204, *_GONE)
        )
        if response.status_code in (204, *_GONE):
            return
        if log.lines:
            found = JsonPath(log.lines).find(self._server.json(response, f"the log of {name}"))
        else:
            found = response.content.decode(errors="replace")
        if found is MISSING or found is None:
            return
        lines = self._whole(found, name) if isinstance(found, str) else _texts(found)
        if log.window:
            yield from new_lines(lines, after, log.sections)
            return
        for number, line in enumerate(lines if log.offset else lines[known:], known + 1):
            yield LogLine(line, str(number))

    def _whole(self, text: str, name: str) -> Sequence[str]:
        """Split into lines; the last one counts when it is whole, or nothing can follow."""
        *lines, rest = text.split("\n")
        return [*lines, rest] if rest and self.status(name).state.ended else lines

    # ----------------------------------------------------------------------- result, stop, remove

    def result(self, name: str, *, limit: int) -> bytes | None:
        """Ask for it, or take it from the description."""
        what = f"the result of {name}"
        if self.api.result_path is not None:
            path = self._path_of(self.api.result_path, name)
            if path is None:
                return None
            response = self._server.ask("GET", path, what=what, fine=(204, *_GONE), limit=limit)
            return None if response.status_code in (204, *_GONE) else bytes(response.content)
        if self.api.result is None:
            return None
        found = JsonPath(self.api.result).find(self.describe(name))
        if found is MISSING or found is None:
            return None
        content = (found if isinstance(found, str) else json.dumps(found)).encode()
        if len(content) > limit:
            raise InputError(
                f"{self._where}: {what} is larger than {limit:,} bytes. Write it to a store, and "
                "hand back where it stands."
            )
        return content

    def cancel(self, name: str) -> None:
        """Ask the API to end it.

        Some answer when the work has ended: that is not waited for here.
        """
        with suppress(LostAnswerError):
            self._end(self.api.cancel or self.api.remove, name, timeout=_STOP_SECONDS, repeat=False)

    def delete(self, name: str) -> None:
        """End it, and delete it where the API can."""
        api = self.api
        if api.cancel is not None:
            status = self.status(name)
            if status.state is JobState.ABSENT:
                return
            if not status.state.ended:
                self._end(api.cancel, name)
        if api.remove is not None:
            self._end(api.remove, name, patience=_REMOVE_SECONDS)
            self._ids.pop(name, None)

    def _end(self, call: Call | None, name: str, *, patience: float = 0, **options: Any) -> None:
        if call is None or (path := self._path_of(call[1], name)) is None:
            return
        last = time.monotonic() + patience
        while True:
            response = self._server.ask(
                call[0], path, what=f"the job {name}", fine=(*_GONE, 400, 409), **options
            )
            if response.status_code not in (400, 409):
                return
            # It has ended already; or it has not yet, and cannot be deleted before.
            if not patience and self.status(name).state not in (JobState.RUNNING, JobState.PENDING):
                return
            if time.monotonic() > last:
                raise RetryError(str(self._server.error(response, f"the job {name}")))
            rest(_POLL_SECONDS)


def _text(found: Any) -> str | None:
    if found is MISSING or found is None:
        return None
    if isinstance(found, bool):
        return str(found).lower()
    return found if isinstance(found, str) else json.dumps(found)


def _texts(found: Any) -> Sequence[str]:
    if not isinstance(found, list):
        return [_text(found) or ""]
    return [_text(line) or "" for line in found]


def _time(found: Any) -> datetime | None:
    try:
        if isinstance(found, int | float) and not isinstance(found, bool):
            return datetime.fromtimestamp(found, UTC)
        if not isinstance(found, str):
            return None
        moment = datetime.fromisoformat(found)
    except (ValueError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
