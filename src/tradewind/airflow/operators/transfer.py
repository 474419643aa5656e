"""`TransferOperator`: from anywhere to anywhere."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from tradewind.airflow.base import Move, MoveOperator
from tradewind.airflow.checked import depend_on_xcoms
from tradewind.airflow.descriptions import Description, Objects, is_object_path
from tradewind.airflow.lineage import Lineage
from tradewind.airflow.parse_checks import NOT_KNOWN_YET
from tradewind.errors import InputError

if TYPE_CHECKING:
    from airflow.sdk import Context

    from tradewind.move.flow import Transform
    from tradewind.move.source import Source
    from tradewind.move.target import Target

__all__ = ["TransferOperator"]


class TransferOperator(MoveOperator):
    """Move data from one system to another in a stream: whole or not at all, once a task run.

    ::

        TransferOperator(
            task_id="listings",
            source=Sql("shop", "SELECT * FROM listings WHERE day = %(day)s",
                       parameters={"day": "{{ ds }}"}),
            target=Objects("s3://lake/listings/{{ ds }}.parquet"),
        )

    Args:
        source: `Sql`, `MongoCollection`, `Http` or `Objects`; an ``ObjectStoragePath``; or any
            `Source` of your own. (templated)
        target: `Objects` or `Table`; an ``ObjectStoragePath``; or any `Target` of your own.
            (templated)
        transform: Changes each record batch on its way: a function of a `pyarrow.RecordBatch` that
            returns one, of the same schema for all.
        kwargs: Of `BaseOperator`.

    Raises:
        InputError: Something that is no source or target is given as one, or its description is
            wrong whatever the data are: an option, a format or a scheme that there is not.
    """

    template_fields: Sequence[str] = ("source", "target")
    template_ext: Sequence[str] = (".sql",)
    template_fields_renderers: ClassVar[dict[str, str]] = {"source": "json", "target": "json"}
    ui_color = "#d7ecf5"

    def __init__(
        self,
        *,
        source: Description | Source,
        target: Description | Target,
        transform: Transform | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        # Copies: rendering changes them in place, and mapped tasks are made with the same ones.
        self.source = _side(source)
        self.target = _side(target)
        self.transform = transform
        if not getattr(self, "_BaseOperator__from_mapped", False):
            for side in (self.source, self.target):
                depend_on_xcoms(self, side)

    def check_arguments(self) -> None:
        """Refuse what is wrong whatever the data are; see `CheckedOperator.check_arguments`."""
        super().check_arguments()
        _check_side(self.source, "source", "batches")
        _check_side(self.target, "target", "publish")

    def plan_move(self, context: Context) -> Move:
        """Make source and target of their descriptions."""
        source, target = self.source, self.target
        return Move(
            source=source.source() if isinstance(source, Description) else source,
            target=target.target() if isinstance(target, Description) else target,
            transform=self.transform,
            lineage=Lineage(
                source.datasets() if isinstance(source, Description) else (),
                target.datasets() if isinstance(target, Description) else (),
                source.text if isinstance(source, Description) else None,
            ),
        )


def _side(given: Any) -> Any:
    if is_object_path(given):
        return Objects(given)
    return copy.copy(given) if isinstance(given, Description) else given


def _check_side(side: Any, name: str, method: str) -> None:
    if isinstance(side, Description):
        if getattr(type(side), name) is getattr(Description, name):
            getattr(side, name)()  # Says what may stand there.
        side.check()
    elif side is not NOT_KNOWN_YET and not callable(getattr(side, method, None)):
        kinds = "Sql, MongoCollection, Http or Objects" if name == "source" else "Objects or Table"
        raise InputError(f"{name}={side!r} is no {name}. Give {kinds} of tradewind.airflow.")
