"""Stores by the URIs of the command line."""

from __future__ import annotations

import inspect
from typing import Any

from tradewind.errors import InputError
from tradewind.move.registry import STORES, load
from tradewind.move.store import Store
from tradewind.redaction import scheme_of, shown_uri

__all__ = ["options_of", "store_of"]


def store_of(uri: str, options: dict[str, str]) -> tuple[Store, str]:
    """Make the store that a URI names.

    Args:
        uri: ``s3://bucket/key``, ``gs://bucket/key``, ``az://container/key``, ``file:///path`` or a
            plain path.
        options: Options that were asked for. Those that the store's ``from_uri`` takes (keyword
            arguments, like ``endpoint_url``) are taken out.

    Returns:
        The store, and the key in it.

    Raises:
        InputError: The URI is wrong.
    """
    store, taken = _store_class(uri)
    arguments = {name: options.pop(name) for name in taken if name in options}
    result: tuple[Store, str] = store.from_uri(uri, **arguments)
    return result


def options_of(uri: str) -> tuple[str, ...]:
    """Tell the options that the store of a URI takes.

    Args:
        uri: As for `store_of`.

    Returns:
        Their names.

    Raises:
        InputError: The URI is wrong.
    """
    return _store_class(uri)[1]


def _store_class(uri: str) -> tuple[Any, tuple[str, ...]]:
    scheme = scheme_of(uri) if "://" in uri else "file"
    short = {"gcs": "gs", "s3a": "s3", "s3n": "s3", "wasb": "az", "wasbs": "az"}
    name = short.get(scheme, scheme)
    if name not in STORES:
        raise InputError(
            f"{shown_uri(uri)!r} is no URI of an object store. Begin it with s3://, gs://, az:// or file://."
        )
    store: Any = load(STORES, name, what="store")
    parameters = inspect.signature(store.from_uri).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        parameters = inspect.signature(store).parameters.values()  # it hands them on
    return store, tuple(one.name for one in parameters if one.kind is one.KEYWORD_ONLY)
