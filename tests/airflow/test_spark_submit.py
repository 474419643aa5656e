"""`SparkSubmitOperator`: what it makes of its connection, and cluster mode in real Airflow.

Over 400 lines: one operator; its cases share a cluster, which takes seconds to start.
"""

from __future__ import annotations

import inspect
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_runs import runs
from spark_cluster import (
    PYTHON,
    QUICK,
    SparkCluster,
    needs_spark,
    spark_cluster,
    spark_environment,
    spark_home,
)
from tradewind.airflow import SparkSubmitOperator
from tradewind.errors import InputError, SetupError
from tradewind.systems.process.backend import Command, ProcessBackend
from tradewind.systems.yarn.backend import YarnBackend
from yarn_cluster import YarnCluster, yarn_cluster

pytestmark = [pytest.mark.airflow, pytest.mark.xdist_group("airflow-spark")]

DAGS = Path(__file__).parent / "spark_dags"

#: Of apache-airflow-providers-apache-spark 6.3.4, which brings a Spark of its own and is not
#: installed here.
OFFICIAL = {
    "application": "",
    "conf": None,
    "conn_id": "spark_default",
    "files": None,
    "py_files": None,
    "archives": None,
    "driver_class_path": None,
    "jars": None,
    "java_class": None,
    "packages": None,
    "exclude_packages": None,
    "repositories": None,
    "total_executor_cores": None,
    "executor_cores": None,
    "executor_memory": None,
    "driver_memory": None,
    "keytab": None,
    "principal": None,
    "proxy_user": None,
    "name": "arrow-spark",
    "num_executors": None,
    "status_poll_interval": 1,
    "application_args": None,
    "env_vars": None,
    "verbose": False,
    "spark_binary": None,
    "properties_file": None,
    "yarn_queue": None,
    "deploy_mode": None,
    "use_krb5ccache": False,
    "post_submit_commands": None,
    "track_driver_via_k8s_api": False,
    "yarn_track_via_rm_api": False,
    "yarn_rm_auth": None,
    "openlineage_inject_parent_job_info": False,
    "openlineage_inject_transport_info": False,
    "reconnect_on_retry": None,
    "durable": None,
}
TEMPLATED = {
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
}


def test_the_official_parameters_and_templates():
    mine = inspect.signature(SparkSubmitOperator.__init__).parameters
    assert {name: mine[name].default for name in OFFICIAL} == OFFICIAL
    assert set(SparkSubmitOperator.template_fields) == TEMPLATED


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Any:
    def connect(host: str, port: int | None = None, **extra: Any) -> None:
        login = {name: extra.pop(name) for name in ("login", "password") if name in extra}
        connection = {"conn_type": "spark", "host": host, "port": port, "extra": extra, **login}
        monkeypatch.setenv("AIRFLOW_CONN_SPARK_DEFAULT", json.dumps(connection))

    return connect


def operator(**more: Any) -> SparkSubmitOperator:
    given = {"task_id": "count", "application": "/a.jar", "java_class": "Main"}
    return SparkSubmitOperator(**{**given, **more})


def test_a_standalone_cluster_is_asked_by_a_process_of_this_machine(connect):
    connect("spark://head", 7077, **{"deploy-mode": "cluster", "rest-port": 7, "ui-port": "8"})
    task = operator(env_vars={"A": 1})
    assert isinstance(task.open_backend(), ProcessBackend)
    work = task.make_work({})
    assert isinstance(work, Command)
    request = json.loads(work.script.splitlines()[-2])
    assert (request["rest"], request["pages"]) == (["http://head:7"], ["http://head:8"])
    assert request["create"]["environmentVariables"]["A"] == "1"
    assert "TRADEWIND_RESULT" in (work.undo or "")


def test_yarn_in_cluster_mode_is_a_backend_that_any_machine_can_open(connect):
    connect("yarn", yarn_resourcemanager_webapp_address="rm1:8088, https://rm2:8090/")
    task = operator(deploy_mode="cluster", yarn_track_via_rm_api=True, deferrable=True)
    spec = task.backend_spec()
    assert json.loads(spec.key)["arguments"] == {"conn_id": "spark_default", "kerberos": False}
    backend = spec.open()
    assert isinstance(backend, YarnBackend)
    backend.close()
    # A machine that supervises it needs neither the application nor spark-submit.
    assert task.make_work({}) is not None


def test_yarn_in_client_mode_is_a_process(connect, tmp_path):
    connect("yarn")
    (tmp_path / "a.jar").touch()
    task = operator(application=str(tmp_path / "a.jar"), spark_binary="sh")
    assert isinstance(task.open_backend(), ProcessBackend)
    assert "--deploy-mode client" in task.make_work({}).script


