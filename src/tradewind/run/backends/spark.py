"""spark-submit in client mode as a process of this machine: the driver is the work.

In client mode the driver lives in the process of spark-submit, and Spark ends the application when
its driver ends. So once and only once for the process is once for the application, whoever the
master is: ``local[*]``, standalone, YARN or Kubernetes. In cluster mode it is not, since the driver
lives elsewhere under a name that nobody can claim; that is refused here.
"""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tradewind.errors import InputError, SetupError
from tradewind.run.backends.process import Command

__all__ = ["SparkSubmit"]

_MASTERS = ("local", "spark://", "yarn", "k8s://")


@dataclass(frozen=True)
class SparkSubmit:
    """One call of spark-submit.

    Args:
        master: ``local[*]``, ``spark://HOST:PORT``, ``yarn`` or ``k8s://https://HOST:PORT``.
        application: Python file or jar.
        arguments: What the application is called with. Never shown.
        conf: Spark's properties. Never shown.
        options: Further options by name without dashes, like ``driver-memory``; those that are
            None or empty are left out.
        environment: Variables of spark-submit, and on YARN of the application master. Never shown.
        verbose: Whether spark-submit tells more in its log.
        binary: The program, looked up on PATH.
        deploy_mode: ``client``, or None for Spark's own default, which is the same.
    """

    master: str
    application: str
    arguments: Sequence[str] = field(default=(), repr=False)
    conf: Mapping[str, str] = field(default_factory=dict, repr=False)
    options: Mapping[str, str | int | None] = field(default_factory=dict, repr=False)
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    verbose: bool = False
    binary: str = "spark-submit"
    deploy_mode: str | None = None

    def command(self) -> Command:
        """Make the shell command that the process backend runs.

        The account's other programs can see its arguments while it runs, as with any spark-submit;
        secrets that they must not see belong into a properties file.

        Raises:
            InputError: Master, deploy mode or application can never work.
            SetupError: spark-submit is not on this machine.
        """
        self._check()
        words = [self.binary, "--master", self.master]
        conf = dict(self.conf)
        if self.master.startswith("yarn"):
            for name, value in self.environment.items():
                conf.setdefault(f"spark.yarn.appMasterEnv.{name}", value)
        elif self.master.startswith("k8s://"):
            for name, value in self.environment.items():
                conf.setdefault(f"spark.kubernetes.driverEnv.{name}", value)
        # The mode wins over spark-defaults.conf, which may say "cluster".
        words += ["--deploy-mode", "client"]
        for name, value in conf.items():
            words += ["--conf", f"{name}={value}"]
        for name, option in self.options.items():
            if option not in (None, ""):
                words += [f"--{name}", str(option)]
        if self.verbose:
            words.append("--verbose")
        words += [self.application, *self.arguments]
        # As the official operator: relative paths start where the worker runs.
        return Command(f"exec {shlex.join(words)}", self.environment, folder=os.getcwd())

    def _check(self) -> None:
        if not self.master.startswith(_MASTERS):
            raise InputError(
                f"Spark: {self.master!r} is no master. Use local[*], spark://HOST:PORT, yarn or "
                "k8s://https://HOST:PORT."
            )
        mode = self.conf.get("spark.submit.deployMode") or self.deploy_mode or "client"
        if mode != "client":
            raise InputError(
                f"Spark at {self.master}: deploy mode {mode!r} is not supported: a driver there "
                "cannot be claimed by name. Use client mode, which runs the driver on the worker."
            )
        if not self.application:
            raise InputError("Spark: there is no application. Name a Python file or a jar.")
        local = self.application.removeprefix("file://")
        if local.endswith((".py", ".jar")) and ":" not in local and not Path(local).is_file():
            raise InputError(
                f"Spark: there is no application {self.application} on this machine. Name a file "
                "that the worker can read, or a URI."
            )
        if shutil.which(self.binary, path=self.environment.get("PATH")) is None:
            raise SetupError(
                f"Spark: the program {self.binary} is not on this worker's PATH. Install Spark "
                "there (the package pyspark brings it), or name another spark_binary."
            )
