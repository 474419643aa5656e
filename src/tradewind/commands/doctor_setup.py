"""Check this installation: versions, extras, plugins, local systems."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import platform
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from tradewind import __version__
from tradewind.doctor import Check
from tradewind.errors import TradewindError
from tradewind.move.native import WANTED, core, decoders
from tradewind.registry import FORMATS_GROUP, SYSTEMS_GROUP, all_systems, own_systems
from tradewind.system import System

__all__ = ["setup_sections"]

_DISTRIBUTION = "tradewind"
_PROVIDERS = "apache-airflow-providers-"


def setup_sections() -> Iterator[tuple[str, list[Check]]]:
    """Look at this installation.

    Yields:
        The name of a section, and what was found.
    """
    for name, look in (
        ("versions", _versions),
        ("extras", _extras),
        ("plugins", _plugins),
        ("tradewind up", _local_systems),
    ):
        found = list(look())
        if found:
            yield name, found


def _versions() -> Iterator[Check]:
    yield Check("ok", "tradewind", __version__)
    yield Check("ok", "Python", f"{platform.python_version()} ({sys.executable})")
    yield _core()
    versions = dict(_installed())
    airflow = versions.get("apache-airflow")
    if airflow is None:
        yield Check("absent", "Airflow", "not installed", _install("airflow"))
        return
    wanted = next(
        (one for one in _requirements().get("airflow", ()) if _name(one) == "apache-airflow"), ""
    )
    if wanted and not _fits(wanted, airflow):
        yield Check("fail", "Airflow", f"{airflow}, and {wanted} is needed", _install("airflow"))
    else:
        yield Check("ok", "Airflow", airflow)
    providers = sorted(
        f"{name.removeprefix(_PROVIDERS)} {version}"
        for name, version in versions.items()
        if name.startswith(_PROVIDERS)
    )
    yield Check("ok", "providers", ", ".join(providers) or "none")


def _core() -> Check:
    if decoders() is not None:
        return Check("ok", "decoders", core())
    if os.environ.get("TRADEWIND_CORE") == "python":
        return Check("ok", "decoders", "python, as TRADEWIND_CORE says")
    remedy = f"Install tradewind-native {WANTED}, from packages/tradewind-native of a clone."
    return Check(
        "absent" if core() == "python" else "warn", "decoders", f"{core()}; slower", remedy
    )


# ------------------------------------------------------------------------------------------- extras


def _extras() -> Iterator[Check]:
    """Tell of each extra whether all that it brings is here."""
    extras = _requirements()
    if not extras:
        yield Check(
            "warn",
            "tradewind",
            "runs from its source: what its extras bring is not known",
            "Install it: pip install tradewind, or -e . in a clone.",
        )
        return
    versions = dict(_installed())
    uses = _uses()
    for extra, wanted in extras.items():
        if _is_sum(extra, extras):
            continue
        lacking = [one for one in wanted if _name(one) not in versions]
        other = [
            one for one in wanted if one not in lacking and not _fits(one, versions[_name(one)])
        ]
        meant = f" ({', '.join(uses[extra])})" if extra in uses else ""
        if other:
            said = ", ".join(f"{_name(one)} is {versions[_name(one)]}, not {one}" for one in other)
            yield Check("fail", extra, said + meant, _install(extra))
        elif lacking:
            yield Check("absent", extra, f"lacks {', '.join(lacking)}{meant}", _install(extra))
        else:
            here = ", ".join(
                f"{name} {versions[name]}" for name in dict.fromkeys(map(_name, wanted))
            )
            yield Check("ok", extra, here + meant)


def _uses() -> dict[str, list[str]]:
    """Tell which systems each extra is for, by what they say installs them."""
    found: dict[str, list[str]] = {}
    for system in _systems().values():
        match = re.search(r"tradewind\[([\w,-]+)\]", system.install or "")
        for extra in match[1].split(",") if match else ():
            found.setdefault(extra, []).append(system.title)
    return found


def _is_sum(extra: str, extras: Mapping[str, list[str]]) -> bool:
    """Whether an extra brings what several others do and nothing more, as ``move`` does."""
    wanted = set(extras[extra])
    parts = [set(each) for name, each in extras.items() if name != extra and set(each) < wanted]
    return len(parts) > 1 and set().union(*parts) == wanted


def _requirements() -> dict[str, list[str]]:
    """Read what each extra asks for: requirements without their markers, by extra."""
    try:
        told = importlib.metadata.metadata(_DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError:
        return {}
    found: dict[str, list[str]] = {name: [] for name in told.get_all("Provides-Extra") or ()}
    for line in told.get_all("Requires-Dist") or ():
        wanted, _, marker = line.partition(";")
        match = re.search(r"extra == ['\"]([\w-]+)['\"]", marker)
        linux = "sys_platform == 'linux'" in marker.replace('"', "'")
        if match and not (linux and sys.platform != "linux"):
            found.setdefault(match[1], []).append(wanted.strip())
    return {name: wanted for name, wanted in found.items() if wanted}


def _name(requirement: str) -> str:
    match = re.match(r"[\w.-]+", requirement)
    return _normal(match[0]) if match else requirement


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _installed() -> Iterator[tuple[str, str]]:
    for found in importlib.metadata.distributions():
        name = found.metadata["Name"]
        if name:  # a folder that an installation has left behind has none
            yield _normal(name), found.version


def _fits(requirement: str, version: str) -> bool:
    """Whether a version is what is asked for; as far as it can be told here."""
    try:
        requirements: Any = importlib.import_module("packaging.requirements")
    except ImportError:
        return True
    return bool(requirements.Requirement(requirement).specifier.contains(version, prereleases=True))


def _install(extra: str) -> str:
    return f"pip install 'tradewind[{extra}]'"


# ------------------------------------------------------------------------------------------ plugins


def _systems() -> Mapping[str, System]:
    try:
        return all_systems()
    except TradewindError:
        return own_systems()  # two plugins of one name, which `_plugins` tells


def _plugins() -> Iterator[Check]:
    """Load what other distributions offer, one by one, so that a broken one hides no other."""
    names: dict[str, str] = dict.fromkeys(own_systems(), _DISTRIBUTION)
    for group in (SYSTEMS_GROUP, FORMATS_GROUP):
        for point in importlib.metadata.entry_points(group=group):
            if point.value.startswith("tradewind."):
                continue
            dist = point.dist
            origin = f"{dist.name} {dist.version}" if dist is not None else point.value
            kind = "system" if group == SYSTEMS_GROUP else "format"
            offered = f"{kind} {point.name}"
            try:
                loaded = point.load()
            except Exception as error:
                said = f"{offered} cannot be loaded ({type(error).__name__}: {error})"
                yield Check("fail", origin, said, "Repair or uninstall it.")
                continue
            if group == SYSTEMS_GROUP:
                if not isinstance(loaded, System):
                    said = f"{offered} is no tradewind.system.System"
                    yield Check("fail", origin, said, "Repair or uninstall it.")
                    continue
                other = names.setdefault(loaded.name, origin)
                if other != origin:
                    said = f"{offered} has the name of another one, of {other}"
                    yield Check("fail", origin, said, "Uninstall one of the two.")
                    continue
            yield Check("ok", origin, offered)


# -------------------------------------------------------------------------------------------- local


def _local_systems() -> Iterator[Check]:
    """Tell what `tradewind up` could start here."""
    from tradewind.local.system import find_systems, plan

    try:
        systems = find_systems()
    except Exception as error:
        said = f"its systems cannot be listed ({type(error).__name__}: {error})"
        yield Check("fail", "systems", said, "Repair or uninstall the plugin.")
        return
    for name, system in systems.items():
        needed = [each.check for each in plan([name], systems)]
        yield _startable(name, system.summary, needed)


def _startable(name: str, summary: str, checks: Sequence[Callable[[], None]]) -> Check:
    try:
        for check in checks:
            check()
    except TradewindError as error:
        # The message names the system, as the row does.
        return Check("absent", name, str(error).removeprefix(f"{name}: "))
    except Exception as error:
        return Check("fail", name, f"{type(error).__name__}: {error}", "Repair the plugin.")
    return Check("ok", name, f"can be started: {summary}")
