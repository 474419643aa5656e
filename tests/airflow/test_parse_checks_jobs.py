"""What is wrong with a job, or with what is mapped, fails when the DAG file is read."""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, TaskGroup
from airflow.sdk.definitions.xcom_arg import XComArg
from airflow.sdk.exceptions import AirflowFailException

from tradewind.airflow import (
    BigQueryInsertJobOperator,
    BigQueryToGCSOperator,
    DockerOperator,
    GCSToBigQueryOperator,
    HttpJobOperator,
    LivyOperator,
    LivySessionOperator,
    Objects,
    S3ToSqlOperator,
    SageMakerEndpointOperator,
    SageMakerProcessingOperator,
    SageMakerTrainingOperator,
    SageMakerTransformOperator,
    SageMakerTuningOperator,
    SparkSubmitOperator,
    Sql,
    SSHOperator,
    TransferOperator,
)
from tradewind.airflow.decorators import docker_job_task
from tradewind.airflow.work import WorkOperator
from tradewind.errors import InputError
from tradewind.registry import all_systems, plugin_systems
from tradewind.systems.livy.session import KINDS

pytestmark = pytest.mark.airflow

SlurmOperator: Any = import_module("tradewind_slurm.operators").SlurmOperator
ROWS = Sql("db", "SELECT 1")
FILE = Objects("s3://lake/k.csv")
DOCKER: dict[str, Any] = {"image": "i"}
SSH: dict[str, Any] = {"ssh_conn_id": "s", "command": "true"}
SPARK: dict[str, Any] = {"application": "a"}
LIVY: dict[str, Any] = {"file": "f"}
CODE: dict[str, Any] = {"code": "1"}
SLURM: dict[str, Any] = {"command": "true", "root": "/r"}
JOB: dict[str, Any] = {"configuration": {"query": {"query": "SELECT 1"}}}
EXPORT: dict[str, Any] = {
    "source_project_dataset_table": "d.t",
    "destination_cloud_storage_uris": ["gs://b/k"],
}
LOAD: dict[str, Any] = {
    "bucket": "b",
    "source_objects": "k",
    "destination_project_dataset_table": "d.t",
}
CONFIG: dict[str, Any] = {"config": {}}

