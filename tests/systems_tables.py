"""The tables of systems in README.md and docs/systems.md, made of what the registry knows."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from tradewind.registry import own_systems
from tradewind.system import System

ROOT = Path(__file__).resolve().parent.parent
BEGIN = "<!-- written by scripts/systems_page.py -->"
END = "<!-- end of what is written by scripts/systems_page.py -->"


def _readme() -> str:
    rows = {"read and write": "", "read": "", "run work on": "", "start on this machine": ""}
    for kind, holds in (
        ("read and write", lambda each: each.store or (each.source and each.target)),
        ("read", lambda each: each.source and not each.target),
        ("run work on", _runs),
        ("start on this machine", lambda each: each.local),
    ):
        rows[kind] = ", ".join(_title(each) for each in own_systems().values() if holds(each))
    return "\n".join(["| | |", "| --- | --- |", *(f"| {a} | {b} |" for a, b in rows.items())])


def _runs(system: System) -> bool:
    """Spark has no backend of its own: it is a process, or on YARN."""
    return system.backend is not None or system.name == "spark"


def _title(system: System) -> str:
    """A title within a sentence."""
    usual = system.title.split(" ")[0]
    named = usual.isupper() or usual in ("Any", "Files", "Processes", "Machines")
    return (
        system.title[0].lower() + system.title[1:]
        if named and not usual.isupper()
        else (system.title)
    )


def _page() -> str:
    head = ("system", "offers", "URIs", "Airflow connections", "extra")
    lines = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    for system in own_systems().values():
        cells = (system.title, _offers(system), _uris(system), _connections(system), _extra(system))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _offers(system: System) -> str:
    said: tuple[tuple[object, str], ...] = (
        (system.store, "objects"),
        (system.source, "source"),
        (system.target, "table"),
        (_runs(system), "runs work"),
        (system.formats, "format " + ", ".join(f"`{name}`" for name in system.formats)),
        (system.local, f"`tradewind up {_local_name(system)}`"),
        (system.doctor, "questions of `tradewind doctor`"),
    )
    return ", ".join(text for there, text in said if there)


def _local_name(system: System) -> str:
    return "mariadb" if system.name == "mysql" else system.name


def _uris(system: System) -> str:
    names = [*system.schemes, *system.aliases]
    return ", ".join(f"`{name}://`" for name in names)


def _connections(system: System) -> str:
    kinds = ", ".join(f"`{kind}`" for kind in system.connection_types)
    usual = system.default_connection
    return f"{kinds} (`{usual}`)" if usual else kinds


def _extra(system: System) -> str:
    found = re.search(r"\[(.*)\]", system.install or "")
    return f"`{found[1]}`" if found else ""


PAGES: dict[Path, Callable[[], str]] = {
    ROOT / "README.md": _readme,
    ROOT / "docs" / "systems.md": _page,
}


def parts(page: Path) -> tuple[str, str, str]:
    """What stands before the table, the table, and what stands after."""
    before, begin, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    table, end, after = rest.partition(END)
    assert begin, f"{page} has no line {BEGIN}"
    assert end, f"{page} has no line {END}"
    return before, table.strip(), after
