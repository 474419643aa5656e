"""A table of PostgreSQL as a target, against a real server.

Over 400 lines: one target; its cases share a server, and read as a list of promises.
"""

from __future__ import annotations

import datetime as dt
import os
import signal
import subprocess
import sys
import threading
from decimal import Decimal

import pyarrow as pa
import pytest

from made_rows import Rows
from postgres_server import connection_to, fresh, owner_of
from tradewind.errors import InputError, RetryError, SetupError
from tradewind.move.batches import Batches
from tradewind.move.formats.csv import CsvFormat
from tradewind.move.receipt import Receipt
from tradewind.move.source import Encoded, Source
from tradewind.move.transfer import transfer
from tradewind.move.types import UnfitValueError, field
from tradewind.owner import Owner
from tradewind.systems.postgres.table import PostgresTable
from waiting import until


class Text(Source):
    """CSV that passes through."""

    def __init__(self, *chunks: bytes, columns: tuple[str, ...] | None = None, **options) -> None:
        self.format = CsvFormat(**options)
        self.chunks = chunks
        self.columns = columns

    @property
    def own_format(self) -> CsvFormat:
        return self.format

    def describe(self) -> str:
        return "text of the test"

    def batches(self) -> Batches:
        raise AssertionError("the text was to pass through")

    def encoded(self, format) -> Encoded | None:
        if format != self.format:
            return None
        return Encoded((chunk for chunk in self.chunks), self.columns)


def rows(**columns: list) -> pa.Table:
    return pa.table(columns)


def move(source: Source, target: PostgresTable, owner: Owner | None = None) -> Receipt:
    return transfer(source, target, owner or owner_of("task"))


# -------------------------------------------------------------------------------------------- modes


def test_append_adds_once_for_each_owner(connection, db):
    table = db.table("id int, t text", "VALUES (0, 'old')")
    target, owner = PostgresTable(connection, table), owner_of("append")
    first = move(Rows(rows(id=[1, 2], t=["a", None])), target, owner)
    again = Rows(rows(id=[1, 2], t=["a", None]))
    second = move(again, target, owner)
    assert not again.asked, "what is there already is not read again"
    assert first.rows == second.rows == 2
    assert first.stored == second.stored
    assert first.stored.objects[0].uri.endswith(f"/public.{table}")
    assert db.rows(f"TABLE {table} ORDER BY 1") == [(0, "old"), (1, "a"), (2, None)]
    move(Rows(rows(id=[3], t=["b"])), target, owner_of("append"))
    assert db.value(f"SELECT count(*) FROM {table}") == 4


@pytest.mark.parametrize(
    "what",
    [
        "TRUNCATE {}",
        "TRUNCATE {0}; INSERT INTO {0} VALUES (3, 'c'), (4, 'd'), (5, 'e')",
        "DROP TABLE {}",
        "DELETE FROM {} WHERE id = 1",
    ],
)
def test_an_append_whose_rows_are_gone_is_told(connection, db, what: str):
    table = db.table("id int, t text")
    owner = owner_of("append")
    move(Rows(rows(id=[1, 2], t=["a", "b"])), PostgresTable(connection, table), owner)
    db.run(what.format(table))
    with pytest.raises(InputError, match="has appended 2 rows"):
        move(Rows(rows(id=[1, 2], t=["a", "b"])), PostgresTable(connection, table), owner)
    with pytest.raises(InputError, match="has appended 2 rows"):
        move(
            Rows(rows(id=[1, 2], t=["a", "b"])),
            PostgresTable(connection, table, create=True),
            owner,
        )
    # What the error advises: another name of the run, and create.
    target = PostgresTable(connection, table, create=True)
    assert move(Rows(rows(id=[8], t=["a"])), target, owner_of("other")).rows == 1


def test_an_append_knows_the_table_from_another_of_its_name(connection, db):
    table = db.table("id int, t text")
    owner = owner_of("append")
    data = rows(id=[1, 2], t=["a", "b"])
    move(Rows(data), PostgresTable(connection, table), owner)
    db.run(
        f"DROP TABLE {table}; CREATE TABLE {table} AS SELECT n AS id FROM generate_series(1, 9) n"
    )
    with pytest.raises(InputError, match="that table is gone"):
        move(Rows(data), PostgresTable(connection, table), owner)


