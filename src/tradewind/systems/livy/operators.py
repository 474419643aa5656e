"""A Spark application through Livy that runs once for a task run, however often workers die."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk.configuration import conf as airflow_conf

from tradewind.airflow.backends import BackendSpec
from tradewind.airflow.links import JobLink
from tradewind.airflow.parse_checks import check_number, check_text, is_fixed
from tradewind.airflow.work import WorkOperator
from tradewind.errors import InputError

if TYPE_CHECKING:
    from airflow.sdk import Context

    from tradewind.run.backend import Backend
    from tradewind.run.supervise import Claim, Outcome
    from tradewind.systems.http.backend import RestJob

__all__ = ["LivyOperator", "check_livy", "checked_conf", "livy_spec", "spelled_for_livy"]

#: How Livy spells what the official operator's parameters are called.
_FIELDS = {
    "file": "file",
    "proxy_user": "proxyUser",
    "class_name": "className",
    "args": "args",
    "jars": "jars",
    "py_files": "pyFiles",
    "files": "files",
    "driver_memory": "driverMemory",
    "driver_cores": "driverCores",
    "executor_memory": "executorMemory",
    "executor_cores": "executorCores",
    "num_executors": "numExecutors",
    "archives": "archives",
    "queue": "queue",
    "conf": "conf",
}
_LISTS = ("args", "jars", "py_files", "files", "archives")


class LivyOperator(WorkOperator):
    """Run a Spark application as a batch of Livy, as the official operator of this name.

    The batch's name is made from the task run and unique on its Livy: a retry reattaches to the
    batch that an earlier attempt has started. Its log is written as it runs. The XCom is the
    batch's id, and ``app_id`` the application's.

    Args:
        file: The application. (templated, as all up to `proxy_user`)
        class_name: Its main class.
        args: Its arguments.
        conf: Spark's configuration.
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
        name: Has no effect: the batch's name is what makes it run once.
        proxy_user: Whom Livy runs it as.
        livy_conn_id: The Livy connection, read as the official hook reads it.
        livy_conn_auth_type: Like ``requests.auth.HTTPBasicAuth``; deferred work keeps it.
        livy_endpoint_prefix: What comes before ``/batches``; deferred work keeps it.
        polling_interval: Seconds between two looks. 0, the default, starts the batch and does not
            wait for it, unless `deferrable`: then it is 5.
        extra_options: As ``HttpHook`` has them: verify, cert, proxies, timeout.
        extra_headers: Beside those of the connection.
        retry_args: Has no effect: requests are repeated where that is safe, with backoff.
        openlineage_inject_parent_job_info: As the official operator.
        openlineage_inject_transport_info: As the official operator.
        durable: Has no effect: a retry always reattaches to the batch.
        kwargs: `WorkOperator`'s and `BaseOperator`'s.
    """

    operator_extra_links = (JobLink(),)
    template_fields: Sequence[str] = ("spark_params",)
    template_fields_renderers: ClassVar[dict[str, str]] = {"spark_params": "json"}

    def __init__(
        self,
        *,
        file: str,
        class_name: str | None = None,
        args: Sequence[str | int | float] | None = None,
        conf: dict[Any, Any] | None = None,
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
        name: str | None = None,
        proxy_user: str | None = None,
        livy_conn_id: str = "livy_default",
        livy_conn_auth_type: Any | None = None,
        livy_endpoint_prefix: str | None = None,
        polling_interval: float = 0,
        extra_options: dict[str, Any] | None = None,
        extra_headers: dict[str, Any] | None = None,
        retry_args: dict[str, Any] | None = None,
        openlineage_inject_parent_job_info: bool = airflow_conf.getboolean(
            "openlineage", "spark_inject_parent_job_info", fallback=False
        ),
        openlineage_inject_transport_info: bool = airflow_conf.getboolean(
            "openlineage", "spark_inject_transport_info", fallback=False
        ),
        durable: bool | None = None,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("poll_interval", polling_interval if polling_interval > 0 else 5.0)
        super().__init__(**kwargs)
        self.spark_params: dict[str, Any] = {
            "file": file,
            "class_name": class_name,
            "args": args,
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
            "name": name,
            "conf": conf or {},
            "proxy_user": proxy_user,
        }
        self.livy_conn_id = livy_conn_id
        self.auth_type = livy_conn_auth_type
        self.livy_endpoint_prefix = livy_endpoint_prefix
        self.polling_interval = polling_interval
        self.extra_options = extra_options or {}
        self.extra_headers = extra_headers or {}
        self.retry_args = retry_args
        self.openlineage_inject_parent_job_info = openlineage_inject_parent_job_info
        self.openlineage_inject_transport_info = openlineage_inject_transport_info
        self._app_id: str | None = None

    def check_arguments(self) -> None:
        """Refuse what is wrong whatever the data are; see `CheckedOperator.check_arguments`."""
        super().check_arguments()
        check_text(f"{self.task_id}: file", self.spark_params["file"])
        check_number(f"{self.task_id}: polling_interval", self.polling_interval)
        check_livy(self)

    def check_given(self) -> None:
        """Refuse a task without an application; see `WorkOperator.check_given`."""
        check_text(
            f"{self.task_id}: file",
            self.spark_params["file"],
            missing=f"{self.task_id}: there is no file. Name the application.",
        )

    def backend_spec(self) -> BackendSpec:
        """Say which Livy."""
        return livy_spec(self, "open_livy")

    def open_backend(self) -> Backend[Any]:
        """Connect, by the very auth_type that was given."""
        return self.backend_spec().open(auth_type=self.auth_type)

    def make_work(self, context: Context) -> RestJob:
        """Describe the batch."""
        from tradewind.systems.http.backend import RestJob

        given = {**self.spark_params, "conf": self._conf(context)}
        return RestJob(spelled_for_livy(self.task_id, given))

    def _conf(self, context: Context) -> dict[str, Any]:
        conf = checked_conf(self.task_id, self.spark_params["conf"])
        if self.openlineage_inject_parent_job_info or self.openlineage_inject_transport_info:
            from airflow.providers.common.compat.openlineage.utils import spark

            if self.openlineage_inject_parent_job_info:
                conf = spark.inject_parent_job_information_into_spark_properties(conf, context)
            if self.openlineage_inject_transport_info:
                conf = spark.inject_transport_information_into_spark_properties(conf, context)
        return conf

    # ------------------------------------------------------------------------------------- running

    def execute(self, context: Context) -> Any:
        """Run the batch; without a polling interval, start it alone.

        Args:
            context: Of the task run.

        Returns:
            The batch's id.
        """
        if self.deferrable or self.polling_interval > 0:
            return super().execute(context)
        from tradewind.run.supervise import Outcome

        with self._naming_input():
            self.check_given()
            claimed = self._claim(context)
            with self._opened() as backend:
                told = backend.result(claimed.name, limit=self.result_limit)
        text = None if told is None else told.decode()
        value = self.read_result(Outcome(claimed.name, text, reattached=not claimed.started))
        self._push_app_id(context)
        return value

    def _supervise(self, context: Context, claimed: Claim | None = None) -> Any:
        value = super()._supervise(context, claimed)
        self._push_app_id(context)
        return value

    def _push_app_id(self, context: Context) -> None:
        if context.get("ti") is not None and self.do_xcom_push:
            context["ti"].xcom_push(key="app_id", value=self._app_id)

    def read_result(self, outcome: Outcome) -> Any:
        """Take the batch's id."""
        told = json.loads(outcome.result or "{}")
        self._app_id = told.get("appId")
        return told.get("id")