WRONG: list[tuple[type[WorkOperator], dict[str, Any], str]] = [
    (DockerOperator, {"image": ""}, "no image"),
    (DockerOperator, {**DOCKER, "command": "[echo"}, "list of words"),
    (DockerOperator, {**DOCKER, "environment": ["A=1"]}, "environment is no dict but a list"),
    (DockerOperator, {**DOCKER, "cpu_limit": 0}, "cpu_limit=0 is no number above 0"),
    (DockerOperator, {**DOCKER, "poll_interval": "often"}, "poll_interval='often'"),
    (SSHOperator, {"command": "true"}, "needs ssh_conn_id"),
    (SSHOperator, {**SSH, "command": ["a"]}, "no text but a list"),
    (SSHOperator, {**SSH, "environment": "A=1"}, "no dict but a str"),
    (SSHOperator, {**SSH, "cmd_timeout": "1h"}, "cmd_timeout='1h'"),
    (SSHOperator, {**SSH, "poll_interval": 0}, "poll_interval=0"),
    (SSHOperator, {**SSH, "result_limit": -1}, "result_limit=-1"),
    (SparkSubmitOperator, {**SPARK, "conf": "k=v"}, "conf is no dict"),
    (SparkSubmitOperator, {**SPARK, "deploy_mode": "clustr"}, "'clustr'.*'cluster'"),
    (SparkSubmitOperator, {**SPARK, "application_args": "--day"}, "args is no list"),
    (SparkSubmitOperator, {**SPARK, "post_submit_commands": "ls"}, "no list but a str"),
    (SparkSubmitOperator, {**SPARK, "executor_memory": "2 gigs"}, "is no size"),
    (SparkSubmitOperator, {**SPARK, "num_executors": "two"}, "no whole number above 0"),
    (LivyOperator, {**LIVY, "driver_memory": "much"}, "driver_memory='much' is no size"),
    (LivyOperator, {**LIVY, "args": "--day"}, "args is no list"),
    (LivyOperator, {**LIVY, "num_executors": "two"}, "num_executors='two' is no number"),
    (LivyOperator, {**LIVY, "conf": {"a": []}}, "conf is no dict of texts"),
    (LivyOperator, {**LIVY, "extra_options": {"verfy": 0}}, "'verfy'.*verify"),
    (LivySessionOperator, {"code": ""}, "no code"),
    (LivySessionOperator, {**CODE, "kind": "sparkr"}, "'sparkr'.*'pyspark'"),
    (LivySessionOperator, {**CODE, "executor_cores": "x"}, "executor_cores='x'"),
    (HttpJobOperator, {"body": ["a"]}, "body is no dict"),
    (HttpJobOperator, {"headers": "A: b"}, "headers is no dict"),
    (HttpJobOperator, {"extra_options": {"verfy": 0}}, "'verfy'.*verify"),
    (HttpJobOperator, {"api": {"strt": 1}}, "'strt' is nothing that a job API declares"),
    (SageMakerTrainingOperator, {"config": []}, "config is no dict but list"),
    (
        SageMakerTrainingOperator,
        {"config": {"ResourceConfig": {"InstanceCount": "two"}}},
        r"ResourceConfig.InstanceCount of config is no number: 'two'",
    ),
    (SageMakerTrainingOperator, {**CONFIG, "check_interval": "soon"}, "'soon' is no number"),
    (SageMakerTrainingOperator, {**CONFIG, "action_if_job_exists": "stop"}, "'stop'.*'fail'"),
    (
        SageMakerTransformOperator,
        {"config": {"Transform": {"MaxPayloadInMB": "big"}, "Model": {}}},
        "MaxPayloadInMB of config is no number",
    ),
    (SageMakerTransformOperator, {**CONFIG, "action_if_model_exists": "?"}, "action_if_model"),
    (
        SageMakerProcessingOperator,
        {**CONFIG, "output_files_to_xcom": [{"output_name": "o", "file_name": "f"}]},
        "has no result_name",
    ),
    (SageMakerTuningOperator, {"config": "{}"}, "config is no dict but str"),
    (SageMakerEndpointOperator, {"config": {"Endpoint": {"a": 1}}}, "names no EndpointName"),
    (SageMakerEndpointOperator, {"config": {"Endpoint": "e"}}, "Endpoint of config is no dict"),
    (
        SageMakerEndpointOperator,
        {
            "config": {
                "Endpoint": {"EndpointName": "e", "EndpointConfigName": "c"},
                "EndpointConfig": {"EndpointConfigName": "d"},
            }
        },
        "Give both one name",
    ),
    (BigQueryInsertJobOperator, {"configuration": ["a"]}, "give a dict, or the name"),
    (BigQueryInsertJobOperator, {**JOB, "cancel_on_kill": False}, "cancel_on_kill"),
    (BigQueryToGCSOperator, {**EXPORT, "poll_interval": "often"}, "poll_interval='often'"),
    (GCSToBigQueryOperator, {**LOAD, "force_delete": True}, "force_delete"),
    (SlurmOperator, {**SLURM, "command": ""}, "no command"),
    (SlurmOperator, {**SLURM, "root": ""}, "no root"),
    (SlurmOperator, {**SLURM, "sbatch_options": "--mem=4G"}, "no list but a str"),
    (SlurmOperator, {**SLURM, "environment": ["A"]}, "no dict but a list"),
]


def test_a_wrong_job_is_told_when_the_dag_is_read() -> None:
    for kind, arguments, said in WRONG:
        with pytest.raises(InputError, match=said):
            kind(task_id="t", **arguments)
        with pytest.raises(TypeError, match="nowhere"):
            kind(task_id="t", **arguments, nowhere=1)


