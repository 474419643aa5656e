"""A Spark application that runs once for a task run, however often workers die.

Over 400 lines: the official operator's parameters, each documented, are most of it.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import warnings
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk.configuration import conf as airflow_conf

from tradewind.airflow.backends import BackendSpec
from tradewind.airflow.links import JobLink
from tradewind.airflow.parse_checks import (
    check_choice,
    check_list,
    check_mapping,
    check_number,
    check_text,
    is_fixed,
)
from tradewind.airflow.work import WorkOperator
from tradewind.errors import InputError, RetryError

if TYPE_CHECKING:
    from airflow.sdk import Context

    from tradewind.airflow.spark_backends import SparkConnection
    from tradewind.run.backend import Backend

__all__ = ["SparkSubmitOperator"]

_WAIT = "spark.yarn.submit.waitAppCompletion"
#: As the official operator: a ResourceManager answers for a whole cluster.
_YARN_SECONDS = 10.0
_COMMAND_SECONDS = 30
_NO_APPLICATION = "Spark: there is no application. Name the Python file or jar."
#: As `JavaUtils.byteStringAs` of Spark reads them.
_SIZE = re.compile(r"\s*\d+([kmgtp]?b|[kmgtp])?\s*", re.IGNORECASE)


class SparkSubmitOperator(WorkOperator):
    """Runs a Spark application, as the official operator of this name.

    In client mode spark-submit is detached from the worker that starts it, and a retry on the same
    machine reattaches to it. In cluster mode on a standalone cluster, a process of this machine
    asks the master and supervises the driver. In cluster mode on YARN, spark-submit submits and
    ends, and the application is supervised from any machine.

    What the application's driver writes into the file that ``TRADEWIND_RESULT`` names becomes the
    XCom; in a standalone cluster what it prints as a line ``TRADEWIND_RESULT=...``.

    Args:
        application: Python file or jar. (templated)
        conf: Spark's properties. (templated)
        conn_id: A Spark connection, read as the official hook reads it.
        files: Files for the executors, separated by commas. (templated)
        py_files: Python files for the executors. (templated)
        archives: Archives for the executors.
        driver_class_path: Of the driver. (templated)
        jars: For driver and executors. (templated)
        java_class: Main class of a jar.
        packages: Maven coordinates. (templated)
        exclude_packages: Those to leave out. (templated)
        repositories: Where else to look for them.
        total_executor_cores: Of all executors.
        executor_cores: Of one.
        executor_memory: Of one, like ``2G``.
        driver_memory: Of the driver.
        keytab: File with the key of `principal`. (templated)
        principal: Kerberos principal. (templated)
        proxy_user: Who runs the application. (templated)
        name: Of the application. (templated)
        num_executors: How many.
        status_poll_interval: The longest time between two looks, in seconds; on YARN in cluster
            mode at least 10.
        application_args: Arguments of the application. (templated)
        env_vars: Environment variables. (templated)
        verbose: Makes spark-submit tell more.
        spark_binary: The program, instead of the connection's.
        properties_file: File with Spark's properties. (templated)
        yarn_queue: Instead of the connection's.
        deploy_mode: ``client`` or ``cluster``, instead of the connection's.
        use_krb5ccache: Takes the Kerberos tickets that ``KRB5CCNAME`` names.
        post_submit_commands: Commands that are run, without a shell, when the application has
            ended; one that fails is a warning. (templated)
        track_driver_via_k8s_api: Asks for what is not supported: cluster mode on Kubernetes.
        yarn_track_via_rm_api: Has no effect but that it insists on cluster mode on YARN, where the
            ResourceManager's REST API is always what is asked.
        yarn_rm_auth: An auth of requests or httpx for that API.
        openlineage_inject_parent_job_info: As the official operator.
        openlineage_inject_transport_info: As the official operator.
        reconnect_on_retry: Former name of `durable`.
        durable: Has no effect: a retry always reattaches to the application.
        job_folder: Where the job folders are; ``~/.tradewind/spark`` when not given.
        kwargs: `WorkOperator`'s: ``deferrable``, ``result_limit``, and Airflow's own.
    """

    operator_extra_links = (JobLink(),)
    template_fields: Sequence[str] = (
        "application",
        "conf",
        "files",
        "py_files",
        "jars",
        "driver_class_path",
        "packages",
        "exclude_packages",
        "keytab",
        "principal",
        "proxy_user",
        "name",
        "application_args",
        "env_vars",
        "post_submit_commands",
        "properties_file",
    )

    def __init__(
        self,
        *,
        application: str = "",
        conf: dict[Any, Any] | None = None,
        conn_id: str = "spark_default",
        files: str | None = None,
        py_files: str | None = None,
        archives: str | None = None,
        driver_class_path: str | None = None,
        jars: str | None = None,
        java_class: str | None = None,
        packages: str | None = None,
        exclude_packages: str | None = None,
        repositories: str | None = None,
        total_executor_cores: int | None = None,
        executor_cores: int | None = None,
        executor_memory: str | None = None,
        driver_memory: str | None = None,
        keytab: str | None = None,
        principal: str | None = None,
        proxy_user: str | None = None,
        name: str = "arrow-spark",
        num_executors: int | None = None,
        status_poll_interval: float = 1,
        application_args: list[Any] | None = None,
        env_vars: dict[str, Any] | None = None,
        verbose: bool = False,
        spark_binary: str | None = None,
        properties_file: str | None = None,
        yarn_queue: str | None = None,
        deploy_mode: str | None = None,
        use_krb5ccache: bool = False,
        post_submit_commands: list[str] | None = None,
        track_driver_via_k8s_api: bool = False,
        yarn_track_via_rm_api: bool = False,
        yarn_rm_auth: Any = None,
        openlineage_inject_parent_job_info: bool = airflow_conf.getboolean(
            "openlineage", "spark_inject_parent_job_info", fallback=False
        ),
        openlineage_inject_transport_info: bool = airflow_conf.getboolean(
            "openlineage", "spark_inject_transport_info", fallback=False
        ),
        reconnect_on_retry: bool | None = None,
        durable: bool | None = None,
        job_folder: str | None = None,
        **kwargs: Any,
    ) -> None:
        if reconnect_on_retry is not None:
            warnings.warn(
                "'reconnect_on_retry' is deprecated. Use 'durable' instead.",
                DeprecationWarning,
                stacklevel=2,
            )
        super().__init__(**{"poll_interval": status_poll_interval, **kwargs})
        self._own_poll_interval = "poll_interval" in kwargs
        self.application = application
        self.conf = conf
        self.conn_id = conn_id
        self.files = files
        self.py_files = py_files
        self.archives = archives
        self.driver_class_path = driver_class_path
        self.jars = jars
        self.java_class = java_class
        self.packages = packages
        self.exclude_packages = exclude_packages
        self.repositories = repositories
        self.total_executor_cores = total_executor_cores
        self.executor_cores = executor_cores
        self.executor_memory = executor_memory
        self.driver_memory = driver_memory
        self.keytab = keytab
        self.principal = principal
        self.proxy_user = proxy_user
        self.name = name
        self.num_executors = num_executors
        self.application_args = application_args
        self.env_vars = env_vars
        self.verbose = verbose
        self.spark_binary = spark_binary
        self.properties_file = properties_file
        self.yarn_queue = yarn_queue
        self.deploy_mode = deploy_mode
        self.use_krb5ccache = use_krb5ccache
        self.post_submit_commands = post_submit_commands
        self.track_driver_via_k8s_api = track_driver_via_k8s_api
        self.yarn_track_via_rm_api = yarn_track_via_rm_api
        self.yarn_rm_auth = yarn_rm_auth
        self.openlineage_inject_parent_job_info = openlineage_inject_parent_job_info
        self.openlineage_inject_transport_info = openlineage_inject_transport_info
        self.job_folder = job_folder

    def check_arguments(self) -> None:
        """Refuse what is wrong whatever the data are; see `CheckedOperator.check_arguments`."""
        super().check_arguments()
        check_text("Spark: application", self.application)
        check_mapping("Spark: conf", self.conf)
        check_mapping("Spark: env_vars", self.env_vars)
        check_choice("Spark: deploy_mode", self.deploy_mode, (None, "client", "cluster"))
        check_list("Spark: application_args", self.application_args, example='["--day"]')
        check_list("Spark: post_submit_commands", self.post_submit_commands, example='["date"]')
        for name in ("total_executor_cores", "executor_cores", "num_executors"):
            check_number(f"Spark: {name}", getattr(self, name), above=0, whole=True)
        for name in ("executor_memory", "driver_memory"):
            size = getattr(self, name)
            if size is not None and is_fixed(size) and not _SIZE.fullmatch(str(size)):
                raise InputError(f"Spark: {name}={size!r} is no size. Write it like 512m or 2g.")

    def check_given(self) -> None:
        """Refuse a task without an application; see `WorkOperator.check_given`."""
        check_text("Spark: application", self.application, missing=_NO_APPLICATION)

    # ------------------------------------------------------------------------------------ where

    @cached_property
    def _connection(self) -> SparkConnection:
        from tradewind.airflow.spark_backends import read_spark_connection

        return read_spark_connection(self.conn_id, has_keytab=bool(self.keytab))

    @property
    def _mode(self) -> str:
        conf = self.conf or {}
        return str(
            self.deploy_mode
            or self._connection.deploy_mode
            or conf.get("spark.submit.deployMode")
            or "client"
        )

    @property
    def _on_yarn(self) -> bool:
        """Whether it runs on YARN in cluster mode, supervised through the ResourceManager."""
        return self._connection.master.startswith("yarn") and self._mode == "cluster"

    @property
    def _kerberos(self) -> bool:
        return bool(self.keytab and (self.principal or self._connection.principal))

    def backend_spec(self) -> BackendSpec:
        """Say which YARN, or where the job folders are."""
        if not self._on_yarn:
            root = self.job_folder or str(Path.home() / ".tradewind" / "spark")
            return BackendSpec("tradewind.airflow.backends:open_process", {"root": root})
        if self.deferrable and self.yarn_rm_auth is not None:
            raise InputError(
                f"{self.task_id}: the triggerer cannot be handed a yarn_rm_auth, which may hold a "
                "secret. Give login and password in the connection, use Kerberos (keytab and "
                "principal), or set deferrable=False."
            )
        return BackendSpec(
            "tradewind.airflow.spark_backends:open_yarn",
            {"conn_id": self.conn_id, "kerberos": self._kerberos},
        )

    def open_backend(self) -> Backend[Any]:
        """Connect; what spark-submit writes goes to the task's log."""
        spec = self.backend_spec()
        if not self._on_yarn:
            return spec.open()
        return spec.open(
            auth=self.yarn_rm_auth,
            say=lambda line: self.log.info("%s", line),
            give_up=lambda: self._asked_to_end,
        )

    # ------------------------------------------------------------------------------------- what

    def make_work(self, context: Context) -> Any:
        """Describe the application, and how it is submitted."""
        from tradewind.systems.spark.backend import SparkSubmit

        connection = self._connection
        self._check(connection)
        conf = self._conf(context)
        if connection.master.startswith("k8s://") and connection.namespace:
            conf.setdefault("spark.kubernetes.namespace", connection.namespace)
        if self.use_krb5ccache:
            if not os.environ.get("KRB5CCNAME"):
                raise InputError("Spark: use_krb5ccache needs KRB5CCNAME in the environment.")
            conf["spark.kerberos.renewal.credentials"] = "ccache"
        submit = SparkSubmit(
            master=connection.master,
            application=self._application(),
            arguments=[str(argument) for argument in self.application_args or ()],
            conf=conf,
            options={
                "properties-file": self.properties_file,
                "files": self.files,
                "py-files": self.py_files,
                "archives": self.archives,
                "driver-class-path": self.driver_class_path,
                "jars": self.jars,
                "packages": self.packages,
                "exclude-packages": self.exclude_packages,
                "repositories": self.repositories,
                "num-executors": self.num_executors,
                "total-executor-cores": self.total_executor_cores,
                "executor-cores": self.executor_cores,
                "executor-memory": self.executor_memory,
                "driver-memory": self.driver_memory,
                "keytab": self.keytab,
                "principal": self.principal or connection.principal,
                "proxy-user": self.proxy_user,
                "name": self.name,
                "class": self.java_class,
                "queue": self.yarn_queue or connection.queue,
            },
            environment={name: str(value) for name, value in (self.env_vars or {}).items()},
            verbose=self.verbose,
            binary=self.spark_binary or connection.binary,
            deploy_mode=self._mode,
            rest_scheme=connection.rest_scheme,
            rest_port=connection.rest_port,
            ui_port=connection.ui_port,
            poll_seconds=self.poll_interval,
        )
        return submit.on_yarn() if self._on_yarn else submit.command()

    def _application(self) -> str:
        """Name the application; ``${SPARK_HOME}/...``, as official examples do, is one of here."""
        if self._mode == "cluster" and not self._on_yarn:
            return self.application
        return os.path.expandvars(self.application)

    def _check(self, connection: SparkConnection) -> None:
        master = connection.master
        asked = (
            ("track_driver_via_k8s_api", self.track_driver_via_k8s_api, "k8s://", "Kubernetes"),
            ("yarn_track_via_rm_api", self.yarn_track_via_rm_api, "yarn", "YARN"),
        )
        for name, given, prefix, what in asked:
            if given and not (master.startswith(prefix) and self._mode == "cluster"):
                raise InputError(
                    f"{self.task_id}: {name} is for a master of {what} in cluster mode; this one "
                    f"is {master} in {self._mode} mode."
                )
        wait = str((self.conf or {}).get(_WAIT, "false")).strip().lower()
        if self._on_yarn and wait != "false":
            raise InputError(
                f"{self.task_id}: {_WAIT}={wait} would keep spark-submit beside an application "
                "that is supervised through the ResourceManager. Leave it out."
            )

    def _conf(self, context: Context) -> dict[str, str]:
        conf: dict[str, Any] = dict(self.conf or {})
        if self.openlineage_inject_parent_job_info or self.openlineage_inject_transport_info:
            from airflow.providers.common.compat.openlineage.utils import spark

            if self.openlineage_inject_parent_job_info:
                conf = spark.inject_parent_job_information_into_spark_properties(conf, context)
            if self.openlineage_inject_transport_info:
                conf = spark.inject_transport_information_into_spark_properties(conf, context)
        return {str(name): str(value) for name, value in conf.items()}

    # ---------------------------------------------------------------------------------- running

    def execute(self, context: Context) -> Any:
        """Run the application, then the commands that follow it.

        Args:
            context: Of the task run.

        Returns:
            What its driver handed back.
        """
        with self._naming_input():
            self.check_given()
            if self._on_yarn and not self._own_poll_interval:
                self.poll_interval = max(_YARN_SECONDS, self.poll_interval)
        return self._followed(lambda: super(SparkSubmitOperator, self).execute(context))

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Collect what the trigger has seen ending, then run the commands that follow.

        Args:
            context: Of the task run.
            event: What the trigger says.
        """
        return self._followed(
            lambda: super(SparkSubmitOperator, self).execute_complete(context, event)
        )

    def _followed(self, run: Any) -> Any:
        from airflow.sdk.exceptions import TaskDeferred

        from tradewind.run.supervise import LeftError

        try:
            value = run()
        except (TaskDeferred, LeftError, RetryError):
            # The application goes on.
            raise
        except BaseException:
            self._run_commands()
            raise
        self._run_commands()
        return value

    def _run_commands(self) -> None:
        for command in self.post_submit_commands or ():
            try:
                done = subprocess.run(
                    shlex.split(command),
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    errors="replace",
                    timeout=_COMMAND_SECONDS,
                )
            except (OSError, ValueError, subprocess.SubprocessError) as error:
                self.log.warning("A command of post_submit_commands failed: %s", error)
                continue
            if done.returncode:
                self.log.warning(
                    "A command of post_submit_commands ended with exit status %d: %s",
                    done.returncode,
                    done.stdout[-2_000:],
                )
