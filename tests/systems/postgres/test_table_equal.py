"""Values that the server holds for equal, or makes equal by a cast, and which are not."""

from __future__ import annotations

from decimal import Decimal

import pyarrow as pa
import pytest

from made_rows import Rows
from postgres_server import fresh, owner_of
from tradewind.errors import InputError
from tradewind.move.transfer import transfer
from tradewind.systems.postgres.table import PostgresTable


def load(connection, texts: list, table: str, **options) -> None:
    rows = Rows(pa.table({"s": texts, "v": list(range(len(texts)))}))
    transfer(rows, PostgresTable(connection, table, **options), owner_of("equal"))


def test_slices_and_upserts_keep_to_the_very_value(connection, db):
    ci = fresh("ci")
    db.run(
        f"CREATE COLLATION {ci} (provider = icu, locale = 'und-u-ks-level1', deterministic = false)"
    )
    has_citext = db.value("SELECT count(*) FROM pg_available_extensions WHERE name = 'citext'")
    if has_citext:
        db.run("CREATE EXTENSION IF NOT EXISTS citext")
    for type_ in (f"text COLLATE {ci}", *(["citext"] if has_citext else [])):
        table = db.table(f"s {type_}, v int", "VALUES ('A', 7), ('1', 7), ('01', 7), ('1abc', 7)")
        for _ in range(2):
            load(connection, ["a"], table, mode="replace", slice={"s": "a"})
            load(connection, ["1"], table, mode="replace", slice={"s": [1]})
        assert db.texts(table) == ["(01,7)", "(1,0)", "(1abc,7)", "(A,7)", "(a,0)"]
        with pytest.raises(InputError, match=r"1 of 1 rows .* do not belong to the slice"):
            load(connection, ["A"], table, mode="replace", slice={"s": "a"})

        table = db.table(f"s {type_} PRIMARY KEY, v int", "VALUES ('A', 7)")
        load(connection, ["a", "b"], table, mode="upsert")
        assert db.texts(table) == ["(a,0)", "(b,1)"]
        with pytest.raises(InputError, match=r"several rows .* have the same s"):
            load(connection, ["c", "C"], table, mode="upsert")
    # What a cast to the column's type would cut, round or pad.
    for type_, there, slice in (
        ("varchar(2)", "ab", "abc"),
        ("int", 2, 1.5),
        ("numeric(9,2)", Decimal("1.01"), Decimal("1.005")),
        ("date", "2026-01-02", "2026-01-02 12:00"),
        ("timestamp(0)", "2026-01-02 00:00:01", "2026-01-02 00:00:00.9"),
    ):
        table = db.table(f"s {type_}, v int", f"VALUES ('{there}', 7)")
        load(connection, [], table, mode="replace", slice={"s": slice})
        assert db.value(f"SELECT count(*) FROM {table}") == 1
        load(connection, [], table, mode="replace", slice={"s": there})
        assert db.value(f"SELECT count(*) FROM {table}") == 0
    # A zone counts, as it does in rows: they are in UTC there.
    for type_, there, slice, left in (
        ("timestamp", "2026-01-31 07:00", "2026-01-31T12:00:00+05:00", 0),
        ("timestamp", "2026-01-31 12:00", "2026-01-31T12:00:00+05:00", 1),
        ("timestamp", "2026-01-31 12:00", "2026-01-31T12:00:00+00:00", 0),
        ("timestamptz", "2026-01-31 07:00+00", "2026-01-31T12:00:00+05:00", 0),
    ):
        table = db.table(f"s {type_}, v int", f"VALUES ('{there}', 7)")
        load(connection, [], table, mode="replace", slice={"s": slice})
        assert db.value(f"SELECT count(*) FROM {table}") == left
    table = db.table("s date, v int", "VALUES ('2026-01-31', 7)")
    with pytest.raises(InputError, match="cannot hold the value '2026-01-31T00:00:00\\+05:00'"):
        load(connection, [], table, mode="replace", slice={"s": "2026-01-31T00:00:00+05:00"})
    table = db.table("s char(3), v int", "VALUES ('a', 7)")
    load(connection, ["a"], table, mode="replace", slice={"s": "a  "})
    assert db.value(f"SELECT v FROM {table}") == 0
