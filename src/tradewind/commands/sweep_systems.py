"""The systems that ``tradewind sweep`` is given, opened one after the other.

Which there are, the registry says: each system that names a `System.sweep` has an option of its
own, also those of plugins. Objects are no system's: each store has them.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from tradewind.errors import InputError
from tradewind.redaction import shown_place
from tradewind.registry import all_systems, imported
from tradewind.system import System

if TYPE_CHECKING:
    from tradewind.sweep.leftover import Leftover

__all__ = ["add_system_options", "listings", "named_places", "option_names"]

#: What a plugin's name cannot be an option for; `--system` takes it.
_TAKEN = frozenset({"help", "json", "objects", "older-than", "remove", "system", "yes"})


def _swept() -> Mapping[str, System]:
    return {name: system for name, system in all_systems().items() if system.sweep}


def _option(system: System) -> str:
    return system.sweep_option or system.name


def _options() -> dict[str, System]:
    """Give the systems that have an option of their own, by its name; ours come first."""
    found: dict[str, System] = {}
    for system in _swept().values():
        if _option(system) not in _TAKEN:
            found.setdefault(_option(system), system)
    return found


def option_names() -> list[str]:
    """Name the options that name a system, without dashes."""
    return [*_options(), "objects", "system"]


def add_system_options(parser: argparse.ArgumentParser) -> None:
    """Add an option for each system that can be swept.

    Args:
        parser: That of the command.
    """
    for option, system in _options().items():
        what = system.sweep_help or f"what Tradewind has on {system.title}"
        _add(parser, option, system.sweep_place, what)
    _add(parser, "objects", "URI", "parts without a manifest and begun uploads: s3://bucket/prefix")
    _add(parser, "system", "NAME=PLACE", "a system by its name, at a place as its option takes it")


def _add(parser: argparse.ArgumentParser, option: str, place: str, what: str) -> None:
    parser.add_argument(
        f"--{option}",
        action="append",
        default=[],
        dest=_kept(option),
        metavar=place,
        help=f"{what}; repeatable".replace("%", "%%"),
    )


def _kept(option: str) -> str:
    return f"places of {option}"  # no other argument is called so


def named_places(arguments: argparse.Namespace) -> bool:
    """Tell whether any system is named.

    Args:
        arguments: As parsed.
    """
    return any(getattr(arguments, _kept(option)) for option in option_names())


def listings(arguments: argparse.Namespace) -> Iterator[tuple[str, Iterator[Leftover]]]:
    """Make a listing of each system that is named; none is connected to before its turn.

    Args:
        arguments: As parsed.
    """
    for option, system in _options().items():
        for place in getattr(arguments, _kept(option)):
            yield from imported(str(system.sweep))(place)
    for uri in getattr(arguments, _kept("objects")):
        yield shown_place(uri), _objects(uri)
    for pair in getattr(arguments, _kept("system")):
        yield from _by_name(pair)


def _objects(uri: str) -> Iterator[Leftover]:
    from tradewind.move.objects.uris import store_of
    from tradewind.sweep.objects import leftovers_of_objects

    store, prefix = store_of(uri, {})
    store.check()
    yield from leftovers_of_objects(shown_place(uri), store, prefix)


def _by_name(pair: str) -> Iterator[tuple[str, Iterator[Leftover]]]:
    name, equals, place = pair.partition("=")
    swept = _swept()
    if not equals or name not in swept:
        raise InputError(
            f"sweep: --system is NAME=PLACE; systems that are swept by it: "
            f"{', '.join(sorted(swept))}."
        )
    yield from imported(str(swept[name].sweep))(place)
