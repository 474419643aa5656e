"""docs/local.md names every system and every option."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import pytest

from tradewind.local.command import register_up
from tradewind.local.system import find_systems

PAGE = (Path(__file__).parents[2] / "docs" / "local.md").read_text()


@pytest.mark.parametrize("name", find_systems())
def test_each_system_is_documented(name: str) -> None:
    system = find_systems()[name]
    row = re.search(rf"^\| `{name}` \|.*$", PAGE, re.MULTILINE)
    assert row, f"docs/local.md has no row for {name}"
    assert f"| {system.default_port} |" in row[0]
    for role in system.needs:
        assert f"`{role}`" in row[0]


def test_each_option_is_documented() -> None:
    commands = argparse.ArgumentParser().add_subparsers()
    register_up(commands)
    help_text = commands.choices["up"].format_help()
    for option in set(re.findall(r"--[a-z]+", help_text.split("examples:")[0])) - {"--help"}:
        assert f"| `{option}" in PAGE