def test_a_retry_tells_its_own_rows_from_others(connection, db):
    """Each change of the table between an append and its retry, and what the retry says."""
    data = rows(id=[1, 2], t=["a", "b"])
    others = "INSERT INTO {0} SELECT n, 'old' FROM generate_series(10, 900) n"
    alike = "INSERT INTO {0} VALUES (1, 'a'), (2, 'b')"
    cases = (
        ("DELETE FROM {0} WHERE id < 10; " + alike, "0 of these rows stand"),
        ("DELETE FROM {0} WHERE id < 10", "0 of these rows stand"),
        ("UPDATE {0} SET t = 'c' WHERE id = 1", "1 of these rows stand"),
        ("ALTER TABLE {0} ALTER id TYPE bigint", "0 of these rows stand"),
        (others, None),
        ("DELETE FROM {0} WHERE id > 9; " + others, None),
        ("UPDATE {0} SET t = 'c' WHERE id > 9", None),
        ("ALTER TABLE {0} ADD more int DEFAULT 3", None),
        ("VACUUM (FREEZE) {0}", None),
        ("VACUUM FULL {0}", None),
    )
    for change, told in cases:
        table, owner = db.table("id int, t text"), owner_of("append")
        db.run(others.format(table))
        # Room in the middle, where rows may go.
        db.run(f"DELETE FROM {table} WHERE id BETWEEN 50 AND 500")
        db.run(f"VACUUM {table}")
        move(Rows(data), PostgresTable(connection, table), owner)
        for statement in change.split("; "):
            db.run(statement.format(table))
        again = Rows(data)
        if told is None:
            receipt = move(again, PostgresTable(connection, table), owner)
            assert (receipt.earlier, receipt.stored.unchecked) == (True, None), change
            assert receipt.stored.skipped.endswith(f" by {owner}.")
        else:
            with pytest.raises(InputError, match=told):
                move(again, PostgresTable(connection, table), owner)
        assert not again.asked


def test_a_retry_finds_its_rows_in_partitions_and_beside_triggers(connection, db):
    data = rows(id=[1, 2], t=["a", "b"])
    table, owner = db.table("id int, t text"), owner_of("append")
    parted = f"{table}_p"
    db.run(
        f"CREATE TABLE {parted} (id int, t text) PARTITION BY LIST (id);"
        f"CREATE TABLE {parted}_1 PARTITION OF {parted} FOR VALUES IN (1);"
        f"CREATE TABLE {parted}_2 PARTITION OF {parted} DEFAULT;"
        # A block with EXCEPTION is a transaction within this one, with a number of its own.
        f"CREATE FUNCTION {table}_f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        f" BEGIN UPDATE {table} SET t = 'x' WHERE id = NEW.id; EXCEPTION WHEN others THEN NULL;"
        " END; RETURN NULL; END $$;"
        f"CREATE TRIGGER t AFTER INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION {table}_f()"
    )
    for name, unchecked in ((parted, None), (table, "whether 2 of the rows there are these")):
        for _ in range(2):
            receipt = move(Rows(data), PostgresTable(connection, name), owner)
        assert (receipt.earlier, receipt.stored.unchecked) == (True, unchecked)
    db.run(f"DELETE FROM {parted} WHERE id = 2; INSERT INTO {parted} VALUES (2, 'b')")
    with pytest.raises(InputError, match="1 of these rows stand"):
        move(Rows(data), PostgresTable(connection, parted), owner)


def test_a_mark_of_rows_means_nothing_after_all_numbers_are_used(connection, db):
    table, owner = db.table("id int"), owner_of("append")
    move(Rows(rows(id=[1])), PostgresTable(connection, table), owner)
    found = db.value(f"SELECT attempt FROM tradewind_published WHERE target = 'public.{table}'")
    attempt, number, places = found.split("~")
    old = f"{attempt}~{int(number) - (1 << 32)}~{places}"
    db.run(f"UPDATE tradewind_published SET attempt = '{old}' WHERE attempt = '{found}'")
    receipt = move(Rows(rows(id=[1])), PostgresTable(connection, table), owner)
    assert receipt.stored.unchecked == "whether 1 of the rows there are these"
    assert "Not checked: whether 1 of" in receipt.stored.skipped


