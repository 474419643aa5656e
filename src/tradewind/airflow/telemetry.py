"""Airflow's metrics and OpenTelemetry's spans of moves and jobs.

Metrics go where Airflow's own go (``[metrics]``: StatsD or OpenTelemetry), spans where its traces
go (``[traces]``). Where neither is configured nothing is sent.

=============================== ======= ==========================================================
metric                          kind    what it counts
=============================== ======= ==========================================================
``tradewind.move.rows``         counter rows moved
``tradewind.move.bytes``        counter bytes published, as written
``tradewind.move.seconds``      timing  how long a move took
``resumable_job.fresh_submit``  counter jobs submitted, as Airflow's ``ResumableJobMixin`` names it
``resumable_job.reconnect_...`` counter retries that found a job, and reattached to it
``..._already_succeeded``       counter retries that found a result collected by an earlier attempt
``tradewind.job.seconds``       timing  from a job's claim or reattachment to its end
=============================== ======= ==========================================================

Tags: ``operator``, and of a move ``source`` and ``target`` (``postgres``, ``s3``, ...), of a job
``system``. Neither metrics nor spans hold addresses, names of data, or secrets.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tradewind.airflow.lineage import Lineage
    from tradewind.move.receipt import Receipt

__all__ = ["count_claim", "count_job", "count_move", "span"]

_log = logging.getLogger(__name__)


def count_move(operator: str, lineage: Lineage, receipt: Receipt) -> None:
    """Count what a move did.

    Args:
        operator: Name of the operator's class.
        lineage: What was read and written: the systems' names are tags.
        receipt: What was done. A move that an earlier attempt had published counts no rows again.
    """
    if receipt.earlier:
        return
    from tradewind.airflow.lineage import outputs_of

    tags = {
        "operator": operator,
        "source": _systems(each.namespace for each in lineage.inputs),
        "target": _systems(each.namespace for each in outputs_of(lineage, receipt)),
    }
    if receipt.rows is not None:
        _send("incr", "tradewind.move.rows", receipt.rows, tags)
    _send("incr", "tradewind.move.bytes", receipt.bytes, tags)
    _send("timing", "tradewind.move.seconds", timedelta(seconds=receipt.seconds), tags)


def count_claim(operator: str, system: str, *, started: bool, collected: bool) -> None:
    """Count a claim under the names that Airflow's own resumable operators use.

    Args:
        operator: Name of the operator's class.
        system: The backend's name.
        started: Whether this attempt has submitted the job.
        collected: Whether an earlier attempt had collected its result.
    """
    tags = {"operator": operator, "system": system}
    if started:
        names = ["fresh_submit"]
    else:
        names = ["reconnect_attempt", "already_succeeded" if collected else "reconnect_success"]
    for name in names:
        _send("incr", f"resumable_job.{name}", 1, tags)


def count_job(operator: str, system: str, seconds: float, *, succeeded: bool) -> None:
    """Record how long an attempt has had to do with a job that has ended.

    Args:
        operator: Name of the operator's class.
        system: The backend's name.
        seconds: From its claim, or the reattachment, to its end.
        succeeded: Whether it did.
    """
    tags = {"operator": operator, "system": system, "succeeded": str(succeeded).lower()}
    _send("timing", "tradewind.job.seconds", timedelta(seconds=seconds), tags)


@contextmanager
def span(name: str, **attributes: str) -> Iterator[Any]:
    """Open an OpenTelemetry span, which is none where Airflow sends no traces.

    Args:
        name: Of the span, like ``tradewind.move``.
        attributes: Of it.

    Yields:
        The span; None where OpenTelemetry is not installed.
    """
    try:
        from opentelemetry import trace
    except ImportError:  # Airflow 3.2 without its extra
        yield None
        return
    with trace.get_tracer("tradewind").start_as_current_span(
        name, attributes=attributes, record_exception=False
    ) as current:
        # An exception's text stands in the task's log: a span tells its kind.
        yield current


def _systems(namespaces: Any) -> str:
    return "+".join(sorted({each.split(":", 1)[0] for each in namespaces})) or "unknown"


def _send(kind: str, name: str, value: Any, tags: dict[str, str]) -> None:
    from airflow.sdk.observability.stats import Stats

    try:
        getattr(Stats, kind)(name, value, tags=tags)
    except Exception as error:
        # Data that are published are published, whether or not a metric arrives.
        _log.warning("The metric %s was not sent: %s", name, error)
