"""What version 0.1 called otherwise: the former names still work.

A deferred task of the former version names the function that opens its backend by module, and
programs import sources, targets and stores by theirs. Each former name leads to the very same
module, with a `DeprecationWarning`. So do former names of classes, functions, methods, fields and
keywords.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Callable, Sequence
from functools import wraps
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, TypeVar

__all__ = [
    "FORMER_ATTRIBUTES",
    "FORMER_METHODS",
    "FORMER_NAMES",
    "former_attribute",
    "former_field",
    "former_keywords",
    "keep_former_methods",
    "keep_former_names",
]

FORMER_NAMES: dict[str, str] = {
    "airflow.connections.aws": "systems.s3.airflow",
    "airflow.connections.azure": "systems.azure.airflow",
    "airflow.connections.google": "systems.gcs.airflow",
    "airflow.operators.docker": "systems.docker.operators",
    "airflow.operators.http_job": "systems.http.operators",
    "airflow.operators.livy": "systems.livy.operators",
    "airflow.operators.livy_session": "systems.livy.session_operator",
    "airflow.operators.sagemaker": "systems.sagemaker.operators",
    "airflow.operators.sagemaker_base": "systems.sagemaker.operator_base",
    "airflow.operators.sagemaker_endpoint": "systems.sagemaker.endpoint_operator",
    "airflow.operators.spark_submit": "systems.spark.operators",
    "airflow.operators.ssh": "systems.ssh.operators",
    "airflow.sagemaker_backends": "systems.sagemaker.airflow",
    "local.systems.airflow": "systems.airflow.local",
    "local.systems.mariadb": "systems.mysql.local",
    "local.systems.mongodb": "systems.mongodb.local",
    "local.systems.postgres": "systems.postgres.local",
    "local.systems.s3": "systems.s3.local",
    "local.systems.sagemaker": "systems.sagemaker.local",
    "move.clients.http": "systems.http.connection",
    "move.clients.http_calls": "systems.http.calls",
    "move.clients.http_session": "systems.http.session",
    "move.clients.mongo": "systems.mongodb.connection",
    "move.clients.mysql": "systems.mysql.connection",
    "move.clients.mysql_errors": "systems.mysql.errors",
    "move.clients.mysql_rows": "systems.mysql.packets",
    "move.clients.mysql_sql": "systems.mysql.sql",
    "move.clients.postgres": "systems.postgres.connection",
    "move.clients.postgres_errors": "systems.postgres.errors",
    "move.clients.postgres_session": "systems.postgres.session",
    "move.clients.postgres_sql": "systems.postgres.sql",
    "move.formats.recordio": "systems.sagemaker.recordio",
    "move.formats.recordio_format": "systems.sagemaker.recordio_format",
    "move.sources.dbapi": "systems.dbapi.source",
    "move.sources.http_body": "systems.http.body",
    "move.sources.mongo": "systems.mongodb.source",
    "move.sources.mysql": "systems.mysql.source",
    "move.sources.objects": "move.objects.source",
    "move.sources.postgres": "systems.postgres.source",
    "move.sources.rest": "systems.http.source",
    "move.sources.sqlite": "systems.sqlite.source",
    "move.stores.azure": "systems.azure.store",
    "move.stores.files": "systems.files.store",
    "move.stores.gcs": "systems.gcs.store",
    "move.stores.s3": "systems.s3.store",
    "move.stores.uris": "move.objects.uris",
    "move.targets.manifest": "move.publish.manifest",
    "move.targets.mysql": "systems.mysql.table",
    "move.targets.objects": "move.objects.target",
    "move.targets.postgres": "systems.postgres.table",
    "move.targets.sqlite": "systems.sqlite.table",
    "run.attend": "run.supervise",
    "run.backends.docker": "systems.docker.backend",
    "run.backends.livy": "systems.livy.backend",
    "run.backends.livy_session": "systems.livy.session",
    "run.backends.process": "systems.process.backend",
    "run.backends.rest_job": "systems.http.backend",
    "run.backends.sagemaker": "systems.sagemaker.backend",
    "run.backends.spark": "systems.spark.backend",
    "run.backends.ssh": "systems.ssh.backend",
    "run.backends.yarn": "systems.yarn.backend",
    "run.deployment": "systems.sagemaker.deployment",
    "run.memory": "run.checkpoint",
    "run.words": "run.exit_status",
    "sweep.deployments": "systems.sagemaker.sweep",
}
"""Former names of modules, and today's; all below ``tradewind``."""

FORMER_ATTRIBUTES: dict[str, dict[str, str]] = {
    "airflow.work_context": {
        "StateStoreMemory": "TaskStateStore",
        "told_to_work": "context_variables",
    },
    "move.copying": {"Told": "ProgressReporter", "Wish": "CopyRequest"},
    "run.backend": {"Piece": "Job", "Sight": "JobStatus", "Status": "JobState"},
    "run.checkpoint": {"Memory": "StateStore", "Notes": "Checkpoint"},
    "run.exit_status": {"in_words": "describe_exit_status"},
    "run.supervise": {"Ask": "Decision", "Memory": "StateStore", "attend": "supervise"},
    "sweep.leftover": {"Ask": "OwnerLookup", "Verdict": "OwnerState"},
}
"""By module: former names of what stands in it, and today's."""