def test_the_ledger_of_a_former_version_is_understood(connection, db):
    table = db.table("id int, t text", "VALUES (1, 'a')")
    owner = owner_of("append")
    move(Rows(rows(id=[1], t=["a"])), PostgresTable(connection, table), owner)
    # Without the file, and then without the table's number, too.
    for former in (
        "regexp_replace(attempt, '~.*[.].*@', '@')",
        "split_part(split_part(attempt, '@', 1), '~', 1)",
    ):
        db.run(f"UPDATE tradewind_published SET attempt = {former}")
        db.run(f"ALTER TABLE {table} SET UNLOGGED")  # it is written anew
        again = Rows(rows(id=[1], t=["a"]))
        receipt = move(again, PostgresTable(connection, table), owner)
        assert (receipt.earlier, again.asked) == (True, False)
    assert receipt.stored.at
    assert receipt.stored.by == str(owner)


def test_a_slice_is_replaced_and_the_rest_stays(connection, db):
    table = db.table("day date, city text, n int", "VALUES ('2026-01-01', 'x', 1), "
                     "('2026-01-02', 'x', 2), ('2026-01-02', NULL, 3)")  # fmt: skip
    day = dt.date(2026, 1, 2)
    target = PostgresTable(connection, table, mode="replace", slice={"day": day, "city": None})
    for value in (7, 8):
        move(Rows(rows(day=[day], city=pa.array([None], pa.string()), n=[value])), target)
    assert db.texts(table) == ["(2026-01-01,x,1)", "(2026-01-02,,8)", "(2026-01-02,x,2)"]
    for slice in ("day >= '2026-01-02'", ("day = %(d)s", {"d": day}), {"day": [day, None]}):
        target = PostgresTable(connection, table, mode="replace", slice=slice)
        move(Rows(rows(n=[9], day=[day], city=["y"])), target)
        assert db.texts(table) == ["(2026-01-01,x,1)", "(2026-01-02,y,9)"]
    move(Rows(rows(day=[day], city=["z"], n=[0])), PostgresTable(connection, table, mode="replace"))
    assert db.texts(table) == ["(2026-01-02,z,0)"]


def test_rows_outside_the_slice_are_refused(connection, db):
    table = db.table("day text, n int", "VALUES ('a', 1)")
    target = PostgresTable(connection, table, mode="replace", slice={"day": "a"})
    with pytest.raises(InputError, match=r"2 of 3 rows .* do not belong to the slice"):
        move(Rows(rows(day=["a", "b", None], n=[1, 2, 3])), target)
    assert db.texts(table) == ["(a,1)"]


def test_upsert_writes_over_rows_with_the_same_key(connection, db):
    table = db.table("a int, b text, n int, other int DEFAULT 5, PRIMARY KEY (a, b)")
    db.run(f"INSERT INTO {table} VALUES (1, 'x', 1, 1), (2, 'x', 2, 2)")
    target = PostgresTable(connection, table, mode="upsert")
    for _ in range(2):
        receipt = move(Rows(rows(b=["x", "y"], n=[None, 20], a=[1, 2])), target)
        assert receipt.rows == 2
        assert db.texts(table) == ["(1,x,,1)", "(2,x,2,2)", "(2,y,20,5)"]
    receipt = move(
        Text(b"n,a,b\n7,1,x\n"), PostgresTable(connection, table, mode="upsert", keys=["b", "a"])
    )
    assert (receipt.rows, db.texts(table)[0]) == (1, "(1,x,7,1)")


