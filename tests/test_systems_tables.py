"""The tables of systems say what the registry knows."""

from __future__ import annotations

from systems_tables import PAGES, ROOT, _local_name, parts
from tradewind.local.system import find_systems
from tradewind.registry import own_systems


def test_the_tables_are_up_to_date() -> None:
    for page, table in PAGES.items():
        assert parts(page)[1] == table(), f"{page.name}: run scripts/systems_page.py"


def test_what_they_name_is_there() -> None:
    known = find_systems()
    assert {_local_name(each) for each in own_systems().values() if each.local} <= set(known)
    extras = (ROOT / "pyproject.toml").read_text().partition("[project.optional-dependencies]")[2]
    for system in own_systems().values():
        if system.install and "tradewind[" in system.install:
            extra = system.install.partition("[")[2].partition("]")[0]
            assert f"\n{extra} = [" in extras, system.install
