"""A Slurm job that runs once for a task run, however often workers die."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from tradewind.airflow.backends import BackendSpec
from tradewind.airflow.parse_checks import check_list, check_mapping, check_text
from tradewind.airflow.work import WorkOperator
from tradewind.errors import InputError

if TYPE_CHECKING:
    from airflow.sdk import Context

    from tradewind_slurm.backend import SlurmJob

__all__ = ["SlurmOperator"]

_NO_COMMAND = "SlurmOperator: there is no command. Say what is to run."
_NO_ROOT = "SlurmOperator: there is no root. Name a folder that the worker and the nodes share."


class SlurmOperator(WorkOperator):
    """Runs a command as a batch job of Slurm.

    What the command writes into the file that ``TRADEWIND_RESULT`` names becomes the XCom: JSON, or
    else text; when it writes none, the last line of its output.

    Args:
        command: What a shell runs on the node. (templated)
        root: A folder that the worker and the nodes share; the connection's when not given.
            (templated)
        slurm_conn_id: An Airflow connection of the type ``slurm`` that names the folder:
            ``{"root": "/shared/tradewind"}`` in its extra. (templated)
        environment: Variables of the command; never on a command line. (templated)
        partition: Where to run; Slurm's default when not given. (templated)
        sbatch_options: Further options of ``sbatch``, like ``["--mem=4G"]``. (templated)
        kwargs: `WorkOperator`'s: ``deferrable``, ``poll_interval``, ``result_limit``.
    """

    template_fields: Sequence[str] = (
        "command",
        "root",
        "slurm_conn_id",
        "environment",
        "partition",
        "sbatch_options",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {
        "command": "bash",
        "environment": "python",
    }

    last_line = True
    look_seconds = 2.0

    def __init__(
        self,
        *,
        command: str,
        root: str | None = None,
        slurm_conn_id: str = "slurm_default",
        environment: dict[str, Any] | None = None,
        partition: str | None = None,
        sbatch_options: Sequence[str] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.command = command
        self.root = root
        self.slurm_conn_id = slurm_conn_id
        self.environment = environment
        self.partition = partition
        self.sbatch_options = sbatch_options

    def check_arguments(self) -> None:
        """Refuse what is wrong whatever the data are; see `CheckedOperator.check_arguments`."""
        super().check_arguments()
        check_text("SlurmOperator: command", self.command, missing=_NO_COMMAND)
        check_text("SlurmOperator: root", self.root)
        if self.root == "" or (self.root is None and self.slurm_conn_id == ""):
            raise InputError(_NO_ROOT)
        check_mapping("SlurmOperator: environment", self.environment)
        check_text("SlurmOperator: partition", self.partition)
        check_list("SlurmOperator: sbatch_options", self.sbatch_options, example='["--mem=4G"]')

    def backend_spec(self) -> BackendSpec:
        """Say which folder."""
        if self.root:
            return BackendSpec("tradewind_slurm.backend:SlurmBackend", {"root": self.root})
        return BackendSpec(
            "tradewind_slurm.connection:open_slurm", {"slurm_conn_id": self.slurm_conn_id}
        )

    def make_work(self, context: Context) -> SlurmJob:
        """Describe the job."""
        from tradewind_slurm.backend import SlurmJob

        if not self.command:
            raise InputError(_NO_COMMAND)
        options = list(self.sbatch_options or ())
        if self.partition:
            options.append(f"--partition={self.partition}")
        variables = {name: str(value) for name, value in (self.environment or {}).items()}
        return SlurmJob(self.command, variables, tuple(options))
