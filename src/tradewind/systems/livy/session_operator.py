"""Code in an interactive session of Livy that runs once for a task run."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from tradewind.airflow.links import JobLink
from tradewind.airflow.parse_checks import check_choice, check_text
from tradewind.airflow.work import WorkOperator
from tradewind.systems.livy.operators import (
    check_livy,
    checked_conf,
    livy_spec,
    spelled_for_livy,
)

if TYPE_CHECKING:
    from airflow.sdk import Context

    from tradewind.airflow.backends import BackendSpec
    from tradewind.run.backend import Backend
    from tradewind.run.supervise import Claim
    from tradewind.systems.http.backend import RestJob

__all__ = ["LivySessionOperator"]


class LivySessionOperator(WorkOperator):
    """Run code in a session of Livy that is made for it, and deleted when its result is known.

    The session's name is made from the task run and unique on its Livy: a retry reattaches to the
    session of an earlier attempt. The code runs there once, whoever finds the session ready. The
    XCom is what it hands to Livy as JSON, or else what it has written: its JSON, or text.

    Args:
        code: What is run. (templated)
        kind: ``pyspark`` or ``spark`` (Scala); SQL runs in either by ``spark.sql(...)``.
        conf: Spark's configuration. (templated, as all up to `proxy_user`)
        jars: Jars to use.
        py_files: Python files to use.
        files: Files to use.
        driver_memory: Like ``2g``.
        driver_cores: Cores of the driver.
        executor_memory: Like ``2g``.
        executor_cores: Cores of an executor.
        num_executors: How many executors.
        archives: Archives to use.
        queue: YARN's queue.
        proxy_user: Whom Livy runs it as.
        livy_conn_id: The Livy connection, read as the official hook reads it.
        livy_conn_auth_type: Like ``requests.auth.HTTPBasicAuth``; deferred work keeps it.
        livy_endpoint_prefix: What comes before ``/sessions``; deferred work keeps it.
        extra_options: As ``HttpHook`` has them: verify, cert, proxies, timeout.
        extra_headers: Beside those of the connection.
        kwargs: `WorkOperator`'s and `BaseOperator`'s. Where it is ``deferrable``, the worker's slot
            is given back when the code has been handed to the session.
    """

    operator_extra_links = (JobLink(),)
    template_fields: Sequence[str] = ("code", "spark_params")
    template_ext: Sequence[str] = (".py", ".scala")
    template_fields_renderers: ClassVar[dict[str, str]] = {"code": "py", "spark_params": "json"}

    def __init__(
        self,
        *,
        code: str,
        kind: str = "pyspark",
        conf: Mapping[str, Any] | None = None,
        jars: Sequence[str] | None = None,
        py_files: Sequence[str] | None = None,
        files: Sequence[str] | None = None,
        driver_memory: str | None = None,
        driver_cores: int | str | None = None,
        executor_memory: str | None = None,
        executor_cores: int | str | None = None,
        num_executors: int | str | None = None,
        archives: Sequence[str] | None = None,
        queue: str | None = None,
        proxy_user: str | None = None,
        livy_conn_id: str = "livy_default",
        livy_conn_auth_type: Any | None = None,
        livy_endpoint_prefix: str | None = None,
        extra_options: dict[str, Any] | None = None,
        extra_headers: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.code = code
        self.kind = kind
        self.spark_params: dict[str, Any] = {
            "conf": conf or {},
            "jars": jars,
            "py_files": py_files,
            "files": files,
            "driver_memory": driver_memory,
            "driver_cores": driver_cores,
            "executor_memory": executor_memory,
            "executor_cores": executor_cores,
            "num_executors": num_executors,
            "archives": archives,
            "queue": queue,
            "proxy_user": proxy_user,
        }
        self.livy_conn_id = livy_conn_id
        self.auth_type = livy_conn_auth_type
        self.livy_endpoint_prefix = livy_endpoint_prefix
        self.extra_options = extra_options or {}
        self.extra_headers = extra_headers or {}

    def check_arguments(self) -> None:
        """Refuse what is wrong whatever the data are; see `CheckedOperator.check_arguments`."""
        super().check_arguments()
        check_text(
            f"{self.task_id}: code",
            self.code,
            missing=f"{self.task_id}: there is no code. Say what is to run.",
        )
        check_choice(f"{self.task_id}: kind", self.kind, ("pyspark", "spark"))
        check_livy(self)

    def backend_spec(self) -> BackendSpec:
        """Say which Livy; not what runs there, which is no matter of the triggerer."""
        return livy_spec(self, "open_livy_sessions")

    def open_backend(self) -> Backend[Any]:
        """Connect, with the code that is to run."""
        return self.backend_spec().open(auth_type=self.auth_type, code=self.code, kind=self.kind)

    def make_work(self, context: Context) -> RestJob:
        """Describe the session."""
        from tradewind.systems.http.backend import RestJob

        conf = checked_conf(self.task_id, self.spark_params["conf"])
        body = spelled_for_livy(self.task_id, {**self.spark_params, "conf": conf})
        return RestJob({"kind": self.kind, **body})

    def _claim(self, context: Context) -> Claim:
        """Claim, and stay until the session has its statement: the triggerer does not know it."""
        claimed = super()._claim(context)
        if claimed.outcome is None:
            self._begin(context, claimed)
        return claimed

    def _begin(self, context: Context, claimed: Claim) -> None:
        from tradewind.run.backend import JobState
        from tradewind.run.supervise import Decision, LeftError, StoppedError

        asked = self._decider(context)
        with self._opened() as backend:
            while backend.status(claimed.name).state is JobState.PENDING:
                backend.resume(claimed.name)
                if (answer := asked()) is Decision.CANCEL:
                    self._end_all(context)
                    raise StoppedError(f"Livy: {claimed.name} was stopped and removed.")
                if answer is Decision.LEAVE:
                    raise LeftError(
                        f"Livy: {claimed.name} stays; the next attempt reattaches to it."
                    )
                time.sleep(min(1.0, self.poll_interval))
