"""Containers of any engine with the Docker API.

The claim is the container's name, which is unique on its engine: creating it under that name
succeeds once. It is started after that; where the attempt dies in between, the next one finds a
container that was created and not started, and starts it (`DockerBackend.resume`).

Version 0.1 created containers under a name of no account first, and renamed them to claim theirs.
What it created and never renamed is still found (`DockerBackend.unclaimed`), and goes with the
work of its owner.

Over 400 lines: one class with the methods of a backend; engine, logs and operators stand apart.
"""

from __future__ import annotations

import base64
import io
import json
import re
import shlex
import signal
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from tradewind.errors import InputError, RetryError, TradewindError
from tradewind.owner import Owner
from tradewind.run.backend import (
    AlreadyStartedError,
    Backend,
    GoneError,
    Job,
    JobState,
    JobStatus,
    LogLine,
)
from tradewind.run.exit_status import describe_exit_status
from tradewind.systems.docker.engine import (
    Engine,
    EngineRefusedError,
    RegistryLogin,
    as_environment,
    host_config,
)
from tradewind.systems.docker.log import ContainerLogs

__all__ = ["Container", "DockerBackend", "Engine", "RegistryLogin"]

_OWNER, _NUMBER, _TITLE = "tradewind.owner", "tradewind.number", "tradewind.title"
_RESULT_FOLDER = "tradewind"
_RESULT = f"/{_RESULT_FOLDER}/result"
_STOP_SECONDS = 5
#: How long after the engine has failed to start a container it is asked to once more.
_AGAIN_SECONDS = 0.5
#: What an engine answers that is being stopped: its parts go one after the other.
_ENGINE_ENDS = r"failed to update store|context canceled|transport is closing|connection refused"
#: How long creating a container may take until the engine shows it.
_VISIBLE_SECONDS = 30.0
#: How long after its creation a container is left to its creator to start.
_RESUME_SECONDS = 3.0
#: How long after its claim a container is started without another look at it.
_SOON_SECONDS = 1.0
_NEW = ("created", "configured", "initialized")
_UNMOUNT_SECONDS, _PAUSE_SECONDS = 10.0, 0.1


