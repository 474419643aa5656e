"""What `spread_transfer` refuses when the DAG file is read, and the group that it makes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tradewind.airflow import Objects, Sql, Table, spread_transfer
from tradewind.errors import InputError

pytestmark = pytest.mark.airflow

DOCS = Path(__file__).parents[2] / "docs"


def test_the_example_of_the_page():
    (example,) = re.findall(r"```python\n(.*?)```", (DOCS / "spread.md").read_text(), re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(example.replace("}):", "}) as dag:"), "-", "exec"), names)
    tasks = [f"listings.{name}" for name in ("clean_up", "move", "plan", "publish")]
    assert sorted(names["dag"].task_ids) == tasks


def test_what_is_wrong_is_told_when_the_file_is_read():
    from airflow.sdk import DAG

    rows = Sql("shop", "SELECT 1 AS id")
    parts = Objects("s3://lake/rows/", format="csv", parts={"rows": 10})
    fine: dict[str, Any] = {
        "source": rows,
        "target": parts,
        "spread": 2,
        "by": "id",
        "consistency": "per-part",
    }
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"spread": 0}, "Give a number of parts from 1"),
        ({"spread": 100_000}, "max_map_length"),
        ({"by": None}, "Name it: by='id'"),
        ({"consistency": "snapshot"}, "say consistency='per-part'"),
        ({"consistency": "any"}, "consistency"),
        ({"source": Sql("shop", "SELECT 1", connections=2, split="ctid")}, "Leave them out"),
        ({"source": Sql("shop", "")}, "there is no query"),
        ({"source": Objects("s3://lake/old/")}, "Leave out by"),
        ({"target": Objects("s3://lake/rows.csv")}, "cannot write one object"),
        ({"target": Objects("s3://lake/a/", format="csv", parts={"by": "id"})}, "no partitions"),
        ({"target": Table("shop", "t", create=True)}, "Create the table before"),
        ({"target": rows}, "no target"),
    ]
    for number, (given, said) in enumerate(wrong):
        with DAG(f"wrong_{number}", schedule=None), pytest.raises(InputError, match=said):
            spread_transfer("rows", **{**fine, **given})
    with DAG("fine", schedule=None) as dag:
        spread_transfer("rows", **fine, retries=3, move_args={"queue": "large"})
    move: Any = dag.task_dict["rows.move"]
    assert move.partial_kwargs["queue"] == "large"
    assert dag.task_dict["rows.publish"].retries == 3
    assert dag.task_dict["rows.clean_up"].is_teardown


def test_parts_are_needed_until_the_group_has_ended_also_in_airflow_3_2(
    monkeypatch: pytest.MonkeyPatch,
):
    """Without its database: that of this version has what 3.2 has not, a store of task states."""
    from tradewind.airflow import task_runs
    from tradewind.owner import Owner

    monkeypatch.setattr(task_runs, "keeps_task_states", lambda: False)
    states = {"rows.plan": "success", "rows.clean_up": None, "other.plan": "success"}

    class Session:
        def execute(self, statement: Any) -> Any:
            self.task = statement.compile().params["task_id_1"]
            return self

        def first(self) -> Any:
            return (states[self.task],) if self.task in states else None

    runs: Any = task_runs.TaskRuns.__new__(task_runs.TaskRuns)
    runs._deployments = {"here"}

    def alive(task: str) -> bool | None:
        owner = Owner("dag", "run", task, deployment="here")
        told: bool | None = runs._of_owner(Session(), owner).alive
        return told

    assert (alive("rows.plan"), alive("other.plan")) == (True, False)
    states["rows.clean_up"] = "running"
    assert alive("rows.plan")
    states["rows.clean_up"] = "success"
    assert alive("rows.plan") is False
