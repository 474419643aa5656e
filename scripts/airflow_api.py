"""A few calls of Airflow's public REST API (``/api/v2``), as the demo needs them."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import httpx

__all__ = ["AirflowApi"]


class AirflowApi:
    """Airflow's REST API, logged in.

    Args:
        url: Address of the API server.
        login: User name.
        password: The password.
    """

    def __init__(self, url: str, login: str, password: str) -> None:
        # No proxy of the surroundings: the server is on this machine.
        self._client = httpx.Client(base_url=url, trust_env=False, timeout=60)
        token = self._client.post("/auth/token", json={"username": login, "password": password})
        token.raise_for_status()
        self._client.headers["Authorization"] = f"Bearer {token.json()['access_token']}"

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def dag_is_known(self, dag: str) -> bool:
        """Whether the DAG has been read; raises `RuntimeError` when its file cannot be."""
        errors = self._get("/api/v2/importErrors")["import_errors"]
        if errors:
            raise RuntimeError(f"{errors[0]['filename']}:\n{errors[0]['stack_trace']}")
        return self._client.get(f"/api/v2/dags/{dag}").status_code == 200

    def run_again(self, dag: str, run: str, logical_date: datetime) -> None:
        """Unpause a DAG and run it for a date, again where it has run for it before.

        The run is made before the DAG is unpaused: so the scheduler finds the date taken and makes
        no second run for it.
        """
        made = self._client.post(
            f"/api/v2/dags/{dag}/dagRuns",
            json={"dag_run_id": run, "logical_date": logical_date.isoformat()},
        )
        if made.status_code == 409:
            for other in self._get(f"/api/v2/dags/{dag}/dagRuns")["dag_runs"]:
                if _same(other["logical_date"], logical_date):
                    run = other["dag_run_id"]
            made = self._client.post(
                f"/api/v2/dags/{dag}/dagRuns/{run}/clear",
                json={"dry_run": False, "only_failed": False},
            )
        made.raise_for_status()
        self._client.patch(f"/api/v2/dags/{dag}", json={"is_paused": False}).raise_for_status()
        self.run = run

    def unpause(self, dag: str) -> None:
        """Switch a DAG on: its schedule's runs begin."""
        self._client.patch(f"/api/v2/dags/{dag}", json={"is_paused": False}).raise_for_status()

    def runs(self, dag: str) -> list[dict[str, Any]]:
        """The newest 100 runs of a DAG."""
        return list(self._get(f"/api/v2/dags/{dag}/dagRuns?limit=100")["dag_runs"])

    def backfill(self, dag: str, month: str, conf: Mapping[str, Any]) -> bool:
        """Run a month again, with other parameters.

        Args:
            dag: The DAG.
            month: Like ``2019-12``.
            conf: The parameters that differ.

        Returns:
            Whether it was taken: a DAG has one backfill at a time, and Airflow looks only now and
            then whether one has ended.
        """
        date = f"{month}-01T00:00:00Z"
        made = self._client.post(
            "/api/v2/backfills",
            json={
                "dag_id": dag,
                "from_date": date,
                "to_date": date,
                "dag_run_conf": dict(conf),
                "reprocess_behavior": "completed",
            },
        )
        if made.status_code != 409:
            made.raise_for_status()
        return made.status_code != 409

    def clear(self, dag: str, run: str, *, only_failed: bool = False) -> None:
        """Let the tasks of a run, or those that have failed, run again, as a person would."""
        given = {"dry_run": False, "only_failed": only_failed}
        path = f"/api/v2/dags/{dag}/dagRuns/{run}/clear"
        self._client.post(path, json=given).raise_for_status()

    def state(self, dag: str, run: str) -> str:
        """State of a run."""
        return str(self._get(f"/api/v2/dags/{dag}/dagRuns/{run}")["state"])

    def tasks(self, dag: str, run: str) -> list[Mapping[str, Any]]:
        """The task instances of a run, each with ``task_id``, ``state``, ``duration`` (seconds)."""
        return list(self._get(f"/api/v2/dags/{dag}/dagRuns/{run}/taskInstances")["task_instances"])

    def links(self, dag: str, run: str, task: str) -> dict[str, str]:
        """The extra links of a task, as its page shows them."""
        answer = self._get(f"/api/v2/dags/{dag}/dagRuns/{run}/taskInstances/{task}/links")
        return dict(answer["extra_links"])

    def log(self, dag: str, run: str, task: str, attempt: int) -> list[str]:
        """The lines of one attempt's log, errors without their frames."""
        answer = self._get(f"/api/v2/dags/{dag}/dagRuns/{run}/taskInstances/{task}/logs/{attempt}")
        lines: list[str] = []
        for entry in answer["content"]:
            if not isinstance(entry, dict):
                lines.append(str(entry))
                continue
            errors = entry.get("error_detail") or []
            lines += [entry["event"], *(f"{e['exc_type']}: {e['exc_value']}" for e in errors)]
        return [line for line in lines if not line.startswith("::")]

    def _get(self, path: str) -> Any:
        # A machine with its hands full answers late: ask again before giving up.
        for _ in range(3):
            with contextlib.suppress(httpx.TimeoutException):
                answer = self._client.get(path)
                break
        else:
            answer = self._client.get(path)
        answer.raise_for_status()
        return answer.json()


def _same(said: str | None, date: datetime) -> bool:
    return said is not None and datetime.fromisoformat(said.replace("Z", "+00:00")) == date
