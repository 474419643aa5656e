"""Whether an owner may still come back, according to Airflow's metadata database.

For the command line only: a task has no access to that database.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from tradewind.airflow.identity import (
    DEPLOYMENT_VARIABLE,
    IDENTITY_KEY,
    SPREAD_KEY,
    Deployment,
    Identity,
    configured_deployment,
    keeps_task_states,
)
from tradewind.errors import SetupError, TradewindError
from tradewind.owner import Owner
from tradewind.sweep.leftover import OwnerState, owner_of_title

__all__ = ["TaskRuns"]

_ENDED = ("success", "failed", "skipped", "upstream_failed", "removed")
_MADE_AGAIN = "its DAG run was deleted, and made again under its id"
_UNPROVEN = "it does not say of which Airflow it is"


class TaskRuns:
    """Airflow's task runs, as owners of what Tradewind has elsewhere.

    Memory: some 300 bytes for each task run and each try that it may have, once something is asked
    about that does not tell its owner in words.

    Raises:
        SetupError: The metadata database cannot be read from here.
    """

    def __init__(self) -> None:
        try:
            with _session() as session:
                self._configured = configured_deployment()
                self._deployments = _deployments(session)
                _digests_at_work(session)
        except TradewindError:
            raise
        except Exception as error:
            raise SetupError(
                f"Airflow's metadata database cannot be read from here ({type(error).__name__}). "
                "Run this where `airflow db check` succeeds, with the same settings."
            ) from error

    def ask(self, digest: str | None, title: str, task_run: str = "") -> OwnerState:
        """Tell whether an owner may still come back.

        It is known of this deployment's own task runs alone. What others own, and what does not
        say of which deployment it is, is never certain.

        Args:
            digest: `Owner.digest`; None where it is not known.
            title: The owner in words, where they are known.
            task_run: `Owner.run_digest`, where they are not.
        """
        if digest is None:
            return OwnerState(None, "it does not say whose it is")
        with _session() as session:
            owner = owner_of_title(title, digest) or _kept_owner(session, digest)
            if owner is None:
                # Anew each time: it may have begun since all were looked at.
                if digest in _digests_at_work(session):
                    return OwnerState(True, "its task run is at work")
                kept = next((one for one in _all_kept(session) if one.run_digest == task_run), None)
                if kept is not None and kept.deployment:
                    return self._unless_copied(kept, OwnerState(False, _MADE_AGAIN))
                return OwnerState(None, "no task run of this Airflow owns it")
            return self._unless_copied(owner, self._of_owner(session, owner))

    def _unless_copied(self, owner: Owner, verdict: OwnerState) -> OwnerState:
        """Be certain of nothing under another id than the option's.

        It may be this Airflow's from before the option was set, or that of the one whose metadata
        database this one's is a copy of.
        """
        if verdict.alive is not False or self._configured in ("", owner.deployment):
            return verdict
        why = f"deployment {owner.deployment}, not {self._configured}; here, {verdict.reason}"
        return OwnerState(None, why, others=True)

    def _of_owner(self, session: Any, owner: Owner) -> OwnerState:
        from airflow.models.taskinstance import TaskInstance
        from sqlalchemy import select

        where = {"dag_id": owner.dag, "run_id": owner.run, "task_id": owner.task}
        found = session.execute(
            select(TaskInstance.state).filter_by(**where, map_index=owner.map_index)
        ).first()
        kept = _kept(session, owner)
        if not owner.deployment:
            return _of_former_version(session, owner, kept, None if found is None else found[0])
        mine = kept is not None and (kept.deployment, kept.generation) == (
            owner.deployment,
            owner.generation,
        )
        if owner.deployment not in self._deployments and not mine:
            why = f"it belongs to another Airflow: deployment {owner.deployment}"
            return OwnerState(None, why, others=True)
        if found is None:
            return OwnerState(False, "its task run is gone")
        state = found[0]
        if kept is not None and not mine:
            return OwnerState(False, _MADE_AGAIN)
        if kept is not None and owner.clears < kept.life:
            return OwnerState(False, "its task run has been cleared since")
        if str(state) in _ENDED:
            until = _needed_until(session, owner)
            if until is not None and str(until) not in _ENDED:
                return OwnerState(True, f"its task group is {until or 'at work'}")
            return OwnerState(False, f"its task run has ended: {state}")
        return OwnerState(True, f"its task run is {state or 'about to begin'}")


def _of_former_version(
    session: Any, owner: Owner, kept: Identity | None, state: str | None
) -> OwnerState:
    """Judge what says no deployment: it may be needed here, and is never surely not needed."""
    from airflow.models.dag import DagModel

    if state is not None and str(state) not in _ENDED:
        if kept is None or not kept.deployment:
            return OwnerState(True, f"its task run is {state}")
        return OwnerState(None, f"{_UNPROVEN}; here, its task run has begun anew since")
    if state is not None:
        return OwnerState(None, f"{_UNPROVEN}; here, its task run has ended: {state}")
    if session.get(DagModel, owner.dag) is None:
        return OwnerState(None, f"this Airflow knows no DAG {owner.dag}")
    return OwnerState(None, f"{_UNPROVEN}; here, its task run is gone")


def _deployments(session: Any) -> set[str]:
    """Read the ids that this Airflow goes by."""
    from airflow.models.variable import Variable
    from sqlalchemy import select

    row = session.scalars(select(Variable).where(Variable.key == DEPLOYMENT_VARIABLE)).first()
    drawn = Deployment.of_text(None if row is None else row.get_val())
    return {configured_deployment(), "" if drawn is None else drawn.name} - {""}


def _kept(session: Any, owner: Owner) -> Identity | None:
    """Read what Airflow keeps of a task run; None where nothing."""
    if not keeps_task_states():
        return None
    from airflow.models.task_state_store import TaskStateStoreModel
    from sqlalchemy import select

    where = {"dag_id": owner.dag, "run_id": owner.run, "task_id": owner.task}
    text = session.scalars(
        select(TaskStateStoreModel.value).filter_by(
            **where, map_index=owner.map_index, key=IDENTITY_KEY
        )
    ).first()
    return None if text is None else _read_identity(text)


def _needed_until(session: Any, owner: Owner) -> str | None:
    """Tell the state of the task that ends a move over several workers, whose plan this is.

    Returns:
        Its state, empty where it has none yet; None where this is no plan, or that task is gone.
    """
    from airflow.models.taskinstance import TaskInstance
    from sqlalchemy import select

    where = {"dag_id": owner.dag, "run_id": owner.run}
    if keeps_task_states():
        from airflow.models.task_state_store import TaskStateStoreModel

        text = session.scalars(
            select(TaskStateStoreModel.value).filter_by(
                **where, task_id=owner.task, map_index=owner.map_index, key=SPREAD_KEY
            )
        ).first()
        end = None if text is None else json.loads(text)
    else:
        # Airflow 3.2 keeps no word of it. By what `spread_transfer` calls the two: a task of
        # another kind that is called so is held for needed longer, which does no harm.
        group, _, name = owner.task.rpartition(".")
        end = f"{group}.clean_up" if group and name == "plan" else None
    if end is None:
        return None
    found = session.execute(
        select(TaskInstance.state).filter_by(**where, task_id=end, map_index=-1)
    ).first()
    return None if found is None else str(found[0] or "")


def _kept_owner(session: Any, digest: str) -> Owner | None:
    """Look for who has a digest among all that Airflow keeps, in each life that it has had."""
    for owner in _all_kept(session):
        for clears in range(owner.clears + 1):
            former = replace(owner, clears=clears)
            if former.digest == digest:
                return former
    return None


def _all_kept(session: Any) -> Iterator[Owner]:
    """Give the owners, in their present lives, of all task runs whose identity Airflow keeps."""
    if not keeps_task_states():
        return
    from airflow.models.task_state_store import TaskStateStoreModel
    from sqlalchemy import select

    model = TaskStateStoreModel
    columns = (model.dag_id, model.run_id, model.task_id, model.map_index, model.value)
    rows = session.execute(
        select(*columns).where(model.key == IDENTITY_KEY).execution_options(yield_per=10_000)
    )
    for dag, run, task, index, text in rows:
        kept = _read_identity(text)
        if kept is not None:
            yield Owner(
                dag,
                run,
                task,
                map_index=index,
                clears=kept.life,
                deployment=kept.deployment,
                generation=kept.generation,
            )


def _read_identity(text: str) -> Identity | None:
    try:
        # The value of a row is JSON, and what is kept is text.
        return Identity(**json.loads(json.loads(text)))
    except (ValueError, TypeError):  # kept by another backend than the database
        return None


def _digests_at_work(session: Any) -> set[str]:
    """Hash all task runs that have not ended, as versions without deployments have named them."""
    from airflow.models.taskinstance import TaskInstance

    # A task run in no state yet has never begun, or was cleared: then its life is a new one.
    state = TaskInstance.state
    at_work = _owners(session, state.is_not(None), state.not_in(_ENDED))
    return {owner.digest for owner in at_work}


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
        for clears in range(max(0, tries) + 1):
            yield Owner(dag, run, task, map_index=index, clears=clears)


def _session() -> Any:
    from airflow.utils.session import create_session

    return create_session()