def check_livy(operator: Any) -> None:
    """Refuse what is wrong with an operator of Livy whatever the data are.

    Args:
        operator: Has ``spark_params``, and what says how Livy is reached.

    Raises:
        InputError: Something is. Templates are let be.
    """
    from tradewind.systems.http.operators import check_http

    fixed = {name: value for name, value in operator.spark_params.items() if is_fixed(value)}
    spelled_for_livy(operator.task_id, fixed)
    if "conf" in fixed:
        checked_conf(operator.task_id, fixed["conf"])
    check_http(operator, operator.extra_headers)


def livy_spec(operator: Any, opener: str) -> BackendSpec:
    """Say which Livy an operator uses.

    Args:
        operator: Has what says how Livy is reached.
        opener: The function of `tradewind.airflow.rest_backends` that connects.
    """
    from tradewind.systems.http.operators import spelled_auth

    return BackendSpec(
        f"tradewind.airflow.rest_backends:{opener}",
        {
            "livy_conn_id": operator.livy_conn_id,
            "endpoint_prefix": operator.livy_endpoint_prefix,
            "headers": operator.extra_headers,
            "extra_options": operator.extra_options,
            "auth_name": spelled_auth(operator),
        },
    )


def spelled_for_livy(task_id: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Spell the official operator's parameters as Livy does, without those that say nothing.

    Args:
        task_id: For messages.
        given: Parameters by name.

    Raises:
        InputError: One of them is nothing that Livy takes.
    """
    body: dict[str, Any] = {}
    for ours, theirs in _FIELDS.items():
        value = given.get(ours)
        if value is None or (value in ("", [], (), {}) and ours != "file"):
            continue
        if ours in _LISTS:
            value = _texts(task_id, ours, value)
        elif ours.endswith("_memory") and not re.fullmatch(r"(?i)\d+[kmgt]b?", str(value)):
            raise InputError(f"{task_id}: {ours}={value!r} is no size. Write it like 2g.")
        elif ours.endswith(("_cores", "_executors")):
            value = _number(task_id, ours, value)
        body[theirs] = value
    return body


def checked_conf(task_id: str, conf: Any) -> dict[str, Any]:
    """Give a copy of Spark's configuration that holds nothing that Livy refuses.

    Args:
        task_id: For messages.
        conf: What was given for it.

    Raises:
        InputError: It is no dict of texts and numbers.
    """
    conf = conf or {}
    if not isinstance(conf, Mapping) or any(
        not isinstance(value, str | int) or value == "" for value in conf.values()
    ):
        raise InputError(f"{task_id}: conf is no dict of texts and numbers.")
    return dict(conf)


def _texts(task_id: str, name: str, value: Any) -> Any:
    if isinstance(value, list | tuple) and all(isinstance(v, str | int | float) for v in value):
        return [str(one) for one in value]
    raise InputError(f"{task_id}: {name} is no list of texts.")


def _number(task_id: str, name: str, value: Any) -> int:
    try:
        return int(value)
    except ValueError:
        raise InputError(f"{task_id}: {name}={value!r} is no number.") from None
