"""Applications on YARN, through the ResourceManager's REST API.

The claim is an application tag, made of the owner. YARN takes any number of applications of one
tag, so it is looked up before and after submitting, and of two that race the one that the
ResourceManager took first is kept (``startedTime``, then the id): each that comes later sees it,
and kills its own. An id alone would not do, since it is given out before the upload. So two
attempts that submit within the same seconds may both begin, and one of them is killed within the
next; attempts that do not overlap find each other always.

The ResourceManager cannot forget an application on demand: what is removed is killed, and stays in
its history until newer ones push it out (``yarn.resourcemanager.max-completed-applications``). A
retry that comes after that runs the work again.

Protocol: https://hadoop.apache.org/docs/stable/hadoop-yarn/hadoop-yarn-site/ResourceManagerRest.html
and NodeManagerRest.html. The log is what the application master's container writes (the driver of
Spark in cluster mode): its NodeManager shows it, and sends to the log server when it is aggregated.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Protocol

from tradewind.backoff import rest
from tradewind.errors import InputError, RetryError, SetupError, TradewindError
from tradewind.owner import Owner
from tradewind.run.backend import (
    AlreadyStartedError,
    Backend,
    History,
    Job,
    JobState,
    JobStatus,
    LogLine,
)
from tradewind.run.exit_status import describe_exit_status
from tradewind.systems.http.job_server import RestConnection
from tradewind.systems.yarn.logs import YarnLogs
from tradewind.systems.yarn.resource_manager import ResourceManagers
from tradewind.systems.yarn.title_tags import TAG_LENGTH, title_of, title_tags

__all__ = ["RESULT_FILE", "YarnBackend", "YarnWork"]

RESULT_FILE = "tradewind-result"
"""What ``TRADEWIND_RESULT`` names, in the folder of the application master's log."""

_TAG = "tradewind"
_OWNER_TAG = "tradewind-owner-"
_NAME = re.compile(rf"{_TAG}-(?:.*-|t)(?P<owner>[0-9a-f]{{12}})-(?P<number>\d+)")
_NEW = ("NEW", "NEW_SAVING", "SUBMITTED")
_PENDING = (*_NEW, "ACCEPTED")
_ACTIVE = (*_PENDING, "RUNNING")
_EXIT = re.compile(r"exited with (?:status|\s*exitCode:) *(-?\d+)")
_WRONG = ("unknown queue", "cannot submit applications to queue", "Invalid resource request")
_END_SECONDS = 20.0
_APPEAR_SECONDS = 5.0
_SCHEDULED_SECONDS = 5.0
_AGGREGATING = ("NOT_START", "RUNNING", "RUNNING_WITH_FAILURE")
_AGGREGATION_SECONDS = 15.0


class YarnWork(Protocol):
    """What can be submitted to YARN."""

    def submit(
        self,
        tags: Sequence[str],
        environment: Mapping[str, str],
        *,
        say: Callable[[str], None],
        give_up: Callable[[], bool],
    ) -> str | None:
        """Submit, as one step that its own end ends too.

        Args:
            tags: Tags that the application must have.
            environment: What its application master finds in its environment, as YARN wants it
                spelled.
            say: Takes a line for each that the submission writes.
            give_up: Is asked whether to end a submission that is under way.

        Returns:
            The application's id, where it is known.

        Raises:
            TradewindError: It did not work, for all that is known here.
        """


