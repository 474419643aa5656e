"""Backends of `tradewind.run` from Airflow's connections, described in plain values.

A description holds ids of connections, never secrets: so it can stand in the metadata database
while a task is deferred, and is turned into a backend where it is needed.
"""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tradewind.errors import SetupError

if TYPE_CHECKING:
    from tradewind.run.backend import Backend
    from tradewind.systems.docker.engine import RegistryLogin

__all__ = [
    "BackendSpec",
    "open_docker",
    "open_process",
    "open_ssh",
    "registry_login",
]


@dataclass(frozen=True)
class BackendSpec:
    """Which system runs work, in values that JSON can hold.

    Args:
        opener: The function that makes the backend, ``module:function``.
        arguments: What it takes.
    """

    opener: str
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def open(self, **more: Any) -> Backend[Any]:
        """Make the backend.

        Args:
            more: Further arguments that cannot be described, like where to log.
        """
        module, _, function = self.opener.partition(":")
        make: Callable[..., Backend[Any]] = getattr(importlib.import_module(module), function)
        return make(**self.arguments, **more)

    def as_dict(self) -> dict[str, Any]:
        """Give it as JSON can hold it."""
        return {"opener": self.opener, "arguments": dict(self.arguments)}

    @property
    def key(self) -> str:
        """What is equal for descriptions of the same system."""
        return json.dumps(self.as_dict(), sort_keys=True)


def open_process(root: str) -> Backend[Any]:
    """Make the backend of this machine's processes.

    Args:
        root: Folder of the job folders.
    """
    from tradewind.systems.process.backend import ProcessBackend

    return ProcessBackend(root)


# ------------------------------------------------------------------------------------------ docker


def open_docker(
    docker_url: str | list[str] | None = None,
    api_version: str | None = None,
    timeout: float = 60.0,
    tls_ca_cert: str | None = None,
    tls_client_cert: str | None = None,
    tls_client_key: str | None = None,
    tls_verify: bool = True,
    tls_hostname: str | bool | None = None,
    *,
    say: Callable[[str], None] = lambda _: None,
) -> Backend[Any]:
    """Make the backend of a Docker engine, the first one that answers.

    Args:
        docker_url: Its address, or several; ``DOCKER_HOST``, with ``DOCKER_TLS_VERIFY`` and
            ``DOCKER_CERT_PATH``, or the usual socket when not given.
        api_version: Of the engine's API; ``auto`` or None for its own.
        timeout: Of an answer, in seconds.
        tls_ca_cert: File with the certificate authority of the engine.
        tls_client_cert: File with this client's certificate.
        tls_client_key: File with its key.
        tls_verify: Whether the engine's certificate is checked.
        tls_hostname: The name that it must have instead of the host's; False does not compare it.
        say: Takes a line for each step of a pull.

    Raises:
        SetupError: None of them answers.
    """
    from tradewind.systems.docker.backend import DockerBackend, Engine
    from tradewind.systems.docker.tls import context_of_environment, engine_context

    urls = docker_url or os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
    tls = engine_context(
        tls_ca_cert,
        tls_client_cert,
        tls_client_key,
        verify=tls_verify,
        check_hostname=tls_hostname is not False,
    )
    if tls is None and isinstance(urls, str) and urls == os.environ.get("DOCKER_HOST"):
        tls = context_of_environment(urls)
    server_name = tls_hostname if isinstance(tls_hostname, str) else None
    refused: list[str] = []
    for url in [urls] if isinstance(urls, str) else urls:
        # "unix://var/run/docker.sock", with two slashes, is how the official operator spells it.
        address = url.replace("unix://var/", "unix:///var/")
        engine = Engine(
            address, tls=tls, api_version=api_version, timeout=timeout, server_name=server_name
        )
        try:
            engine.ask("GET", "/_ping", what="a sign of life")
        except SetupError as error:
            engine.close()
            refused.append(str(error))
            continue
        return DockerBackend(engine, say=say)
    raise SetupError(" ".join(refused))


def registry_login(docker_conn_id: str | None) -> RegistryLogin | None:
    """Read who pulls images from a Docker connection.

    Args:
        docker_conn_id: Its id; None for nobody.

    Raises:
        SetupError: It lacks the registry's address or a user name.
    """
    if not docker_conn_id:
        return None
    from tradewind.airflow.connections import find_connection
    from tradewind.systems.docker.engine import RegistryLogin

    connection = find_connection(docker_conn_id)
    for what, value in (("a host", connection.host), ("a login", connection.login)):
        if not value:
            raise SetupError(
                f"The Airflow connection {docker_conn_id!r} has no {what.split()[1]}: a Docker "
                f"connection needs {what}, the registry's address and its user."
            )
    host = connection.host or ""
    return RegistryLogin(
        registry=f"{host}:{connection.port}" if connection.port else host,
        username=connection.login or "",
        password=connection.password or "",
        email=connection.extra_dejson.get("email") or "",
    )


# --------------------------------------------------------------------------------------------- ssh


def open_ssh(
    ssh_conn_id: str,
    remote_host: str | None = None,
    root: str = ".tradewind/jobs",
    conn_timeout: float | None = None,
) -> Backend[Any]:
    """Make the backend of another machine from an SSH connection.

    Args:
        ssh_conn_id: Its id; read as the official hook reads it.
        remote_host: The machine, instead of the connection's.
        root: Folder of the job folders there.
        conn_timeout: Of connecting, in seconds, instead of the connection's.
    """
    from tradewind.systems.ssh.airflow import ssh_connection
    from tradewind.systems.ssh.backend import SSHBackend

    connection = ssh_connection(ssh_conn_id, host=remote_host, conn_timeout=conn_timeout)
    return SSHBackend(connection, root=root)


def _is_true(value: Any) -> bool:
    return str(value).lower() == "true"


def _home(path: str | None) -> str | None:
    return os.path.expanduser(path) if path else None
