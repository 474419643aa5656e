"""What is wrong with `Objects` whatever the data are: told when the DAG file is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from tradewind.airflow.parse_checks import (
    check_choice,
    check_options,
    is_fixed,
    named_parameters,
    parameters_of,
)
from tradewind.errors import InputError

__all__ = ["check_objects"]

#: For these the registry, which imports a module a system, is not asked.
USUAL_SCHEMES = ("s3", "gs", "az", "file", "sftp")
USUAL_FORMATS = ("csv", "jsonl", "parquet")
_ALIASES = {"json": "jsonl", "ndjson": "jsonl"}


class _Given(Protocol):
    """What is looked at of `Objects`."""

    @property
    def uri(self) -> str: ...
    @property
    def format(self) -> Any: ...
    @property
    def compression(self) -> str | None: ...
    @property
    def parts(self) -> Any: ...
    @property
    def options(self) -> Mapping[str, Any]: ...
    @property
    def format_options(self) -> Mapping[str, Any]: ...


_PARTS = "tradewind.move.publish.destination:Parts"


def check_objects(given: _Given) -> None:
    """Refuse a scheme, format, compression or option that there is not.

    Args:
        given: The description. Its templates are let be.

    Raises:
        InputError: It is wrong.
    """
    check_choice("Objects: compression", given.compression, (None, "gzip", "zstd", "none"))
    scheme = _scheme(given)
    kind = _format(given)
    if isinstance(given.parts, Mapping):
        check_options("Objects: parts", given.parts, parameters_of(_PARTS))
        if is_fixed(given.parts) and not any(
            given.parts.get(name) for name in ("rows", "bytes", "by")
        ):
            raise InputError(
                "Objects: parts says nothing of where an object ends. Give rows, bytes or by."
            )
    if given.format_options and kind:
        from tradewind.move.formats.options import FORMAT_OPTIONS
        from tradewind.move.registry import FORMATS

        known = parameters_of(FORMATS[kind])
        if known is not None:
            check_options(
                "Objects: format_options", given.format_options, known & {*FORMAT_OPTIONS}
            )
    if given.options and scheme:
        check_options("Objects: options", given.options, _store_options(scheme))


def _scheme(given: _Given) -> str | None:
    """Tell the usual name of the URI's scheme; None where a template decides it."""
    written, separator, _ = given.uri.partition("://") if isinstance(given.uri, str) else ("",) * 3
    if not is_fixed(written):
        return None
    if not separator:
        if is_fixed(given.uri):
            raise InputError(f"Objects: {given.uri!r} names no object. Write s3://bucket/key.")
        return None
    if written.lower() in USUAL_SCHEMES:
        return written.lower()
    from tradewind.move.registry import STORES, plain_scheme
    from tradewind.registry import nobody_offers

    scheme = plain_scheme(written.lower())
    if scheme not in STORES:
        raise nobody_offers("object store", written, STORES)
    return scheme


def _format(given: _Given) -> str | None:
    """Tell the name of the format; None where it cannot be told yet."""
    if given.format is None:
        end = given.uri.rpartition("/")[2] if isinstance(given.uri, str) else ""
        for kind in USUAL_FORMATS:
            if f".{kind}" in end:
                return kind
        return None
    if not isinstance(given.format, str) or not is_fixed(given.format):
        return None
    if given.format.lower() in USUAL_FORMATS:
        return given.format.lower()
    from tradewind.move.registry import FORMATS
    from tradewind.registry import nobody_offers

    kind = _ALIASES.get(given.format.lower(), given.format.lower())
    if kind not in FORMATS:
        raise nobody_offers("format", given.format, FORMATS)
    return kind


def _store_options(scheme: str) -> frozenset[str] | None:
    from tradewind.registry import system_of_scheme

    system = system_of_scheme(scheme)
    if system is None or system.connection is None or system.store is None:
        return None
    return store_options(system.connection, system.store)


def store_options(connection: str, store: str) -> frozenset[str] | None:
    """Tell what may be said of a store beside bucket and connection.

    Args:
        connection: The function that makes it, ``module:function``.
        store: Its class.
    """
    ours, rest = parameters_of(connection), frozenset[str]()
    if ours is None:
        ours, its = named_parameters(connection), parameters_of(store)
        if ours is None or its is None:
            return None
        rest = its - {"bucket", "session", "client_options"}
    return (ours | rest) - {"bucket", "conn_id"}