@dataclass(frozen=True)
class Container:
    """A container to run; names are those of Airflow's DockerOperator.

    Args:
        image: Name of the image, with tag or digest.
        command: What runs in it: words, or a line that is split as a shell does.
        entrypoint: Instead of the image's own.
        environment: Variables.
        private_environment: Variables that are never shown.
        mounts: Mounts as the API spells them: ``{"Type": "bind", "Source": ..., "Target": ...}``.
        network_mode: ``host``, ``bridge``, ``none``, or a network's name.
        mem_limit: The most memory: bytes, or like ``512m``.
        cpus: Cores it may use, may be a fraction.
        shm_size: Size of ``/dev/shm``.
        user: Who runs it, ``name`` or ``uid:gid``.
        working_dir: Where it runs.
        pull: ``missing``, ``always`` or ``never``.
        login: Who pulls the image.
        platform: Like ``linux/arm64``.
        tty: Whether it gets a terminal.
        config: Anything else of the API's container config, as it spells it.
        host_config: Anything else of the API's host config, as it spells it.
        local_log: Lets the engine keep the log by its driver ``local``, whole, where it is set up
            to keep JSON files: it reads that faster. False leaves it as it is set up.
    """

    image: str
    command: str | Sequence[str] | None = None
    entrypoint: str | Sequence[str] | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    private_environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    mounts: Sequence[Mapping[str, Any]] = ()
    network_mode: str | None = None
    mem_limit: str | int | None = None
    cpus: float | None = None
    shm_size: str | int | None = None
    user: str | None = None
    working_dir: str | None = None
    pull: str = "missing"
    login: RegistryLogin | None = None
    platform: str | None = None
    tty: bool = False
    config: Mapping[str, Any] = field(default_factory=dict)
    host_config: Mapping[str, Any] = field(default_factory=dict)
    local_log: bool = True


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
        self._say = say
        self._logs = ContainerLogs(engine, self._known)
        self._ended: dict[str, JobStatus] = {}
        self._seen: dict[str, dict[str, Any]] = {}
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
        name = self.name_of(owner, number)
        for line in (work.command, work.entrypoint):
            _words_of(line)  # before anything is pulled
        if work.pull not in ("missing", "always", "never"):
            raise InputError(f"Docker: pull is {work.pull!r}; use missing, always or never.")
        if work.pull == "always":
            self._pull(work)
        try:
            self._claim(name, owner, number, work, variables)
        except EngineRefusedError as error:
            # That the image is there is seen by the container.
            if error.status != 404 or work.pull == "always" or self._has_image(work):
                raise
            self._pull(work)
            self._claim(name, owner, number, work, variables)
        claimed = time.monotonic()
        try:
            self._add_folder(name, needed=not work.host_config.get("ReadonlyRootfs"))
            if time.monotonic() - claimed > _SOON_SECONDS and not self._is_new(name):
                # Another attempt may have resumed it, and starting it again would run it again.
                raise self._taken(name)
            self._begin(name)
        except (InputError, RetryError) as error:
            if isinstance(error, EngineRefusedError) and error.status == 404:
                self._see_taken(name, error)
            # Where the engine is out of reach, the next attempt resumes it.
            with suppress(TradewindError):
                self._delete_new(name)
            raise

    def resume(self, name: str) -> None:
        """Start a container that was claimed and not started.

        Its creator may be about to start it: that is given a moment, as the container may have
        ended by the time that the creator does, and would run a second time.
        """
        response = self._look_at(name)
        if response is None or not _was_never_started(told := response.json()):
            return
        if (rest := _RESUME_SECONDS - _age(told, response.headers.get("date"))) > 0:
            time.sleep(rest)
            if not self._is_new(name):
                return
        self._add_folder(name, needed=not told.get("HostConfig", {}).get("ReadonlyRootfs"))
        self._begin(name)

    def _claim(
        self, name: str, owner: Owner, number: int, work: Container, variables: Mapping[str, str]
    ) -> None:
        """Create the container; raises `AlreadyStartedError` where another attempt has."""
        last = time.monotonic() + _VISIBLE_SECONDS
        while True:
            try:
                self._create(name, owner, number, work, variables)
                return
            except (EngineRefusedError, RetryError) as error:
                # podman answers 500.
                if not (name in str(error) and "in use" in str(error)):
                    raise
                if self._there(name):
                    raise self._taken(name) from error
                if time.monotonic() > last:
                    raise RetryError(
                        f"{error} But it cannot be seen: another attempt is about to create it."
                    ) from error
            # An engine reserves a name before it shows the container; creating it may still fail.
            time.sleep(_PAUSE_SECONDS)

    def _taken(self, name: str) -> AlreadyStartedError:
        return AlreadyStartedError(
            f"Docker at {self._engine.url}: the container {name} was started before."
        )

    def _see_taken(self, name: str, error: TradewindError) -> None:
        """Raise `AlreadyStartedError` where a container is gone that was claimed a moment ago."""
        if not self._there(name):
            # Another attempt has resumed it, to its end.
            raise self._taken(name) from error

    def _there(self, name: str) -> bool:
        return self._inspect(name) is not None

    def _is_new(self, name: str) -> bool:
        told = self._inspect(name)
        return told is not None and _was_never_started(told)

    def _delete_new(self, name: str) -> None:
        """Delete what was never started; not what another attempt has started."""
        if self._is_new(name):
            self._delete(name)

    def _begin(self, name: str, *, again: bool = True) -> None:
        try:
            self._engine.ask(
                "POST", f"/containers/{name}/start", what=f"the container {name}", fine=(304,)
            )
        except RetryError as error:
            # The engine answers 500 to what its runtime refuses, and while it is being stopped.
            if re.search(_ENGINE_ENDS, str(error)) or not self._is_new(name):
                raise
            if not again:
                raise InputError(
                    f"{error} Check command, mounts, ports and limits of the container."
                ) from error
            time.sleep(_AGAIN_SECONDS)
            self._begin(name, again=False)

    def _has_image(self, work: Container) -> bool:
        path, what = f"/images/{work.image}/json", f"the image {work.image!r}"
        return self._engine.ask("GET", path, what=what, fine=(404,)).status_code != 404

    def _pull(self, work: Container) -> None:
        if work.pull == "never":
            raise InputError(
                f"Docker at {self._engine.url}: the image {work.image!r} is not there, and it is "
                "not to be pulled. Build or load it on that engine."
            )
        for line in self._engine.pull(work.image, work.login, platform=work.platform):
            self._say(line)

    def _create(
        self, name: str, owner: Owner, number: int, work: Container, variables: Mapping[str, str]
    ) -> None:
        environment = {
            **variables,
            **work.environment,
            **work.private_environment,
            "TRADEWIND_RESULT": _RESULT,
        }
        limits = host_config(
            network_mode=work.network_mode,
            mem_limit=work.mem_limit,
            cpus=work.cpus,
            shm_size=work.shm_size,
        )
        config: dict[str, Any] = {
            **work.config,
            "Image": work.image,
            "Env": as_environment(environment),
            "Tty": work.tty,
            "Labels": {
                **work.config.get("Labels", {}),
                _OWNER: owner.digest,
                _NUMBER: str(number),
                _TITLE: str(owner),
            },
            "HostConfig": {"Mounts": list(work.mounts), **limits, **work.host_config},
        }
        # Docker 20.10 ends no long line with that driver, and a terminal's has nothing else to it.
        if work.local_log and not work.tty and "LogConfig" not in work.host_config:
            config["HostConfig"] |= self._engine.local_log()
        for key, value in (("Cmd", work.command), ("Entrypoint", work.entrypoint)):
            if value is not None:
                config[key] = _words_of(value)
        texts = {"User": work.user, "WorkingDir": work.working_dir}
        config |= {key: text for key, text in texts.items() if text is not None}
        params = {"name": name}
        if work.platform:
            params["platform"] = work.platform
        self._engine.ask(
            "POST",
            "/containers/create",
            what=f"a container of the image {work.image!r}",
            params=params,
            json=config,
        )

    def _add_folder(self, name: str, *, needed: bool) -> None:
        """Make the folder where any user of the container may hand back a result."""
        try:
            self._engine.ask(
                "PUT",
                f"/containers/{name}/archive",
                what=f"the container {name}",
                params={"path": "/"},
                content=_folder_archive(),
                headers={"Content-Type": "application/x-tar"},
            )
        except (EngineRefusedError, RetryError):
            if needed:
                raise

    # -------------------------------------------------------------------------------- look, list

    def _look_at(self, name: str) -> Any:
        response = self._engine.ask(
            "GET", f"/containers/{name}/json", what=f"the container {name}", fine=(404,)
        )
        return None if response.status_code == 404 else response

    def _inspect(self, name: str) -> dict[str, Any] | None:
        response = self._look_at(name)
        if response is None:
            self._seen.pop(name, None)
            return None
        told: dict[str, Any] = response.json()
        self._seen[name] = told
        return told

    def _known(self, name: str) -> dict[str, Any] | None:
        """Tell what was seen at the last look; of what was never looked at, look."""
        return self._seen.get(name) or self._inspect(name)

    def status(self, name: str) -> JobStatus:
        """Inspect the container."""
        told = self._inspect(name)
        if told is None:
            return JobStatus(JobState.ABSENT)
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

    def list(self, owner: Owner | None = None) -> Iterator[Job]:
        """Ask for all containers with our label: one call, and one for each newly ended."""
        label = _OWNER if owner is None else f"{_OWNER}={owner.digest}"
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
            name = _name_in(told)
            if not _is_claimed(told):
                if owner is not None:
                    claims = self.name_of(owner, int(labels[_NUMBER]))
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
                    owner=labels[_OWNER],
                    title=labels.get(_TITLE, ""),
                    number=int(labels[_NUMBER]),
                    status=status,
                    started=_created(told.get("Created")),
                )

    def unclaimed(self) -> Iterator[Job]:
        """Tell of containers that were created and not renamed: one call."""
        for told in self._labelled(f'"{_OWNER}"'):
            labels = told["Labels"]
            if not _is_claimed(told):
                yield Job(
                    name=_name_in(told),
                    owner=labels[_OWNER],
                    title=labels.get(_TITLE, ""),
                    number=int(labels[_NUMBER]),
                    status=JobStatus(JobState.PENDING, "it was created, and its creator has died"),
                    started=_created(told.get("Created")),
                )

    def delete_unclaimed(self, name: str) -> None:
        """Delete a container that was created and not renamed."""
        told = self._inspect(name)
        # A container keeps its id when it is renamed, and so its claim.
        if told is not None and told["State"]["Status"] == "created":
            labels = told["Config"]["Labels"]
            if not told["Name"].endswith(f"-{labels[_OWNER]}-{labels[_NUMBER]}"):
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
        last = time.monotonic() + _UNMOUNT_SECONDS
        while True:
            try:
                return self._result(name, limit)
            except tarfile.TarError as error:
                # podman takes the file system of what has just ended away for a moment.
                if time.monotonic() > last:
                    raise RetryError(
                        f"Docker at {self._engine.url}: the result of {name} is broken ({error})."
                    ) from error
            time.sleep(_PAUSE_SECONDS)

    def _result(self, name: str, limit: int) -> bytes | None:
        try:
            return self._read_result(name, limit)
        except EngineRefusedError as error:
            if error.status != 404:
                raise
            self._refuse_link(name, error.headers)
            # Docker names the file that is missing, podman says so of a file alone.
            if _RESULT in str(error) or "no such file" in str(error):
                return None
            raise GoneError(str(error)) from error
        except RetryError as error:
            # A link to itself is an internal error (500) to the engine, each time it is asked.
            if not re.search(r"too many (levels of symbolic )?links", str(error)):
                raise
            raise self._no_file(name, "a symbolic link") from None

    def _read_result(self, name: str, limit: int) -> bytes | None:
        with self._engine.stream(
            "GET",
            f"/containers/{name}/archive",
            what=f"the result of {name}",
            params={"path": _RESULT},
        ) as response:
            self._refuse_link(name, response.headers)
            reader = _Reader(response.iter_bytes(1 << 16))
            with tarfile.open(fileobj=reader, mode="r|") as archive:
                for member in archive:
                    if not member.isreg():
                        raise self._no_file(name, kind_of(member))
                    if member.size > limit:
                        raise InputError(
                            f"Docker at {self._engine.url}: the result of {name} is larger than "
                            f"{limit:,} bytes. Write it to a store, and hand back where it stands."
                        )
                    file = archive.extractfile(member)
                    if file is not None:
                        content: bytes = file.read()
                        return content
        return None

    def _refuse_link(self, name: str, headers: Mapping[str, str]) -> None:
        """Refuse a link: Docker sends the link itself, but podman what it points to, or 404."""
        told = headers.get("x-docker-container-path-stat")
        # podman names the file itself where there is no link.
        if told and json.loads(base64.b64decode(told)).get("linkTarget") not in (None, "", _RESULT):
            raise self._no_file(name, "a symbolic link")

    def _no_file(self, name: str, kind: str) -> InputError:
        return InputError(
            f"Docker at {self._engine.url}: the result of {name} is no regular file, but {kind}. "
            "Write it as a file into the path that TRADEWIND_RESULT names."
        )

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
        self._seen.pop(name, None)
        for one in self._unclaimed.pop(name, ()):
            self.delete_unclaimed(one)

    def _delete(self, name: str) -> None:
        last = time.monotonic() + _UNMOUNT_SECONDS
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
            time.sleep(_PAUSE_SECONDS)


