"""Which systems and formats there are: Tradewind's own, and those of plugins.

A distribution offers a system by an entry point of the group ``tradewind.systems`` that names a
`tradewind.system.System`, and a format by one of ``tradewind.formats`` that names a
`tradewind.move.format.Format`. Ours are declared in ``pyproject.toml`` like anybody else's. They
are also found without that, as the folders of `tradewind.systems`: reading the metadata of the 300
distributions of an Airflow takes longer than all that parsing a DAG file may take. So plugins are
looked for only when ours do not have what is asked for, or when all are listed.
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import logging
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tradewind.errors import InputError
from tradewind.system import System

__all__ = [
    "FORMATS_GROUP",
    "SYSTEMS_GROUP",
    "Offered",
    "all_systems",
    "imported",
    "nobody_offers",
    "own_systems",
    "plugin_systems",
    "system_of_connection_type",
    "system_of_scheme",
    "system_of_sql_connection_type",
]

SYSTEMS_GROUP = "tradewind.systems"
FORMATS_GROUP = "tradewind.formats"

_log = logging.getLogger(__name__)


@functools.cache
def own_systems() -> Mapping[str, System]:
    """List Tradewind's own systems by name: the folders of `tradewind.systems`."""
    package = importlib.import_module(SYSTEMS_GROUP)
    found = [
        importlib.import_module(f"{SYSTEMS_GROUP}.{info.name}").SYSTEM
        for info in pkgutil.iter_modules(package.__path__)
        if info.ispkg
    ]
    return {system.name: system for system in found}


@functools.cache
def plugin_systems() -> Mapping[str, System]:
    """List the systems of other distributions by name.

    A plugin that cannot be imported is left out, with a warning that names it; so is the second
    one that offers a system of a name, and one that offers a system of Tradewind's.
    """
    found: dict[str, System] = {}
    for point in importlib.metadata.entry_points(group=SYSTEMS_GROUP):
        if point.value.startswith(f"{SYSTEMS_GROUP}."):
            continue  # ours
        origin = point.dist.name if point.dist is not None else point.value
        try:
            system = point.load()
        except Exception as error:
            _log.warning(
                "The plugin %s of %s cannot be loaded (%s: %s). Repair or uninstall it.",
                point.name,
                origin,
                type(error).__name__,
                error,
            )
            continue
        if not isinstance(system, System):
            _log.warning("The plugin %s of %s is no tradewind.system.System.", point.name, origin)
            continue
        if system.name in own_systems() or system.name in found:
            _log.warning(
                "The plugin %s offers the system %r, which is there already, and is left out. "
                "Uninstall one of the two.",
                origin,
                system.name,
            )
            continue
        found[system.name] = system
    return found


def all_systems() -> Mapping[str, System]:
    """List every system by name, ours first."""
    return {**own_systems(), **plugin_systems()}


def _first(matches: Callable[[System], bool]) -> System | None:
    for systems in (own_systems, plugin_systems):
        for system in systems().values():
            if matches(system):
                return system
    return None


def system_of_scheme(scheme: str) -> System | None:
    """Find the system of a URI's scheme; None where nobody offers it.

    Args:
        scheme: One of `System.schemes` or `System.aliases`.
    """
    return _first(lambda system: scheme in system.schemes or scheme in system.aliases)


def system_of_connection_type(kind: str) -> System | None:
    """Find the system that a type of Airflow connections leads to; None where nobody offers it.

    Args:
        kind: Like ``postgres``.
    """
    return _first(lambda system: kind in system.connection_types)


def system_of_sql_connection_type(kind: str) -> System | None:
    """Find the system that a type of Airflow connections leads to where SQL is asked for.

    Args:
        kind: One that leads to another system otherwise, like ``google_cloud_platform``.
    """
    return _first(lambda system: kind in system.sql_connection_types)


def imported(path: str) -> Any:
    """Import what a description names.

    Args:
        path: ``module:name``.
    """
    module, _, attribute = path.partition(":")
    return getattr(importlib.import_module(module), attribute)


class Offered(Mapping[str, str]):
    """What all systems offer of one kind, by name, each as ``module:class``; plugins come last.

    Args:
        read: Gives what one system offers.
        first: What there is without any system.
        group: A group of entry points that offer the same, each by itself.
    """

    def __init__(
        self,
        read: Callable[[System], Mapping[str, str]],
        *,
        first: Mapping[str, str] | None = None,
        group: str | None = None,
    ) -> None:
        self._read = read
        self._first = first or {}
        self._group = group

    def _maps(self) -> Iterator[Mapping[str, str]]:
        yield self._first
        for systems in (own_systems, plugin_systems):
            for system in systems().values():
                yield self._read(system)
        if self._group is not None:
            yield _points(self._group)

    def __getitem__(self, name: str) -> str:
        for offered in self._maps():
            if name in offered:
                return offered[name]
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(name for offered in self._maps() for name in offered))

    def __len__(self) -> int:
        return len(list(iter(self)))


@functools.cache
def _points(group: str) -> Mapping[str, str]:
    return {point.name: point.value for point in importlib.metadata.entry_points(group=group)}


def nobody_offers(what: str, name: str, offered: Mapping[str, str]) -> InputError:
    """Say that nobody offers a thing, what there is instead, and how more comes in.

    Args:
        what: The kind of thing, like ``source``.
        name: What was asked for.
        offered: What there is.
    """
    others = sorted(
        alias
        for system in all_systems().values()
        for alias, meant in system.aliases.items()
        if meant in offered
    )
    also = f" (also written {', '.join(others)})" if others else ""
    return InputError(
        f"There is no {what} {name!r}. Choose from: {', '.join(sorted(offered))}{also}; or install "
        f"a plugin that offers it."
    )
