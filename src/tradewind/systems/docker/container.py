"""A container as it is asked for."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tradewind.errors import InputError
from tradewind.systems.docker.engine import RegistryLogin

__all__ = ["Container", "words_of"]


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


def words_of(command: str | Sequence[str] | None) -> Sequence[str]:
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
