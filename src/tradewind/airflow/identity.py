"""The identity of a task run: set by its first attempt, kept by Airflow for later ones.

Airflow's task state store belongs to one task of one DAG run: retries and resumed tasks share it,
and a DAG run that was deleted and made again under its id has another one. So what is kept there
tells apart what ids do not. (``airflow.models.task_state_store`` of Airflow 3.3: its rows belong to
``dag_run_id`` and go with the DAG run.)
"""

from __future__ import annotations

import importlib.util
import json
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from tradewind.backoff import rest
from tradewind.errors import SetupError

__all__ = [
    "DEPLOYMENT_VARIABLE",
    "IDENTITY_KEY",
    "SPREAD_KEY",
    "Deployment",
    "Identity",
    "identity_of",
    "keeps_task_states",
]

DEPLOYMENT_VARIABLE = "tradewind_deployment"
"""The Airflow Variable that keeps the deployment's id, where no option says it."""
IDENTITY_KEY = "tradewind.identity"
"""Where the task state store keeps an `Identity`, as JSON."""
SPREAD_KEY = "tradewind.spread"
"""Where that of the plan of a move over several workers keeps the id of the task that ends it: what
is owned by the plan is needed until then."""

#: Two tasks may draw at once; the one that is written last stands. A task reaches Airflow's
#: database by its API alone (Airflow 3.3), which writes a Variable over whatever stands there, and
#: cannot write it only where none is. So a task waits until the other's value has arrived, once in
#: the life of an Airflow. Setting [tradewind] deployment leaves nothing to race for.
_SETTLE_SECONDS = 1.0


@dataclass(frozen=True)
class Identity:
    """What is kept of a task run.

    Args:
        deployment: As `Owner.deployment`.
        generation: As `Owner.generation`.
        life: As `Owner.clears`.
        max_tries: Airflow raises it when a person clears the task, and at no other time.
        retries: Of the task in its DAG file, at the last attempt.
        clear_number: How often anything of the DAG run was cleared, at the last attempt.
    """

    deployment: str
    generation: str
    life: int
    max_tries: int
    retries: int
    clear_number: int


@dataclass(frozen=True)
class Deployment:
    """This Airflow.

    Args:
        name: Its id.
        since: When it got one: what has begun before may have been begun without.
    """

    name: str
    since: datetime

    @classmethod
    def of_text(cls, text: str | None) -> Deployment | None:
        """Read what the Airflow Variable keeps; None where it keeps nothing."""
        if not text:
            return None
        try:
            told = json.loads(text)
            return cls(str(told["deployment"]), datetime.fromisoformat(told["since"]))
        except (ValueError, KeyError, TypeError) as error:
            raise SetupError(
                f"The Airflow Variable {DEPLOYMENT_VARIABLE} does not hold what Tradewind has "
                "written there. Delete it, and a new id is drawn; or set [tradewind] deployment."
            ) from error


def configured_deployment() -> str:
    """Read the option ``[tradewind] deployment``; empty where it is not set."""
    from airflow.sdk.configuration import conf

    return str(conf.get("tradewind", "deployment", fallback="") or "").strip()


def keeps_task_states() -> bool:
    """Tell whether this Airflow has a task state store: from 3.3 on."""
    return importlib.util.find_spec("airflow.models.task_state_store") is not None


def identity_of(context: Mapping[str, Any]) -> Identity | None:
    """Read who a task run is, or decide it: what it makes elsewhere comes after this.

    Args:
        context: Of ``execute``.

    Returns:
        Who it is; None where Airflow keeps nothing for it (``execute({})`` in a test).

    Raises:
        SetupError: Airflow does not let this task keep the deployment's id.
    """
    store = context.get("task_state_store")
    ti = context.get("ti") or context.get("task_instance")
    if ti is None or (store is None and keeps_task_states()):
        return None
    task = getattr(ti, "task", None) or context.get("task")
    run = context.get("dag_run")
    retries = int(getattr(task, "retries", 0) or 0)
    max_tries = int(getattr(ti, "max_tries", 0) or 0)
    cleared = int(getattr(run, "clear_number", 0) or 0)
    if store is None:
        # Airflow 3.2 keeps nothing for a task: a run that is deleted and made again is the same.
        return replace(_first(ti, run, max_tries, retries, cleared), generation="")
    kept = store.get(IDENTITY_KEY)
    if kept is None:
        found = _first(ti, run, max_tries, retries, cleared)
    else:
        known = Identity(**json.loads(str(kept)))
        found = replace(known, max_tries=max_tries, retries=retries, clear_number=cleared)
        if known.deployment and configured_deployment() not in ("", known.deployment):
            # This metadata database is a copy of another Airflow's, whose task run goes on there.
            found = replace(
                found, deployment=configured_deployment(), generation=secrets.token_hex(6)
            )
        elif _was_cleared(known, found):
            found = replace(found, life=known.life + 1)
        if found == known:
            return known
    from airflow.sdk.execution_time.context import NEVER_EXPIRE

    store.set(IDENTITY_KEY, json.dumps(asdict(found)), retention=NEVER_EXPIRE)
    return found


def _was_cleared(known: Identity, now: Identity) -> bool:
    """Tell a clear from a retry.

    A clear sets ``max_tries`` to the tries made and the task's ``retries``. That gives the same
    number again only if `retries` was changed meanwhile; then a clear of anything in the run
    counts, since work that is done twice is a lesser harm than a result of another life.
    """
    if known.max_tries != now.max_tries:
        return True
    return known.retries != now.retries and known.clear_number != now.clear_number


def _first(ti: Any, run: Any, max_tries: int, retries: int, cleared: int) -> Identity:
    deployment = _deployment()
    life = max(0, max_tries - retries)
    server = getattr(ti, "_ti_context_from_server", None)
    began = getattr(run, "start_date", None) or getattr(run, "run_after", None)
    again = int(getattr(ti, "try_number", 1) or 1) > 1 or getattr(server, "next_method", None)
    if again and isinstance(began, datetime) and began < deployment.since:
        # An earlier attempt may have begun something under the name without deployment.
        return Identity("", "", life, max_tries, retries, cleared)
    generation = secrets.token_hex(6)
    return Identity(deployment.name, generation, life, max_tries, retries, cleared)


def _deployment() -> Deployment:
    from airflow.sdk import Variable

    try:
        found = Deployment.of_text(Variable.get(DEPLOYMENT_VARIABLE, None))
        if found is None:
            drawn = {"deployment": secrets.token_hex(6), "since": datetime.now(UTC).isoformat()}
            about = "Tradewind: the id of this Airflow, a part of all names on other systems."
            Variable.set(DEPLOYMENT_VARIABLE, json.dumps(drawn), about)
            rest(_SETTLE_SECONDS)
            found = Deployment.of_text(Variable.get(DEPLOYMENT_VARIABLE, None))
    except SetupError:
        raise
    except Exception as error:
        raise SetupError(
            f"Airflow does not let this task read or set the Variable {DEPLOYMENT_VARIABLE}, which "
            f"keeps the deployment's id ({type(error).__name__}). Grant that."
        ) from error
    if found is None:
        raise SetupError(
            f"Airflow has not kept the Variable {DEPLOYMENT_VARIABLE}. Grant tasks to set it."
        )
    return replace(found, name=configured_deployment() or found.name)
