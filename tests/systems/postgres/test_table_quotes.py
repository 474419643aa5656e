"""Quotes in the wrong place: the server's COPY would leave them out."""

from __future__ import annotations

from pathlib import Path

import pytest

from postgres_server import Database, owner_of
from tradewind.errors import InputError
from tradewind.move.objects.source import ObjectSource
from tradewind.move.transfer import transfer
from tradewind.systems.files.store import FileStore
from tradewind.systems.postgres.connection import PostgresConnection
from tradewind.systems.postgres.table import PostgresTable


@pytest.mark.parametrize("value", ['"x" y', 'x "y" z', '""x""'])
def test_a_quote_in_the_wrong_place_is_told_and_nothing_loaded(
    connection: PostgresConnection, db: Database, tmp_path: Path, value: str
) -> None:
    (tmp_path / "a.csv").write_text(f"id,v\n1,a\n2,{value}\n")
    table = db.table("id int, v text")
    source = ObjectSource(FileStore(tmp_path), "a.csv")
    with pytest.raises(InputError, match="line 3 a quote"):
        transfer(source, PostgresTable(connection, table), owner_of("quotes"))
    assert db.rows(f"SELECT * FROM {table}") == []
