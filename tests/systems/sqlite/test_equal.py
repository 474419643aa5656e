"""Values that a column's collation holds for equal, and which are not; what conflicts."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pytest

from made_rows import Rows
from tradewind.errors import InputError
from tradewind.move.transfer import transfer
from tradewind.owner import Owner
from tradewind.systems.sqlite.table import SQLiteTable


def run(path: Path, sql: str, *values: object) -> list[tuple]:
    with closing(sqlite3.connect(path)) as connection, connection:
        return connection.execute(sql, values).fetchall()


def load(path: Path, texts: list[str], v: int, **options) -> None:
    rows = Rows(pa.table({"s": texts, "v": [v + at for at in range(len(texts))]}))
    transfer(rows, SQLiteTable(path, "t", **options), Owner("d", "r", "t"))


@pytest.mark.parametrize("collation", ["NOCASE", "RTRIM", "BINARY"])
def test_slices_and_upserts_keep_to_the_very_value(tmp_path: Path, collation: str) -> None:
    path = tmp_path / "t.db"
    equal = {"NOCASE": "A", "RTRIM": "a  "}.get(collation, "b")
    run(path, f"CREATE TABLE t (s TEXT COLLATE {collation}, v INTEGER)")
    texts = [equal, "1", "01", "1abc"]
    for text in texts:
        run(path, "INSERT INTO t VALUES (?, 0)", text)
    for _ in range(2):
        load(path, ["a"], 7, mode="replace", slice={"S": "a"})
        load(path, ["1"], 8, mode="replace", slice={"s": 1})
    found = run(path, "SELECT s, v FROM t ORDER BY v, s")
    assert found == [*sorted((text, 0) for text in texts if text != "1"), ("a", 7), ("1", 8)]
    with pytest.raises(InputError, match=r"slice .* has 0 now"):
        load(path, [equal], 9, mode="replace", slice={"s": "a"})
    assert run(path, "SELECT s, v FROM t ORDER BY v, s") == found

    for more in ("PRIMARY KEY, v INTEGER", "PRIMARY KEY, v INTEGER) WITHOUT ROWID --", "UNIQUE, v"):
        run(path, "DROP TABLE t")
        run(path, f"CREATE TABLE t (s TEXT COLLATE {collation} {more}\n)".replace("--\n)", ""))
        load(path, [equal], 1, mode="upsert", keys=["s"])
        if collation == "BINARY":
            continue
        load(path, ["a"], 2, mode="upsert", keys=["s"])
        assert run(path, "SELECT * FROM t") == [("a", 2)]
        with pytest.raises(InputError, match="several rows for t have the same s"):
            load(path, ["a", equal], 3, mode="upsert", keys=["s"])
        assert run(path, "SELECT * FROM t") == [("a", 2)]


@pytest.mark.parametrize("clause", ["REPLACE", "IGNORE", "ROLLBACK", "FAIL"])
def test_what_a_table_does_at_conflicts_loses_no_row_and_changes_no_value(
    tmp_path: Path, clause: str
) -> None:
    """REPLACE removes the rows in the way, and puts a default where NULL is not taken."""
    path = tmp_path / "t.db"
    run(
        path,
        f"CREATE TABLE t (s TEXT NOT NULL ON CONFLICT {clause} DEFAULT 'x', "
        f"v INTEGER PRIMARY KEY ON CONFLICT {clause}, u INTEGER UNIQUE ON CONFLICT {clause})",
    )
    run(path, "INSERT INTO t VALUES ('old', 1, 1)")
    for texts, v in ((["new"], 1), (["new", None], 8)):
        for options in ({}, {"mode": "replace", "slice": "v > 1"}):
            with pytest.raises(InputError, match=r"(UNIQUE|NOT NULL) constraint failed: t"):
                load(path, texts, v, **options)  # type: ignore[arg-type]
    load(path, ["a", "b"], 1, mode="upsert", keys=["v"])
    assert run(path, "SELECT * FROM t ORDER BY v") == [("a", 1, 1), ("b", 2, None)]


def test_triggers_keep_what_they_say_for_their_conflicts(tmp_path: Path) -> None:
    """What a statement says for its conflicts goes for its triggers, too."""
    path = tmp_path / "t.db"
    run(path, "CREATE TABLE t (s TEXT, v INTEGER PRIMARY KEY)")
    run(path, "CREATE TABLE seen (s TEXT PRIMARY KEY, v INTEGER)")
    run(
        path,
        "CREATE TRIGGER see AFTER INSERT ON t BEGIN INSERT OR IGNORE INTO seen VALUES (new.s, "
        "new.v); INSERT OR REPLACE INTO seen VALUES ('last', new.v); END",
    )
    load(path, ["a", "a"], 1)
    load(path, ["a", "b"], 3, mode="upsert")
    load(path, ["b"], 5, mode="replace", slice="v >= 4")
    assert run(path, "SELECT * FROM seen ORDER BY s") == [("a", 1), ("b", 4), ("last", 5)]