def test_upsert_refuses_keys_that_are_none(connection, db):
    table = db.table("a int UNIQUE, n int")
    target = PostgresTable(connection, table, mode="upsert", keys=["a"])
    with pytest.raises(InputError, match="same a: 1"):
        move(Rows(rows(a=[1, 1], n=[1, 2])), target)
    with pytest.raises(InputError, match="NULL in a key"):
        move(Rows(rows(a=[1, None], n=[1, 2])), target)
    with pytest.raises(InputError, match="no column 'a', a key"):
        move(
            Rows(rows(n=[1])),
            PostgresTable(connection, table, mode="upsert", keys=["a"], columns=["n"]),
        )
    unread = Rows(rows(a=[1], n=[1]))
    with pytest.raises(InputError, match="not unique"):
        move(unread, PostgresTable(connection, table, mode="upsert", keys=["n"]))
    with pytest.raises(InputError, match="no primary key"):
        move(unread, PostgresTable(connection, table, mode="upsert"))
    assert not unread.asked
    assert db.texts(table) == []


# ----------------------------------------------------------------------------------- columns, types


def test_columns_go_by_name_and_must_fit(connection, db):
    table = db.table("id int GENERATED ALWAYS AS IDENTITY, a int, b text, c int DEFAULT 7, "
                     "d int GENERATED ALWAYS AS (a * 2) STORED")  # fmt: skip
    target = PostgresTable(connection, table)
    move(Rows(rows(b=["x"], a=[1])), target)
    move(Text(b'b,a\n"",2\n'), target)
    assert db.texts(table) == ["(1,1,x,7,2)", '(2,2,"",7,4)']
    for wrong, words in (
        (rows(a=[1]), "it has 'b', which the data have not"),
        (rows(a=[1], b=["x"], e=[1]), "the data have 'e', which it has not"),
        (rows(a=[1], b=["x"], d=[1]), "computes 'd' itself"),
        (pa.table([[1], ["x"], [2]], names=["a", "b", "a"]), "'a' twice"),
    ):
        with pytest.raises(InputError, match=words):
            move(Rows(wrong), target)
    with pytest.raises(InputError, match="the data have 'z'"):
        move(Text(b"a,z\n1,2\n"), target)
    chosen = PostgresTable(connection, table, columns=["b", "a"])
    move(Rows(rows(name=["y"], number=[3])), chosen)
    move(Text(b"z;4\n", header=False, delimiter=";"), chosen)
    assert db.texts(table)[2:] == ["(3,3,y,7,6)", "(4,4,z,7,8)"]
    with pytest.raises(InputError, match="no column 'nope'"):
        move(Rows(rows(x=[1])), PostgresTable(connection, table, columns=["nope"]))
    with pytest.raises(InputError, match="names 2 columns"):
        move(Rows(rows(x=[1])), chosen)


@pytest.mark.parametrize(
    ("chunks", "options"),
    [
        ([b"id,t\n1,\n2,\"\"\n3,\"a,\"\"b\"\"\nc\"\n"], {}),
        ([b"i", b"d,", b"t", b"\n1,\n2,\"", b"\"\n3,\"a,\"\"b\"\"\n", b"c\""], {}),
        (
            [b"t\tid\nNULL\t1\n\t2\n'a,\"b\"\nc'\t3\n"],
            {"delimiter": "\t", "quote": "'", "null": "NULL"},
        ),
        ([b'id,t\r\n1,\r\n2,""\r\n3,"a,\\"b\\"\nc"\r\n'], {"line_end": "\r\n", "escape": "\\"}),
    ],
)  # fmt: skip
def test_csv_of_many_dialects_passes_through(connection, db, chunks, options):
    table = db.table("id int, t text")
    receipt = move(Text(*chunks, **options), PostgresTable(connection, table))
    assert receipt.rows == 3
    assert receipt.bytes == sum(map(len, chunks))
    assert db.rows(f"TABLE {table} ORDER BY id") == [(1, None), (2, ""), (3, 'a,"b"\nc')]


