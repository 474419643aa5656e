"""Names of objects, tables and columns that are written to break out of where they belong.

Each one arrives as it was, or is refused in words; a table and a file beside stay as they were.
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import moves
import psycopg
import pyarrow as pa
import pytest
from attack_moves import Versioned, store_of
from attack_places import STORES, Tables
from attack_report import LONG, Attack

from tradewind.errors import TradewindError
from tradewind.move.batches import Batches
from tradewind.move.objects.source import ObjectSource
from tradewind.move.objects.target import ObjectTarget
from tradewind.move.source import Source
from tradewind.move.transfer import transfer
from tradewind.owner import Owner
from tradewind.systems.files.store import FileStore
from tradewind.systems.mysql.table import MySQLTable
from tradewind.systems.postgres.table import PostgresTable
from tradewind.systems.sqlite.table import SQLiteTable

PROMISE = "A name arrives as it was, or is refused; it never means anything else"
HOW = "names with quotes, dots, slashes, controls, pieces of SQL and of paths"
COUNTS = [pytest.param(60, id="some"), pytest.param(1000, id="many", marks=LONG)]
#: Where each name takes requests to a server.
SERVERS = [pytest.param(150, id="many", marks=LONG)]
PIECES = (
    *("../", "..", "/", "//", ".", "\\", "~", "*", "?", "[a]", "{}", "%2e%2e%2f", "%00", "%s"),
    *("'", '"', "`", '""', "'; DROP TABLE canary; --", '"; DROP TABLE canary; --', ";", "--"),
    *("/*", "*/", "$(id)", "`id`", "\n", "\r", "\t", "\x1b[31m", "\x7f", "\u202e", "\u200b"),
    *("e\u0301", "\xe9", "\U0001f600", "İ", "ß", " ", "=", "&", "#", "@", ":", ",", "|", "a", "B"),
    *("canary", "select", "_", "-", "0", "{{ ds }}", "NUL", "__HIVE_DEFAULT_PARTITION__"),
)


def named(chance: random.Random) -> str:
    return "".join(chance.choice(PIECES) for _ in range(chance.randint(1, 5)))


class Columns(Source):
    """One row whose columns have given names."""

    def __init__(self, names: list[str]) -> None:
        self.names = names

    def describe(self) -> str:
        return "one row"

    def batches(self) -> Batches:
        row = [pa.array([number]) for number in range(len(self.names))]
        batch = pa.RecordBatch.from_arrays(row, names=self.names)
        return Batches(batch.schema, iter([batch]))


def check(on: str, count: int, attempt: Callable[[str], None], same: Callable[[], bool]) -> None:
    attack = Attack(PROMISE, HOW, on)
    for _ in attack.rounds(count):
        name = named(attack.chance)
        try:
            attempt(name)
        except TradewindError as refused:
            attack.note("refused")
            attack.check(len(str(refused)) > 20, f"{name!r}: {refused}")
        except Exception as error:
            attack.fail(f"{name!r}: {type(error).__name__}: {error}")
        attack.check(same(), f"{name!r}: it changed what is beside")
    attack.finish()


@pytest.mark.parametrize("count", COUNTS)
def test_keys_of_files(tmp_path: Path, count: int):
    root = tmp_path / "outer" / "lake"
    root.mkdir(parents=True)
    store = FileStore(str(root))
    (tmp_path / "outer" / "canary").write_text("as it was")

    def attempt(name: str) -> None:
        key = f"{name}.csv"
        transfer(Versioned(3, 1), ObjectTarget(store, key, format="csv"), Owner("n", name, "t"))
        keys = [info.key for info in store.list("")]
        assert keys == [key], keys
        read = ObjectSource(store, key, format="csv").batches()
        if not set(key) & set("*?["):
            assert sum(batch.num_rows for batch in read) == 3
        store.delete([key])

    def same() -> bool:
        beside = [path.name for path in tmp_path.iterdir()]
        beside += [path.name for path in (tmp_path / "outer").iterdir()]
        return sorted(beside) == ["canary", "lake", "outer"]

    check("files", count, attempt, same)


@pytest.mark.parametrize("count", SERVERS)
@pytest.mark.parametrize("place", [name for name in STORES if name != "files"], indirect=True)
def test_keys_of_a_store(place: tuple[str, dict[str, Any]], count: int):
    system, where = place
    store = store_of(where)
    upload = store.upload("canary")
    upload.write(b"as it was")
    upload.complete()
    before = [info.key for info in store.list("")]

    def attempt(name: str) -> None:
        key = f"{name}.csv"
        transfer(Versioned(3, 1), ObjectTarget(store, key, format="csv"), Owner("n", name, "t"))
        try:
            keys = [info.key for info in store.list("") if info.key not in before]
            assert keys == [key], keys
            assert b"".join(store.read(key)).count(b"\n") == 4
        finally:
            store.delete([key])

    def same() -> bool:
        found = [info.key for info in store.list("")]
        return found == before and b"".join(store.read("canary")) == b"as it was"

    check(system, count, attempt, same)


@pytest.mark.parametrize("count", SERVERS)
@pytest.mark.parametrize("what", ["table", "column"])
@pytest.mark.parametrize("tables", ["PostgreSQL", "MariaDB"], indirect=True)
def test_tables_and_columns(
    tables: Tables,
    environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    what: str,
    count: int,
):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    tables.do("CREATE TABLE canary (id INTEGER)")
    tables.do("INSERT INTO canary VALUES (7)")
    if tables.system == "postgres":
        query = (
            "SELECT tablename, quote_ident(schemaname) || '.' || quote_ident(tablename) "
            "FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        )
    else:
        query = (
            "SELECT table_name, concat('`', replace(table_name, '`', '``'), '`') "
            "FROM information_schema.tables WHERE table_schema = database()"
        )

    def found() -> dict[str, str]:
        listed = {name: quoted for name, quoted in tables.ask(query) if name != "listings"}
        return {
            name: quoted for name, quoted in listed.items() if not name.startswith("tradewind_")
        }

    def attempt(name: str) -> None:
        table = name if what == "table" else "columns"
        if table.lower().strip('"`[]') in ("canary", "listings"):
            return
        names = ["id", "x"] if what == "table" else ["id", name]
        target: Any
        if tables.system == "postgres":
            target = PostgresTable(moves.postgres(), table, mode="replace", create=True)
        else:
            target = MySQLTable(moves.mysql(), table, mode="replace", create=True)
        try:
            transfer(Columns(names), target, Owner("n", name, "t"))
            ((there, quoted),) = [pair for pair in found().items() if pair[0] != "canary"]
            if tables.system == "postgres":
                # A name that SQL can read is read so there: folded where it has no quotes.
                literal = table.replace("'", "''")
                try:
                    ((meant,),) = tables.ask(f"SELECT (parse_ident('{literal}'))[1]")
                except psycopg.DataError:
                    meant = table
                assert there == meant, there
            elif not set(table) & set(".`"):
                assert there == table, there
            assert [tuple(row) for row in tables.ask(f"SELECT * FROM {quoted}")] == [(0, 1)]
            columns = tables.ask(
                "SELECT column_name FROM information_schema.columns WHERE "
                "table_schema = database() AND table_name = "
                f"'{there.replace(chr(92), chr(92) * 2).replace(chr(39), chr(39) * 2)}' "
                "ORDER BY ordinal_position"
                if tables.system == "mysql"
                else "SELECT attname FROM pg_attribute WHERE attnum > 0 AND attrelid = "
                f"$q${quoted}$q$::regclass ORDER BY attnum"
            )
            assert [column for (column,) in columns] == names, columns
        finally:
            for there, quoted in found().items():
                if there != "canary":
                    tables.do(f"DROP TABLE {quoted}")

    def same() -> bool:
        return list(found()) == ["canary"] and [
            tuple(row) for row in tables.ask("SELECT * FROM canary")
        ] == [(7,)]

    try:
        check(f"{tables.name}, {what}s", count, attempt, same)
    finally:
        tables.do("DROP TABLE canary")


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("what", ["table", "column"])
def test_tables_and_columns_of_sqlite(tmp_path: Path, what: str, count: int):
    path = str(tmp_path / "some.db")
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE canary (id INTEGER)")
        database.execute("INSERT INTO canary VALUES (7)")

    def attempt(name: str) -> None:
        table = name if what == "table" else "columns"
        if table.lower().strip('"`[]') in ("canary", "main.canary"):
            return
        names = ["id", "x"] if what == "table" else ["id", name]
        target = SQLiteTable(path, table, mode="replace", create=True)
        try:
            transfer(Columns(names), target, Owner("n", name, "t"))
            with closing(sqlite3.connect(path)) as database:
                tables = [one for one in found(database) if one != "canary"]
                assert len(tables) == 1, tables
                quoted = tables[0].replace('"', '""')
                asked = database.execute(f'SELECT * FROM "{quoted}"')
                assert [column[0] for column in asked.description] == names
                assert asked.fetchall() == [(0, 1)]
        finally:
            with closing(sqlite3.connect(path)) as database, database:
                for one in found(database):
                    if one != "canary":
                        quoted = one.replace('"', '""')
                        database.execute(f'DROP TABLE "{quoted}"')

    def found(database: sqlite3.Connection) -> list[str]:
        query = "SELECT name FROM sqlite_master WHERE type = 'table'"
        return [name for (name,) in database.execute(query) if not name.startswith("tradewind")]

    def same() -> bool:
        with closing(sqlite3.connect(path)) as database:
            return database.execute("SELECT * FROM canary").fetchall() == [(7,)]

    check(f"SQLite, {what}s", count, attempt, same)