def test_every_operator_that_runs_jobs_says_what_is_wrong_with_it() -> None:
    """Those of plugins too: what asks for it is in the base class, not in a list."""
    offered: set[Any] = set()
    for system in all_systems().values():
        folder = f"tradewind.systems.{system.name}"
        if system.name in plugin_systems():
            folder = str(system.backend or system.source).rpartition(".")[0]
        package = import_module(folder)
        for info in pkgutil.iter_modules(package.__path__):
            if "operator" in info.name:
                module = import_module(f"{package.__name__}.{info.name}")
                offered.update(vars(module)[name] for name in module.__all__)
    kinds = {
        each
        for each in offered
        if isinstance(each, type) and issubclass(each, WorkOperator)
        if not inspect.isabstract(each)
    }
    assert kinds == {kind for kind, _, _ in WRONG}


def test_a_job_that_may_be_right_is_let_be() -> None:
    DockerOperator(task_id="t", image="{{ ds }}", command="[{{ ds }}", mounts=["{{ ds }}"])
    SSHOperator(task_id="t", ssh_conn_id="{{ ds }}", command="{{ ds }}", cmd_timeout=None)
    SparkSubmitOperator(task_id="t", application="{{ ds }}", conf={"a": "{{ ds }}"})
    SparkSubmitOperator(task_id="t", application="a", executor_memory="2G", num_executors=4)
    LivyOperator(task_id="t", file="{{ ds }}", driver_memory="{{ ds }}", args=["{{ ds }}", 1])
    HttpJobOperator(task_id="t", body="{{ params.body }}")  # type: ignore[arg-type]
    SageMakerTrainingOperator(
        task_id="t",
        config={"ResourceConfig": {"InstanceCount": "{{ params.n }}", "VolumeSizeInGB": "5"}},
        check_interval="{{ params.seconds }}",
    )
    SageMakerEndpointOperator(
        task_id="t",
        config={
            "Endpoint": {"EndpointName": "e", "EndpointConfigName": "{{ ds }}"},
            "EndpointConfig": {"EndpointConfigName": "{{ds}}"},
        },
    )
    SlurmOperator(task_id="t", command="{{ ds }}", root="{{ ds }}", sbatch_options=["{{ ds }}"])
    assert KINDS == ("pyspark", "spark")  # as LivySessionOperator has them


def job_of_function(**arguments: Any) -> Any:
    return docker_job_task(lambda day: f"echo {day}", **arguments)


MAPPED: list[tuple[Callable[[XComArg], Any], str]] = [
    (lambda _: SSHOperator.partial(task_id="m").expand(command=["a"]), "needs ssh_conn_id"),
    (
        lambda _: SSHOperator.partial(task_id="m", ssh_conn_id="s").expand(command=["a", 5]),
        "no text but a",
    ),
    (
        lambda x: DockerOperator.partial(task_id="m", **DOCKER, mem_limit="lots").expand(command=x),
        "mem_limit='lots'",
    ),
    (
        lambda x: DockerOperator.partial(task_id="m", **DOCKER).expand(
            mem_limit=["1g", "lots"], command=x
        ),
        "mem_limit='lots'",
    ),
    (
        lambda x: DockerOperator.partial(task_id="m").expand_kwargs(
            [DOCKER, x, {**DOCKER, "shm_size": "2x"}]
        ),
        "shm_size='2x'",
    ),
    (lambda x: SlurmOperator.partial(task_id="m", root="").expand(command=x), "no root"),
    (
        lambda x: LivyOperator.partial(task_id="m", driver_memory="much").expand(file=x),
        "driver_memory='much'",
    ),
    (
        lambda x: SageMakerTrainingOperator.partial(
            task_id="m", action_if_job_exists="stop"
        ).expand(config=x),
        "action_if_job_exists='stop'",
    ),
    (
        lambda _: TransferOperator.partial(task_id="m", source=ROWS).expand(
            target=[FILE, Objects("s3://b/k.csv", compression="zip")]
        ),
        "compression='zip'",
    ),
    (
        lambda x: S3ToSqlOperator.partial(
            task_id="m", s3_bucket="b", table="t", keys=["id"]
        ).expand(s3_key=x),
        "mode='upsert' only",
    ),
    (
        lambda x: job_of_function(image="i", task_id="m", mem_limit="lots").expand(day=x),
        "mem_limit='lots'",
    ),
]  # fmt: skip