class YarnBackend(Backend[YarnWork]):
    """Runs applications on YARN.

    Memory: one answer; 64 KB of log.

    Args:
        managers: Where the ResourceManagers are, the one that is active among them.
        user: Whom an unsecured cluster takes this client for (``user.name``).
        log_server: Where aggregated logs are, like ``http://host:19888/ws/v1/history``; what the
            NodeManagers point to when not given.
        say: Takes a line for each that a submission writes.
        give_up: Is asked whether to end a submission that is under way.
    """

    name = "yarn"
    history = History()

    def __init__(
        self,
        managers: Sequence[RestConnection],
        *,
        user: str | None = None,
        log_server: str | None = None,
        say: Callable[[str], None] = lambda _: None,
        give_up: Callable[[], bool] = lambda: False,
    ) -> None:
        self._managers = ResourceManagers(managers, user=user)
        self._where = self._managers.where
        self._logs = YarnLogs(managers[0], user=user, server=log_server, say=say)
        self._say = say
        self._give_up = give_up
        self._ids: dict[str, str] = {}

    def close(self) -> None:
        """Close its connections; applications go on."""
        self._managers.close()
        self._logs.close()

    def name_of(self, owner: Owner, number: int) -> str:
        """Spell a name: as tags go."""
        end = f"-{number}"
        return f"{_TAG}-{owner.name(limit=TAG_LENGTH - len(_TAG) - 1 - len(end))}{end}"

    def about(self, work: YarnWork) -> str:
        """Name the ResourceManager."""
        return f"on {self._where}"

    def page(self, name: str) -> str | None:
        """Name the ResourceManager's page of the application."""
        told = self._describe(name)
        if told is None:
            return None
        return f"{self._managers.address}/cluster/app/{told['id']}"

    # ------------------------------------------------------------------------------------- start

    def submit(
        self, owner: Owner, number: int, work: YarnWork, *, variables: Mapping[str, str]
    ) -> None:
        """Submit, unless an application of that name is there, and settle who was first."""
        name = self.name_of(owner, number)
        if self._named(name):
            raise AlreadyStartedError(f"{self._where}: {name} was submitted before.")
        tags = [_TAG, _OWNER_TAG + owner.digest, name, *title_tags(str(owner))]
        environment = {key: _in_shell(value) for key, value in variables.items()}
        environment["TRADEWIND_RESULT"] = f"<LOG_DIR>/{RESULT_FILE}"
        mine: str | None = None
        failure: TradewindError | None = None
        try:
            mine = work.submit(tags, environment, say=self._say, give_up=self._give_up)
        except TradewindError as error:
            # It may have been taken all the same: what the ResourceManager knows decides.
            failure = error
        found = self._settled(name, failure is None)
        if not found:
            raise failure or SetupError(
                f"{self._where}: {name} was submitted, and this ResourceManager does not know it. "
                "Let HADOOP_CONF_DIR and yarn_resourcemanager_webapp_address name the same cluster."
            )
        first = found[0]
        self._ids[name] = first["id"]
        if mine is not None and first["id"] != mine:
            self._kill(mine, name)
            raise AlreadyStartedError(f"{self._where}: {name} was submitted by another attempt.")
        said = str(first.get("diagnostics", ""))
        if first["state"] == "FAILED" and any(word in said for word in _WRONG):
            raise InputError(
                f"{self._where}: {name}: {_one_line(said)} Correct yarn_queue, or what is asked "
                "for."
            )

    def _settled(self, name: str, surely: bool) -> list[dict[str, Any]]:
        """Look up what was submitted; it is there when the submission has ended.

        What can never run is refused a moment later, when the scheduler has looked at it.
        """
        end = time.monotonic() + (_APPEAR_SECONDS if surely else 0)
        looked_at_by = time.monotonic() + _SCHEDULED_SECONDS
        while True:
            found = self._named(name)
            waits = time.monotonic() < (looked_at_by if found else end)
            if not waits or (found and found[0]["state"] not in _NEW):
                return found
            time.sleep(0.2)  # not to be ended: two that race are not to stay two

    def _named(self, name: str) -> list[dict[str, Any]]:
        """List all applications of that name, the first one first."""
        found = self._applications({"applicationTags": name})
        return sorted(found, key=lambda one: (one["startedTime"], _order(one["id"])))

    def _applications(self, params: Mapping[str, str]) -> list[dict[str, Any]]:
        told = self._managers.get(
            "/ws/v1/cluster/apps",
            what="its applications",
            params={**params, "deSelects": "resourceRequests"},
        )
        return list((told.get("apps") or {}).get("app") or [])

    # -------------------------------------------------------------------------------- look, list

    def status(self, name: str) -> JobStatus:
        """Ask for the application of that name."""
        told = self._describe(name)
        return JobStatus(JobState.ABSENT) if told is None else self._job_status(told)

    def _describe(self, name: str) -> dict[str, Any] | None:
        known = self._ids.get(name)
        if known is not None:
            told = self._managers.find(f"/ws/v1/cluster/apps/{known}", what=name)
            if told is not None:
                return dict(told["app"])
            self._ids.pop(name, None)
        found = self._named(name)
        if not found:
            return None
        self._ids[name] = found[0]["id"]
        return found[0]

    def _job_status(self, told: Mapping[str, Any]) -> JobStatus:
        state, final = str(told["state"]), str(told.get("finalStatus"))
        said = _one_line(str(told.get("diagnostics") or ""))
        if state in _PENDING:
            return JobStatus(JobState.PENDING, f"it is {state}: {said}"[:500] if said else None)
        if state == "RUNNING":
            return JobStatus(JobState.RUNNING)
        if state == "FINISHED" and final == "SUCCEEDED":
            return JobStatus(JobState.SUCCEEDED, exit_code=0)
        match = _EXIT.search(said)
        code = int(match[1]) if match else None
        if state == "KILLED" or final == "KILLED":
            why = "it was killed (YARN sends SIGTERM and soon after SIGKILL)"
        elif code is not None and code >= 0:
            why = describe_exit_status(code)
        else:
            why = f"its state is {state} and its final status {final}"
        return JobStatus(
            JobState.FAILED,
            f"{told['id']}: {why}{f': {said}' if said else ''}"[:3_000],
            code,
            final=state == "FAILED" and any(word in said for word in _WRONG),
        )

    def list(self, owner: Owner | None = None) -> Iterator[Job]:
        """List an owner's applications, or all of ours that have not ended, in one call."""
        if owner is None:
            params = {"applicationTags": _TAG, "states": ",".join(_ACTIVE)}
        else:
            params = {"applicationTags": _OWNER_TAG + owner.digest}
        found: dict[str, dict[str, Any]] = {}
        for one in self._applications(params):
            tags = str(one.get("applicationTags") or "").split(",")
            name = next((tag for tag in tags if _NAME.fullmatch(tag)), None)
            if name is None:
                continue
            other = found.get(name)
            if other is None or _first(one) < _first(other):
                found[name] = {**one, "tags": tags}
        for name, one in found.items():
            match = _NAME.fullmatch(name)
            if match is None:
                continue
            title = title_of(one["tags"]) or name.removeprefix(f"{_TAG}-")
            yield Job(
                name,
                match["owner"],
                title,
                int(match["number"]),
                self._job_status(one),
                _moment(one["startedTime"]),
                _moment(one["finishedTime"]) if one.get("finishedTime") else None,
            )

    # --------------------------------------------------------------------------------------- logs

    def logs(self, name: str, after: str | None, *, wait: float) -> Iterator[LogLine]:
        """Read what the application master's container has written since, twice a second.

        A cursor is the container and how many bytes of its stdout and stderr are known.
        """
        end = time.monotonic() + wait
        while True:
            told = self._describe(name)
            if told is None:
                return
            ended = str(told["state"]) not in _ACTIVE
            if ended:
                told = self._when_shown(name, told)
            for line in self._logs.lines(told, after, ended=ended):
                after = line.cursor
                yield line
            if ended or (left := end - time.monotonic()) <= 0:
                return
            rest(min(0.5, left))

    def _when_shown(self, name: str, told: dict[str, Any]) -> dict[str, Any]:
        """Wait for logs that are on their way from the NodeManager to where they are kept."""
        end = time.monotonic() + _AGGREGATION_SECONDS
        while (
            told.get("amContainerLogs")
            and told.get("logAggregationStatus") in _AGGREGATING
            and time.monotonic() < end
            and not self._logs.shown(told)
        ):
            rest(0.3)
            told = self._describe(name) or told
        return told

    def last_line(self, name: str) -> str | None:
        """Ask for the end of stdout."""
        told = self._describe(name)
        return None if told is None else self._logs.last_line(self._when_shown(name, told))

    # ----------------------------------------------------------------------- result, stop, remove

    def result(self, name: str, *, limit: int) -> bytes | None:
        """Fetch the file beside the log.

        Where neither NodeManager nor log server show the container's files any more, there is
        none, and a line says so.
        """
        told = self._describe(name)
        if told is None:
            return None
        told = self._when_shown(name, told)
        found = self._logs.file(told, RESULT_FILE, limit)
        if found is None and not self._logs.shown(told):
            self._say(
                f"{self._where}: the files of {told['id']} are shown no more, so a result that it "
                "may have handed back is lost. Set yarn.log.server.web-service.url on the cluster, "
                "or yarn_log_server_address in the connection."
            )
        return found

    def cancel(self, name: str) -> None:
        """Ask YARN to kill it, and any other of that name."""
        for one in self._named(name):
            if one["state"] in _ACTIVE:
                self._kill(one["id"], name)

    def _kill(self, application: str, name: str) -> None:
        self._managers.put(
            f"/ws/v1/cluster/apps/{application}/state", {"state": "KILLED"}, what=name
        )

    def delete(self, name: str) -> None:
        """End what still runs, and wait for that; its history is the ResourceManager's."""
        end = time.monotonic() + _END_SECONDS
        while True:
            active = [one for one in self._named(name) if one["state"] in _ACTIVE]
            if not active:
                return
            if time.monotonic() > end:
                raise RetryError(
                    f"{self._where}: {name}: {active[0]['id']} was asked to end and does not, "
                    f"after {_END_SECONDS:.0f} s."
                )
            for one in active:
                with suppress(RetryError):
                    self._kill(one["id"], name)
            rest(0.3)


def _order(application: str) -> tuple[int, ...]:
    """Order ids: ``application_TIMESTAMP_NUMBER``."""
    return tuple(int(word) for word in application.split("_") if word.isdigit())


def _first(one: Mapping[str, Any]) -> tuple[Any, ...]:
    return (one["startedTime"], _order(one["id"]))


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _in_shell(value: str) -> str:
    """Spell a value so that it arrives: YARN writes it between double quotes of a shell script."""
    return re.sub(r'([\\"$`])', r"\\\1", value)
