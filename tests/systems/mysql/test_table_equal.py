"""Values that the server holds for equal, and which are not: they are other slices, other keys."""

from __future__ import annotations

import datetime as dt

import pyarrow as pa
import pytest

from mysql_client import need_mysql_client

need_mysql_client()

from mysql_server import load  # noqa: E402
from tradewind.errors import InputError  # noqa: E402

_TEXTS = "'A', 'a ', 'á', '1', '01', '1abc'"


@pytest.mark.parametrize("load_by", ["infile", "insert"])
def test_a_slice_is_its_very_value(connection, db, load_by: str) -> None:
    ci = "COLLATE utf8mb4_unicode_ci"
    for type_, slice, new, gone in (
        (f"VARCHAR(30) {ci}", "a", "a", None),
        (f"VARCHAR(30) {ci}", "á", "á", "á"),
        ("VARCHAR(30) CHARACTER SET latin1", "á", "á", "á"),
        ("TEXT COLLATE utf8mb4_bin", "a", "a", None),
        (f"VARCHAR(30) {ci}", 1, "1", "1"),
        ("BLOB", 1, b"1", "1"),
    ):
        texts = [text.strip("'") for text in _TEXTS.split(", ")]
        table = db.table(f"s {type_}, v INT", ", ".join(f"('{text}', 0)" for text in texts))
        rows = pa.table({"s": [new], "v": [7]})
        for _ in range(2):
            load(connection, rows, table, mode="replace", slice={"S": slice}, load=load_by)
        kept = {row[0] for row in db.rows(f"SELECT HEX(CONVERT(s USING utf8mb4)) FROM {table}")}
        assert kept == {text.encode().hex().upper() for text in (*texts, str(slice))}
        assert db.count(table) == len(texts) + (gone is None)
        assert db.value(f"SELECT COUNT(*) FROM {table} WHERE v = 7") == "1"
        if new == "a":
            other = pa.table({"s": ["A"], "v": [8]})
            with pytest.raises(InputError, match=r"slice.* has 0 now"):
                load(connection, other, table, mode="replace", slice={"s": "a"})
            assert db.value(f"SELECT COUNT(*) FROM {table} WHERE v = 7") == "1"


def test_a_slice_of_numbers_and_times(connection, db) -> None:
    big = "12345678901234567890.12"
    table = db.table(
        "n BIGINT, d DECIMAL(30,2), day DATE, t VARCHAR(9)",
        f"(9007199254740993, {big}, '2026-01-02', 'x'), (9007199254740992, {big[:-1]}3, NULL, 'x')",
    )
    kept = db.rows(f"SELECT * FROM {table} ORDER BY n")
    nothing = pa.table({"n": pa.array([], pa.int64())})
    for slice in (
        {"n": "1abc"},
        {"d": "x"},
        {"d": "nan"},
        {"day": "2026-01-02x"},
        {"t": True},
        {"t": 1.5},
    ):
        with pytest.raises(InputError, match=f"slice gives .* column '{next(iter(slice))}'"):
            load(connection, nothing, table, mode="replace", slice=slice, columns=["n"])
        assert db.rows(f"SELECT * FROM {table} ORDER BY n") == kept
    for slice in ({"n": "9007199254740993", "d": big}, {"d": big}, {"day": "2026-01-02"}):
        db.run(f"DELETE FROM {table} WHERE d = {big}")
        db.run(f"INSERT INTO {table} VALUES (9007199254740993, {big}, '2026-01-02', 'x')")
        load(connection, nothing, table, mode="replace", slice=slice, columns=["n"])
        assert db.rows(f"SELECT n FROM {table}") == [("9007199254740992",)]


def test_a_slice_by_a_time_with_a_zone_is_that_moment(connection, db) -> None:
    """As Airflow's ``{{ ts }}`` is written; rows with a zone are in UTC there as well."""
    aware = dt.datetime(2026, 1, 31, 12, tzinfo=dt.timezone(dt.timedelta(hours=5)))
    for type_ in ("TIMESTAMP(6)", "DATETIME(6)"):
        for moment in ("2026-01-31T07:00:00+00:00", "2026-01-31 12:00:00+05:00",
                       "2026-01-31T07:00:00.000000Z", aware):  # fmt: skip
            table = db.table(f"at {type_} NULL, v INT", "('2026-01-31 07:00', 0), (NULL, 1)")
            rows = pa.table({"at": [aware], "v": [7]})
            load(connection, rows, table, mode="replace", slice={"at": moment})
            found = db.rows(f"SELECT at, v FROM {table} ORDER BY v")
            assert found == [(None, "1"), ("2026-01-31 07:00:00.000000", "7")]
    table = db.table("day DATE, t TIME(6), at DATETIME", "('2026-01-31', '12:00', NULL)")
    for name, value in (
        ("day", "2026-01-31T00:00:00+05:00"),
        ("day", aware),
        ("t", "12:00:00+05:00"),
        ("at", "2026-01-31 12:00:00 EST"),
    ):
        with pytest.raises(InputError, match=f"'{name}'.* cannot hold"):
            load(connection, rows, table, mode="replace", slice={name: value}, columns=["at"])
    assert db.count(table) == 1
    # Airflow's data_interval_start of a daily run: the day, as rows with such a moment have it.
    start = dt.datetime(2026, 1, 31, tzinfo=dt.UTC)
    day = pa.table({"day": [start]})
    load(connection, day, table, mode="replace", slice={"day": start}, columns=["day"])
    assert db.rows(f"SELECT day, t FROM {table}") == [("2026-01-31", None)]


def test_an_upsert_leaves_the_key_that_came(connection, db) -> None:
    table = db.table("s VARCHAR(9) COLLATE utf8mb4_unicode_ci PRIMARY KEY, v INT", "('A', 7)")
    child = db.table(
        f"s VARCHAR(9) COLLATE utf8mb4_unicode_ci, FOREIGN KEY (s) REFERENCES {table} (s)"
    )
    for key in ("a", "á", "á"):
        load(connection, pa.table({"s": [key, "b"], "v": [1, 2]}), table, mode="upsert")
        found = db.rows(f"SELECT HEX(s), v FROM {table} ORDER BY v")
        assert found == [(key.encode().hex().upper(), "1"), ("62", "2")]
    with pytest.raises(InputError, match=r"several rows .* have the same s"):
        load(connection, pa.table({"s": ["c", "C"], "v": [1, 2]}), table, mode="upsert")
    load(connection, pa.table({"s": ["B"]}), table, mode="upsert", columns=["s"])
    assert db.value(f"SELECT s FROM {table} WHERE v = 2") == "B"
    assert db.count(child) == 0
    db.run(f"INSERT INTO {child} VALUES ('B')")
    says = r"spells its key otherwise .*\(s 'b' where the table has 'B'\).*ON UPDATE CASCADE"
    with pytest.raises(InputError, match=says):
        load(connection, pa.table({"s": ["b"], "v": [9]}), table, mode="upsert")
    assert db.value(f"SELECT s FROM {table} WHERE v = 2") == "B"
