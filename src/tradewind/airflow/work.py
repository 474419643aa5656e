"""What all operators that run work elsewhere have in common: one life cycle around `attend`."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.configuration import conf

from tradewind.errors import InputError

if TYPE_CHECKING:
    from airflow.sdk import Context

    from tradewind.airflow.backends import BackendSpec
    from tradewind.run.attend import Ask, Memory, Outcome
    from tradewind.run.backend import Backend, LogLine

__all__ = ["WorkOperator"]


class WorkOperator(BaseOperator):
    """An operator that runs work on another system: subclasses say which system and what work.

    Work of a task run runs once: a retry attends what is running or collects what has ended, and
    only work that has failed is started anew. A person who clears the task, marks it, or a timeout,
    stops the work and removes it. A worker that goes away leaves it to the retry.

    Args:
        deferrable: Gives the worker's slot back while the work runs; the triggerer watches it.
        poll_interval: The longest time between two looks at the work, in seconds; of the triggerer
            for all the work that it watches on a system.
        do_xcom_push: Whether the result becomes the XCom.
        result_limit: The most bytes that a result may have.
    """

    _asked_to_end = False
    _backend: Any = None

    def __init__(
        self,
        *,
        deferrable: bool | None = None,
        poll_interval: float = 5.0,
        result_limit: int = 1 << 20,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if deferrable is None:
            deferrable = conf.getboolean("operators", "default_deferrable", fallback=False)
        self.deferrable = deferrable
        self.poll_interval = poll_interval
        self.result_limit = result_limit

    @abstractmethod
    def backend_spec(self) -> BackendSpec:
        """Say which system runs the work, from the rendered fields; connects to nothing yet."""

    @abstractmethod
    def make_work(self, context: Context) -> Any:
        """Say what is to run, from the rendered fields."""

    def read_result(self, outcome: Outcome) -> Any:
        """Make the XCom of what the work handed back: its JSON, or else its text."""
        if outcome.result is None:
            return None
        try:
            return json.loads(outcome.result)
        except ValueError:
            return outcome.result.rstrip("\n")

    # ------------------------------------------------------------------------------------- running

    def execute(self, context: Context) -> Any:
        """Run the work, or attend what an earlier attempt has started.

        Args:
            context: Of the task run.

        Returns:
            What the work handed back.

        Raises:
            AirflowFailException: The work can never run as it is described: no retry mends that.
            TradewindError: Anything else.
        """
        if not self.deferrable:
            return self._attend(context)
        from tradewind.run.attend import claim

        spec, owner = self.backend_spec(), self._owner(context)
        with self._naming_input(), self._opened(spec) as backend:
            claimed = claim(
                backend,
                owner,
                self.make_work(context),
                memory=self._memory(context),
                tell=told_to_work(context, owner),
            )
        if claimed.outcome is not None:
            return self._attend(context)
        from tradewind.airflow.triggers import WorkTrigger

        how = "Started" if claimed.started else "Attending what an earlier attempt has started:"
        self.log.info("%s %s.", how, claimed.name)
        self.defer(
            trigger=WorkTrigger(
                spec=spec.as_dict(),
                name=claimed.name,
                poll_interval=self.poll_interval,
                cursor=self._known_cursor(context, owner, claimed.name),
            ),
            method_name="execute_complete",
            timeout=self.execution_timeout,
        )
        return None

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Collect what the trigger has seen ending.

        Args:
            context: Of the task run.
            event: What the trigger says: name, and the cursor of the last line that it logged.
        """
        if event.get("cursor"):
            from tradewind.run.attend import remember_cursor

            memory, owner = self._memory(context), self._owner(context)
            remember_cursor(memory, owner, event["name"], event["cursor"])
        return self._attend(context)

    def resume_execution(
        self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context
    ) -> Any:
        """Come back from the triggerer; what was not waited for to the end is stopped."""
        from airflow.sdk.exceptions import TaskDeferralTimeout

        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except TaskDeferralTimeout:
            self._end_all(context)
            raise

    def _attend(self, context: Context) -> Any:
        from airflow.sdk.exceptions import AirflowTaskTimeout

        from tradewind.run.attend import attend

        owner = self._owner(context)
        with self._naming_input(), self._opened(self.backend_spec()) as backend:
            try:
                outcome = attend(
                    backend,
                    owner,
                    self.make_work(context),
                    log=self._log_line,
                    memory=self._memory(context),
                    ask=self._asker(context),
                    tell=told_to_work(context, owner),
                    look_seconds=self.poll_interval,
                    result_limit=self.result_limit,
                )
            except AirflowTaskTimeout:
                self._end_all(context)
                raise
        if outcome.attended:
            self.log.info("%s had been started by an earlier attempt.", outcome.name)
        return self.read_result(outcome)

    def _end_all(self, context: Context) -> None:
        from tradewind.run.attend import end

        with self._opened(self.backend_spec()) as backend:
            for piece in list(backend.list(self._owner(context))):
                self.log.info("Stopping %s.", piece.name)
                end(backend, piece.name)

    # ------------------------------------------------------------------------------------- ending

    def on_kill(self) -> None:
        """Take note; `attend` asks within a second, and finds out who wants the task to end."""
        self._asked_to_end = True

    def _asker(self, context: Context) -> Callable[[], Ask]:
        from tradewind.run.attend import Ask

        def ask() -> Ask:
            if not self._asked_to_end:
                return Ask.GO_ON
            return Ask.LEAVE if self._still_wanted(context) else Ask.STOP

        return ask

    def _still_wanted(self, context: Context) -> bool:
        """Tell a worker that goes away from a person who ends the task: by the task's state."""
        ti = context["ti"]
        try:
            states = ti.get_task_states(
                dag_id=ti.dag_id,
                map_index=ti.map_index,
                task_ids=[ti.task_id],
                run_ids=[ti.run_id],
            )
        except Exception as error:
            # Nobody to ask: the work is left to the retry, or to `tradewind sweep`.
            self.log.warning("Airflow does not say who ends this task: %s", error)
            return True
        state = next(iter((states.get(ti.run_id) or {}).values()), None)
        return state in ("running", "deferred", "queued", "scheduled")

    # ------------------------------------------------------------------------------------- helpers

    def _owner(self, context: Context) -> Any:
        from tradewind.airflow.owner import owner_of

        return owner_of(context)

    def _memory(self, context: Context) -> Memory:
        return StateStoreMemory(context.get("task_state_store"))

    def _known_cursor(self, context: Context, owner: Any, name: str) -> str | None:
        from tradewind.run.attend import recall_cursor

        return recall_cursor(self._memory(context), owner, name)

    def _log_line(self, line: LogLine) -> None:
        if line.time is None:
            self.log.info("%s", line.text)
        else:
            self.log.info("%s %s", line.time.strftime("%H:%M:%S.%f")[:-3], line.text)

    @contextmanager
    def _opened(self, spec: BackendSpec) -> Iterator[Backend[Any]]:
        backend = spec.open()
        try:
            yield backend
        finally:
            close = getattr(backend, "close", None)
            if close is not None:
                close()

    @contextmanager
    def _naming_input(self) -> Iterator[None]:
        """Fail at once where no retry would mend it."""
        from airflow.sdk.exceptions import AirflowFailException

        try:
            yield
        except InputError as error:
            raise AirflowFailException(str(error)) from error


class StateStoreMemory:
    """What an attempt tells the next one: Airflow's task state store.

    Args:
        store: The task's accessor; None where Airflow has none (``execute({})`` in a test).
    """

    def __init__(self, store: Any) -> None:
        self._store = store
        self._here: dict[str, str] = {}

    def get(self, key: str) -> str | None:
        """Read what was set."""
        found = self._here.get(key) if self._store is None else self._store.get(key)
        return None if found is None else str(found)

    def set(self, key: str, value: str) -> None:
        """Remember."""
        if self._store is None:
            self._here[key] = value
        else:
            self._store.set(key, value)


def told_to_work(context: Context, owner: Any) -> dict[str, str]:
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
    }
    told |= {name: date.isoformat() for name, date in dates.items() if isinstance(date, datetime)}
    return told
