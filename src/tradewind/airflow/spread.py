"""A move over several workers, as a task group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from tradewind.airflow.descriptions import Objects, Sql, Table
from tradewind.errors import InputError

if TYPE_CHECKING:
    from airflow.sdk import TaskGroup

    from tradewind.airflow.descriptions import Description
    from tradewind.move.flow import Transform
    from tradewind.move.source import Source
    from tradewind.move.target import Target

__all__ = ["spread_transfer"]


def spread_transfer(
    group_id: str,
    *,
    source: Description | Source,
    target: Description | Target,
    spread: int,
    by: str | None = None,
    consistency: Literal["snapshot", "per-part"] = "snapshot",
    transform: Transform | None = None,
    outlets: Sequence[Any] = (),
    max_active_moves: int | None = None,
    move_args: Mapping[str, Any] | None = None,
    **kwargs: Any,
) -> TaskGroup:
    """Move data with several workers at once, whole or not at all: a group of four tasks.

    ``plan`` divides the source into parts, ``move`` is mapped over them on whatever executor
    Airflow has, ``publish`` makes all of it visible at once, and ``clean_up``, a teardown, removes
    what the parts have left, also where one of them has failed::

        spread_transfer(
            "listings",
            source=Sql("shop", "SELECT * FROM listings"),
            target=Objects("s3://lake/listings/", format="parquet", parts={"rows": 1_000_000}),
            spread=16,
            by="id",
            consistency="per-part",
        )

    Args:
        group_id: Of the task group.
        source: `Sql` of PostgreSQL or MySQL, divided by ranges of a column, or `Objects`, divided
            by objects; or a `Source` of your own that has `Source.divide`. (templated)
        target: `Objects` with ``parts``, published by a manifest, or a `Table` of PostgreSQL,
            published by one transaction; or a `Target` of your own that has shares. (templated)
        spread: How many parts, at most: as many mapped tasks.
        by: The column of the result that a query is divided by: numbers, dates or timestamps.
        consistency: ``snapshot`` refuses a source whose parts are not of one moment; ``per-part``
            takes each part as it is when it is read.
        transform: As for `TransferOperator`.
        outlets: Assets of the task ``publish``.
        max_active_moves: How many parts are moved at once in a DAG run: connections to the source.
        move_args: Arguments of ``move`` alone, like ``{"queue": "large", "retries": 5}``.
        kwargs: Arguments of all four tasks, as `BaseOperator` has them, like ``retries``.

    Returns:
        The task group, to be set before and after others.

    Raises:
        InputError: Something of it is wrong whatever the data are.
    """
    from airflow.sdk import TaskGroup

    from tradewind.airflow.operators.spread import (
        SpreadCleanUpOperator,
        SpreadMoveOperator,
        SpreadPlanOperator,
        SpreadPublishOperator,
    )

    _check(group_id, source, target, spread, by, consistency)
    sides = {"source": source, "target": target, **kwargs}
    mapped = {"transform": transform, **sides, **(move_args or {})}
    if max_active_moves is not None:
        mapped["max_active_tis_per_dagrun"] = max_active_moves
    group = TaskGroup(group_id, tooltip="A move over several workers, published once.")
    with group:
        ends_with = f"{group.node_id}.clean_up"
        plan = SpreadPlanOperator(
            task_id="plan",
            spread=spread,
            by=by,
            consistency=consistency,
            ends_with=ends_with,
            transform=transform,
            **sides,
        )
        move = SpreadMoveOperator.partial(task_id="move", **mapped).expand(part=plan.output)
        publish = SpreadPublishOperator(
            task_id="publish", parts=plan.output, outlets=list(outlets), **sides
        )
        clean_up = SpreadCleanUpOperator(task_id="clean_up", parts=plan.output, **sides)
        plan >> move >> publish
        [move, publish] >> clean_up.as_teardown(setups=plan)
    return group


def _check(group_id: str, source: Any, target: Any, spread: Any, by: Any, consistency: Any) -> None:
    from airflow.sdk.configuration import conf

    from tradewind.airflow.operators.spread import CONSISTENCIES, refuse_inconsistent
    from tradewind.airflow.parse_checks import check_choice

    name = f"spread_transfer {group_id!r}"
    most = conf.getint("core", "max_map_length", fallback=1024)
    if not isinstance(spread, int) or isinstance(spread, bool) or not 1 <= spread <= most:
        raise InputError(
            f"{name}: spread={spread!r}. Give a number of parts from 1 to {most}, which is what "
            "Airflow maps at most ([core] max_map_length)."
        )
    check_choice(f"{name}: consistency", consistency, CONSISTENCIES)
    if isinstance(source, Sql):
        if not by:
            raise InputError(
                f"{name}: a query is divided by ranges of a column of its result. Name it: by='id'."
            )
        if source.split is not None or source.connections != 1:
            raise InputError(
                f"{name}: split and connections divide a query within one task. Leave them out: "
                "spread and by divide it over tasks."
            )
        if consistency != "per-part" and spread > 1:
            raise refuse_inconsistent(
                name, "a database shares a snapshot only as long as the session lives that took it"
            )
    elif isinstance(source, Objects) and by:
        raise InputError(f"{name}: objects are not divided by a column. Leave out by.")
    if isinstance(target, Objects):
        parts = target.parts
        if not parts:
            raise InputError(
                f"{name}: several workers cannot write one object. Name a prefix, and say how to "
                "cut the data into parts: parts={'rows': 1000000}."
            )
        if parts.get("by") if isinstance(parts, Mapping) else getattr(parts, "by", ()):
            raise InputError(
                f"{name}: a move over several workers writes no partitions. Leave out by in parts."
            )
    elif isinstance(target, Table):
        for option in ("create", "skip_generated"):
            if getattr(target, option):
                raise InputError(
                    f"{name}: Table({option}=True) does not go with several workers. Create the "
                    "table before, and select the columns that it is to get."
                )
