"""Containers of any engine with the Docker API.

The claim is the container's name, which is unique on its engine: creating it under that name
succeeds once. It is started after that; where the attempt dies in between, the next one finds a
container that was created and not started, and starts it (`DockerBackend.resume`).

Version 0.1 created containers under a name of no account first, and renamed them to claim theirs.
What it created and never renamed is still found (`DockerBackend.unclaimed`), and goes with the
work of its owner.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tradewind.backoff import rest
from tradewind.errors import RetryError
from tradewind.owner import Owner
from tradewind.run.backend import Backend, Job, JobState, JobStatus, LogLine
from tradewind.systems.docker.claim import Claims
from tradewind.systems.docker.container import Container
from tradewind.systems.docker.engine import Engine, RegistryLogin
from tradewind.systems.docker.log import ContainerLogs
from tradewind.systems.docker.look import (
    NUMBER,
    OWNER,
    TITLE,
    Look,
    created,
    is_claimed,
    name_in,
    status_in,
)
from tradewind.systems.docker.result import PAUSE_SECONDS, UNMOUNT_SECONDS, Results

__all__ = ["Container", "DockerBackend", "Engine", "RegistryLogin"]

_STOP_SECONDS = 5


class DockerBackend(Backend[Container]):
    """Runs containers.

    Memory: what the engine sends at once, and 64 such pieces of a log read ahead.

    Args:
        engine: The engine.
        say: Takes a line for each step of a pull.
    """

    name = "docker"
    log_is_exact = True
    tells_gone = True

    def __init__(self, engine: Engine, *, say: Callable[[str], None] = lambda _: None) -> None:
        self._engine = engine
        self._look = Look(engine)
        self._claims = Claims(engine, self._look, say=say, delete=self._delete)
        self._logs = ContainerLogs(engine, self._look.known)
        self._results = Results(engine)
        self._ended: dict[str, JobStatus] = {}
        self._unclaimed: dict[str, list[str]] = {}

    def close(self) -> None:
        """Close its connections; containers go on."""
        self._logs.close()
        self._engine.close()

    def name_of(self, owner: Owner, number: int) -> str:
        """Spell a name: as container names go, and as host names do."""
        return f"{owner.name(limit=58)}-{number}"

    def about(self, work: Container) -> str:
        """Name engine and image."""
        return f"on Docker at {self._engine.url}, image {work.image}"

    # ------------------------------------------------------------------------------------ start

    def submit(
        self, owner: Owner, number: int, work: Container, *, variables: Mapping[str, str]
    ) -> None:
        """Pull where that is needed, claim by creating, start."""
        self._claims.submit(self.name_of(owner, number), owner, number, work, variables)

    def resume(self, name: str) -> None:
        """Start a container that was claimed and not started."""
        self._claims.resume(name)

    # -------------------------------------------------------------------------------- look, list

    def status(self, name: str) -> JobStatus:
        """Inspect the container."""
        told = self._look.inspect(name)
        return JobStatus(JobState.ABSENT) if told is None else status_in(told)

    def list(self, owner: Owner | None = None) -> Iterator[Job]:
        """Ask for all containers with our label: one call, and one for each newly ended."""
        label = OWNER if owner is None else f"{OWNER}={owner.digest}"
        response = self._engine.ask(
            "GET",
            "/containers/json",
            what="its containers",
            params={"all": "true", "filters": f'{{"label": ["{label}"]}}'},
        )
        ended = self._ended
        if owner is None:
            self._ended = {}  # what is removed is forgotten
        for told in response.json():
            labels = told["Labels"]
            name = name_in(told)
            if not is_claimed(told):
                if owner is not None:
                    claims = self.name_of(owner, int(labels[NUMBER]))
                    self._unclaimed.setdefault(claims, []).append(told["Id"])
                continue  # see `unclaimed`
            running = str(told["State"]).lower() == "running"
            status = JobStatus(JobState.RUNNING)
            if not running:
                # Nobody starts again what has ended, so its end is asked for once.
                status = ended.get(told["Id"]) or self.status(name)
                if status.state.ended:
                    self._ended[told["Id"]] = status
            if status.state is not JobState.ABSENT:
                yield Job(
                    name=name,
                    owner=labels[OWNER],
                    title=labels.get(TITLE, ""),
                    number=int(labels[NUMBER]),
                    status=status,
                    started=created(told.get("Created")),
                )

    def unclaimed(self) -> Iterator[Job]:
        """Tell of containers that were created and not renamed: one call."""
        for told in self._labelled(f'"{OWNER}"'):
            labels = told["Labels"]
            if not is_claimed(told):
                yield Job(
                    name=name_in(told),
                    owner=labels[OWNER],
                    title=labels.get(TITLE, ""),
                    number=int(labels[NUMBER]),
                    status=JobStatus(JobState.PENDING, "it was created, and its creator has died"),
                    started=created(told.get("Created")),
                )

    def delete_unclaimed(self, name: str) -> None:
        """Delete a container that was created and not renamed."""
        told = self._look.inspect(name)
        # A container keeps its id when it is renamed, and so its claim.
        if told is not None and told["State"]["Status"] == "created":
            labels = told["Config"]["Labels"]
            if not told["Name"].endswith(f"-{labels[OWNER]}-{labels[NUMBER]}"):
                self._delete(name)

    def _labelled(self, *labels: str) -> Any:
        response = self._engine.ask(
            "GET",
            "/containers/json",
            what="its containers",
            params={"all": "true", "filters": f'{{"label": [{", ".join(labels)}]}}'},
        )
        return response.json()

    # ------------------------------------------------------------------------------------- logs

    def logs(self, name: str, after: str | None, *, wait: float) -> Iterator[LogLine]:
        """Follow the log over one connection that stays open from call to call.

        A cursor is the engine's timestamp of a line, to the nanosecond, and how many lines before
        it have the same one.
        """
        return self._logs.read(name, after, wait=wait)

    # --------------------------------------------------------------------- result, stop, remove

    def result(self, name: str, *, limit: int) -> bytes | None:
        """Fetch the file from the container's file system."""
        return self._results.read(name, limit=limit)

    def last_line(self, name: str) -> str | None:
        """Ask the engine for the end of the log."""
        return self._logs.last_line(name)

    def cancel(self, name: str) -> None:
        """Ask the engine to stop it: SIGTERM, and SIGKILL after five seconds."""
        try:
            self._engine.ask(
                "POST",
                f"/containers/{name}/stop",
                what=f"the container {name}",
                params={"t": str(_STOP_SECONDS)},
                fine=(304, 404),
                timeout=1.0,
            )
        except RetryError:
            # It answers when the container has ended, and goes on stopping when nobody waits.
            self._engine.ask("GET", "/_ping", what="a sign of life")

    def delete(self, name: str) -> None:
        """Kill and delete it, with its anonymous volumes, and what died before its claim."""
        self._logs.forget(name)
        self._delete(name)
        self._look.forget(name)
        for one in self._unclaimed.pop(name, ()):
            self.delete_unclaimed(one)

    def _delete(self, name: str) -> None:
        last = time.monotonic() + UNMOUNT_SECONDS
        while True:
            try:
                self._engine.ask(
                    "DELETE",
                    f"/containers/{name}",
                    what=f"the container {name}",
                    params={"force": "true", "v": "true"},
                    fine=(404, 409),  # gone, or being removed by somebody else
                )
                return
            except RetryError as error:
                # podman refuses it for a moment to what has just ended.
                if "state improper" not in str(error) or time.monotonic() > last:
                    raise
            rest(PAUSE_SECONDS)