def test_mapped_operators_are_checked_as_far_as_they_are_known() -> None:
    with DAG("d"):
        known = EmptyOperator(task_id="known").output
        for number, (make, said) in enumerate(MAPPED):
            with TaskGroup(f"g{number}"), pytest.raises(InputError, match=said):
                make(known)
        with TaskGroup("missing"), pytest.raises(TypeError, match="keyword argument 'image'"):
            DockerOperator.partial(task_id="m").expand(command=["a"])
        with TaskGroup("unknown"), pytest.raises(TypeError, match="nowhere"):
            DockerOperator.partial(task_id="m").expand_kwargs([{"image": "i", "nowhere": 1}])


def test_mapped_operators_that_may_be_right_are_let_be() -> None:
    with DAG("d") as dag:
        known = EmptyOperator(task_id="known").output
        DockerOperator.partial(task_id="a", mem_limit="1g").expand(image=known)
        DockerOperator.partial(task_id="b", image="i").expand(
            host_tmp_dir=known, mem_limit=["1g", "{{ ds }}"], mounts=known
        )
        DockerOperator.partial(task_id="c", image="i").expand_kwargs(known)
        S3ToSqlOperator.partial(task_id="d", s3_bucket="b", table="t", keys=["id"]).expand(
            s3_key=["{{ ds }}"], mode=known
        )
        HttpJobOperator.partial(task_id="e").expand(api=known)
        SageMakerEndpointOperator.partial(task_id="f").expand(config=known, operation=known)
        SSHOperator.partial(task_id="g", command="{{ params.c }}").expand(ssh_conn_id=known)
        LivyOperator.partial(task_id="h", file="f").expand(polling_interval=known)
        job_of_function(image="i", task_id="k").expand(day=known)
        query: Any = known
        TransferOperator.partial(task_id="i", source=Sql("db", query)).expand(target=[FILE, FILE])
        TransferOperator.partial(task_id="j", source=ROWS).expand(target=known)
    assert {task.task_id for task in dag.tasks} == {"known", *"abcdefghijk"}
    # What a description of a mapped task takes from another task is waited for.
    assert dag.get_task("i").upstream_task_ids == {"known"}
    with pytest.raises(TypeError, match="can only be called on Operator classes"):
        DockerOperator(task_id="t", image="i").partial(task_id="u")


def test_what_only_the_task_can_know_fails_there_and_is_not_tried_again() -> None:
    with DAG("d"):
        known = EmptyOperator(task_id="known").output
        mapped = DockerOperator.partial(task_id="m", image="i").expand(mem_limit=known)
    with pytest.raises(AirflowFailException, match="mem_limit='lots'"):
        mapped.unmap({"mem_limit": "lots"})
    rendered = SSHOperator(task_id="t", ssh_conn_id="s", command="{{ params.command }}")
    rendered.command = ""
    with pytest.raises(AirflowFailException, match="no command"):
        rendered.execute({})


def test_what_the_official_operators_miss_in_the_task_alone_is_missed_there() -> None:
    """A subclass or a callback may set it until then; a mapped task may get none."""
    for make, said in (
        (lambda: SSHOperator(task_id="t", ssh_conn_id="s"), "no command"),
        (lambda: SparkSubmitOperator(task_id="t"), "no application"),
        (lambda: LivyOperator(task_id="t", file=""), "no file"),
    ):
        with pytest.raises(AirflowFailException, match=said):
            make().execute({})
    with DAG("d"):
        SSHOperator.partial(task_id="m", ssh_conn_id="s").expand(command=["a", ""])
