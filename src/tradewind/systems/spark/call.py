"""A call of spark-submit: what is asked of it, spelled and checked."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tradewind.errors import InputError, SetupError

__all__ = ["SparkCall"]

_MASTERS = ("local", "spark://", "yarn", "k8s://")


@dataclass(frozen=True)
class SparkCall:
    """One call of spark-submit.

    Args:
        master: ``local[*]``, ``spark://HOST:PORT`` (several hosts with commas), ``yarn`` or
            ``k8s://https://HOST:PORT``.
        application: Python file or jar.
        arguments: What the application is called with. Never shown.
        conf: Spark's properties. Never shown.
        options: Further options by name without dashes, like ``driver-memory``; those that are
            None or empty are left out.
        environment: Variables of spark-submit, and of the driver in cluster mode. Never shown.
        verbose: Whether spark-submit tells more in its log.
        binary: The program, looked up on PATH; a standalone cluster in cluster mode needs none.
        deploy_mode: ``client`` or ``cluster``; None for what `conf` says, or else ``client``.
        rest_scheme: Of a standalone master's REST API and page, ``http`` or ``https``.
        rest_port: Of its REST API (``spark.master.rest.port``).
        ui_port: Of its page, which knows drivers and their logs.
        poll_seconds: Time between two looks at a driver in a standalone cluster.
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
    rest_scheme: str = "http"
    rest_port: int = 6066
    ui_port: int = 8080
    poll_seconds: float = 1.0

    @property
    def mode(self) -> str:
        """Where the driver runs: what was asked for, or what the properties say."""
        return self.deploy_mode or self.conf.get("spark.submit.deployMode") or "client"

    def check(self) -> None:
        """Look for what spark-submit needs on this machine.

        Raises:
            InputError: Master, deploy mode or application can never work.
            SetupError: spark-submit is not there.
        """
        self.check_master()
        self._check_binary()

    def words(self, more: Mapping[str, str]) -> list[str]:
        """Spell the command line.

        Args:
            more: Properties that win over those of `conf`.
        """
        conf = dict(self.conf)
        if self.master.startswith("yarn"):
            for name, value in self.environment.items():
                conf.setdefault(f"spark.yarn.appMasterEnv.{name}", value)
        elif self.master.startswith("k8s://"):
            for name, value in self.environment.items():
                conf.setdefault(f"spark.kubernetes.driverEnv.{name}", value)
        # The mode wins over spark-defaults.conf, which may say another one.
        words = [self.binary, "--master", self.master, "--deploy-mode", self.mode]
        for name, value in {**conf, **more}.items():
            words += ["--conf", f"{name}={value}"]
        for name, option in self.options.items():
            if option not in (None, ""):
                words += [f"--{name}", str(option)]
        if self.verbose:
            words.append("--verbose")
        return [*words, self.application, *self.arguments]

    def check_master(self) -> None:
        """Look whether master, deploy mode and application can work; see `check`."""
        if not self.master.startswith(_MASTERS):
            raise InputError(
                f"Spark: {self.master!r} is no master. Use local[*], spark://HOST:PORT, yarn or "
                "k8s://https://HOST:PORT."
            )
        if self.mode not in ("client", "cluster"):
            raise InputError(
                f"Spark at {self.master}: {self.mode!r} is no deploy mode. Use client or cluster."
            )
        if self.mode == "cluster" and self.master.startswith(("k8s://", "local")):
            raise InputError(
                f"Spark at {self.master}: cluster mode is not supported there, since nothing "
                "claims a driver by name for one attempt alone. Use client mode, which runs the "
                "driver on the worker."
            )
        if not self.application:
            raise InputError("Spark: there is no application. Name a Python file or a jar.")
        here = self.mode == "client" or self.master.startswith("yarn")
        local = self.application.removeprefix("file://")
        if here and local.endswith((".py", ".jar")) and ":" not in local:
            if Path(local).is_file():
                return
            raise InputError(
                f"Spark: there is no application {self.application} on this machine. Name a file "
                "that the worker can read, or a URI."
            )

    def _check_binary(self) -> None:
        if shutil.which(self.binary, path=self.environment.get("PATH")) is None:
            raise SetupError(
                f"Spark: the program {self.binary} is not on this worker's PATH. Install Spark "
                "there (the package pyspark brings it), or name another spark_binary."
            )
