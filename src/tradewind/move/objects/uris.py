"""Stores by the URIs of the command line."""

from __future__ import annotations

import inspect
from typing import Any

from tradewind.errors import InputError
from tradewind.move.registry import STORES, canonical_uri, load
from tradewind.move.store import Store
from tradewind.redaction import scheme_of, shown_uri

__all__ = ["no_object", "options_of", "store_of"]


def store_of(uri: str, options: dict[str, str]) -> tuple[Store, str]:
    """Make the store that a URI names.

    Args:
        uri: ``s3://bucket/key``, ``gs://bucket/key``, ``az://container/key``, ``file:///path`` or a
            plain path; or another name of such a scheme, see `tradewind.move.registry.aliases`.
        options: Options that were asked for. Those that the store's ``from_uri`` takes (keyword
            arguments, like ``endpoint_url``) are taken out.

    Returns:
        The store, and the key in it.

    Raises:
        InputError: The URI is wrong.
    """
    uri, told = canonical_uri(uri)
    store, taken = _store_class(uri)
    arguments = told | {name: options.pop(name) for name in taken if name in options}
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
    return _store_class(canonical_uri(uri)[0])[1]


def _store_class(uri: str) -> tuple[Any, tuple[str, ...]]:
    name = scheme_of(uri) if "://" in uri else "file"
    if name not in STORES:
        raise no_object(uri)
    store: Any = load(STORES, name, what="store")
    parameters = inspect.signature(store.from_uri).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        parameters = inspect.signature(store).parameters.values()  # it hands them on
    return store, tuple(one.name for one in parameters if one.kind is one.KEYWORD_ONLY)


def no_object(uri: str) -> InputError:
    """Say that no store has a URI's scheme, and which ones there are."""
    schemes = [f"{name}://" for name in STORES]
    return InputError(
        f"{shown_uri(uri)!r} is no URI of an object store. Begin it with "
        f"{', '.join(schemes[:-1])} or {schemes[-1]}."
    )
