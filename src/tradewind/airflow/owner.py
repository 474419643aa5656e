"""Which task run an operator works for."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tradewind.airflow.identity import identity_of
from tradewind.owner import Owner

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["owner_of"]


def owner_of(context: Mapping[str, Any]) -> Owner:
    """Tell whose effects a task has, from what Airflow hands to ``execute``.

    Retries of a task run have one owner, which the first attempt has decided: it is part of what
    Airflow keeps for the task (`tradewind.airflow.identity`). A person who clears it starts a new
    life, and a DAG run that was deleted and made again is another one.

    Args:
        context: Of ``execute``.

    Returns:
        The owner. Outside of a task run (``execute({})`` in a test) one that stands for that.

    Raises:
        SetupError: Airflow does not let this task keep the deployment's id.
    """
    ti = context.get("ti") or context.get("task_instance")
    if ti is None:
        return Owner("no dag", "no run", getattr(context.get("task"), "task_id", "no task"))
    task = getattr(ti, "task", None) or context.get("task")
    retries = getattr(task, "retries", 0) or 0
    map_index = getattr(ti, "map_index", None)
    owner = Owner(
        str(ti.dag_id),
        str(ti.run_id),
        str(ti.task_id),
        map_index=-1 if map_index is None else int(map_index),
        clears=max(0, int(getattr(ti, "max_tries", 0) or 0) - int(retries)),
    )
    identity = identity_of(context)
    if identity is None:
        return owner
    return replace(
        owner,
        clears=identity.life,
        deployment=identity.deployment,
        generation=identity.generation,
    )
