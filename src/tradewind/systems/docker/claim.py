"""Claims a container's name by creating it, and starts it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from tradewind.backoff import rest
from tradewind.errors import InputError, RetryError, TradewindError
from tradewind.owner import Owner
from tradewind.run.backend import AlreadyStartedError
from tradewind.systems.docker.container import Container, words_of
from tradewind.systems.docker.engine import (
    Engine,
    EngineRefusedError,
    as_environment,
    host_config,
)
from tradewind.systems.docker.look import NUMBER, OWNER, TITLE, Look, age, was_never_started
from tradewind.systems.docker.result import PAUSE_SECONDS, RESULT, folder_archive

__all__ = ["Claims"]

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


class Claims:
    """Claims and starts containers.

    Args:
        engine: The engine.
        look: Looks at its containers.
        say: Takes a line for each step of a pull.
        delete: Deletes a container.
    """

    def __init__(
        self,
        engine: Engine,
        look: Look,
        *,
        say: Callable[[str], None],
        delete: Callable[[str], None],
    ) -> None:
        self._engine = engine
        self._look = look
        self._say = say
        self._delete = delete

    def submit(
        self, name: str, owner: Owner, number: int, work: Container, variables: Mapping[str, str]
    ) -> None:
        """Pull where that is needed, claim by creating, start; see `Backend.submit`."""
        for line in (work.command, work.entrypoint):
            words_of(line)  # before anything is pulled
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
            if time.monotonic() - claimed > _SOON_SECONDS and not self._look.is_new(name):
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
        response = self._look.response(name)
        if response is None or not was_never_started(told := response.json()):
            return
        if (left := _RESUME_SECONDS - age(told, response.headers.get("date"))) > 0:
            rest(left)
            if not self._look.is_new(name):
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
                if self._look.there(name):
                    raise self._taken(name) from error
                if time.monotonic() > last:
                    raise RetryError(
                        f"{error} But it cannot be seen: another attempt is about to create it."
                    ) from error
            # An engine reserves a name before it shows the container; creating it may still fail.
            rest(PAUSE_SECONDS)

    def _taken(self, name: str) -> AlreadyStartedError:
        return AlreadyStartedError(
            f"Docker at {self._engine.url}: the container {name} was started before."
        )

    def _see_taken(self, name: str, error: TradewindError) -> None:
        """Raise `AlreadyStartedError` where a container is gone that was claimed a moment ago."""
        if not self._look.there(name):
            # Another attempt has resumed it, to its end.
            raise self._taken(name) from error

    def _delete_new(self, name: str) -> None:
        """Delete what was never started; not what another attempt has started."""
        if self._look.is_new(name):
            self._delete(name)

    def _begin(self, name: str, *, again: bool = True) -> None:
        try:
            self._engine.ask(
                "POST", f"/containers/{name}/start", what=f"the container {name}", fine=(304,)
            )
        except RetryError as error:
            # The engine answers 500 to what its runtime refuses, and while it is being stopped.
            if re.search(_ENGINE_ENDS, str(error)) or not self._look.is_new(name):
                raise
            if not again:
                raise InputError(
                    f"{error} Check command, mounts, ports and limits of the container."
                ) from error
            rest(_AGAIN_SECONDS)
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
            "TRADEWIND_RESULT": RESULT,
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
                OWNER: owner.digest,
                NUMBER: str(number),
                TITLE: str(owner),
            },
            "HostConfig": {"Mounts": list(work.mounts), **limits, **work.host_config},
        }
        # Docker 20.10 ends no long line with that driver, and a terminal's has nothing else to it.
        if work.local_log and not work.tty and "LogConfig" not in work.host_config:
            config["HostConfig"] |= self._engine.local_log()
        for key, value in (("Cmd", work.command), ("Entrypoint", work.entrypoint)):
            if value is not None:
                config[key] = words_of(value)
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
                content=folder_archive(),
                headers={"Content-Type": "application/x-tar"},
            )
        except (EngineRefusedError, RetryError):
            if needed:
                raise
