"""Advice in errors is spelled as the interface in use takes it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pyarrow as pa
import pytest

import tradewind
from tradewind.errors import TradewindError
from tradewind.move.interface import (
    Interface,
    interface,
    names_option,
    not_replacing,
    option,
    part_option,
    target_option,
)
from tradewind.move.tables.staging import refuse_cascade, refuse_generated
from tradewind.move.transfer import transfer
from tradewind.owner import Owner
from tradewind.systems.mysql.errors import translated
from tradewind.systems.sqlite.table import SQLiteTable
from tradewind.testing.memory_source import MemorySource


@pytest.mark.parametrize(
    ("used", "expected"),
    [
        ("cli", ["--set-to create=true", "--set-to mode=upsert", "--set-to columns=NAME,NAME",
                 "--no-replace", "--set-to keep_columns=true", "--set-to part_by=a,b",
                 "--set-from unknown=extra"]),
        ("python", ["create=True", "mode='upsert'", "columns=[...]", "replace=False",
                    "Parts(keep=True)", "Parts(by=('a', 'b'))", "unknown='extra'"]),
        ("airflow", ["create=True", "mode='upsert'", "columns=[...]", "replace=False",
                     "parts={'keep': True}", "parts={'by': ('a', 'b')}", "unknown='extra'"]),
    ],
)  # fmt: skip
def test_options_of_each_kind(used: Interface, expected: list[str]) -> None:
    with interface(used):
        assert [
            target_option("create", True),
            target_option("mode", "upsert"),
            names_option("columns"),
            not_replacing(),
            part_option("keep", True),
            part_option("by", ("a", "b")),
            option("unknown", "extra"),
        ] == expected


def test_errors_of_tables_advise_the_command_line(tmp_path: Path) -> None:
    source = MemorySource(pa.table({"a": [1]}))
    with interface("cli"):
        for ask, said in (
            (lambda: refuse_cascade("S", "t", [("c", "CASCADE")]), "--set-to cascade=true"),
            (lambda: refuse_generated("S", "t", ["a"], ["b"]), "--set-to skip_generated=true"),
            (lambda: SQLiteTable(tmp_path / "a.db", "t", keys=["a"]), "--set-to mode=upsert"),
            (
                lambda: transfer(source, SQLiteTable(tmp_path / "a.db", "t"), Owner("d", "r", "t")),
                "--set-to create=true",
            ),
        ):
            with pytest.raises(TradewindError, match=re.escape(said)):
                ask()
        for number, said in ((1062, "--set-to mode=upsert"), (1148, "--set-to load=insert")):
            assert said in str(translated(Exception(number, "x"), "S"))


def test_no_message_spells_an_option_of_moves_by_itself() -> None:
    """True and False are Python's words: what advises them asks `interface` for the spelling."""
    words = re.compile(
        r"\b(create|replace|mode|keys|cascade|skip_generated|split|load|unknown|snapshot|keep|"
        r"overwrite|schema|nan|floats|sample)=('[a-z]+'|True|False)"
    )
    folder = Path(tradewind.__file__).parent
    found = []
    for path in [*folder.glob("move/**/*.py"), *folder.glob("systems/**/*.py")]:
        if path.name in ("interface.py", "operators.py", "airflow.py", "local.py"):
            continue
        tree = ast.parse(path.read_text())
        documented = {
            id(node.body[0].value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
            and node.body
            and isinstance(node.body[0], ast.Expr)
        }
        found += [
            f"{path.relative_to(folder)}:{node.lineno}: {node.value!r}"
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and words.search(node.value)
            and id(node) not in documented
            and "\n" not in node.value
        ]
    assert found == []
