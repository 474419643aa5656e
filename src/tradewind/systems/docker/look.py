"""What an engine tells of a container."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from tradewind.run.backend import JobState, JobStatus
from tradewind.run.exit_status import describe_exit_status
from tradewind.systems.docker.engine import Engine

__all__ = [
    "NUMBER",
    "OWNER",
    "TITLE",
    "Look",
    "age",
    "created",
    "is_claimed",
    "name_in",
    "status_in",
    "was_never_started",
]

OWNER, NUMBER, TITLE = "tradewind.owner", "tradewind.number", "tradewind.title"
"""Labels of our containers."""
_NEW = ("created", "configured", "initialized")


class Look:
    """Looks at containers, and keeps what was seen last.

    Args:
        engine: The engine.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._seen: dict[str, dict[str, Any]] = {}

    def response(self, name: str) -> Any:
        """Ask for a container; None where there is none."""
        response = self._engine.ask(
            "GET", f"/containers/{name}/json", what=f"the container {name}", fine=(404,)
        )
        return None if response.status_code == 404 else response

    def inspect(self, name: str) -> dict[str, Any] | None:
        """Give what the engine tells of a container; None where there is none."""
        response = self.response(name)
        if response is None:
            self._seen.pop(name, None)
            return None
        told: dict[str, Any] = response.json()
        self._seen[name] = told
        return told

    def known(self, name: str) -> dict[str, Any] | None:
        """Tell what was seen at the last look; of what was never looked at, look."""
        return self._seen.get(name) or self.inspect(name)

    def forget(self, name: str) -> None:
        """Forget what was seen of a container."""
        self._seen.pop(name, None)

    def there(self, name: str) -> bool:
        """Tell whether there is a container of this name."""
        return self.inspect(name) is not None

    def is_new(self, name: str) -> bool:
        """Tell whether a container is there and was never started."""
        told = self.inspect(name)
        return told is not None and was_never_started(told)


def status_in(told: Mapping[str, Any]) -> JobStatus:
    """Tell how a container is doing, by what the engine tells of it."""
    state = told["State"]
    status = str(state["Status"]).lower()
    if status in _NEW:
        return JobStatus(JobState.PENDING, "it is created and not started")
    if status in ("running", "restarting", "paused", "stopping"):
        return JobStatus(JobState.RUNNING)
    code = int(state.get("ExitCode") or 0)
    limit = told.get("HostConfig", {}).get("Memory")
    of = f" of {limit / 2**20:.0f} MiB" if limit else ""
    if state.get("OOMKilled"):
        reason = f"it used more memory than its limit{of} and was killed, exit status {code}"
        return JobStatus(JobState.FAILED, reason, code)
    if code == 0 and not state.get("Error"):
        return JobStatus(JobState.SUCCEEDED, exit_code=0)
    error = f": {state['Error']}" if state.get("Error") else ""
    if limit and code == 128 + signal.SIGKILL:
        # podman does not tell what has used too much.
        error += f"; its memory has a limit{of}"
    return JobStatus(JobState.FAILED, describe_exit_status(code) + error, code)


def was_never_started(told: Mapping[str, Any]) -> bool:
    """Tell whether a container that was looked at was never started."""
    state = told["State"]
    status = str(state["Status"]).lower()
    return status in _NEW or str(state.get("StartedAt", "")).startswith("0001-")


def age(told: Mapping[str, Any], date: str | None) -> float:
    """Tell how many seconds ago a container was created, by the engine's own clock."""
    try:
        created = datetime.fromisoformat(str(told["Created"])[:19]).replace(tzinfo=UTC)
        now = parsedate_to_datetime(date or "")
    except ValueError:
        return 0.0
    return max(0.0, (now - created).total_seconds() - 1.0)


def name_in(listed: Mapping[str, Any]) -> str:
    """Give the name of a container of a listing."""
    return str(listed["Names"][0]).lstrip("/") if listed.get("Names") else str(listed["Id"])


def is_claimed(listed: Mapping[str, Any]) -> bool:
    """Tell whether a container of a listing has the name that claims its work."""
    labels = listed["Labels"]
    return name_in(listed).endswith(f"-{labels[OWNER]}-{labels[NUMBER]}")


def created(seconds: Any) -> datetime | None:
    """Read when a container of a listing was created."""
    return datetime.fromtimestamp(int(seconds), UTC) if isinstance(seconds, int) else None
