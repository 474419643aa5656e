"""spark-submit: in client mode and in a standalone cluster work of the process backend.

In client mode the driver lives in the process of spark-submit, and Spark ends the application when
its driver ends. So once and only once for the process is once for the application, whoever the
master is: ``local[*]``, standalone, YARN or Kubernetes.

In cluster mode the driver lives elsewhere. A standalone cluster is asked by a process of this
machine (`tradewind.systems.spark.standalone`), which is work of the process backend too. YARN knows
applications by tags, and is a backend of its own: `SparkSubmit.on_yarn` is work for
`tradewind.systems.yarn.backend`.
"""

from __future__ import annotations

import os
import shlex

from tradewind.errors import InputError
from tradewind.systems.process.backend import Command
from tradewind.systems.spark.call import SparkCall
from tradewind.systems.spark.standalone import cluster_command
from tradewind.systems.spark.yarn import SparkOnYarn

__all__ = ["SparkSubmit"]


class SparkSubmit(SparkCall):
    """One call of spark-submit, as work of a backend; its arguments are those of `SparkCall`."""

    def command(self) -> Command:
        """Make what the process backend runs: spark-submit, or what asks a standalone cluster.

        The account's other programs can see its arguments while it runs, as with any spark-submit;
        secrets that they must not see belong into a properties file.

        Raises:
            InputError: Master, deploy mode or application can never work.
            SetupError: spark-submit is not on this machine.
        """
        if self.mode == "cluster":
            self.check_master()
            if self.master.startswith("spark://"):
                return cluster_command(self)
            raise InputError(
                f"Spark at {self.master}: cluster mode there is no process of this machine. On "
                "YARN it is work of the backend of YARN."
            )
        self.check()
        words = self.words({})
        # As the official operator: relative paths start where the worker runs.
        return Command(f"exec {shlex.join(words)}", self.environment, folder=os.getcwd())

    def on_yarn(self) -> SparkOnYarn:
        """Make work for the backend of YARN, in cluster mode.

        Application and spark-submit are looked for when it is submitted: a machine that supervises
        it needs neither.

        Raises:
            InputError: Master or deploy mode can never work.
        """
        if not self.master.startswith("yarn") or self.mode != "cluster":
            raise InputError(f"Spark at {self.master}: that is not YARN in cluster mode.")
        return SparkOnYarn(self)
