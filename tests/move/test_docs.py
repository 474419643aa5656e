"""docs/move.md: its program runs, and it names every option of the command."""

from __future__ import annotations

import argparse
import re
import sqlite3
from pathlib import Path

import pytest

from tradewind.commands.move import register_move
from tradewind.move.registry import SOURCES, TARGETS
from tradewind.registry import own_systems

PAGE = (Path(__file__).parents[2] / "docs" / "move.md").read_text()


def test_the_program_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    monkeypatch.chdir(tmp_path)
    with sqlite3.connect("shop.db") as shop:
        shop.execute("CREATE TABLE listings (id INTEGER, city TEXT, day TEXT)")
        rows = [(1, "Oslo", "2026-01-31"), (2, "Rome", "2026-01-31"), (3, "Rome", "2026-01-30")]
        shop.executemany("INSERT INTO listings VALUES (?, ?, ?)", rows)
    shop.close()
    (program,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(compile(program, "docs/move.md", "exec"), {})
    said = capsys.readouterr().out
    assert said.startswith("2 [")
    assert "/lake/listings/city=Oslo/part-00000-" in said


def test_every_option_is_named():
    commands = argparse.ArgumentParser().add_subparsers()
    register_move(commands)
    options = set(re.findall(r"--[a-z-]+", commands.choices["move"].format_usage()))
    assert {option for option in options if option not in PAGE} <= {"--help", "--run"}


OURS = {scheme for system in own_systems().values() for scheme in system.schemes}


@pytest.mark.parametrize("scheme", sorted(OURS & {*SOURCES, *TARGETS}))
def test_every_scheme_is_named(scheme: str):
    assert f"`{scheme}://" in PAGE