FORMER_METHODS: dict[str, str] = {
    "look": "status",
    "remove": "delete",
    "remove_unclaimed": "delete_unclaimed",
    "start": "submit",
    "stop": "cancel",
}
"""Former names of the methods of backends, and today's."""

CallT = TypeVar("CallT", bound=Callable[..., Any])

_FORMER_PACKAGES = frozenset(
    {"local.systems", "move.clients", "move.sources", "move.stores", "move.targets", "run.backends"}
)


class _FormerModule(Loader):
    """Lead a former name to the module of today."""

    def __init__(self, today: str) -> None:
        self._today = today

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        former = module.__name__
        warnings.warn(
            f"{former} is now {self._today}. The former name goes with version 1.0.",
            DeprecationWarning,
            stacklevel=2,
        )
        # The import system hands out what stands here when the loader is done.
        sys.modules[former] = importlib.import_module(self._today)


class _FormerPackage(Loader):
    """Stand in for a package that is gone, so that modules below it are found."""

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        pass


class _FormerNames(MetaPathFinder):
    """Find former names; asked only for what nothing else has found."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        root, _, name = fullname.partition(".")
        if root != "tradewind":
            return None
        if name in FORMER_NAMES:
            return ModuleSpec(fullname, _FormerModule(f"tradewind.{FORMER_NAMES[name]}"))
        if name in _FORMER_PACKAGES:
            return ModuleSpec(fullname, _FormerPackage(), is_package=True)
        return None


def keep_former_names() -> None:
    """Make former names importable; further calls change nothing."""
    if not any(isinstance(finder, _FormerNames) for finder in sys.meta_path):
        sys.meta_path.append(_FormerNames())


def _warn(former: str, today: str, level: int = 3) -> None:
    warnings.warn(
        f"{former} is now {today}. The former name goes with version 1.0.",
        DeprecationWarning,
        stacklevel=level,
    )


def former_attribute(module: str, name: str) -> Any:
    """Find what a module had under another name; for its ``__getattr__``.

    Args:
        module: Its ``__name__``.
        name: What it was asked for.

    Raises:
        AttributeError: It never had that.
    """
    today = FORMER_ATTRIBUTES.get(module.removeprefix("tradewind."), {}).get(name)
    if today is None:
        raise AttributeError(f"module {module!r} has no attribute {name!r}")
    _warn(f"{module}.{name}", today)
    return getattr(sys.modules[module], today)


def former_field(former: str, today: str) -> property:
    """Make a property that gives a field by its former name.

    Args:
        former: That name.
        today: The field's name.
    """

    def read(self: Any) -> Any:
        _warn(former, today)
        return getattr(self, today)

    return property(read, doc=f"What is now `{today}`.")


def former_keywords(**names: str) -> Callable[[CallT], CallT]:
    """Let a function take keywords by their former names as well.

    Args:
        names: Former names, and today's.
    """

    def decorate(function: CallT) -> CallT:
        @wraps(function)
        def call(*args: Any, **keywords: Any) -> Any:
            for former in names.keys() & keywords.keys():
                _warn(former, names[former])
                keywords[names[former]] = keywords.pop(former)
            return function(*args, **keywords)

        return call  # type: ignore[return-value]

    return decorate


def keep_former_methods(backend: type) -> None:
    """Give the methods that a class of backends defines their other name, former or today's.

    Each class gets its own, so that ``super()`` leads to the parent's by either name.

    Args:
        backend: A class that is being made.
    """
    adapted = []
    for former, today in FORMER_METHODS.items():
        if today in vars(backend):
            if former not in vars(backend):
                setattr(backend, former, _forwarding(former, today, vars(backend)[today]))
        elif former in vars(backend):
            adapted.append((former, today))
            setattr(backend, today, _adapted(vars(backend)[former], former))
    if adapted:
        formers, names = (", ".join(every) for every in zip(*adapted, strict=True))
        _warn(f"{backend.__name__} defines methods of former names: {formers}. It", names, 4)


def _forwarding(former: str, today: str, method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def call(*args: Any, **keywords: Any) -> Any:
        _warn(former, today)
        if "tell" in keywords:
            keywords["variables"] = keywords.pop("tell")
        return method(*args, **keywords)

    return call


def _adapted(method: Callable[..., Any], former: str) -> Callable[..., Any]:
    @wraps(method)
    def call(*args: Any, **keywords: Any) -> Any:
        if former == "start" and "variables" in keywords:
            keywords["tell"] = keywords.pop("variables")
        return method(*args, **keywords)

    return call
