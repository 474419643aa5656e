"""A Spark application that runs once for a task run, however often workers die."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tradewind.airflow.backends import BackendSpec
from tradewind.airflow.work import WorkOperator
from tradewind.errors import InputError

if TYPE_CHECKING:
    from airflow.sdk import Context

    from tradewind.run.backends.process import Command

__all__ = ["SparkSubmitOperator"]

_BINARIES = ("spark-submit", "spark2-submit", "spark3-submit")


class SparkSubmitOperator(WorkOperator):
    """Runs spark-submit in client mode, as the official operator of this name.

    It is detached from the worker that starts it: a retry on the same machine attends it. What the
    application's driver writes into the file that ``TRADEWIND_RESULT`` names becomes the XCom.

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
        status_poll_interval: The longest time between two looks, in seconds.
        application_args: Arguments of the application. (templated)
        env_vars: Environment variables. (templated)
        verbose: Makes spark-submit tell more.
        spark_binary: The program, instead of the connection's.
        properties_file: File with Spark's properties. (templated)
        yarn_queue: Instead of the connection's.
        deploy_mode: Instead of the connection's; ``client`` is the one that is supported.
        use_krb5ccache: Takes the Kerberos tickets that ``KRB5CCNAME`` names.
        job_folder: Where the job folders are; ``~/.tradewind/spark`` when not given.
        kwargs: `WorkOperator`'s: ``deferrable``, ``result_limit``, and Airflow's own.
    """

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
        job_folder: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"poll_interval": status_poll_interval, **kwargs})
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
        self.job_folder = job_folder

    def backend_spec(self) -> BackendSpec:
        """Say where the job folders are."""
        root = self.job_folder or str(Path.home() / ".tradewind" / "spark")
        return BackendSpec("tradewind.airflow.backends:open_process", {"root": root})

    def make_work(self, context: Context) -> Command:
        """Describe the call of spark-submit."""
        from tradewind.airflow.connections import find_connection
        from tradewind.run.backends.spark import SparkSubmit

        connection = find_connection(self.conn_id)
        extra = connection.extra_dejson
        host, port = connection.host or "", connection.port
        if connection.conn_type == "spark" and host and ("://" in host or not port):
            master = host
        else:
            master = f"{connection.conn_type}://{host}"
        binary = self.spark_binary or extra.get("spark-binary") or _BINARIES[0]
        if not self.spark_binary and binary not in _BINARIES:
            raise InputError(
                f"The Airflow connection {self.conn_id!r} names the spark-binary {binary!r}. "
                f"Use one of {', '.join(_BINARIES)}, or the operator's spark_binary."
            )
        if extra.get("keytab") and not self.keytab:
            raise InputError(
                f"The Airflow connection {self.conn_id!r} holds a keytab, which would have to be "
                "left on this machine's disk. Put it there as a file, and name it as keytab."
            )
        conf = {str(name): str(value) for name, value in (self.conf or {}).items()}
        if master.startswith("k8s://") and extra.get("namespace"):
            conf.setdefault("spark.kubernetes.namespace", extra["namespace"])
        if self.use_krb5ccache:
            if not os.environ.get("KRB5CCNAME"):
                raise InputError("Spark: use_krb5ccache needs KRB5CCNAME in the environment.")
            conf["spark.kerberos.renewal.credentials"] = "ccache"
        return SparkSubmit(
            master=f"{master}:{port}" if port else master,
            application=self.application,
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
                "principal": self.principal or extra.get("principal"),
                "proxy-user": self.proxy_user,
                "name": self.name,
                "class": self.java_class,
                "queue": self.yarn_queue or extra.get("queue"),
            },
            environment={name: str(value) for name, value in (self.env_vars or {}).items()},
            verbose=self.verbose,
            binary=binary,
            deploy_mode=self.deploy_mode or extra.get("deploy-mode"),
        ).command()
