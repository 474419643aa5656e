"""A command on another machine that runs once for a task run, however often workers die."""

from __future__ import annotations

import base64
import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk.definitions._internal.types import NOTSET, ArgNotSet

from tradewind.airflow.backends import BackendSpec
from tradewind.airflow.parse_checks import check_mapping, check_number, check_text, is_fixed
from tradewind.airflow.work import WorkOperator
from tradewind.errors import InputError

if TYPE_CHECKING:
    from airflow.sdk import Context

    from tradewind.run.supervise import Outcome
    from tradewind.systems.ssh.backend import Command

__all__ = ["SSHOperator"]

_NO_COMMAND = "SSHOperator: there is no command. Say what is to run."


class SSHOperator(WorkOperator):
    """Runs a command on another machine, as the official operator of this name.

    The command is detached there, in a job folder: no disconnect ends it, a retry reattaches to it,
    and the folder is removed when its result is collected. What it writes into the file that
    ``TRADEWIND_RESULT`` names becomes the XCom: JSON, or else text; when it writes none, the last
    line of its output. Its exit code is the XCom ``ssh_exit``.

    Args:
        ssh_hook: A hook whose connection, host and timeouts are used; or give `ssh_conn_id`.
        ssh_conn_id: An SSH connection, read as the official hook reads it. (templated)
        remote_host: The machine, instead of the connection's. (templated)
        command: What the account's shell runs there. (templated)
        conn_timeout: Of connecting, in seconds, instead of the connection's.
        cmd_timeout: The longest that the command may run, in seconds, before it is stopped with
            all it has started, instead of the connection's; None for as long as it likes, which
            is also what holds where neither says anything.
        environment: Variables. They do not pass through sshd, so it need not accept them.
            (templated)
        get_pty: Has no effect: the command ends with the task where it should, without a terminal.
        banner_timeout: Has no effect: `conn_timeout` is that of the whole login.
        skip_on_exit_code: Exit codes that end the task as skipped.
        xcom_all: Makes the whole output the XCom, in base64, at most `result_limit` bytes of it.
        job_folder: Where the job folders are, from the account's home when it is relative.
        kwargs: `WorkOperator`'s: ``deferrable``, ``poll_interval``, ``result_limit``.
    """

    template_fields: Sequence[str] = ("command", "environment", "remote_host", "ssh_conn_id")
    template_ext: Sequence[str] = (".sh", ".bash", ".csh", ".zsh", ".dash", ".ksh")
    template_fields_renderers: ClassVar[dict[str, str]] = {
        "command": "bash",
        "environment": "python",
    }

    last_line = True
    look_seconds = 1.0

    def __init__(
        self,
        *,
        ssh_hook: Any = None,
        ssh_conn_id: str | None = None,
        remote_host: str | None = None,
        command: str | None = None,
        conn_timeout: int | None = None,
        cmd_timeout: float | ArgNotSet | None = NOTSET,
        environment: dict[str, Any] | None = None,
        get_pty: bool = False,
        banner_timeout: float = 30.0,
        xcom_all: bool = False,
        job_folder: str = ".tradewind/jobs",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.ssh_hook = ssh_hook
        self.ssh_conn_id = ssh_conn_id
        self.remote_host = remote_host
        self.command = command
        self.conn_timeout = conn_timeout
        self.cmd_timeout = cmd_timeout
        self.environment = environment
        self.get_pty = get_pty
        self.banner_timeout = banner_timeout
        self.xcom_all = self.whole_log = xcom_all
        self.job_folder = job_folder

    def check_arguments(self) -> None:
        """Refuse what is wrong whatever the data are; see `CheckedOperator.check_arguments`."""
        super().check_arguments()
        check_text("SSHOperator: command", self.command)
        check_mapping("SSHOperator: environment", self.environment)
        check_number("SSHOperator: conn_timeout", self.conn_timeout, above=0)
        if self.cmd_timeout is not NOTSET:
            check_number("SSHOperator: cmd_timeout", self.cmd_timeout)
        if is_fixed(self.ssh_hook) and is_fixed(self.ssh_conn_id):
            self._conn_id()

    def check_given(self) -> None:
        """Refuse a task without a command; see `WorkOperator.check_given`."""
        check_text("SSHOperator: command", self.command, missing=_NO_COMMAND)

    def backend_spec(self) -> BackendSpec:
        """Say which machine."""
        return BackendSpec(
            "tradewind.airflow.backends:open_ssh",
            {
                "ssh_conn_id": self._conn_id(),
                "remote_host": self.remote_host or getattr(self.ssh_hook, "remote_host", None),
                "root": self.job_folder,
                "conn_timeout": self.conn_timeout or getattr(self.ssh_hook, "conn_timeout", None),
            },
        )

    def _conn_id(self) -> str:
        found = getattr(self.ssh_hook, "ssh_conn_id", None) or self.ssh_conn_id
        if not found:
            raise InputError(
                "SSHOperator: it needs ssh_conn_id, the id of an Airflow connection, or an "
                "ssh_hook that has one."
            )
        return str(found)

    def make_work(self, context: Context) -> Command:
        """Describe the command."""
        from tradewind.systems.ssh.backend import Command

        if not self.command:
            raise InputError(_NO_COMMAND)
        # As sshd runs commands: by the shell of the account.
        # Its start-up file was read when the connection was made, and what it exports is there. By
        # SHLVL bash knows not to read it again, and to print its greeting into the log of the work.
        script = f'SHLVL=2 exec "${{SHELL:-/bin/sh}}" -c {shlex.quote(self.command)}'
        variables = {name: str(value) for name, value in (self.environment or {}).items()}
        return Command(script, variables)

    def longest_run(self) -> float | None:
        """Say how long the command may run."""
        given = self.cmd_timeout
        if given is NOTSET and self.ssh_hook is not None:
            given = getattr(self.ssh_hook, "cmd_timeout", NOTSET)
        if given is NOTSET:
            from tradewind.airflow.connections import find_connection

            given = find_connection(self._conn_id()).extra_dejson.get("cmd_timeout")
        return float(given) if given else None  # type: ignore[arg-type]

    def note_exit_code(self, context: Context, exit_code: int | None) -> None:
        """Make the exit code an XCom of its own, as the official operator does."""
        if self.do_xcom_push and exit_code is not None and context.get("ti") is not None:
            context["ti"].xcom_push(key="ssh_exit", value=exit_code)

    def read_result(self, outcome: Outcome) -> Any:
        """Make the XCom; of the whole output its base64."""
        if outcome.from_log and self.xcom_all and outcome.result is not None:
            return base64.b64encode(outcome.result.encode()).decode()
        return super().read_result(outcome)