def test_values_of_every_arrow_type_arrive(connection, db):
    utc = dt.datetime(1850, 1, 2, 3, 4, 5, 6, tzinfo=dt.UTC)
    table = pa.table(
        {
            "b": [True, None],
            "i8": pa.array([-128, None], pa.int8()),
            "u64": pa.array([2**64 - 1, None], pa.uint64()),
            "f2": pa.array([1.5, None], pa.float16()),
            "f4": pa.array([0.1, float("nan")], pa.float32()),
            "f8": [1e-300, float("-inf")],
            "d": pa.array([Decimal("1e-10"), None], pa.decimal128(38, 10)),
            "d2": pa.array([Decimal("9" * 50 + ".5"), None], pa.decimal256(60, 1)),
            "s": ['a,"b"\n\\.\t\\N 👩‍🚀', ""],
            "ls": pa.array(["x", None], pa.large_string()),
            "dict": pa.array(["x", None]).dictionary_encode(),
            "by": [b"\0\xff\\", b""],
            "fb": pa.array([b"\0a", None], pa.binary(2)),
            "date": [dt.date(1, 1, 1), None],
            "time": pa.array([dt.time(23, 59, 59, 999999), None], pa.time64("ns")),
            "ts": pa.array(
                [dt.datetime(9999, 12, 31, 23, 59, 59, 999999), None], pa.timestamp("us")
            ),
            "tz": pa.array([utc, None], pa.timestamp("us", "Europe/Berlin")),
            "ns": pa.array([1_000, None], pa.timestamp("ns")),
            "du": pa.array([dt.timedelta(days=2, microseconds=-1), None], pa.duration("us")),
            "null": pa.nulls(2),
            "li": [[1, None, 3], []],
            "lls": [[["a", 'q"'], ["\\", None]], None],
            "lb": [[b"\0", None], [b""]],
            "ld": pa.array([[Decimal("1.50")], None], pa.list_(pa.decimal128(5, 2))),
            "st": [{"a": 1, "b": "x"}, None],
        }
    )
    for name, logical, value in (
        ("n", "decimal", "123456789012345678901234567890.00001"),
        ("u", "uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
        ("j", "json", '{"a": 1.50}'),
        ("iv", "interval", "P1Y2DT3H"),
        ("tt", "timetz", "12:00:00+05:30"),
        ("ip", "inet", "10.0.0.1/8"),
        ("en", "enum", "sad"),
    ):
        table = table.append_column(field(name, pa.string(), logical), pa.array([value, None]))
    name = fresh("made")
    receipt = move(Rows(table), PostgresTable(connection, name, create=True))
    assert receipt.rows == 2
    made = dict(db.rows("SELECT a.attname, format_type(a.atttypid, a.atttypmod) FROM pg_attribute a"
                        " WHERE attrelid = $1::text::regclass AND attnum > 0", name))  # fmt: skip
    assert made["u64"] == "numeric(20,0)"
    assert made["d2"] == "numeric(60,1)"
    assert made["lls"] == "text[]"
    assert made["du"] == "interval"
    assert [made[key] for key in ("n", "u", "j", "iv", "tt", "ip", "en", "st", "by")] == [
        "numeric", "uuid", "jsonb", "interval", "time with time zone", "inet", "text", "jsonb",
        "bytea",
    ]  # fmt: skip
    first = dict(zip(made, db.rows(f"SELECT * FROM {name} WHERE b")[0], strict=True))
    assert first["s"] == 'a,"b"\n\\.\t\\N 👩‍🚀'
    assert first["by"] == b"\0\xff\\"
    assert first["u64"] == 2**64 - 1
    assert first["d"] == Decimal("1e-10")
    assert first["tz"] == utc
    assert first["ts"] == dt.datetime(9999, 12, 31, 23, 59, 59, 999999)
    assert first["du"] == dt.timedelta(days=2, microseconds=-1)
    assert first["li"] == [1, None, 3]
    assert first["lls"] == [["a", 'q"'], ["\\", None]]
    assert first["lb"] == [b"\0", None]
    second = dict(zip(made, db.rows(f"SELECT * FROM {name} WHERE b IS NULL")[0], strict=True))
    assert (second["s"], second["by"], second["li"], second["lb"]) == ("", b"", [], [b""])
    assert second["lls"] is second["st"] is second["ls"] is None
    assert str(second["f8"]) == "-inf"


@pytest.mark.parametrize(
    ("type_", "values", "words"),
    [
        ("numeric(10,2)", pa.array([Decimal("1.255")]), r"'x': numeric\(10,2\) of PostgreSQL"),
        ("timestamp", pa.array([1_001], pa.timestamp("ns")), "'x': timestamp without time zone"),
        ("text", pa.array(["a\0b"]), "'x': text of PostgreSQL .* NUL"),
        ("int", pa.array(["1", "x"]), 'syntax for type integer: "x".*line 2, column x'),
        ("varchar(2)", pa.array(["ok", "too long"]), "'x': .*varying.2.*'too long'"),
        ("int NOT NULL", pa.array([1, None], pa.int32()), "null value in column \"x\""),
        ("int CHECK (x < 3)", pa.array([1, 5]), "violates check constraint"),
        ("int UNIQUE", pa.array([1, 1]), "duplicate key.*line 2"),
        ("date", pa.array([-2_600_000], pa.date32()), "line 1, column x"),
        ("int REFERENCES {other} DEFERRABLE INITIALLY DEFERRED", pa.array([9]), "foreign key"),
    ],
)  # fmt: skip
def test_a_bad_row_names_its_place_and_nothing_is_changed(connection, db, type_, values, words):
    other = db.table("id int PRIMARY KEY")
    table = db.table(f"x {type_.format(other=other)}")
    with pytest.raises((InputError, UnfitValueError), match=f"(?s){words}"):
        move(Rows(pa.table({"x": values})), PostgresTable(connection, table))
    assert db.value(f"SELECT count(*) FROM {table}") == 0
    assert move(Text(b"x\n"), PostgresTable(connection, table)).rows == 0


def test_a_bad_line_of_csv_names_its_place(connection, db):
    table = db.table("a int, b int")
    with pytest.raises(InputError, match=r'COPY .*, line 3, column b: "x"'):
        move(Text(b"a,b\n1,2\n3,x\n"), PostgresTable(connection, table))
    with pytest.raises(InputError, match=r"missing data for column .*line 3"):
        move(Text(b"a,b\n1,2\n3\n"), PostgresTable(connection, table))
    with pytest.raises(InputError, match=r"invalid byte sequence.*line 2"):
        move(Text(b"a,b\n1,\xff\n"), PostgresTable(connection, table))
    assert db.texts(table) == []


def test_lists_as_json_text_become_arrays(connection, db):
    table = db.table("a int[], b text[], c jsonb")
    data = rows(a=["[1,null]", "{3}"], b=['["x","q\\"",""]', None], c=['[{"k": 1.50}]', None])
    move(Rows(data), PostgresTable(connection, table))
    assert db.rows(f"SELECT a, b, c::text FROM {table} WHERE c IS NOT NULL") == [
        ([1, None], ["x", 'q"', ""], '[{"k": 1.50}]')
    ]


# ----------------------------------------------------------------------------------- refused before


def test_what_may_refuse_does_so_before_reading(connection, db, local_postgres):
    unread = Rows(rows(a=[1]))
    table, view, role = db.table("a int"), fresh("v"), fresh("role")
    db.run(f"CREATE VIEW {view} AS SELECT 1 AS a; CREATE ROLE {role} LOGIN PASSWORD 'very-secret'")
    stranger = connection_to(local_postgres, user=role, password="very-secret")
    wrong = connection_to(local_postgres, password="very-wrong")
    nowhere = connection_to(local_postgres, database="there_is_none")
    for target, kind, words in (
        (PostgresTable(connection, "there_is_none"), SetupError, "no table public.there_is_none"),
        (PostgresTable(connection, "no.where"), SetupError, "no table no.where"),
        (PostgresTable(connection, view), InputError, "is no table"),
        (PostgresTable(stranger, table), SetupError, "permission"),
        (PostgresTable(wrong, table), SetupError, "password"),
        (PostgresTable(nowhere, table), SetupError, "there_is_none"),
        (
            PostgresTable(connection, table, mode="replace", slice={"b": 1}),
            InputError,
            "column 'b', which",
        ),
        (
            PostgresTable(connection, table, mode="replace", slice="b = 1"),
            InputError,
            'column "b" does not exist',
        ),
    ):
        with pytest.raises(kind, match=words) as caught:
            move(unread, target)
        text = str(caught.value) + repr(target.connection) + target.describe()
        assert "very-" not in text
        assert f"{connection.host}:{connection.port}" in str(caught.value)
    assert not unread.asked


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"mode": "delete"}, "no mode 'delete'"),
        ({"slice": {"a": 1}}, "goes with mode='replace'"),
        ({"keys": ["a"]}, "go with mode='upsert'"),
        ({"mode": "upsert", "keys": "a"}, "not one string"),
    ],
)
def test_arguments_that_contradict_are_refused(connection, options, words):
    with pytest.raises(InputError, match=words):
        PostgresTable(connection, "t", **options)


