"""What is left on HTTP APIs of jobs whose task cannot come back."""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tradewind.errors import InputError
from tradewind.redaction import shown_place, split_uri
from tradewind.run.backend import Backend
from tradewind.sweep.leftover import Leftover
from tradewind.sweep.work import leftovers_of_opened

if TYPE_CHECKING:
    from tradewind.systems.http.backend import RestConnection

__all__ = ["leftovers", "rest_connection"]


def leftovers(place: str) -> Iterator[tuple[str, Iterator[Leftover]]]:
    """List the jobs of an API.

    Args:
        place: ``CONNECTION=API``: an Airflow connection or ``https://host:port``, and a file with
            the fields of its `JobApi` as JSON, or ``module:NAME``.
    """
    name, _, api = place.rpartition("=")
    system = f"http jobs {shown_place(name)}"
    yield system, leftovers_of_opened(system, lambda: _opened(name, api))


def rest_connection(uri: str) -> RestConnection:
    """Connect to an API as nobody, with the files of certificates that the environment names.

    Args:
        uri: Its address.

    Raises:
        InputError: It holds a password.
    """
    from tradewind.systems.http.backend import RestConnection
    from tradewind.systems.http.tls import tls_files

    if split_uri(uri, "sweep", "http://host:port").password:
        raise InputError(
            f"sweep: {shown_place(uri)} is given with a password, which others can see. Make an "
            "Airflow connection for it and name that."
        )
    # What a Livy with protection against forged requests asks for.
    return RestConnection(uri, headers={"X-Requested-By": "tradewind"}, **tls_files())


def _opened(name: str, api: str) -> Backend[Any]:
    if not name or not api:
        raise InputError(
            "sweep: jobs of an HTTP API are given as CONNECTION=API: an Airflow connection, or "
            "https://host:port; and a file with the fields of its JobApi as JSON, or "
            "module:NAME of one in Python."
        )
    from tradewind.airflow.rest_backends import open_http_jobs, read_api
    from tradewind.systems.http.backend import RestJobBackend

    declared = _declared_api(api)
    if "://" in name:
        return RestJobBackend(rest_connection(name), read_api(declared))
    return open_http_jobs(name.removeprefix("connection:"), declared)


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
        from tradewind.airflow.rest_backends import describe_api

        found = describe_api(found)
    if not isinstance(found, dict):
        raise InputError(f"sweep: {text} does not hold the fields of a JobApi.")
    return found
