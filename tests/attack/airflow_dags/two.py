"""DAGs that two Airflows have alike: the same ids, job folder, engine and database."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG

from tradewind.airflow import DockerOperator, Sql, SSHOperator, Table, TransferOperator
from tradewind.airflow.backends import BackendSpec
from tradewind.airflow.work import WorkOperator

FOLDER = Path(os.environ["TRADEWIND_TEST_FOLDER"])
#: Which of the two this is; no identity is made of it.
HERE = os.environ["TRADEWIND_TEST_AIRFLOW"]
RETRIES = int(os.environ.get("TRADEWIND_TEST_RETRIES", "3"))
#: Says that it runs, waits to be let go, and hands back who it was begun for and by which process.
SCRIPT = (
    f"echo {HERE} $$ >> IN/{{{{ ds }}}}.ran; n=0; "
    f"while ! [ -e IN/{{{{ ds }}}}.go-{HERE} ] && [ $n -lt 2400 ]; do n=$((n + 1)); sleep 0.05; "
    f"done; echo {HERE} $$"
)


class ProcessOperator(WorkOperator):
    """Runs a script on this machine."""

    template_fields = ("script",)
    last_line = True

    def __init__(self, *, script: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.script = script

    def execute(self, context: Any) -> Any:
        (FOLDER / "pid").write_text(str(os.getpid()))
        return super().execute(context)

    def backend_spec(self) -> BackendSpec:
        return BackendSpec(
            "tradewind.airflow.backends:open_process", {"root": str(FOLDER / "jobs")}
        )

    def make_work(self, context: Any) -> Any:
        from tradewind.systems.process.backend import Command

        return Command(self.script, folder=str(FOLDER))


for kind, how in {"": {}, "_deferred": {"deferrable": True}}.items():
    more: dict[str, Any] = {
        "task_id": "work",
        "retries": RETRIES,
        "retry_delay": timedelta(0),
        "poll_interval": 0.5,
        **how,
    }
    here = SCRIPT.replace("IN", str(FOLDER))
    with DAG(f"two{kind}_process", schedule=None):
        ProcessOperator(script=here, **more)
    with DAG(f"two{kind}_ssh", schedule=None):
        SSHOperator(
            ssh_conn_id="ssh_default", job_folder=str(FOLDER / "jobs"), command=here, **more
        )
    with DAG(f"two{kind}_docker", schedule=None):
        DockerOperator(
            image="tradewind-tests/busybox:1",
            network_mode="none",
            mounts=[{"type": "bind", "source": str(FOLDER), "target": "/folder"}],
            command=["sh", "-c", SCRIPT.replace("IN", "/folder")],
            **more,
        )

with DAG("two_append", schedule=None):
    TransferOperator(
        task_id="move",
        source=Sql("postgres_default", "SELECT generate_series(1, 1000) AS id"),
        target=Table("postgres_default", "two_airflows_append", mode="append", create=True),
    )
