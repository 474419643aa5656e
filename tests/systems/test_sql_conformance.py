"""Databases pass the public suites."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any, ClassVar

import pytest

from tradewind.systems.sqlite.source import SQLiteSource
from tradewind.systems.sqlite.table import SQLiteTable
from tradewind.testing.conformance.source import SourceConformance
from tradewind.testing.conformance.table import TableConformance

MADE = "CREATE TABLE things (id INTEGER PRIMARY KEY, name TEXT, day TEXT)"
READ = "SELECT id, name, day FROM {} ORDER BY id"


class TestSQLiteTable(TableConformance):
    @pytest.fixture(autouse=True)
    def file(self, tmp_path: Path) -> None:
        self.path = tmp_path / "things.db"
        with sqlite3.connect(self.path) as database:
            database.execute(MADE)

    def table(self, name: str = "things", **options: Any) -> SQLiteTable:
        return SQLiteTable(self.path, name, **options)

    def rows(self, name: str | None = None) -> list[tuple[Any, ...]]:
        with sqlite3.connect(self.path) as database:
            return database.execute(READ.format(name or "things")).fetchall()


class TestSQLiteSource(SourceConformance):
    expected: ClassVar = [{"id": 1, "name": "one"}, {"id": 2, "name": None}]

    @pytest.fixture(autouse=True)
    def file(self, tmp_path: Path) -> None:
        self.path = tmp_path / "things.db"
        with sqlite3.connect(self.path) as database:
            database.execute("CREATE TABLE things (id INTEGER, name TEXT)")
            database.executemany("INSERT INTO things VALUES (?, ?)", [(1, "one"), (2, None)])

    def source(self) -> SQLiteSource:
        return SQLiteSource(str(self.path), "SELECT id, name FROM things ORDER BY id")

    def wrong_source(self) -> SQLiteSource:
        return SQLiteSource(str(self.path), "SELECT * FROM nothing")
