"""Which task run an operator works for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tradewind.owner import Owner

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["owner_of"]


def owner_of(context: Mapping[str, Any]) -> Owner:
    """Tell whose effects a task has, from what Airflow hands to ``execute``.

    Retries of a task run have one owner. A person who clears it starts a new life: Airflow then
    raises ``max_tries`` by the tries that were made, and the difference to the task's ``retries``
    stays the same until the next clear.

    Args:
        context: Of ``execute``.

    Returns:
        The owner. Outside of a task run (``execute({})`` in a test) one that stands for that.
    """
    ti = context.get("ti") or context.get("task_instance")
    if ti is None:
        return Owner("no dag", "no run", getattr(context.get("task"), "task_id", "no task"))
    task = getattr(ti, "task", None) or context.get("task")
    retries = getattr(task, "retries", 0) or 0
    map_index = getattr(ti, "map_index", None)
    return Owner(
        str(ti.dag_id),
        str(ti.run_id),
        str(ti.task_id),
        map_index=-1 if map_index is None else int(map_index),
        life=max(0, int(getattr(ti, "max_tries", 0) or 0) - int(retries)),
    )
