"""Several files with the official names, on a store of files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from made_rows import Rows
from tradewind.airflow.named_files import NamedFiles
from tradewind.errors import InputError
from tradewind.move.formats.csv import CsvFormat
from tradewind.move.transfer import transfer
from tradewind.owner import Owner
from tradewind.systems.files.store import FileStore


def rows_of(*columns: dict[str, Any], before: Callable[[], None] | None = None) -> Rows:
    return Rows(*map(pa.table, columns), before=before)


def break_off() -> None:
    raise ConnectionError("in the middle")


FRUITS = {"fruit": ["apple", "lemon", "plum"], "color": ["red", "yellow", None]}
MONDAY, TUESDAY = Owner("d", "monday", "t"), Owner("d", "tuesday", "t")


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path)


def files(store: FileStore, **more: Any) -> NamedFiles:
    return NamedFiles(store, "out/fruits", ".csv", format=CsvFormat(), compression="none", **more)


def keys(store: FileStore) -> list[str]:
    return [info.key for info in store.list()]


def test_a_file_a_value(store: FileStore):
    receipt = transfer(rows_of(FRUITS), files(store, by=("color",)), MONDAY)
    assert keys(store) == ["out/fruits_NULL.csv", "out/fruits_red.csv", "out/fruits_yellow.csv"]
    assert b"".join(store.read("out/fruits_red.csv")) == b"fruit,color\napple,red\n"
    assert receipt.rows == 3
    assert sorted(each.rows or 0 for each in receipt.stored.objects) == [1, 1, 1]


def test_a_file_a_number_of_rows(store: FileStore):
    transfer(rows_of(FRUITS), files(store, rows=2), MONDAY)
    assert keys(store) == ["out/fruits_0.csv", "out/fruits_1.csv"]


def test_values_with_slashes_make_no_folders(store: FileStore):
    transfer(rows_of({"a": ["x/y"], "b": ["1 2"], "c": [1]}), files(store, by=("a", "b")), MONDAY)
    assert keys(store) == ["out/fruits_x%2Fy_1 2.csv"]


def test_what_is_no_more_is_removed_and_nothing_else(store: FileStore):
    upload = store.upload("out/fruits_notes.csv")
    upload.write(b"somebody else's")
    upload.complete()
    transfer(rows_of(FRUITS), files(store, by=("color",)), MONDAY)
    only_red = {"fruit": ["apple"], "color": ["red"]}
    receipt = transfer(rows_of(only_red), files(store, by=("color",)), TUESDAY)
    assert keys(store) == ["out/fruits_notes.csv", "out/fruits_red.csv"]
    assert len(receipt.stored.removed) == 2


def test_a_failure_leaves_what_was_there(store: FileStore):
    transfer(rows_of(FRUITS), files(store, rows=2), MONDAY)
    before = {key: b"".join(store.read(key)) for key in keys(store)}
    with pytest.raises(ConnectionError):
        transfer(
            rows_of(*[{"fruit": ["fig"], "color": ["?"]}] * 2, before=break_off),
            files(store, rows=2),
            TUESDAY,
        )
    assert {key: b"".join(store.read(key)) for key in keys(store)} == before


def test_replace_false(store: FileStore):
    transfer(rows_of(FRUITS), files(store, rows=2, replace=False), MONDAY)
    # The same owner's retry is let through, another's run is refused before it reads.
    transfer(rows_of(FRUITS), files(store, rows=2, replace=False), MONDAY)
    rows = rows_of(FRUITS)
    with pytest.raises(InputError, match=r"fruits_0\.csv exists already"):
        transfer(rows, files(store, rows=2, replace=False), TUESDAY)
    assert not rows.asked
    with pytest.raises(InputError, match=r"exists already"):
        transfer(
            rows_of({"fruit": ["x"], "color": ["1"]}, {"fruit": ["x"], "color": ["0"]}),
            files(store, by=("color",), replace=False),
            TUESDAY,
        )
    assert keys(store) == ["out/fruits_0.csv", "out/fruits_1.csv"]