def test_uris_make_targets(local_postgres, db, monkeypatch):
    for name, value in local_postgres.environment.items():
        monkeypatch.setenv(name, value)
    table = db.table("day text, n int", "VALUES ('a', 1), ('b', 2)")
    target = PostgresTable.from_uri(
        "postgresql://", {"table": f"public.{table}", "mode": "replace", "slice": '{"day": "a"}'}
    )
    move(Rows(rows(day=["a"], n=[9])), target)
    assert db.texts(table) == ["(a,9)", "(b,2)"]
    assert any(f"public.{table}" in line for line in target.plan(None))
    for options in ({"table": "t", "format": "csv"}, {}, {"table": "t", "create": "maybe"}):
        with pytest.raises(InputError):
            PostgresTable.from_uri("postgresql://", options)


# -------------------------------------------------------------------------------------- the promise


def test_nothing_is_visible_before_the_end_or_after_a_failure(connection, db):
    table = db.table("a int", "VALUES (0)")
    seen = []

    def look() -> None:
        seen.append(db.rows(f"TABLE {table}"))
        if len(seen) == 2:
            raise KeyboardInterrupt

    owner = owner_of("interrupted")
    source = Rows(*[rows(a=list(range(50_000)))] * 3, before=look)
    with pytest.raises(KeyboardInterrupt):
        move(source, PostgresTable(connection, table, mode="replace"), owner)
    assert seen == [[(0,)], [(0,)]]
    assert db.rows(f"TABLE {table}") == [(0,)]
    until(lambda: not db.sessions(f"tradewind:{owner.digest}"))
    assert not [thread for thread in threading.enumerate() if owner.digest in thread.name]


