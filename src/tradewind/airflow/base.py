"""The base of all operators that move data."""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tradewind.airflow.lineage import Lineage
from tradewind.airflow.links import PublishedLink, page_of
from tradewind.airflow.template_files import NamedTemplateFiles
from tradewind.errors import InputError, RetryError

if TYPE_CHECKING:
    import jinja2
    from airflow.sdk import Context

    from tradewind.move.flow import Progress, Transform
    from tradewind.move.receipt import Receipt
    from tradewind.move.source import Source
    from tradewind.move.target import Target
    from tradewind.owner import Owner

__all__ = ["Move", "MoveOperator", "ProgressLog"]


@dataclass(frozen=True)
class Move:
    """What an operator has decided to move, after its templates are rendered.

    Args:
        source: Where from.
        target: Where to.
        transform: Changes each batch on its way.
        lineage: What is read and written.
    """

    source: Source
    target: Target
    transform: Transform | None = None
    lineage: Lineage = field(default_factory=Lineage)


class MoveOperator(NamedTemplateFiles):
    """An operator that moves data: subclasses say what, in `plan_move` (or move it in `act`).

    A task run takes effect once, whole or not at all, however often it is retried. Errors of the
    input (a wrong query, argument or datum) fail at once, since no retry mends them; everything
    else is left to the task's retries.

    The receipt is the XCom: rows, bytes, and what stands on the target. Rows and bytes go to the
    events of the task's asset outlets, to OpenLineage, and every 10 seconds to the task's log.
    """

    # What `execute` adds may hold locks: copies of a task share it.
    shallow_copy_attrs = ("_stop", "_lineage", "_receipt")

    operator_extra_links = (PublishedLink(),)

    published_page: str | None = None
    """The page of what it has published, for `PublishedLink`."""

    _publishes = True
    """Whether what it moves is published, and counted in Airflow's metrics."""
    _stop: threading.Event | None = None
    _killed = False
    _lineage: Lineage | None = None
    _receipt: Receipt | None = None

    def plan_move(self, context: Context) -> Move:
        """Say what is to be moved, from the rendered fields; connects to nothing yet."""
        raise NotImplementedError(f"{type(self).__name__} does not say what it moves.")

    def act(self, context: Context, owner: Owner, stop: threading.Event) -> Receipt:
        """Move it. Operators that do not pump (copying within a store) have another way.

        Args:
            context: Of the task run.
            owner: Whose effect it is.
            stop: Ends it.

        Returns:
            What was done; `_lineage` says what was read and written.
        """
        from tradewind.move.transfer import transfer

        try:
            move = self.plan_move(context)
        except TypeError as error:
            if "unexpected keyword argument" not in str(error):
                raise
            # An option that a class does not take; no retry would make it take it.
            raise InputError(f"{self.task_id}: {error}. Correct the options.") from error
        self._lineage = move.lineage
        self.log.info(
            "Moving from %s to %s, for %s.", move.source.describe(), move.target.describe(), owner
        )
        receipt = transfer(
            move.source,
            move.target,
            owner,
            progress=ProgressLog(self.log.info),
            stop=stop,
            transform=move.transform,
        )
        self.published_page = page_of(move.target, receipt)
        return receipt

    def execute(self, context: Context) -> dict[str, Any]:
        """Move it.

        Args:
            context: Of the task run.

        Returns:
            The receipt, of bounded size.

        Raises:
            AirflowFailException: The input is wrong: no retry mends that.
            TradewindError: Anything else; nothing is visible then.
        """
        from airflow.sdk.exceptions import AirflowFailException

        from tradewind.airflow.lineage import note_outlets, report_to_hooks
        from tradewind.airflow.owner import owner_of
        from tradewind.airflow.receipts import receipt_text, receipt_xcom
        from tradewind.airflow.telemetry import count_move, span
        from tradewind.airflow.timeouts import timeout_kept
        from tradewind.move.interface import interface

        # Made here, not in __init__: an event holds a lock, and tasks are copied and pickled.
        self._stop = threading.Event()
        if self._killed:
            self._stop.set()
        owner = owner_of(context)
        try:
            with (
                timeout_kept(self.execution_timeout, self._stop),
                interface("airflow"),
                span("tradewind.move", operator=type(self).__name__),
            ):
                self.check_arguments()
                receipt = self.act(context, owner, self._stop)
        except InputError as error:
            raise AirflowFailException(str(error)) from error
        if self._killed:
            # Airflow lets execute go on after SIGTERM, and would call this a success.
            raise RetryError(
                f"{self.task_id} was asked to stop when all was published already. A retry "
                "publishes the same again."
            )
        self._receipt = receipt
        self.log.info("%s", receipt_text(receipt))
        note_outlets(context, self.outlets, receipt)
        report_to_hooks(self, self._lineage or Lineage(), receipt)
        if self._publishes:
            count_move(type(self).__name__, self._lineage or Lineage(), receipt)
        return receipt_xcom(receipt)

    def on_kill(self) -> None:
        """Ask the move to stop: one flag, since Airflow grants about five seconds."""
        self._killed = True
        if self._stop is not None:
            self._stop.set()

    def render_template_fields(
        self, context: Context, jinja_env: jinja2.Environment | None = None
    ) -> None:
        """Render templates, in copies of nested descriptions: a retry renders them afresh."""
        from tradewind.airflow.descriptions import Description

        for name in self.template_fields:
            value = getattr(self, name, None)
            if isinstance(value, Description):
                setattr(self, name, copy.copy(value))
        super().render_template_fields(context, jinja_env)

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:
        """Tell OpenLineage what was read and written, with rows and bytes.

        Args:
            task_instance: Of the task run.

        Returns:
            An ``OperatorLineage``; None where OpenLineage's provider is not installed.
        """
        from tradewind.airflow.lineage import openlineage_facets

        return openlineage_facets(self._lineage or Lineage(), self._receipt)


class ProgressLog:
    """Writes a line of progress from time to time.

    Args:
        write: Takes the line, like ``log.info``.
        seconds: From one line to the next.
        clock: Tells the time in seconds.
    """

    def __init__(
        self,
        write: Callable[..., Any],
        *,
        seconds: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._write = write
        self._seconds = seconds
        self._clock = clock
        self._next = clock() + seconds

    def __call__(self, progress: Progress) -> None:
        """Take note of how far it is."""
        from tradewind.move.progress import progress_text

        if self._clock() >= self._next:
            self._next = self._clock() + self._seconds
            self._write("%s", progress_text(progress))
