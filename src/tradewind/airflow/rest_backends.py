"""Backends of HTTP APIs and of Livy from Airflow's connections, described in plain values."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from tradewind.errors import InputError

if TYPE_CHECKING:
    from tradewind.run.backend import Backend
    from tradewind.systems.http.backend import JobApi, RestConnection

__all__ = [
    "auth_type_name",
    "describe_api",
    "open_http_jobs",
    "open_livy",
    "open_livy_sessions",
    "read_api",
]


def describe_api(api: JobApi) -> dict[str, Any]:
    """Give a declaration as JSON can hold it."""
    return {
        name: sorted(value) if isinstance(value, frozenset) else value
        for name, value in asdict(api).items()
    }


def read_api(described: Mapping[str, Any]) -> JobApi:
    """Make a declaration of its fields, as Python or JSON spell them.

    Args:
        described: Fields of `JobApi` by name; lists stand for sets and tuples.

    Raises:
        InputError: A field is unknown, or the declaration wrong.
    """
    from tradewind.systems.http.backend import JobApi, JobLog

    fields = dict(described)
    unknown = sorted(set(fields) - set(JobApi.__dataclass_fields__))
    if unknown:
        raise InputError(
            f"{unknown[0]!r} is nothing that a job API declares. Choose from: "
            f"{', '.join(JobApi.__dataclass_fields__)}."
        )
    for name in ("pending", "running", "succeeded", "failed"):
        if name in fields:
            fields[name] = frozenset(_listed(fields[name]))
    for name in ("start", "cancel", "remove", "taken_status", "environment_names"):
        if isinstance(fields.get(name), list):
            fields[name] = tuple(fields[name])
    log = fields.get("log")
    if isinstance(log, Mapping):
        fields["log"] = JobLog(**{**log, "sections": tuple(log.get("sections", ()))})
    return JobApi(**fields)


def _listed(states: Any) -> Any:
    return [states] if isinstance(states, str) else states


def auth_type_name(auth_type: Any) -> str | None:
    """Spell a class of authentication so that another process finds it; None where it cannot."""
    module, name = getattr(auth_type, "__module__", ""), getattr(auth_type, "__qualname__", "")
    return f"{module}:{name}" if module and name.isidentifier() else None


def open_http_jobs(
    http_conn_id: str,
    api: Mapping[str, Any],
    headers: Mapping[str, str] | None = None,
    extra_options: Mapping[str, Any] | None = None,
    auth_name: str | None = None,
    auth_type: Any = None,
) -> Backend[Any]:
    """Make the backend of an HTTP API.

    Args:
        http_conn_id: Its connection, read as the official HTTP hook reads it.
        api: `JobApi`, as `describe_api` gives it.
        headers: Beside those of the connection.
        extra_options: As ``HttpHook`` has them: verify, cert, proxies, timeout.
        auth_name: A class like `requests.auth.HTTPBasicAuth`, as `auth_type_name` spells it.
        auth_type: The class itself.
    """
    from tradewind.systems.http.backend import RestJobBackend

    connection = _connection(http_conn_id, "", headers, extra_options, auth_name, auth_type)
    return RestJobBackend(connection, read_api(api))


def open_livy(
    livy_conn_id: str,
    endpoint_prefix: str | None = None,
    headers: Mapping[str, str] | None = None,
    extra_options: Mapping[str, Any] | None = None,
    auth_name: str | None = None,
    auth_type: Any = None,
) -> Backend[Any]:
    """Make the backend of a Livy server.

    Args:
        livy_conn_id: Its connection, read as the official hook reads it.
        endpoint_prefix: What comes before ``/batches``.
        headers: As `open_http_jobs`.
        extra_options: As `open_http_jobs`.
        auth_name: As `open_http_jobs`.
        auth_type: As `open_http_jobs`.
    """
    from tradewind.systems.livy.backend import LivyBackend

    return LivyBackend(
        _livy_connection(
            livy_conn_id, endpoint_prefix, headers, extra_options, auth_name, auth_type
        )
    )


def open_livy_sessions(
    livy_conn_id: str,
    endpoint_prefix: str | None = None,
    headers: Mapping[str, str] | None = None,
    extra_options: Mapping[str, Any] | None = None,
    auth_name: str | None = None,
    auth_type: Any = None,
    code: str | None = None,
    kind: str = "pyspark",
) -> Backend[Any]:
    """Make the backend of a Livy server's sessions.

    Args:
        livy_conn_id: As `open_livy`.
        endpoint_prefix: What comes before ``/sessions``.
        headers: As `open_http_jobs`.
        extra_options: As `open_http_jobs`.
        auth_name: As `open_http_jobs`.
        auth_type: As `open_http_jobs`.
        code: What runs in a session that is ready; None only watches.
        kind: Of the sessions.
    """
    from tradewind.systems.livy.session import LivySessionBackend

    connection = _livy_connection(
        livy_conn_id, endpoint_prefix, headers, extra_options, auth_name, auth_type
    )
    return LivySessionBackend(connection, code=code, kind=kind)


def _livy_connection(
    conn_id: str,
    prefix: str | None,
    headers: Mapping[str, str] | None,
    extra_options: Mapping[str, Any] | None,
    auth_name: str | None,
    auth_type: Any,
) -> RestConnection:
    # What a Livy with protection against forged requests asks for.
    headers = {"X-Requested-By": "tradewind", **(headers or {})}
    return _connection(conn_id, prefix or "", headers, extra_options, auth_name, auth_type)


def _connection(
    conn_id: str,
    prefix: str,
    headers: Mapping[str, str] | None,
    extra_options: Mapping[str, Any] | None,
    auth_name: str | None,
    auth_type: Any,
) -> RestConnection:
    from tradewind.systems.http.airflow import http_connection
    from tradewind.systems.http.backend import RestConnection

    if auth_type is None and auth_name is not None:
        module, _, name = auth_name.partition(":")
        auth_type = getattr(importlib.import_module(module), name)
    # Answers are always checked here.
    options = {k: v for k, v in (extra_options or {}).items() if k != "check_response"}
    found = http_connection(conn_id, headers=headers, extra_options=options, auth_type=auth_type)
    base = found.base_url.rstrip("/")
    return RestConnection(
        f"{base}/{prefix.strip('/')}" if prefix.strip("/") else base,
        headers=found.headers,
        auth=found.auth,  # type: ignore[arg-type]
        verify=found.verify,
        cert=found.cert,
        proxy=found.proxy,
        connect_timeout=found.connect_timeout,
        read_timeout=found.read_timeout,
    )
