"""DockerOperator and SSHOperator as their official examples use them, and their parameters."""

from __future__ import annotations

import os
from datetime import datetime, timedelta

from airflow.sdk import DAG, task

from tradewind.airflow import DockerOperator, SSHOperator

IMAGE = "tradewind-tests/busybox:1"
FOLDER = os.environ["TRADEWIND_TEST_FOLDER"]

with DAG("example_docker", start_date=datetime(2025, 1, 1), schedule=None, tags=["example"]):
    DockerOperator(
        api_version="auto",
        command="/bin/sleep 1",
        image=IMAGE,
        network_mode="bridge",
        task_id="docker_op_tester",
    )

with DAG("example_docker_copy_data", start_date=datetime(2025, 1, 1), schedule=None):
    # The official one imports docker.types.Mount, which is a dict of these words.
    DockerOperator(
        api_version="auto",
        image=IMAGE,
        network_mode="bridge",
        mounts=[{"Source": FOLDER, "Target": "/your_path", "Type": "bind", "ReadOnly": False}],
        command=["sh", "-c", "cat /your_path/source > /your_path/{{ ds }}; echo copied"],
        task_id="move_data",
        do_xcom_push=False,
    )

with DAG("docker_parameters", schedule=None):
    same = {"image": IMAGE, "network_mode": "none"}
    DockerOperator(
        task_id="environment",
        command="sh -c 'echo $A $B $C $D; echo $SECRET > $AIRFLOW_TMP_DIR/x; cat /tmp/airflow/x'",
        env_file="A=from file\nexport B='two words'  # a comment\n\n# C is {{ ds }}\nC=file",
        environment={"C": "{{ ds }}", "D": 4},
        private_environment={"SECRET": "swordfish-of-the-test"},
        xcom_all=True,
        **same,
    )
    DockerOperator(
        task_id="identity",
        command='["sh", "-c", "id -u; pwd; cat /etc/hostname /etc/hosts"]',
        user=1234,
        working_dir="/tmp",
        hostname="tester",
        extra_hosts={"elsewhere": "10.1.2.3"},
        labels=["mine"],
        cap_add=["SYS_TIME"],
        ulimits=[{"Name": "nofile", "Soft": 100, "Hard": 200}],
        shm_size=1 << 20,
        mem_limit=float(64 << 20),
        cpu_limit=0.5,
        log_opts_max_size="10m",
        log_opts_max_file="2",
        container_name="mine",
        ipc_mode="private",
        tty=True,
        xcom_all=True,
        **same,
    )
    DockerOperator(task_id="entrypoint", entrypoint="sh -c", command=["echo through"], **same)
    DockerOperator(
        task_id="skipped", command="sh -c 'exit 3'", skip_on_exit_code=range(2, 4), **same
    )
    DockerOperator(
        task_id="deferred", command="sh -c 'echo it; echo last'", deferrable=True, **same
    )

with DAG("docker_fails", schedule=None):
    DockerOperator(task_id="code", command="sh -c 'exit 4'", retries=0, **same)
    DockerOperator(
        task_id="mount",
        command="true",
        mounts=[{"source": "/no/where", "target": "/x", "type": "bind"}],
        **same,
    )
    DockerOperator(task_id="engine", command="true", docker_url="unix:///no/where.sock", **same)

with DAG("example_ssh", schedule=None):
    SSHOperator(task_id="ssh", ssh_conn_id="ssh_default", command="echo from $HOME")

with DAG("ssh_parameters", schedule=None):
    ssh = {"ssh_conn_id": "ssh_default", "job_folder": f"{FOLDER}/jobs", "poll_interval": 0.5}
    SSHOperator(
        task_id="environment",
        command="echo out; echo $A >&2; [ {{ ti.task_id }} = environment ]",
        environment={"A": "{{ ds }}"},
        xcom_all=True,
        **ssh,
    )
    SSHOperator(task_id="skipped", command="exit 99", skip_on_exit_code=99, get_pty=True, **ssh)
    SSHOperator(task_id="code", command="echo before; exit 7", retries=0, **ssh)
    SSHOperator(task_id="slow", command="sleep 300 & sleep 300", cmd_timeout=1, **ssh)
    SSHOperator(
        task_id="timeout", command="sleep 300", execution_timeout=timedelta(seconds=1.5), **ssh
    )
    SSHOperator(task_id="deferred", command="echo it; echo last", deferrable=True, **ssh)
    SSHOperator(task_id="no_command", command="{{ '' }}", **ssh)
    SSHOperator(task_id="no_connection", ssh_conn_id="{{ '' }}", command="true")
    SSHOperator(task_id="refused", command="true", remote_host="127.0.0.2", **ssh)


with DAG("decorators", schedule=None):
    container = {"image": IMAGE, "network_mode": "none"}

    @task.docker_job(**container)
    def lines(ds: str) -> str:
        return f"sh -c 'echo one; echo 2 {ds}'"

    @task.docker_job(**container, environment={"DAY": "{{ ds }}"})
    def templated(host: str) -> tuple[str, ...]:
        script = """printf '{"day": "%s", "host": "{{ params.host }}"}' $DAY > $TRADEWIND_RESULT"""
        return ("sh", "-c", script.replace("{{ params.host }}", host).replace("$DAY", "{{ ds }}"))

    @task.ssh_job(ssh_conn_id="ssh_default", job_folder=f"{FOLDER}/jobs", deferrable=True)
    def deferred(**context) -> str:
        return f"echo {context['ti'].task_id}"

    @task.docker_job(**container, skip_on_exit_code=4)
    def skipped() -> list[str]:
        return ["sh", "-c", "exit 4"]

    @task.docker_job(**container)
    def nothing() -> list[str]:
        return []

    @task.docker_job(**container)
    def number() -> int:
        return 3

    @task.ssh_job(ssh_conn_id="ssh_default")
    def words_for_ssh() -> list[str]:
        return ["echo", "x"]

    lines()
    templated(host="{{ 'there' }}")
    deferred()
    skipped()
    nothing()
    number()
    words_for_ssh()
