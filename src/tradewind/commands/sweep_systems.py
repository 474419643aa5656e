"""The systems that ``tradewind sweep`` is given, opened one after the other."""

from __future__ import annotations

import argparse
import importlib
import json
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote

from tradewind.errors import InputError, SetupError
from tradewind.redaction import HIDDEN, scheme_of, shown_uri, split_uri

if TYPE_CHECKING:
    from tradewind.run.backend import Backend
    from tradewind.sweep.leftover import Leftover
    from tradewind.systems.http.backend import RestConnection

__all__ = ["listings"]

_SAGEMAKER_KINDS = ("TRAINING", "TRANSFORM", "PROCESSING", "TUNING")


def listings(arguments: argparse.Namespace) -> Iterator[tuple[str, Iterator[Leftover]]]:
    """Make a listing of each system that is named; none is connected to before its turn."""
    for uri in arguments.docker:
        yield _safe(uri), _work(f"docker {_safe(uri)}", lambda uri=uri: _docker(uri))
    for name in arguments.ssh:
        yield _safe(name), _work(f"ssh {_safe(name)}", lambda name=name: _ssh(name))
    for folder in arguments.process:
        yield folder, _work(f"process {folder}", lambda folder=folder: _process(folder))
    for name in arguments.yarn:
        yield _safe(name), _work(f"yarn {_safe(name)}", lambda name=name: _yarn(name))
    for name in arguments.livy:
        for kind in ("batches", "sessions"):
            system = f"livy {_safe(name)} {kind}"
            yield system, _work(system, lambda name=name, kind=kind: _livy(name, kind))
    for name in arguments.sagemaker:
        for kind in _SAGEMAKER_KINDS:
            system = f"sagemaker {name} {kind.lower()}"
            yield system, _sagemaker(system, name, kind)
        yield f"sagemaker {name} deployments", _deployments(name)
    for uri in arguments.objects:
        yield _safe(uri), _objects(uri)
    for text in arguments.http_jobs:
        name, _, api = text.rpartition("=")
        system = f"http jobs {_safe(name)}"
        yield system, _work(system, lambda name=name, api=api: _http_jobs(name, api))
    for uri in arguments.tables:
        yield _safe(uri), _tables(uri)
    for pair in arguments.system:
        yield from _plugin(pair)


def _safe(name: str) -> str:
    """Name a system without what its URI may hold of secrets."""
    return shown_uri(name).partition("?")[0].replace(f"{HIDDEN}@", "")


def _work(system: str, open_backend: Any) -> Iterator[Leftover]:
    from tradewind.sweep.work import leftovers_of_work

    backend: Backend[Any] = open_backend()
    try:
        yield from leftovers_of_work(system, backend)
    finally:
        backend.close()


def _docker(uri: str) -> Backend[Any]:
    from tradewind.systems.docker.backend import DockerBackend, Engine
    from tradewind.systems.docker.tls import context_of_environment

    return DockerBackend(Engine(uri, tls=context_of_environment(uri)))


def _ssh(name: str) -> Backend[Any]:
    if "://" not in name:
        opened: Backend[Any] = _backends().open_ssh(name)
        return opened
    from tradewind.systems.ssh.backend import SSHBackend, SSHConnection

    parts = split_uri(name, "sweep", "ssh://user@host:22")
    options = dict(parse_qsl(parts.query))
    root = options.pop("root", ".tradewind/jobs")
    key_file, known_hosts = options.pop("key_file", None), options.pop("known_hosts", None)
    if parts.scheme != "ssh" or not parts.hostname or options or parts.password:
        raise InputError(
            "sweep: an SSH machine is an Airflow connection, or "
            "ssh://user@host:port?key_file=...&known_hosts=...&root=... without a password."
        )
    user = unquote(parts.username) if parts.username else None
    connection = SSHConnection(
        parts.hostname, user, parts.port or 22, key_file=key_file, known_hosts=known_hosts
    )
    return SSHBackend(connection, root=root)


def _process(folder: str) -> Backend[Any]:
    from tradewind.systems.process.backend import ProcessBackend

    if not os.path.isdir(folder):
        raise SetupError(f"There is no folder {folder}. Name the one that holds the job folders.")
    return ProcessBackend(folder)


def _yarn(name: str) -> Backend[Any]:
    if "://" not in name:
        module = importlib.import_module("tradewind.airflow.spark_backends")
        opened: Backend[Any] = module.open_yarn(name)
        return opened
    from tradewind.systems.yarn.backend import YarnBackend

    return YarnBackend([_rest_connection(name)])


def _livy(name: str, kind: str) -> Backend[Any]:
    if "://" not in name:
        module = importlib.import_module("tradewind.airflow.rest_backends")
        open_livy = module.open_livy if kind == "batches" else module.open_livy_sessions
        conn_id, _, prefix = name.partition("/")
        opened: Backend[Any] = open_livy(conn_id, prefix or None)
        return opened
    from tradewind.systems.livy.backend import LivyBackend
    from tradewind.systems.livy.session import LivySessionBackend

    return (LivyBackend if kind == "batches" else LivySessionBackend)(_rest_connection(name))


