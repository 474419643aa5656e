"""Publishing what several workers have loaded, by attempts that overtake each other."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest

from made_rows import Rows
from postgres_server import Database
from tradewind.move.transfer import transfer
from tradewind.owner import Owner
from tradewind.systems.postgres.shares import _Gathering
from tradewind.systems.postgres.table import PostgresTable


@pytest.mark.parametrize("mode", ["append", "replace"])
def test_another_attempt_publishes_meanwhile(
    db: Database, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    db.run("DROP TABLE IF EXISTS spread_race; CREATE TABLE spread_race (n bigint)")
    owner = Owner("dag", mode, "rows.plan")
    target = PostgresTable(db.connection, "spread_race", mode=mode)
    for number in range(2):
        share = target.share(owner, number, ["n"])
        transfer(Rows(pa.table({"n": [number, 7]})), share, replace(owner, map_index=number))
    counts, others = _Gathering.counts, [target]

    def overtaken(load: Any, shares: int) -> dict[int, int]:
        found = counts(load, shares)
        if others:
            others.pop().publish_shares(owner, 2, ["n"])
        return found

    monkeypatch.setattr(_Gathering, "counts", overtaken)
    stored = target.publish_shares(owner, 2, ["n"])
    assert (stored.rows, stored.by) == (4, str(owner))
    assert db.rows("SELECT count(*) FROM spread_race")[0][0] == 4