def test_the_resource_manager_is_asked_as_whom_the_connection_says(connect):
    from requests.auth import HTTPBasicAuth

    address = {"yarn_resourcemanager_webapp_address": "rm:8088"}
    for extra, auth, header, user in (
        ({"login": "me"}, None, None, {"user.name": "me"}),
        ({"login": "me", "password": "s3cret"}, None, "Basic bWU6czNjcmV0", {}),
        ({}, HTTPBasicAuth("me", "s3cret"), "Basic bWU6czNjcmV0", {}),
        ({}, Ticket(), "Negotiate ticket-for-rm", {}),
    ):
        connect("yarn", **address, **extra)
        backend: Any = operator(deploy_mode="cluster", yarn_rm_auth=auth).open_backend()
        (server,) = backend._managers._servers
        request = server._client.build_request("GET", "http://rm:8088/ws")
        if server._client.auth is not None:
            request = next(server._client.auth.auth_flow(request))
        assert request.headers.get("authorization") == header
        assert backend._managers._params == user
        assert "s3cret" not in repr(server._settings)
        backend.close()


class Ticket:
    """As HTTPKerberosAuth of requests_kerberos; a KDC is not to be had here."""

    def generate_request_header(self, response: Any, host: str, is_preemptive: bool) -> str:
        assert is_preemptive
        assert response is None
        return f"Negotiate ticket-for-{host}"


@pytest.mark.parametrize(
    ("host", "arguments", "error", "message"),
    [
        ("yarn", {"deploy_mode": "cluster"}, SetupError, "yarn_resourcemanager_webapp_address"),
        ("k8s://https://api", {"deploy_mode": "cluster"}, InputError, "cluster mode is not supp"),
        ("k8s://https://api", {"track_driver_via_k8s_api": True}, InputError, "in client mode"),
        ("yarn", {"yarn_track_via_rm_api": True}, InputError, "YARN in cluster mode"),
        ("local[1]", {"yarn_track_via_rm_api": True}, InputError, "this one is local"),
        ("nonsense", {}, InputError, "'nonsense' is no master"),
        ("spark://here", {"deploy_mode": "there"}, InputError, "deploy_mode='there' is not known"),
        (
            "yarn",
            {
                "deploy_mode": "cluster",
                "conf": {"spark.yarn.submit.waitAppCompletion": "true"},
            },
            InputError,
            "Leave it out",
        ),
        (
            "yarn",
            {"deploy_mode": "cluster", "yarn_rm_auth": object(), "deferrable": True},
            InputError,
            "triggerer cannot be handed a yarn_rm_auth",
        ),
    ],
)
def test_what_can_never_run_is_told(connect, host, arguments, error, message):
    connect(host)

    def all_of_it() -> None:
        task = operator(**arguments)
        task.make_work({})
        task.open_backend()

    with pytest.raises(error, match=message):
        all_of_it()


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ({"spark-home": "/opt/spark"}, "spark-home, which is not used"),
        ({"spark-binary": "rm"}, "names the spark-binary 'rm'"),
        ({"rest-port": "many"}, "'many', which is no number"),
        ({"keytab": "a2V5"}, "holds a keytab"),
    ],
)
def test_what_a_connection_must_not_say(connect, extra, message):
    connect("spark://here", 7077, **extra)
    with pytest.raises(InputError, match=message):
        operator().make_work({})


def test_the_former_name_of_durable_warns():
    with pytest.warns(DeprecationWarning, match="Use 'durable'"):
        operator(reconnect_on_retry=False)


def test_commands_that_follow_are_run_once_and_their_failures_are_warnings(
    connect, tmp_path, caplog
):
    connect("local")
    done = tmp_path / "done"
    commands = [f"touch {done}", "sh -c 'echo why; exit 3'", "no-such-program"]
    task = operator(post_submit_commands=commands)
    assert task._followed(lambda: 42) == 42
    assert done.exists()


# ------------------------------------------------------------------------------- in a real Airflow

APPLICATION = """
import json, os, sys
from pyspark.sql import SparkSession
spark = SparkSession.builder.getOrCreate()
total = spark.sql("SELECT 6 * 7").first()[0]
print("counted on", spark.sparkContext.master, "for", sys.argv[2], os.environ["COLOUR"])
spark.stop()
text = json.dumps({"total": total, "task": os.environ["AIRFLOW_CTX_TASK_ID"]})
if path := os.environ.get("TRADEWIND_RESULT"):
    with open(path, "w") as file:
        file.write(text)
else:
    print("TRADEWIND_RESULT=" + text)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("spark")


#: As the official provider's documentation has it, the import changed.
EXAMPLE = """
from datetime import datetime
from airflow.sdk import DAG
from tradewind.airflow import SparkSubmitOperator