def _rest_connection(uri: str) -> RestConnection:
    from tradewind.systems.http.backend import RestConnection
    from tradewind.systems.http.tls import tls_files

    if split_uri(uri, "sweep", "http://host:port").password:
        raise InputError(
            f"sweep: {_safe(uri)} is given with a password, which others can see. Make an Airflow "
            "connection for it and name that."
        )
    # What a Livy with protection against forged requests asks for.
    return RestConnection(uri, headers={"X-Requested-By": "tradewind"}, **tls_files())


def _http_jobs(name: str, api: str) -> Backend[Any]:
    from tradewind.systems.http.backend import RestJobBackend

    if not name or not api:
        raise InputError(
            "sweep: jobs of an HTTP API are given as CONNECTION=API: an Airflow connection, or "
            "https://host:port; and a file with the fields of its JobApi as JSON, or "
            "module:NAME of one in Python."
        )
    module = importlib.import_module("tradewind.airflow.rest_backends")
    declared = _declared_api(api)
    if "://" in name:
        return RestJobBackend(_rest_connection(name), module.read_api(declared))
    opened: Backend[Any] = module.open_http_jobs(name, declared)
    return opened


def _declared_api(text: str) -> dict[str, Any]:
    """Read what an API is like, from a file or out of a module."""
    from tradewind.systems.http.job_api import JobApi

    if os.path.isfile(text):
        try:
            with open(text, encoding="utf-8") as file:
                found = json.load(file)
        except ValueError as error:
            raise InputError(f"sweep: {text} is no JSON: {error}.") from None
    else:
        module, _, attribute = text.partition(":")
        try:
            found = getattr(importlib.import_module(module), attribute)
        except (ImportError, AttributeError, ValueError) as error:
            raise InputError(
                f"sweep: {text} is neither a file nor module:NAME of a JobApi ({error})."
            ) from None
    if isinstance(found, JobApi):
        describe = importlib.import_module("tradewind.airflow.rest_backends").describe_api
        found = describe(found)
    if not isinstance(found, dict):
        raise InputError(f"sweep: {text} does not hold the fields of a JobApi.")
    return found


def _tables(uri: str) -> Iterator[Leftover]:
    from tradewind.move.registry import plain_scheme

    connection: Any = None
    if uri.startswith("connection:"):
        find = importlib.import_module("tradewind.airflow.connections").find_connection
        found = find(uri.removeprefix("connection:"))
        if found.conn_type == "mysql":
            module = importlib.import_module("tradewind.systems.mysql.airflow")
            connection = module.connection_of(found)
    elif plain_scheme(scheme_of(uri)) in ("mysql", "mariadb"):
        from tradewind.systems.mysql.connection import MySQLConnection

        connection = MySQLConnection.from_uri(uri)
    from tradewind.systems.mysql.sweep import leftovers_of_tables

    yield from leftovers_of_tables(_safe(uri), connection)


def _sagemaker(system: str, name: str, kind: str) -> Iterator[Leftover]:
    from tradewind.sweep.work import leftovers_of_work
    from tradewind.systems.sagemaker import backend as sagemaker

    if name != "boto3":
        module = importlib.import_module("tradewind.systems.sagemaker.airflow")
        backend: sagemaker.SageMakerBackend = module.open_sagemaker(kind, name)
    else:
        backend = sagemaker.SageMakerBackend(kind=getattr(sagemaker, kind))
    yield from leftovers_of_work(system, backend, confirm=backend.confirm)


def _deployments(name: str) -> Iterator[Leftover]:
    from tradewind.systems.sagemaker.sweep import leftovers_of_deployments

    clients = None
    if name != "boto3":
        module = importlib.import_module("tradewind.systems.sagemaker.airflow")
        clients = module.AWS(name).clients()
    yield from leftovers_of_deployments(f"sagemaker {name} deployments", clients=clients)


def _objects(uri: str) -> Iterator[Leftover]:
    from tradewind.move.objects.uris import store_of
    from tradewind.sweep.objects import leftovers_of_objects

    store, prefix = store_of(uri, {})
    store.check()
    yield from leftovers_of_objects(_safe(uri), store, prefix)


def _plugin(pair: str) -> Iterator[tuple[str, Iterator[Leftover]]]:
    from tradewind.registry import all_systems, imported

    name, equals, place = pair.partition("=")
    swept = {each.name: each.sweep for each in all_systems().values() if each.sweep}
    if not equals or name not in swept:
        known = ", ".join(sorted(swept)) or "none; install a plugin that offers one"
        raise InputError(f"sweep: --system is NAME=PLACE; systems that are swept by it: {known}.")
    yield from imported(swept[name])(place)


def _backends() -> Any:
    return importlib.import_module("tradewind.airflow.backends")