def test_two_attempts_at_once_never_double(connection, db):
    table = db.table("a int")
    owner = owner_of("race")
    outcomes: list[object] = []
    gate = threading.Barrier(4)

    def attempt() -> None:
        gate.wait(20)
        try:
            source = Rows(*[rows(a=list(range(1000)))] * 5)
            outcomes.append(move(source, PostgresTable(connection, table), owner).rows)
        except RetryError as error:
            outcomes.append(error)

    threads = [threading.Thread(target=attempt) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert 5000 in outcomes, outcomes
    assert {outcome for outcome in outcomes if not isinstance(outcome, RetryError)} == {5000}
    assert db.value(f"SELECT count(*) FROM {table}") == 5000


def test_loads_of_different_owners_take_turns(connection, db):
    table = db.table("a int")
    threads = []

    def other() -> None:
        thread = threading.Thread(
            target=lambda: move(Rows(rows(a=[2])), PostgresTable(connection, table, mode="replace"))
        )
        thread.start()
        threads.append(thread)
        waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        until(lambda: db.value(waiting) == 1)

    move(Rows(rows(a=[1]), rows(a=[1]), before=other), PostgresTable(connection, table))
    threads[0].join(20)
    assert db.rows(f"TABLE {table}") == [(2,)], "the second came after the first, whole"
    held = PostgresTable(connection, table, lock_timeout=0.2)

    def late() -> None:
        with pytest.raises(RetryError, match="another load of"):
            move(Rows(rows(a=[3])), held)

    move(Rows(rows(a=[4]), rows(a=[4]), before=late), PostgresTable(connection, table))


def test_a_session_that_a_dead_attempt_has_left_is_ended(connection, db):
    table = db.table("a int")
    owner = owner_of("zombie")

    def again() -> None:
        # The first attempt is stuck here for good; the next one does not wait for it.
        assert move(Rows(rows(a=[7])), PostgresTable(connection, table), owner).rows == 1

    with pytest.raises(RetryError, match="PostgreSQL at"):
        move(Rows(rows(a=[1]), rows(a=[2]), before=again), PostgresTable(connection, table), owner)
    assert db.rows(f"TABLE {table}") == [(7,)]


def test_a_backend_that_is_killed_is_worth_a_retry(connection, db):
    table, owner = db.table("a int"), owner_of("killed")

    def kill() -> None:
        for pid, _ in db.sessions(f"tradewind:{owner.digest}"):
            db.run(f"SELECT pg_terminate_backend({pid})")
        until(lambda: not db.sessions(f"tradewind:{owner.digest}"))

    source = Rows(rows(a=[1]), rows(a=[2]), before=kill)
    with pytest.raises(RetryError):
        move(source, PostgresTable(connection, table), owner)
    assert db.texts(table) == []
    assert move(Rows(rows(a=[1])), PostgresTable(connection, table), owner).rows == 1


@pytest.mark.parametrize("committed", [True, False])
def test_a_connection_lost_while_committing_is_resolved(connection, db, monkeypatch, committed):
    from tradewind.systems.postgres.session import Session

    table, owner = db.table("a int"), owner_of("commit")
    execute = Session.execute

    def lose(self: Session, sql: str) -> str:
        if sql == "COMMIT":
            if committed:
                execute(self, sql)
            db.run(f"SELECT pg_terminate_backend({self.pid})")
            until(lambda: not db.sessions(f"tradewind:{owner.digest}"))
            return execute(self, "SELECT 1")
        return execute(self, sql)

    monkeypatch.setattr(Session, "execute", lose)
    if committed:
        assert move(Rows(rows(a=[1])), PostgresTable(connection, table), owner).rows == 1
    else:
        with pytest.raises(RetryError, match="Nothing of it is visible"):
            move(Rows(rows(a=[1])), PostgresTable(connection, table), owner)
    monkeypatch.undo()
    assert move(Rows(rows(a=[1])), PostgresTable(connection, table), owner).rows == 1
    assert db.texts(table) == ["(1)"]


def test_a_loader_killed_by_sigkill_leaves_nothing(connection, db, local_postgres):
    table, owner = db.table("a int", "VALUES (0)"), owner_of("sigkill")
    code = (
        "import time, pyarrow as pa\n"
        "from tradewind.move.batches import Batches\n"
        "from tradewind.systems.postgres.connection import PostgresConnection\n"
        "from tradewind.move.source import Source\n"
        "from tradewind.systems.postgres.table import PostgresTable\n"
        "from tradewind.move.transfer import transfer\n"
        "from tradewind.owner import Owner\n"
        "class Endless(Source):\n"
        "    def describe(self): return 'endless'\n"
        "    def batches(self):\n"
        "        batch = pa.record_batch({'a': list(range(100000))})\n"
        "        return Batches(batch.schema, iter(lambda: batch, None))\n"
        f"transfer(Endless(), PostgresTable(PostgresConnection(), {table!r}, mode='replace'),"
        f" Owner({owner.dag!r}, {owner.run!r}, {owner.task!r}))\n"
    )
    loader = subprocess.Popen(
        [sys.executable, "-c", code], env={**os.environ, **local_postgres.environment}
    )
    try:
        copying = "SELECT count(*) FROM pg_stat_progress_copy WHERE relid = $1::text::regclass"
        until(lambda: db.value(copying, table) == 1)
    finally:
        loader.send_signal(signal.SIGKILL)
        loader.wait(20)
    until(lambda: not db.sessions(f"tradewind:{owner.digest}"))
    assert db.rows(f"TABLE {table}") == [(0,)]
    assert (
        move(Rows(rows(a=[1])), PostgresTable(connection, table, mode="replace"), owner).rows == 1
    )
    assert db.rows(f"TABLE {table}") == [(1,)]
