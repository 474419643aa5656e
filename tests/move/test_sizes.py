"""Numbers of bytes with units."""

from __future__ import annotations

import pytest

from tradewind.errors import InputError
from tradewind.move.formats.csv import CsvFormat
from tradewind.move.formats.options import with_options
from tradewind.move.publish.destination import Parts
from tradewind.move.sizes import bytes_of
from tradewind.systems.http.source import RestSource
from tradewind.systems.postgres.source import PostgresSource
from tradewind.systems.sqlite.source import SQLiteSource


def test_units_are_those_that_people_write() -> None:
    for text, number in (
        ("1234", 1234),
        ("100MB", 100_000_000),
        ("100 mb", 100_000_000),
        ("100MiB", 100 << 20),
        ("1GB", 1_000_000_000),
        ("2GiB", 2 << 30),
        ("3kB", 3000),
        ("7B", 7),
        (12, 12),
    ):
        assert bytes_of("x", text) == number, text
    for wrong in ("64M", "1.5GB", "64 iB", "-1", "", "MB", "1EB", True, 1.5, None, "\u0663"):
        with pytest.raises(InputError, match=r"x=.* is no number of bytes. Write it like .*64MiB"):
            bytes_of("x", wrong)


def test_all_options_of_bytes_take_them(tmp_path) -> None:
    given = {"max_record_bytes": "1MB", "sample_bytes": "1KiB"}
    csv = with_options(CsvFormat(), given)
    assert (csv.max_record_bytes, csv.sample_bytes) == (1_000_000, 1024)
    with pytest.raises(InputError, match="sample_bytes=-5 is no number of bytes"):
        with_options(CsvFormat(), {"sample_bytes": -5})
    options = {"table": "t", "max_row_bytes": "100MB"}
    for made in (
        PostgresSource.from_uri("postgresql://a@b/c", options),
        SQLiteSource.from_uri(f"sqlite:///{tmp_path}/t.db", options),
        SQLiteSource(tmp_path / "t.db", "SELECT 1", max_row_bytes="100MB"),
    ):
        assert made.max_row_bytes == 100_000_000
    assert RestSource.from_uri("http://a/b", {"page_bytes": "1MiB"}).page_bytes == 1 << 20
    parts = Parts(bytes="64MB", memory="1MiB")
    assert (parts.bytes, parts.memory) == (64_000_000, 1 << 20)