with DAG(
    dag_id="spark_test",
    schedule=None,
    start_date=datetime(2021, 1, 1),
    catchup=False,
    tags=["example"],
) as dag:
    submit_job = SparkSubmitOperator(
        application="${SPARK_HOME}/examples/src/main/python/pi.py", task_id="submit_job"
    )
"""


@needs_spark
@pytest.mark.spark
@pytest.mark.long
def test_the_official_example(airflow_home: Path, tmp_path: Path):
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags" / "example.py").write_text(EXAMPLE)
    environment = {
        **spark_environment(),
        "AIRFLOW_CONN_SPARK_DEFAULT": '{"conn_type": "spark", "host": "local[1]"}',
        "PATH": f"{spark_home() / 'bin'}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
    }
    with runs(airflow_home, tmp_path / "dags", environment) as one:
        told = one.run("spark_test")
    assert told["state"] == "success", told.get("errors") or told["log"][-6000:]
    assert "Pi is roughly 3.1" in told["log"]


def described(folder: Path, system: str, **connection: Any) -> dict[str, str]:
    application = folder / "application.py"
    application.write_text(APPLICATION)
    conf = {
        **QUICK,
        "spark.cores.max": "1",
        "spark.executor.instances": "1",
        "spark.executorEnv.PYSPARK_PYTHON": str(PYTHON),
        "spark.yarn.jars": f"local:{spark_home()}/jars/*",
        "spark.yarn.stagingDir": str(folder / "staging"),
    }
    environment = spark_environment()
    if "conf" in connection:
        environment["HADOOP_CONF_DIR"] = connection.pop("conf")
    else:
        # The driver's own: it is not told where this machine's Spark is.
        environment = {"PYSPARK_PYTHON": environment["PYSPARK_PYTHON"]}
    given = {
        "application": str(application),
        "folder": str(folder),
        "conf": conf,
        "environment": environment,
        "binary": str(spark_home() / "bin" / "spark-submit"),
    }
    return {
        "TRADEWIND_TEST_SPARK": json.dumps(given),
        f"AIRFLOW_CONN_{system.upper()}": json.dumps(connection),
        "HOME": str(folder),
    }


def check(told: dict[str, Any], folder: Path, system: str, master: str) -> None:
    assert told["tasks"] == {
        "count_False": "success",
        "count_True": "success",
        "wrong": "failed",
    }, told["log"][-8000:]
    for deferrable in (False, True):
        task = f"count_{deferrable}"
        assert told["xcoms"][task] == {"total": 42, "task": task}
        assert (folder / f"{system}-{deferrable}").exists()
    assert told["log"].count(f"counted on {master} for 2026-01-01 green") == 2
    assert "/nowhere/application.jar" in told["log"]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[SparkCluster]:
    with spark_cluster(tmp_path / "standalone") as cluster:
        yield cluster
        assert cluster.running() == []


@needs_spark
@pytest.mark.spark
@pytest.mark.long
def test_applications_in_a_standalone_cluster(
    airflow_home: Path, cluster: SparkCluster, folder: Path
):
    environment = described(
        folder,
        "standalone",
        conn_type="spark",
        host="spark://127.0.0.1",
        port=cluster.port,
        extra={
            "deploy-mode": "cluster",
            "rest-port": cluster.rest_port,
            "ui-port": cluster.ui_port,
        },
    )
    with runs(airflow_home, DAGS, environment) as one:
        check(one.run("spark_standalone"), folder, "standalone", cluster.master)
    assert list((folder / ".tradewind" / "spark").iterdir()) == []


@pytest.fixture
def yarn(tmp_path: Path) -> Iterator[YarnCluster]:
    with yarn_cluster(tmp_path / "yarn") as cluster:
        yield cluster
        assert cluster.running() == []


@needs_spark
@pytest.mark.spark
@pytest.mark.long
def test_applications_on_yarn(airflow_home: Path, yarn: YarnCluster, folder: Path):
    environment = described(
        folder,
        "yarn",
        conf=str(yarn.conf),
        conn_type="spark",
        host="yarn",
        extra={
            "deploy-mode": "cluster",
            "yarn_resourcemanager_webapp_address": yarn.url,
        },
    )
    with runs(airflow_home, DAGS, environment) as one:
        check(one.run("spark_yarn"), folder, "yarn", "yarn")
