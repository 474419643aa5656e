"""MariaDB: the same data give the same rows, or the same refusal, by LOAD DATA and by INSERT."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest

from mysql_client import need_mysql_client
from tradewind.errors import InputError
from tradewind.move.objects.source import ObjectSource
from tradewind.move.transfer import transfer
from tradewind.move.types import UnfitValueError
from tradewind.systems.files.store import FileStore

need_mysql_client()
from made_rows import Rows  # noqa: E402
from mysql_server import load, owner_of  # noqa: E402
from tradewind.systems.mysql.table import MySQLTable  # noqa: E402
from values_targets import MARIADB, REFUSED  # noqa: E402


def told(connection, db, type_: str, values: pa.Array) -> str | None:
    """What stands there by either road; None where both refuse in the same way."""
    found = []
    for by in ("infile", "insert"):
        table = db.table(f"id INT, v {type_}")
        source = Rows(pa.table({"id": pa.array([1], pa.int32()), "v": values}))
        try:
            transfer(source, MySQLTable(connection, table, load=by), owner_of("exact"))
            found.append(db.value(f"SELECT v FROM {table}"))
        except InputError as error:
            # The column's name; of JSON the server names the constraint, which is called so.
            named = any(name in str(error) for name in ("'v'", "`v`", ".v`"))
            found.append(None if named and not db.count(table) else str(error))
    assert found[0] == found[1]
    return found[0]


@pytest.mark.parametrize(("type_", "values"), MARIADB, ids=[type_ for type_, _ in MARIADB])
def test_texts(connection, db, type_: str, values: dict[str, str | None]) -> None:
    for text, expected in values.items():
        found = told(connection, db, type_, pa.array([text], pa.string()))
        assert (text, found) == (text, expected)


@pytest.mark.parametrize(
    ("type_", "values", "expected"),
    [
        ("INT", pa.array([1.5]), REFUSED),
        ("INT", pa.array([1.0]), "1"),
        ("INT", pa.array([Decimal("1.5")]), REFUSED),
        ("TINYINT", pa.array([300]), REFUSED),
        ("INT UNSIGNED", pa.array([-1]), REFUSED),
        ("DECIMAL(10,2)", pa.array([Decimal("1.255")]), REFUSED),
        ("DECIMAL(10,2)", pa.array([1.255]), REFUSED),
        ("DECIMAL(10,2)", pa.array([1.25]), "1.25"),
        ("DOUBLE", pa.array([2**53 + 1]), REFUSED),
        ("FLOAT", pa.array([16777217], pa.int32()), REFUSED),
        ("FLOAT", pa.array([0.1]), "0.1"),
        ("FLOAT", pa.array([1 / 3]), REFUSED),
        ("BINARY(4)", pa.array([b"abcd"]), "abcd"),
        ("BINARY(4)", pa.array([b"ab"]), REFUSED),
        ("VARBINARY(2)", pa.array([b"abc"]), REFUSED),
        ("DATE", pa.array([dt.datetime(2026, 1, 31, 12)]), REFUSED),
        ("TIME", pa.array([dt.datetime(2026, 1, 31, 12)]), REFUSED),
        ("TIME(3)", pa.array([dt.time(1, 1, 1, 123_456)]), REFUSED),
        ("TIME", pa.array([5]), REFUSED),
        ("TIME", pa.array([dt.date(2026, 1, 31)]), REFUSED),
        ("DATE", pa.array([dt.time(10, 11, 12)]), REFUSED),
        ("INT", pa.array([dt.date(2026, 1, 31)]), REFUSED),
        ("YEAR", pa.array([dt.datetime(2026, 1, 1)]), REFUSED),
        ("TIME", pa.array([1.5]), REFUSED),
        ("YEAR", pa.array([0]), "0000"),
        ("YEAR", pa.array([26]), REFUSED),
        ("ENUM('a','1')", pa.array([1]), "1"),
        ("ENUM('a','b')", pa.array([1]), REFUSED),
        ("BIT(4)", pa.array([3]), "\x03"),
    ],
)
def test_typed_values(connection, db, type_: str, values: pa.Array, expected: str | None) -> None:
    assert told(connection, db, type_, values) == expected


@pytest.mark.parametrize("mode", ["replace", "upsert"])
def test_late_values_in_every_mode(connection, db, tmp_path: Path, mode: str) -> None:
    table = db.table("id INT PRIMARY KEY, v DECIMAL(10,2)", "(1, 5)")
    lines = [f"{number},{number / 100}" for number in range(100_000)]
    (tmp_path / "late.csv").write_text("\n".join(["id,v", *lines, "100000,0.005"]) + "\n")
    source = ObjectSource(FileStore(tmp_path), "late.csv")
    with pytest.raises(UnfitValueError, match=r"'v'.*DECIMAL\(10,2\).*'0.005'"):
        transfer(source, MySQLTable(connection, table, mode=mode), owner_of("late"))
    assert db.rows(f"SELECT * FROM {table}") == [("1", "5.00")]


@pytest.mark.parametrize("load", ["infile", "insert"])
def test_what_the_server_refuses_is_told_with_its_value(connection, db, load: str) -> None:
    """Warnings of LOAD DATA name a row and a column; the row may be among millions."""
    texts = {
        "INT": ("1", "abc"), "TINYINT UNSIGNED": ("1", "256"), "DECIMAL(6,2)": ("1", "12345.67"),
        "FLOAT": ("1", "1e39"), "DATE": ("2026-01-31", "2026-02-30"), "BIT(3)": ("1", "8"),
        "DATETIME": ("2026-01-31", "10000-01-01"), "TIMESTAMP": ("2026-01-31", "2039-01-01"),
        "TIME": ("10:00:00", "839:00:00"), "TINYTEXT": ("x", "y" * 256), "YEAR": ("2026", "1900"),
        "VARBINARY(2)": ("ab", "abc"),
    }  # fmt: skip
    for type_, (right, wrong) in texts.items():
        table = db.table(f"id INT, v {type_}")
        values = pa.array([right] * 40 + [wrong, right], pa.string())
        rows = Rows(pa.table({"id": pa.array(range(42), pa.int32()), "v": values}))
        with pytest.raises(UnfitValueError) as told:
            transfer(rows, MySQLTable(connection, table, load=load), owner_of("named"))
        assert "'v'" in str(told.value)
        assert wrong[:40] in str(told.value), type_
        assert not db.count(table)
    numbers = {"TINYINT": pa.array([1, 300]), "TIMESTAMP": pa.array([dt.datetime(1969, 1, 1)] * 2)}
    for type_, typed in numbers.items():
        table = db.table(f"id INT, v {type_}")
        rows = Rows(pa.table({"id": pa.array([1, 2], pa.int32()), "v": typed}))
        with pytest.raises(UnfitValueError, match=r"300|1969"):
            transfer(rows, MySQLTable(connection, table, load=load), owner_of("named"))


def test_what_no_value_is_told_of_names_what_was_demanded(connection, db) -> None:
    """The row counts through all statements; a CHECK is told with what it demands."""
    parent = db.table("id INT PRIMARY KEY", name="parent")
    loud = db.table("id INT, v INT")
    db.run(
        f"CREATE TRIGGER {loud}_t BEFORE INSERT ON {loud} FOR EACH ROW "
        "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'not wanted'"
    )
    many = pa.table({"id": pa.array([1, 2], pa.int32()), "v": pa.array([5, -5], pa.int32())})
    texts = pa.table({"id": pa.array([1], pa.int32()), "v": ["nope"]})
    null = pa.table({"id": pa.array(range(3), pa.int32()), "v": pa.array([1, 2, None])})
    wide = pa.table({"id": pa.array(range(120_000), pa.int32()), "v": ["::1"] * 119_999 + ["x"]})
    parts = "PARTITION BY RANGE (v) (PARTITION p VALUES LESS THAN (0))"
    cases = [
        (db.table("id INT, v INT CHECK (v > 0)"), many, "demands `v` > 0.* column 'v'"),
        (db.table("id INT, v JSON"), texts, r"demands json_valid\(`v`\).* column 'v'"),
        (db.table("id INT, v INT NOT NULL"), null, "'v'.*Give a value in every row"),
        (db.table(f"id INT, v INT, FOREIGN KEY (v) REFERENCES {parent} (id)"), many,
         r"KEY \(`v`\).*Write the rows first"),
        (db.table("id INT, v POINT"), texts, "as WKB.*one of the columns 'v'"),
        (db.table("id INT, v INT", more=parts), many, "no partition for value 5.*Add a partition"),
        (db.table("id INT, v INT UNIQUE", "(0, -5)"), many, "'-5' for key 'v'.*mode='upsert'"),
        (loud, many, "not wanted.*procedure or trigger"),
    ]  # fmt: skip
    for by in ("infile", "insert"):
        for table, rows, said in cases:
            with pytest.raises(InputError, match=f"{table} does not fit: .*{said}"):
                load(connection, rows, table, load=by)
        inet = db.table("id INT, v INET6")
        with pytest.raises(InputError, match=r"'x' for column .*`v` at row 120000"):
            load(connection, wide, inet, load=by)
    twice = pa.Table.from_arrays([pa.array([1])] * 2, names=["a", "A"])
    for rows, said in (
        (twice, "'A' is the column 'a' there"),
        (pa.table({"a\0": [1]}), "zero byte in its name"),
        (pa.table({"a ": [1]}), "ends with a blank"),
        (pa.table({"": [1]}), "has no name"),
    ):
        with pytest.raises(InputError, match=said):
            load(connection, rows, "made_up", create=True)
