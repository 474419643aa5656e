"""What a local system is, and how each one is found.

A system is one file ``tradewind/systems/NAME/local.py`` with a module constant ``SYSTEM``, an
instance of a `System` subclass, which the system's description names as ``local``. It says what it
is called, what it offers and needs, and how it starts; what every system has in common (its folder
and lock, ports, children, the order of stopping) is done for it in `tradewind.local.up`,
`tradewind.local.folders` and `tradewind.local.processes`.
"""

from __future__ import annotations

import logging
import shutil
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from tradewind.errors import InputError, SetupError
from tradewind.local.processes import Children
from tradewind.registry import all_systems, imported, own_systems

__all__ = [
    "AWS_REGION",
    "Context",
    "Credentials",
    "Offer",
    "System",
    "find_program",
    "find_systems",
    "plan",
]

_log = logging.getLogger(__name__)

AWS_REGION = "eu-west-1"
"""The region that all local AWS systems say they are in."""


@dataclass(frozen=True)
class Credentials:
    """The key pair that every local system of one data folder accepts.

    Args:
        access_key_id: The public half.
        secret_access_key: The secret half, generated once a data folder.
    """

    access_key_id: str
    secret_access_key: str = field(repr=False)


@dataclass(frozen=True)
class Offer:
    """What a running system offers its clients.

    Args:
        endpoint: The address of its main service, like ``http://127.0.0.1:9000``.
        environment: Variables that clients read. The variables of all systems make one environment.
        connections: Airflow connections by id, each as the dict of Airflow's JSON form
            (``conn_type``, ``login``, ``extra``, ...). Systems that fill the same id are merged,
            ``extra`` key by key.
        notes: What else a person wants to know, by what it is called, like a generated login.
    """

    endpoint: str
    environment: Mapping[str, str] = field(default_factory=dict)
    connections: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Context:
    """What a system is handed when it is to start.

    Args:
        folder: The system's own folder, existing, writable and locked; data belong in it.
        host: The loopback address to listen on, and no other.
        port: The port to listen on; 0 lets the system take a free one.
        credentials: The key pair to accept.
        offers: What the systems it needs offer, by the role it asked for.
        environment: Variables that lead clients to the systems that run already.
        children: Starts its processes; they are stopped in reverse order when all ends.
        start_timeout: How long the system may take to be ready, in seconds.
    """

    folder: Path
    host: str
    port: int
    credentials: Credentials
    offers: Mapping[str, Offer]
    environment: Mapping[str, str]
    children: Children
    start_timeout: float


class System(ABC):
    """A real system that can be started on this machine.

    Subclasses set the class variables and implement `start`.
    """

    name: ClassVar[str]
    """What it is called on the command line."""
    summary: ClassVar[str]
    """One line for ``tradewind up --list``."""
    default_port: ClassVar[int]
    """The port of `tradewind up` when none is asked for."""
    role: ClassVar[str]
    """What it offers; one system a role runs at a time. Mostly its name."""
    needs: ClassVar[tuple[str, ...]] = ()
    """Roles that must be running before it. A missing one is started by itself."""
    last: ClassVar[bool] = False
    """Whether it starts after all others, being a client of whatever runs."""
    start_timeout: ClassVar[float] = 30.0
    """Seconds after which a start that did not become ready has failed."""

    @abstractmethod
    def check(self) -> None:
        """Look whether all that it needs is installed; called before anything is started.

        Raises:
            SetupError: Something is missing; the message says how to install it.
        """

    @abstractmethod
    def start(self, context: Context) -> Offer:
        """Start it and return when it answers.

        Args:
            context: Where to keep data, where to listen, how to start processes.

        Returns:
            What it offers.

        Raises:
            SetupError: It did not start; the message says why and what to do.
        """

    def sample(self, environment: Mapping[str, str]) -> None:  # noqa: B027  most have none
        """Put sample data into it, once it runs; what is there already stays.

        Args:
            environment: The variables that lead clients to it.

        Raises:
            SetupError: Its client is not installed.
        """


def find_systems() -> dict[str, System]:
    """Find every system there is: what `tradewind.system.System.local` names.

    Returns:
        Systems by name, in alphabetical order.
    """
    systems: list[System] = []
    for system in all_systems().values():
        if not system.local:
            continue
        try:
            systems.append(imported(system.local))
        except Exception as error:
            if system.name in own_systems():
                raise
            # Somebody else's fault must not end every command.
            _log.warning(
                "The local system of the plugin %s cannot be loaded (%s: %s).",
                system.name,
                type(error).__name__,
                error,
            )
    return {system.name: system for system in sorted(systems, key=lambda system: system.name)}


def plan(names: list[str], systems: Mapping[str, System] | None = None) -> list[System]:
    """Put the systems asked for, and what they need, into the order of starting.

    Args:
        names: Names of systems.
        systems: Which there are; all of `find_systems` when not given.

    Returns:
        Systems, each after those that it needs.

    Raises:
        InputError: A name is unknown, or two systems of one role are asked for.
    """
    systems = find_systems() if systems is None else systems
    unknown = [name for name in names if name not in systems]
    if unknown:
        raise InputError(
            f"There is no local system {unknown[0]!r}. Choose from: {', '.join(systems)}."
        )
    asked: dict[str, System] = {}
    for name in names:
        other = asked.setdefault(systems[name].role, systems[name])
        if other is not systems[name]:
            raise InputError(
                f"{other.name} and {name} both offer {systems[name].role}. Choose one of them."
            )
    order: list[System] = []

    def add(system: System) -> None:
        if system in order:
            return
        for role in system.needs:
            add(asked.get(role) or systems[role])
        order.append(system)

    for name in names:
        add(systems[name])
    return sorted(order, key=lambda system: system.last)


def find_program(name: str, *, system: str, remedy: str) -> str:
    """Find a program, beside this Python first and then on PATH.

    Args:
        name: File name of the program.
        system: Name of the system that needs it, for the message.
        remedy: How to install it, one sentence.

    Returns:
        Its path.

    Raises:
        SetupError: It is not there.
    """
    beside = str(Path(sys.executable).parent)
    found = shutil.which(name, path=beside) or shutil.which(name)
    if found is None:
        raise SetupError(f"{system}: the program {name!r} is not installed. {remedy}")
    return found
