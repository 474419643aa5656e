"""Who a task run is, where its metadata database is a copy of another Airflow's."""

from __future__ import annotations

import json
from dataclasses import asdict
from types import SimpleNamespace
from typing import Any

import pytest

from tradewind.airflow.identity import IDENTITY_KEY, Identity, identity_of

pytestmark = pytest.mark.airflow


class Store(dict[str, Any]):
    def set(self, key: str, value: Any, retention: Any) -> None:
        self[key] = value


def test_a_copied_task_run_is_another_one_where_the_option_says_so(
    monkeypatch: pytest.MonkeyPatch,
):
    kept = Identity("production", "g1", 1, 3, 2, 1)
    store = Store({IDENTITY_KEY: json.dumps(asdict(kept))})
    context = {
        "ti": SimpleNamespace(try_number=2, max_tries=3),
        "task": SimpleNamespace(retries=2),
        "dag_run": SimpleNamespace(clear_number=1),
        "task_state_store": store,
    }
    assert identity_of(context) == kept
    monkeypatch.setenv("AIRFLOW__TRADEWIND__DEPLOYMENT", "production")
    assert identity_of(context) == kept
    monkeypatch.setenv("AIRFLOW__TRADEWIND__DEPLOYMENT", "staging")
    found = identity_of(context)
    assert found is not None
    assert (found.deployment, found.life) == ("staging", 1)
    assert found.generation != "g1"
    assert identity_of(context) == found, "a retry is the same"
    context["ti"].max_tries = 5
    cleared = identity_of(context)
    assert cleared is not None
    assert (cleared.deployment, cleared.generation, cleared.life) == (
        "staging",
        found.generation,
        2,
    )
