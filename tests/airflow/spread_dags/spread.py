"""Moves over several workers, run by tests/airflow/test_spread.py."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

from airflow.sdk import DAG

from killing_tasks import FOLDER, watching
from tradewind.airflow import Objects, Sql, Table, spread_transfer
from tradewind.airflow.operators import spread


def watch(kind: Any) -> None:
    """Let its tasks die where they are told; once, as the file is read again by each task."""
    execute = kind.execute

    def watched(self: Any, context: Any) -> Any:
        if not os.environ.get("TRADEWIND_WATCHED"):
            return execute(self, context)
        with watching(context):
            return execute(self, context)

    if "execute" not in vars(kind):
        kind.execute = watched


watch(spread.SpreadMoveOperator)
watch(spread.SpreadPublishOperator)


def dag(name: str, **more: Any) -> DAG:
    args = {"retries": 1, "retry_delay": timedelta(0), **more}
    return DAG(name, schedule=None, default_args=args)


ROWS = Sql(
    "postgres_default",
    "SELECT id, name, amount FROM spread_rows WHERE id < %(end)s",
    parameters={"end": 1000},
)
LAKE = f"file://{FOLDER}/lake"


def to_objects(name: str, source: Any = ROWS, **more: Any) -> None:
    spread_transfer(
        "rows",
        source=source,
        target=Objects(f"{LAKE}/{name}/", format="csv", parts={"rows": 100}),
        spread=2,
        **more,
    )


for number in "12":
    # Both to one prefix.
    with dag(f"objects_{number}"):
        to_objects("objects", by="id", consistency="per-part")

with dag("fails", retries=0):

    def refuse(batch: Any) -> Any:
        if batch.num_rows and batch["id"][0].as_py() > 400:
            raise ValueError("this part is refused")
        return batch

    to_objects("fails", by="id", consistency="per-part", transform=refuse)

with dag("from_objects"):
    spread_transfer(
        "rows",
        source=Objects(f"{LAKE}/objects/"),
        target=Table("postgres_default", "spread_copy", mode="replace"),
        spread=2,
    )

with dag("table"):
    spread_transfer(
        "rows",
        source=ROWS,
        target=Table("postgres_default", "spread_target"),
        spread=2,
        by="id",
        consistency="per-part",
    )
