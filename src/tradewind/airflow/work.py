"""The base of all operators that run jobs on other systems.

Over 400 lines: one operator from its claim to its end, whose steps share what they know of its job.
"""

from __future__ import annotations

import json
import time
from abc import abstractmethod
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow.sdk.configuration import conf

from tradewind.airflow.links import link_job
from tradewind.airflow.parse_checks import check_number
from tradewind.airflow.template_files import NamedTemplateFiles
from tradewind.airflow.work_context import (
    RunLimit,
    TaskStateStore,
    context_variables,
    is_another_run,
    line_text,
    note_began,
    run_began,
)
from tradewind.errors import InputError, TradewindError

if TYPE_CHECKING:
    from airflow.sdk import Context

    from tradewind.airflow.backends import BackendSpec
    from tradewind.run.backend import Backend, LogLine
    from tradewind.run.supervise import Claim, Decision, Outcome, StateStore

__all__ = ["WorkOperator", "WorkTimeoutError"]

#: A task in one of these states is still wanted by whoever runs it. A task that a person has marked
#: or cleared is in another one: "restarting", "failed", "success". A task without a state was taken
#: for orphaned by a scheduler, and is tried again (or cleared twice: the next attempt ends it).
_WANTED = ("running", "deferred", "queued", "scheduled", "up_for_retry", None)


class WorkTimeoutError(TradewindError):
    """The work ran longer than it may: it was stopped and removed."""


