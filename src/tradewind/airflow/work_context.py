"""Context variables of jobs, and the state that Airflow keeps for a task."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tradewind.errors import TradewindError
from tradewind.former_names import former_attribute

if TYPE_CHECKING:
    from airflow.sdk import Context

    from tradewind.owner import Owner
    from tradewind.run.backend import Backend, LogLine
    from tradewind.run.supervise import Memory

__all__ = [
    "RunLimit",
    "TaskStateStore",
    "context_variables",
    "is_another_run",
    "line_text",
    "note_began",
    "run_began",
]

_PARTS = "\x1fparts "
#: A character is at most twelve bytes long there, as JSON escapes it.
_PART_LENGTH = 5_000


class TaskStateStore:
    """What an attempt tells the next one: Airflow's task state store.

    A value of the store has 64 KB at most: longer ones are stored in parts, their number last.

    Args:
        store: The task's accessor; None where Airflow has none (``execute({})`` in a test).
    """

    def __init__(self, store: Any) -> None:
        self._store = store
        self._here: dict[str, str] = {}

    def get(self, key: str) -> str | None:
        """Read what was set."""
        found = self._read(key)
        if found is None or not found.startswith(_PARTS):
            return found
        count = int(found.removeprefix(_PARTS))
        return "".join(self._read(f"{key}.{number}") or "" for number in range(count))

    def set(self, key: str, value: str) -> None:
        """Remember."""
        if len(value) <= _PART_LENGTH:
            self._write(key, value)
            return
        starts = range(0, len(value), _PART_LENGTH)
        for number, start in enumerate(starts):
            self._write(f"{key}.{number}", value[start : start + _PART_LENGTH])
        self._write(key, f"{_PARTS}{len(starts)}")

    def _read(self, key: str) -> str | None:
        found = self._here.get(key) if self._store is None else self._store.get(key)
        return None if found is None else str(found)

    def _write(self, key: str, value: str) -> None:
        if self._store is None:
            self._here[key] = value
        else:
            self._store.set(key, value)


class RunLimit:
    """How long the work of a task run may run, across its attempts.

    Counted by the workers' clocks: that of the system that runs it may be off by an hour. It is
    asked only where no attempt has noted when the work began, and is believed no further back than
    the DAG run's beginning.

    Args:
        backend: The system that runs it. It is asked what is there already.
        owner: Whose work it is.
        memory: Is handed from an attempt to the next.
        longest: Seconds that it may run.
        run: When the DAG run has begun, where that is known.
    """

    def __init__(
        self,
        backend: Backend[Any],
        owner: Owner,
        memory: Memory,
        longest: float,
        run: datetime | None,
    ) -> None:
        self._backend, self._owner, self._memory = backend, owner, memory
        self._longest, self._run = longest, run
        self._now = time.time()
        self._began: float | None = None
        self._there: set[str] | None = None
        with suppress(TradewindError):  # What is to come waits for the system, or tells of it.
            self._there = {job.name for job in backend.list(owner)}

    def is_over(self) -> bool:
        """Tell whether the work has run longer than it may."""
        if self._began is None:
            self._began = self._find()
        return time.time() - self._began > self._longest

    def _find(self) -> float:
        job = max(self._backend.list(self._owner), key=lambda job: job.number, default=None)
        if job is None:
            return time.time()
        known, _, began = (self._memory.get(_began_key(self._owner)) or "").partition("\n")
        if known == job.name:
            return float(began)
        found = self._now
        if (self._there is None or job.name in self._there) and job.started is not None:
            first = job.started if self._run is None else max(job.started, self._run)
            found = min(first.timestamp(), time.time())
        note_began(self._memory, self._owner, job.name, found)
        return found


def note_began(memory: Memory, owner: Owner, name: str, began: float | None = None) -> None:
    """Note when a job has begun, for a `RunLimit`.

    Args:
        memory: Is handed from an attempt to the next.
        owner: Whose work it is.
        name: What it is called on its system.
        began: Seconds of the epoch by a worker's clock; now when not given.
    """
    memory.set(_began_key(owner), f"{name}\n{time.time() if began is None else began}")


def _began_key(owner: Owner) -> str:
    return f"tradewind.{owner.digest}.began"


def run_began(context: Context) -> datetime | None:
    """Tell when the task's DAG run has begun; None where Airflow does not say."""
    found = getattr(context.get("dag_run"), "start_date", None)
    return found if isinstance(found, datetime) else None


def is_another_run(context: Context) -> bool:
    """Tell whether the task's DAG run was deleted, and another one made under its id.

    Args:
        context: Of the task run.
    """
    from airflow.sdk.execution_time.comms import DagRunResult, GetDagRun
    from airflow.sdk.execution_time.task_runner import SUPERVISOR_COMMS

    began = run_began(context)
    if began is None:
        return False
    try:
        ti = context["ti"]
        found = SUPERVISOR_COMMS.send(GetDagRun(dag_id=ti.dag_id, run_id=ti.run_id))
    except Exception:  # nobody to ask: whoever comes next ends what is of another run
        return False
    # The start of a run stays the same for as long as one of its tasks runs.
    return isinstance(found, DagRunResult) and found.start_date != began


def line_text(line: LogLine) -> str:
    """Write a line of the work's log as the task's log has it: with the time it was written.

    Args:
        line: The line.
    """
    text = f"{line.text} [this line goes on]" if line.goes_on else line.text
    if line.time is None:
        return text
    return f"{line.time.strftime('%H:%M:%S.%f')[:-3]} {text}"


def context_variables(context: Context, owner: Any) -> dict[str, str]:
    """Say what work finds in its environment: whose it is, and for which dates.

    Args:
        context: Of the task run.
        owner: Whose work it is.
    """
    told = {
        "TRADEWIND_OWNER": str(owner),
        "AIRFLOW_CTX_DAG_ID": owner.dag,
        "AIRFLOW_CTX_DAG_RUN_ID": owner.run,
        "AIRFLOW_CTX_TASK_ID": owner.task,
    }
    dates: Mapping[str, Any] = {
        "TRADEWIND_LOGICAL_DATE": context.get("logical_date"),
        "TRADEWIND_DATA_INTERVAL_START": context.get("data_interval_start"),
        "TRADEWIND_DATA_INTERVAL_END": context.get("data_interval_end"),
        "AIRFLOW_CTX_LOGICAL_DATE": context.get("logical_date"),
    }
    told |= {name: date.isoformat() for name, date in dates.items() if isinstance(date, datetime)}
    return told


def __getattr__(name: str) -> Any:
    """Give what had another name in version 0.1."""
    return former_attribute(__name__, name)
