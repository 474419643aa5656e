"""What an operator is given, in the words of the Engine API."""

from __future__ import annotations

import ast
import io
from collections.abc import Mapping
from typing import Any

from tradewind.errors import InputError, MissingExtraError

__all__ = ["api_cased", "bindings_of", "listed", "mount_of", "port_of", "read_env_file", "texts_of"]

_MOUNT_WORDS = {
    "target": ("Target",),
    "source": ("Source",),
    "type": ("Type",),
    "read_only": ("ReadOnly",),
    "consistency": ("Consistency",),
    "propagation": ("BindOptions", "Propagation"),
    "no_copy": ("VolumeOptions", "NoCopy"),
    "labels": ("VolumeOptions", "Labels"),
    "subpath": ("VolumeOptions", "Subpath"),
    "driver_config": ("VolumeOptions", "DriverConfig"),
    "tmpfs_size": ("TmpfsOptions", "SizeBytes"),
    "tmpfs_mode": ("TmpfsOptions", "Mode"),
}


def listed(command: str | list[str] | None) -> str | list[str] | None:
    """Read a command that is written like a list of words; others are as they are."""
    if isinstance(command, str) and command.strip().startswith("["):
        try:
            words = ast.literal_eval(command.strip())
        except (ValueError, SyntaxError) as error:
            raise InputError(
                f"DockerOperator: {command!r} begins like a list of words, and is none. Write "
                'it like ["echo", "hello"], or as a line.'
            ) from error
        return [str(word) for word in words]
    return command


def texts_of(variables: Mapping[str, Any]) -> dict[str, str]:
    """Spell variables as text; None is left out."""
    return {name: str(value) for name, value in variables.items() if value is not None}


def read_env_file(text: str) -> dict[str, str]:
    """Read variables as ``.env`` files have them: by python-dotenv, as the official operator.

    A name without a value is left out, as the official operator leaves it out of the container.

    Args:
        text: The file's text.

    Raises:
        InputError: A line is no variable. Its text is not shown: it may be part of a secret.
        MissingExtraError: python-dotenv is missing.
    """
    text = text.removeprefix("\ufeff")
    if not text.strip():
        return {}
    try:
        from dotenv import dotenv_values
        from dotenv.parser import parse_stream
    except ImportError as error:
        raise MissingExtraError("dotenv", extra="docker", purpose="env_file") from error
    for binding in parse_stream(io.StringIO(text)):
        if binding.error or "\0" in (binding.value or ""):
            raise InputError(
                f"DockerOperator: line {binding.original.line} of env_file is no variable. Write "
                "NAME=value; quote a value of several lines; the path of a file ends with .env."
            )
    found = dotenv_values(stream=io.StringIO(text))
    return {name: value for name, value in found.items() if value is not None}


def mount_of(mount: Mapping[str, Any]) -> dict[str, Any]:
    """Spell a mount as the API does.

    Args:
        mount: ``docker.types.Mount``, which is a dict of the API's words, or a dict of its
            arguments; also after rendering, which makes plain dicts of both.

    Raises:
        InputError: It has no target, or a word that is unknown.
    """
    if "Target" in mount:
        return dict(mount)
    found: dict[str, Any] = {"Type": "volume"}
    for word, value in mount.items():
        if word not in _MOUNT_WORDS:
            raise InputError(
                f"DockerOperator: a mount has no {word!r}. Use {', '.join(_MOUNT_WORDS)}."
            )
        *outer, last = _MOUNT_WORDS[word]
        if word == "tmpfs_size":
            from tradewind.systems.docker.engine import size_of

            value = size_of(value)
        if value is not None:
            (found.setdefault(outer[0], {}) if outer else found)[last] = value
    if "Target" not in found:
        raise InputError(f"DockerOperator: the mount {dict(mount)} has no target. Name its path.")
    return found


def api_cased(options: Mapping[str, Any]) -> dict[str, Any]:
    """Spell a dict of arguments as the API does; types of docker.types are so already."""
    special = {"device_ids": "DeviceIDs"}
    return {
        special.get(name) or (name if name[:1].isupper() else name.title().replace("_", "")): value
        for name, value in options.items()
        if value is not None
    }


def port_of(port: Any) -> str:
    """Spell a container's port, like ``80/tcp``."""
    if isinstance(port, tuple):
        return f"{port[0]}/{port[1]}"
    return str(port) if "/" in str(port) else f"{port}/tcp"


def bindings_of(host: Any) -> list[dict[str, str]]:
    """Spell the ports of the engine's machine that lead to one of the container."""
    if isinstance(host, list):
        return [each for one in host for each in bindings_of(one)]
    if isinstance(host, tuple):
        address, port = (*host, None)[:2]
        return [{"HostIp": str(address), "HostPort": "" if port is None else str(port)}]
    return [{"HostPort": "" if host is None else str(host)}]