class WorkOperator(NamedTemplateFiles):
    """An operator that runs work on another system: subclasses say which system and what work.

    Work of a task run runs once: a retry reattaches to what is running or collects what has ended,
    and only work that has failed is started anew. A person who clears the task, marks it, or a
    timeout, stops the work and removes it. A worker that goes away leaves it to the retry.

    Args:
        deferrable: Gives the worker's slot back while the work runs; the triggerer watches it.
        poll_interval: The longest time between two looks at the work, in seconds; of the triggerer
            for all the work that it watches on a system.
        do_xcom_push: Whether the result becomes the XCom.
        result_limit: The most bytes that a result may have.
        skip_on_exit_code: Exit codes that end the task as skipped.
    """

    last_line = False
    """Whether the last line of its log is the result of work that hands back none."""
    whole_log = False
    """Whether the whole log is the result."""
    look_seconds: float | None = None
    """The longest time between two looks of a task that is not deferred; its `poll_interval` where
    this is None, which spares systems that count calls."""

    job_page: str | None = None
    """The page of its job, for `JobLink`."""

    _about = "elsewhere"
    _asked_to_end = False
    _owned: tuple[Any, Any] | None = None

    def __init__(
        self,
        *,
        deferrable: bool | None = None,
        poll_interval: float = 5.0,
        result_limit: int = 1 << 20,
        skip_on_exit_code: int | Container[int] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if deferrable is None:
            deferrable = conf.getboolean("operators", "default_deferrable", fallback=False)
        self.deferrable = deferrable
        self.poll_interval = poll_interval
        self.result_limit = result_limit
        if skip_on_exit_code is None:
            skip_on_exit_code = []
        elif isinstance(skip_on_exit_code, int):
            skip_on_exit_code = [skip_on_exit_code]
        self.skip_on_exit_code = skip_on_exit_code

    @abstractmethod
    def backend_spec(self) -> BackendSpec:
        """Say which system runs the work, from the rendered fields; connects to nothing yet."""

    @abstractmethod
    def make_work(self, context: Context) -> Any:
        """Say what is to run, from the rendered fields."""

    def check_arguments(self) -> None:
        """Refuse what is wrong whatever the data are; see `CheckedOperator.check_arguments`."""
        super().check_arguments()
        check_number(f"{self.task_id}: poll_interval", self.poll_interval, above=0)
        check_number(f"{self.task_id}: result_limit", self.result_limit, above=0, whole=True)

    def check_given(self) -> None:
        """Refuse what is missing when the task runs; see `check_arguments`.

        Until then it may be set by a subclass or a callback: the official operators do not miss it
        when the DAG file is read.

        Raises:
            InputError: Something is missing.
        """

    def open_backend(self) -> Backend[Any]:
        """Connect to the system, as `backend_spec` describes it."""
        return self.backend_spec().open()

    def read_result(self, outcome: Outcome) -> Any:
        """Make the XCom of what the work handed back: its JSON, or else its text.

        Args:
            outcome: How it ended. A line of its log is text, whatever it looks like.
        """
        if outcome.result is None:
            return None
        if outcome.from_log:
            return outcome.result
        try:
            return json.loads(outcome.result)
        except ValueError:
            return outcome.result.rstrip("\n")

    def longest_run(self) -> float | None:
        """Say how many seconds the work may run before it is stopped; None for as long as it likes.

        `execution_timeout` is that of an attempt; this one is that of the work.
        """
        return None

    def note_exit_code(self, context: Context, exit_code: int | None) -> None:
        """Take note of what the work ended with.

        Args:
            context: Of the task run.
            exit_code: None where the system has none.
        """

    # ------------------------------------------------------------------------------------- running

    def execute(self, context: Context) -> Any:
        """Run the work, or reattach to what an earlier attempt has started.

        Args:
            context: Of the task run.

        Returns:
            What the work handed back.

        Raises:
            AirflowFailException: The work can never run as it is described: no retry mends that.
            AirflowSkipException: It ended with an exit code of `skip_on_exit_code`.
            TradewindError: Anything else.
        """
        with self._stopping_at_timeout(context), self._naming_input():
            self.check_arguments()
            self.check_given()
            if not self.deferrable:
                return self._supervise(context)
            claimed = self._claim(context)
            if claimed.outcome is not None:
                return self._supervise(context, claimed)
        self._defer(context, claimed)
        return None

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Collect what the trigger has seen ending.

        Args:
            context: Of the task run.
            event: What the trigger says: the claim, and the cursor of the last line that it logged.
        """
        from tradewind.run.supervise import Claim, remember_cursor

        claimed = Claim(event["name"], event["number"], event["started"])
        with self._stopping_at_timeout(context), self._naming_input():
            if event.get("cursor"):
                state_store, owner = self._state_store(context), self._owner(context)
                remember_cursor(state_store, owner, claimed.name, event["cursor"])
            return self._supervise(context, claimed)

    def resume_execution(
        self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context
    ) -> Any:
        """Come back from the triggerer; what was not waited for to the end is stopped."""
        from airflow.sdk.exceptions import TaskDeferralTimeout

        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except TaskDeferralTimeout:
            # Airflow gives this attempt its `execution_timeout`, too, which may be short.
            with self._stopping_at_timeout(context):
                self._end_all(context)
            raise

    def _claim(self, context: Context) -> Claim:
        from tradewind.run.supervise import Decision, StoppedError, claim, heard_claim

        owner = self._owner(context)
        with self._opened() as backend, heard_claim(backend, owner, self._decider(context)):
            work = self.make_work(context)
            self._about = backend.about(work)
            claimed = claim(
                backend,
                owner,
                work,
                state_store=self._state_store(context),
                variables=context_variables(context, owner),
                since=run_began(context),
            )
            self._tell_claim(context, backend, claimed)
        if claimed.outcome is None and self._decider(context)() is Decision.CANCEL:
            # A person has ended the task meanwhile: no trigger would hear of it.
            self._end_all(context)
            raise StoppedError(f"{claimed.name} was stopped and removed.")
        return claimed

    def _defer(self, context: Context, claimed: Claim) -> None:
        from tradewind.airflow.triggers import WorkTrigger
        from tradewind.run.supervise import recall_cursor

        if claimed.started and self.longest_run() is not None:
            note_began(self._state_store(context), self._owner(context), claimed.name)
        cursor = None
        if not claimed.started:
            cursor = recall_cursor(self._state_store(context), self._owner(context), claimed.name)
        self.defer(
            trigger=WorkTrigger(
                spec=self.backend_spec().as_dict(),
                name=claimed.name,
                number=claimed.number,
                started=claimed.started,
                poll_interval=self.poll_interval,
                cursor=cursor,
                about=self._about,
            ),
            method_name="execute_complete",
            timeout=self._defer_timeout(),
        )

    def _defer_timeout(self) -> timedelta | None:
        longest = self.longest_run()
        limits = [] if longest is None else [timedelta(seconds=longest)]
        if self.execution_timeout is not None:
            limits.append(self.execution_timeout)
        return min(limits, default=None)

    def _supervise(self, context: Context, claimed: Claim | None = None) -> Any:
        from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

        from tradewind.airflow.results import check_line, check_result
        from tradewind.airflow.telemetry import count_job, span
        from tradewind.airflow.timeouts import timeout_held_back
        from tradewind.run.backend import WorkFailedError
        from tradewind.run.supervise import recall_begun, supervise

        owner, began = self._owner(context), time.monotonic()
        with (
            span("tradewind.job", operator=type(self).__name__),
            self._opened() as backend,
            timeout_held_back() as meet_timeout,
        ):
            recall_begun(backend, owner, self._state_store(context))
            try:
                if claimed is not None:
                    link_job(self, context, backend, claimed.name)
                work = self.make_work(context)
                self._about = backend.about(work)
                outcome = supervise(
                    backend,
                    owner,
                    work,
                    log=self._log_line,
                    state_store=self._state_store(context),
                    decide=self._decider(context, backend, meet_timeout),
                    variables=context_variables(context, owner),
                    poll_seconds=self.look_seconds or self.poll_interval,
                    result_limit=self.result_limit,
                    last_line=self.last_line and self.do_xcom_push,
                    whole_log=self.whole_log and self.do_xcom_push,
                    claimed=claimed,
                    since=run_began(context),
                    check=check_result,
                    on_claim=partial(self._tell_claim, context, backend),
                )
            except WorkFailedError as error:
                took = time.monotonic() - began
                count_job(type(self).__name__, backend.name, took, succeeded=False)
                self.note_exit_code(context, error.exit_code)
                if error.exit_code is not None and error.exit_code in self.skip_on_exit_code:
                    raise AirflowSkipException(
                        f"{error} Exit code {error.exit_code} skips this task."
                    ) from error
                if error.final:
                    raise AirflowFailException(str(error)) from error
                raise
        took = time.monotonic() - began
        self.log.info(
            "%s has succeeded, %.1f s after this attempt turned to it.", outcome.name, took
        )
        count_job(type(self).__name__, backend.name, took, succeeded=True)
        self.note_exit_code(context, 0)
        if outcome.from_log and outcome.result is not None:
            check_line(outcome.result)
        return self.read_result(outcome)

    def _tell_claim(self, context: Context, backend: Backend[Any], claimed: Claim) -> None:
        """Say in the log, and to Airflow's metrics, what was submitted or found; link to it."""
        from tradewind.airflow.telemetry import count_claim

        if claimed.outcome is not None:
            how = "An earlier attempt has collected the result of"
        else:
            how = "Started" if claimed.started else "Reattached to what an earlier attempt started:"
        self.log.info("%s %s, %s.", how, claimed.name, self._about)
        count_claim(
            type(self).__name__,
            backend.name,
            started=claimed.started,
            collected=claimed.outcome is not None,
        )
        link_job(self, context, backend, claimed.name)

    def _end_all(self, context: Context) -> None:
        from tradewind.run.supervise import end, recall_begun

        # A connection of its own: the other one may have been interrupted anywhere.
        with self._opened() as backend:
            recall_begun(backend, self._owner(context), self._state_store(context))
            for job in list(backend.list(self._owner(context))):
                self.log.info("Stopping %s.", job.name)
                end(backend, job.name)

    # ------------------------------------------------------------------------------------- ending

    def on_kill(self) -> None:
        """Take note; `supervise` asks within a second, and finds out who wants the task to end."""
        self._asked_to_end = True

    def _decider(
        self,
        context: Context,
        backend: Backend[Any] | None = None,
        meet_timeout: Callable[[], None] = lambda: None,
    ) -> Callable[[], Decision]:
        from tradewind.run.supervise import Decision

        longest = None if backend is None else self.longest_run()
        limit = None
        if backend is not None and longest is not None:
            owner, memory = self._owner(context), self._state_store(context)
            limit = RunLimit(backend, owner, memory, longest, run_began(context))

        def ask() -> Decision:
            meet_timeout()
            if self._asked_to_end:
                return Decision.LEAVE if self._still_wanted(context) else Decision.CANCEL
            if limit is not None and backend is not None and limit.is_over():
                raise WorkTimeoutError(
                    f"{backend.name}: the work of {self.task_id} ran longer than the "
                    f"{longest:g} s that it may, and was stopped and removed."
                )
            return Decision.CONTINUE

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
        # A mapped task's key has its index behind its id. A task run that is gone has none.
        state = next(iter((states.get(ti.run_id) or {}).values()), "deleted")
        return getattr(state, "value", state) in _WANTED and not is_another_run(context)

    @contextmanager
    def _stopping_at_timeout(self, context: Context) -> Iterator[None]:
        from airflow.sdk.exceptions import AirflowTaskTimeout

        try:
            yield
        except AirflowTaskTimeout:
            # It comes once.
            self._end_all(context)
            raise
        except WorkTimeoutError:
            with self._stopping_at_timeout(context):
                self._end_all(context)
            raise

    # ------------------------------------------------------------------------------------- helpers

    def _owner(self, context: Context) -> Any:
        from tradewind.airflow.owner import owner_of

        # Kept: a task that is gone from Airflow ends its work all the same.
        ti = context.get("ti")
        if self._owned is None or self._owned[0] is not ti or ti is None:
            self._owned = (ti, owner_of(context))
        return self._owned[1]

    def _state_store(self, context: Context) -> StateStore:
        return TaskStateStore(context.get("task_state_store"))

    def _log_line(self, line: LogLine) -> None:
        self.log.info("%s", line_text(line))

    @contextmanager
    def _opened(self) -> Iterator[Backend[Any]]:
        backend = self.open_backend()
        try:
            yield backend
        finally:
            backend.close()

    @contextmanager
    def _naming_input(self) -> Iterator[None]:
        """Fail at once where no retry would mend it."""
        from airflow.sdk.exceptions import AirflowFailException

        try:
            yield
        except InputError as error:
            raise AirflowFailException(str(error)) from error
