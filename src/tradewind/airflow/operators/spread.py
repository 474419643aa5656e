"""The tasks of a move over several workers: plan, move (mapped), publish, clean up."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from tradewind.airflow.base import ProgressLog
from tradewind.airflow.links import page_of
from tradewind.airflow.operators.transfer import TransferOperator
from tradewind.errors import InputError

if TYPE_CHECKING:
    import threading

    from airflow.sdk import Context

    from tradewind.move.receipt import Receipt
    from tradewind.move.source import Source
    from tradewind.move.target import Target
    from tradewind.owner import Owner

__all__ = [
    "CONSISTENCIES",
    "SpreadCleanUpOperator",
    "SpreadMoveOperator",
    "SpreadPlanOperator",
    "SpreadPublishOperator",
]

CONSISTENCIES = ("snapshot", "per-part")


def refuse_inconsistent(what: str, why: str) -> InputError:
    """Make the error of parts that are not of one moment."""
    return InputError(
        f"{what}: parts that several workers read are not of one moment here: {why}. Rows that "
        "are written meanwhile may be in one part and missing in another. If that is right for "
        "these data, say consistency='per-part'; if not, move them with TransferOperator, which "
        "reads one snapshot."
    )


class _SpreadOperator(TransferOperator):
    """What the four have in common: source and target of the whole."""

    @contextlib.contextmanager
    def _ready(self) -> Iterator[None]:
        """Check the rendered arguments; an error of the input is never retried."""
        from airflow.sdk.exceptions import AirflowFailException

        from tradewind.move.interface import interface

        try:
            with interface("airflow"):
                self.check_arguments()
                yield
        except InputError as error:
            raise AirflowFailException(str(error)) from error

    def _sides(self, context: Context) -> tuple[Source, Target]:
        move = self.plan_move(context)
        self._lineage = move.lineage
        return move.source, move.target


class SpreadPlanOperator(_SpreadOperator):
    """Divide a move into parts.

    The XCom is a list with one dict a part: what `SpreadMoveOperator` takes.

    Args:
        spread: How many parts, at most.
        by: The column that a query is divided by.
        consistency: ``snapshot`` refuses parts that are not of one moment, ``per-part`` takes them.
        ends_with: Id of the task that cleans up.
        kwargs: Of `TransferOperator`.

    Raises:
        InputError: As `TransferOperator`.
    """

    def __init__(
        self,
        *,
        spread: int,
        by: str | None = None,
        consistency: str = "snapshot",
        ends_with: str = "",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.spread = spread
        self.by = by
        self.consistency = consistency
        self.ends_with = ends_with

    def execute(self, context: Context) -> Any:
        """Plan; read nothing but what tells the parts.

        Returns:
            The parts.

        Raises:
            AirflowFailException: The input is wrong, or the parts are not of one moment.
            TradewindError: Anything else.
        """
        from dataclasses import replace

        from tradewind.airflow.owner import owner_of

        owner = owner_of(context)
        with self._ready():
            source, target = self._sides(context)
            target.check_shares()
            source.refuse_target(target)
            division = source.divide(self.spread, self.by)
            number = len(division.shares)
            if not division.consistent and self.consistency != "per-part":
                raise refuse_inconsistent(source.describe(), division.why)
            columns: list[str] = []
            if target.shares_need_columns:
                columns = self._columns(source.share(division.shares[0]))
            for clears in range(owner.clears):
                # What was left before a person cleared this.
                target.remove_shares(replace(owner, clears=clears), self.spread)
        self._keep_end(context)
        self.log.info("%s parts of %s: %s.", number, source.describe(), division.why)
        return [
            {
                "owner": asdict(owner),
                "number": at,
                "of": number,
                "columns": columns,
                "source": dict(share),
            }
            for at, share in enumerate(division.shares)
        ]

    def _columns(self, source: Source) -> list[str]:
        """Tell what the data's columns are called, as they arrive."""
        from tradewind.move.flow import Flow

        try:
            with Flow(source, transform=self.transform).batches() as batches:
                return list(batches.schema.names)
        finally:
            source.stop = None

    def _keep_end(self, context: Context) -> None:
        """Leave word for `tradewind sweep` until when the parts are needed."""
        store: Any = context.get("task_state_store")
        if store is not None and self.ends_with:
            from airflow.sdk.execution_time.context import NEVER_EXPIRE

            from tradewind.airflow.identity import SPREAD_KEY

            store.set(SPREAD_KEY, self.ends_with, retention=NEVER_EXPIRE)


class SpreadMoveOperator(_SpreadOperator):
    """Move one part; nothing of it is published.

    Args:
        part: One of the plan.
        kwargs: Of `TransferOperator`.
    """

    _publishes = False  # The task `publish` counts the rows of all parts.

    def __init__(self, *, part: Mapping[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.part = part

    def act(self, context: Context, owner: Owner, stop: threading.Event) -> Receipt:
        """Move the part."""
        from tradewind.move.transfer import transfer

        source, target = self._sides(context)
        whole, number = _owner(self.part), int(self.part["number"])
        share = source.share(self.part["source"])
        into = target.share(whole, number, self.part["columns"])
        self.log.info(
            "Moving part %s of %s from %s to %s.",
            number,
            self.part["of"],
            share.describe(),
            target.describe(),
        )
        return transfer(
            share,
            into,
            owner,
            progress=ProgressLog(self.log.info),
            stop=stop,
            transform=self.transform,
        )


class SpreadPublishOperator(_SpreadOperator):
    """Publish all parts at once.

    The XCom is the receipt of the whole, as `TransferOperator` has it.

    Args:
        parts: The plan: a list with one dict a part. (templated)
        kwargs: Of `TransferOperator`.
    """

    template_fields: Sequence[str] = ("source", "target", "parts")

    def __init__(self, *, parts: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.parts = parts

    def act(self, context: Context, owner: Owner, stop: threading.Event) -> Receipt:
        """Publish."""
        from tradewind.move.receipt import Receipt
        from tradewind.move.transfer import peak_memory

        began = time.monotonic()
        source, target = self._sides(context)
        parts = list(self.parts)
        whole = _owner(parts[0])
        stored = target.publish_shares(whole, len(parts), parts[0]["columns"])
        receipt = Receipt(
            source=source.describe(),
            target=target.describe(),
            owner=str(whole),
            rows=stored.rows,
            bytes=sum(one.bytes or 0 for one in stored.objects),
            seconds=round(time.monotonic() - began, 3),
            peak_memory=peak_memory(),
            stored=stored,
            earlier=stored.at is not None,
        )
        self.published_page = page_of(target, receipt)
        return receipt


class SpreadCleanUpOperator(_SpreadOperator):
    """Remove what the parts have left: a teardown, so it runs also where a part has failed.

    Args:
        parts: The plan: a list with one dict a part. (templated)
        kwargs: Of `TransferOperator`.
    """

    template_fields: Sequence[str] = ("source", "target", "parts")

    def __init__(self, *, parts: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.parts = parts

    def execute(self, context: Context) -> Any:
        """Remove it.

        Returns:
            How many objects, uploads or tables there were.
        """
        with self._ready():
            target = self._sides(context)[1]
            parts = list(self.parts)
            removed = target.remove_shares(_owner(parts[0]), len(parts))
        self.log.info("Removed %s of what the parts have left at %s.", removed, target.describe())
        return removed


def _owner(part: Mapping[str, Any]) -> Owner:
    from tradewind.owner import Owner

    return Owner(**part["owner"])
