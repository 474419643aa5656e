"""Whether an owner may still come back, according to Airflow's metadata database.

For the command line only: a task has no access to that database.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tradewind.errors import SetupError
from tradewind.owner import Owner
from tradewind.sweep.leftover import Verdict, owner_of_title

__all__ = ["TaskRuns"]

_ENDED = ("success", "failed", "skipped", "upstream_failed", "removed")


class TaskRuns:
    """Airflow's task runs, as owners of what Tradewind has elsewhere.

    Memory: some 300 bytes for each task run and each try that it may have, once something is asked
    about that does not tell its owner in words.

    Raises:
        SetupError: The metadata database cannot be read from here.
    """

    def __init__(self) -> None:
        self._owners: dict[str, Owner] | None = None
        try:
            with _session() as session:
                self._life_of_unended(session)
        except Exception as error:
            raise SetupError(
                f"Airflow's metadata database cannot be read from here ({type(error).__name__}). "
                "Run this where `airflow db check` succeeds, with the same settings."
            ) from error

    def ask(self, digest: str | None, title: str) -> Verdict:
        """Tell whether an owner may still come back.

        Args:
            digest: `Owner.digest`; None where it is not known.
            title: The owner in words, where they are known.
        """
        if digest is None:
            return Verdict(None, "it does not say whose it is")
        with _session() as session:
            owner = owner_of_title(title, digest)
            owner = owner or self._known(session).get(digest)
            if owner is not None:
                return self._of_owner(session, owner)
            # Anew each time: it may have begun since all were looked at.
            if digest in self._life_of_unended(session):
                return Verdict(True, "its task run is at work")
            return Verdict(None, "no task run of this Airflow owns it")

    def _of_owner(self, session: Any, owner: Owner) -> Verdict:
        from airflow.models.dag import DagModel
        from airflow.models.taskinstance import TaskInstance
        from sqlalchemy import select

        where = {"dag_id": owner.dag, "run_id": owner.run, "task_id": owner.task}
        found = session.execute(
            select(
                TaskInstance.state,
                TaskInstance.max_tries,
                TaskInstance.dag_version_id,
            ).filter_by(**where, map_index=owner.map_index)
        ).first()
        if found is None:
            if session.get(DagModel, owner.dag) is None:
                return Verdict(None, f"this Airflow knows no DAG {owner.dag}")
            return Verdict(False, "its task run is gone")
        state, max_tries, version = found
        retries = _retries(session, version, owner.task)
        if retries is not None and owner.life < max(0, max_tries - retries):
            return Verdict(False, "its task run has been cleared since")
        if str(state) in _ENDED:
            return Verdict(False, f"its task run has ended: {state}")
        return Verdict(True, f"its task run is {state}")

    def _life_of_unended(self, session: Any) -> set[str]:
        """Hash all task runs that have not ended, in every life that they may be in."""
        from airflow.models.taskinstance import TaskInstance

        # A task run in no state yet has never begun, or was cleared: then its life is a new one.
        state = TaskInstance.state
        at_work = _owners(session, state.is_not(None), state.not_in(_ENDED))
        return {owner.digest for owner in at_work}

    def _known(self, session: Any) -> dict[str, Owner]:
        """Hash all task runs, once."""
        if self._owners is None:
            self._owners = {owner.digest: owner for owner in _owners(session)}
        return self._owners


def _owners(session: Any, *conditions: Any) -> Iterator[Owner]:
    """Give the owners that task runs may be, in every life."""
    from airflow.models.taskinstance import TaskInstance
    from sqlalchemy import select

    columns = (
        TaskInstance.dag_id,
        TaskInstance.run_id,
        TaskInstance.task_id,
        TaskInstance.map_index,
        TaskInstance.max_tries,
    )
    rows = session.execute(select(*columns).where(*conditions).execution_options(yield_per=10_000))
    for dag, run, task, index, tries in rows:
        # The retries of each would be in its DAG; more lives than the real one do no harm here.
        for life in range(max(0, tries) + 1):
            yield Owner(dag, run, task, map_index=index, life=life)


def _retries(session: Any, version: Any, task: str) -> int | None:
    """Look up a task's ``retries`` in the DAG as it was serialized; None where it is not there."""
    from airflow.models.serialized_dag import SerializedDagModel
    from sqlalchemy import select

    if version is None:
        return None
    model = session.scalars(
        select(SerializedDagModel).where(SerializedDagModel.dag_version_id == version)
    ).first()
    if model is None:
        return None
    try:
        return int(model.dag.get_task(task).retries or 0)
    except Exception:  # a task that is not in that version, or a DAG that cannot be read
        return None


def _session() -> Any:
    from airflow.utils.session import create_session

    return create_session()