class _Reader(io.RawIOBase):
    """Pieces of bytes as a file that is read once."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = b""

    def readable(self) -> bool:
        """Say yes."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read some."""
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._rest = chunk
        part = self._rest[: len(buffer)]
        self._rest = self._rest[len(part) :]
        buffer[: len(part)] = part
        return len(part)


def kind_of(member: tarfile.TarInfo) -> str:
    """Say what a member of an archive is that is no regular file."""
    kinds = {
        tarfile.SYMTYPE: "a symbolic link",
        tarfile.LNKTYPE: "a link",
        tarfile.DIRTYPE: "a directory",
        tarfile.FIFOTYPE: "a FIFO",
    }
    return kinds.get(member.type, "a device")


def _words_of(command: str | Sequence[str] | None) -> Sequence[str]:
    """Split a line as a shell does."""
    if not isinstance(command, str):
        return list(command or ())
    try:
        return shlex.split(command)
    except ValueError as error:
        raise InputError(
            f"Docker: the command {command!r} cannot be split into words ({error}): it has a quote "
            "or a backslash too many. Give it as a list of words."
        ) from None


def _was_never_started(told: Mapping[str, Any]) -> bool:
    state = told["State"]
    status = str(state["Status"]).lower()
    return status in _NEW or str(state.get("StartedAt", "")).startswith("0001-")


def _age(told: Mapping[str, Any], date: str | None) -> float:
    """Tell how many seconds ago a container was created, by the engine's own clock."""
    try:
        created = datetime.fromisoformat(str(told["Created"])[:19]).replace(tzinfo=UTC)
        now = parsedate_to_datetime(date or "")
    except ValueError:
        return 0.0
    return max(0.0, (now - created).total_seconds() - 1.0)


def _name_in(listed: Mapping[str, Any]) -> str:
    return str(listed["Names"][0]).lstrip("/") if listed.get("Names") else str(listed["Id"])


def _is_claimed(listed: Mapping[str, Any]) -> bool:
    labels = listed["Labels"]
    return _name_in(listed).endswith(f"-{labels[_OWNER]}-{labels[_NUMBER]}")


def _created(seconds: Any) -> datetime | None:
    return datetime.fromtimestamp(int(seconds), UTC) if isinstance(seconds, int) else None


def _folder_archive() -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        member = tarfile.TarInfo(_RESULT_FOLDER)
        member.type, member.mode = tarfile.DIRTYPE, 0o777
        archive.addfile(member)
    return target.getvalue()
