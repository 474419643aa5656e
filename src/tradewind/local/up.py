"""Start several local systems, hand out how to reach them, and stop them all again."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tradewind.errors import InputError, SetupError
from tradewind.local.folders import claim_folder, credentials_of
from tradewind.local.processes import Child, Children, check_port_free, past_proxies
from tradewind.local.system import Context, Offer, System, find_systems, plan

__all__ = ["UNSET", "RunningSystem", "Systems", "up"]

HOST = "127.0.0.1"

UNSET = (
    "AWS_PROFILE",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_ENDPOINT_URL",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    "PGHOSTADDR",
    "PGSERVICE",
    "PGSSLMODE",
)
"""Variables that would lead a client elsewhere in spite of those that are set."""


@dataclass(frozen=True)
class RunningSystem:
    """A local system that runs.

    Args:
        name: What it is called.
        role: What it offers.
        offer: How clients reach it.
        folder: Where its data are.
        children: Its processes.
    """

    name: str
    role: str
    offer: Offer
    folder: Path
    children: Children

    @property
    def endpoint(self) -> str:
        """The address of its main service."""
        return self.offer.endpoint

    @property
    def pids(self) -> list[int]:
        """The ids of its processes, in the order of starting."""
        return [child.pid for child in self.children.all]


@dataclass
class Systems(Mapping[str, RunningSystem]):
    """Running systems by name; one can also be had by its role (``systems["s3"]``).

    Args:
        data: The folder that their data are in.
        running: The systems, in the order of starting.
    """

    data: Path
    running: list[RunningSystem] = field(default_factory=list)

    def __getitem__(self, name: str) -> RunningSystem:
        for system in self.running:
            if name in (system.name, system.role):
                return system
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter([system.name for system in self.running])

    def __len__(self) -> int:
        return len(self.running)

    @property
    def environment(self) -> dict[str, str]:
        """The variables that lead clients, and Airflow, to these systems."""
        variables: dict[str, str] = past_proxies(os.environ)
        connections: dict[str, dict[str, Any]] = {}
        for system in self.running:
            variables.update(system.offer.environment)
            for name, connection in system.offer.connections.items():
                connections[name] = _merged(connections.get(name, {}), connection)
        for name, connection in connections.items():
            variables[f"AIRFLOW_CONN_{name.upper()}"] = json.dumps(connection)
        return variables

    def full_environment(self) -> dict[str, str]:
        """The environment of this process with that of the systems in it, for a command."""
        kept = {key: value for key, value in os.environ.items() if key not in UNSET}
        return {**kept, **self.environment}

    def ended(self) -> Child | None:
        """A process that has ended although nobody stopped it, if any."""
        for system in self.running:
            if child := system.children.ended():
                return child
        return None


@contextlib.contextmanager
def up(
    names: Sequence[str],
    *,
    data: Path,
    ports: Mapping[str, int] | None = None,
) -> Iterator[Systems]:
    """Start local systems, and those that they need, and stop them at the end.

    Args:
        names: Names of systems, like ``["s3", "sagemaker"]``.
        data: The folder to keep their data in; made when it is not there. What a system kept there
            is there again at the next start.
        ports: Ports to listen on, by system; one that is not given, or 0, is a free one.

    Yields:
        The running systems.

    Raises:
        InputError: There is no such system, or a port for one that is not started.
        SetupError: A program is missing, a port or a folder unusable, or a system did not start.
            What had been started is stopped again.
    """
    systems = plan(list(names), find_systems())
    ports = dict(ports or {})
    for name in ports:
        if name not in [system.name for system in systems]:
            raise InputError(f"A port is given for {name}, which is not among what is started.")
    for system in systems:
        system.check()
        check_port_free(system.name, ports.get(system.name, 0))
    data = Path(os.path.abspath(data))
    credentials = credentials_of(data)
    result = Systems(data)
    # Leaving the stack stops the systems in reverse order, also when one of them does not start.
    with contextlib.ExitStack() as stack:
        for system in systems:
            folder, lock = stack.enter_context(claim_folder(system.name, data))
            children = Children(system.name, folder / "logs", keep_open=[lock])
            stack.callback(children.stop)
            context = Context(
                folder=folder,
                host=HOST,
                port=ports.get(system.name, 0),
                credentials=credentials,
                offers={running.role: running.offer for running in result.running},
                environment=result.environment,
                children=children,
                start_timeout=system.start_timeout,
            )
            offer = _start(system, context)
            result.running.append(RunningSystem(system.name, system.role, offer, folder, children))
        yield result


def _start(system: System, context: Context) -> Offer:
    try:
        return system.start(context)
    except OSError as error:
        where = f" {error.filename}" if error.filename else ""
        raise SetupError(
            f"{system.name}: could not be started: {error.strerror or error}{where}. "
            f"Look at its folder {context.folder}, or choose another with --data."
        ) from error


def _merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(old)
    for key, value in new.items():
        before = result.get(key)
        if isinstance(before, Mapping) and isinstance(value, Mapping):
            result[key] = _merged(before, value)
        else:
            result[key] = value
    return result
