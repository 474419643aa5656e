"""DockerOperator and SSHOperator against a real engine and a real sshd, in real Airflow."""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dotenv
import pytest
from airflow.sdk import DAG, task

from airflow_runs import Runs, runs
from busybox import with_busybox
from container_engine import Engine, docker_engine
from ssh_server import SSHServer, ssh_server
from tradewind.airflow import DockerOperator, SSHOperator
from tradewind.errors import InputError
from tradewind.systems.docker.spelling import mount_of, read_env_file

pytestmark = [
    pytest.mark.airflow,
    pytest.mark.container,
    pytest.mark.xdist_group("airflow-work-systems"),
]

DAGS = Path(__file__).parent / "system_dags"
PAGE = Path(__file__).parents[2] / "docs" / "airflow-work.md"


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with with_busybox(docker_engine()) as daemon:
        yield daemon


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SSHServer]:
    with ssh_server(tmp_path_factory.mktemp("sshd")) as server:
        yield server


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("systems")


@pytest.fixture(scope="module")
def system_runs(
    airflow_home: Path,
    folder: Path,
    engine: Engine,
    server: SSHServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Runs]:
    dags = tmp_path_factory.mktemp("system-dags")
    (dags / "systems.py").write_text((DAGS / "systems.py").read_text())
    for number, block in enumerate(blocks()):
        (dags / f"example_{number}.py").write_text(block)
    connection = {
        "conn_type": "ssh",
        "host": "127.0.0.1",
        "port": server.port,
        "login": server.username,
        "extra": {"key_file": str(server.key_file), "host_key": server.host_key},
    }
    environment = {
        "TRADEWIND_TEST_FOLDER": str(folder),
        "DOCKER_HOST": engine.address,
        "AIRFLOW_CONN_SSH_DEFAULT": json.dumps(connection),
        "HOME": str(folder),
    }
    with runs(airflow_home, dags, environment) as one:
        yield one


@pytest.fixture(autouse=True)
def nothing_is_left(engine: Engine, folder: Path) -> Iterator[None]:
    yield
    assert engine.containers() == []
    assert not engine.client.get("/volumes").json()["Volumes"]
    jobs = [*folder.glob("jobs/*"), *Path.home().glob(".tradewind/jobs/example-ssh*")]
    assert jobs == []


def blocks() -> list[str]:
    return re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)


def succeeded(told: dict[str, Any]) -> dict[str, Any]:
    assert told.get("state") == "success", told.get("errors") or told["log"][-6000:]
    return told


def test_the_official_docker_examples(system_runs: Runs, folder: Path):
    succeeded(system_runs.run("example_docker"))
    (folder / "source").write_text("data")
    told = succeeded(system_runs.run("example_docker_copy_data"))
    assert (folder / "2026-01-01").read_text() == "data"
    assert told["xcoms"] == {}


def test_the_parameters_of_docker(system_runs: Runs):
    told = system_runs.run("docker_parameters")
    found = told["xcoms"]
    assert found["environment"][0] == "from file two words 2026-01-01 4"
    assert "swordfish" not in json.dumps(told["rendered"])
    assert "swordfish" not in told["log"].partition("swordfish-of-the-test")[0]
    assert found["identity"][:3] == ["1234", "/tmp", "tester"]
    assert any("elsewhere" in line for line in found["identity"])
    assert found["entrypoint"] == "through"
    assert found["deferred"] == "last"
    states = dict.fromkeys(told["tasks"], "success") | {"skipped": "skipped"}
    assert told["tasks"] == states, told["log"][-6000:]


def test_docker_fails(system_runs: Runs):
    told = system_runs.run("docker_fails")
    assert set(told["tasks"].values()) == {"failed"}
    assert "exit status 4" in told["log"]
    assert "/no/where" in told["log"]
    assert "Docker at unix:///no/where.sock: it cannot be reached" in told["log"]


def test_ssh(system_runs: Runs):
    told = succeeded(system_runs.run("example_ssh"))
    assert told["xcoms"]["ssh"].startswith("from /")
    told = system_runs.run("ssh_parameters")
    assert told["tasks"] == {
        "environment": "success",
        "skipped": "skipped",
        "code": "failed",
        "slow": "failed",
        "timeout": "failed",
        "deferred": "success",
        "no_command": "failed",
        "no_connection": "failed",
        "refused": "failed",
    }, told["log"][-6000:]
    assert base64.b64decode(told["xcoms"]["environment"]) == b"out\n2026-01-01"
    assert told["xcoms"]["deferred"] == "last"
    assert "ran longer than the 1 s that it may, and was stopped and removed" in told["log"]
    assert "there is no command. Say what is to run" in told["log"]
    assert "it needs ssh_conn_id" in told["log"]
    assert re.search(r"127.0.0.2(:\d+)?: it cannot be reached", told["log"])


def test_the_documentation(system_runs: Runs):
    for name in ("docs_docker", "docs_ssh"):
        told = succeeded(system_runs.run(name))
        assert told["xcoms"]["last_line"] == "3 rows"
        assert told["xcoms"]["result"] == {"day": "2026-01-01"}


def test_the_documentation_of_decorators(system_runs: Runs):
    told = succeeded(system_runs.run("docs_decorators"))
    assert told["xcoms"]["report"] == "6 rows by 2026-01-01, told on 2026-01-01"


def test_decorators(system_runs: Runs, server: SSHServer):
    told = system_runs.run("decorators")
    assert told["tasks"] == {
        "lines": "success",
        "templated": "success",
        "deferred": "success",
        "skipped": "skipped",
        "nothing": "failed",
        "number": "failed",
        "words_for_ssh": "failed",
    }, told["log"][-6000:]
    assert told["xcoms"]["lines"] == "2 2026-01-01"
    assert told["xcoms"]["templated"] == {"day": "2026-01-01", "host": "there"}
    assert told["xcoms"]["deferred"] == "deferred"
    assert told["rendered"]["lines"]["command"] == "sh -c 'echo one; echo 2 2026-01-01'"
    assert told["rendered"]["templated"]["op_kwargs"] == {"host": "there"}
    assert "of the task nothing has to return the command, words or text that is" in told["log"]
    assert "What it returned is empty" in told["log"]
    assert "What it returned is a int" in told["log"]
    assert "has to return the command, text that is not empty. What it" in told["log"]


def test_a_decorator_takes_no_command():
    @task.docker_job(image="i", command="true")
    def command() -> str:
        return "true"

    refused = pytest.raises(InputError, match="the command is what the function returns")
    with DAG("refused", schedule=None), refused:
        command()


def test_every_example_is_run():
    dags = {dag for block in blocks() for dag in re.findall(r'DAG\("(\w+)"', block)}
    assert dags == {"docs_docker", "docs_ssh", "docs_decorators"}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"auto_remove": "sometimes"}, "it is never, success or force"),
        ({"retrieve_output": True}, "TRADEWIND_RESULT"),
        ({"host_tmp_dir": "/scratch"}, "in mounts"),
        ({"network_mode": "host", "port_bindings": {80: 8080}}, "port_bindings have no effect"),
    ],
)
def test_what_has_no_place_is_refused(arguments: dict[str, Any], says: str):
    with pytest.raises(InputError, match=says):
        DockerOperator(task_id="t", image="i", **arguments)


def work_of(**arguments: Any) -> Any:
    return DockerOperator(task_id="t", image="i", **arguments).make_work({})


def test_parameters_as_the_api_spells_them():
    work = work_of(
        port_bindings={80: 8080, "53/udp": ("127.0.0.1", 5353), (90, "tcp"): [9090, None]},
        container_name="db",
        network_mode="mine",
        device_requests=[{"driver": "nvidia", "device_ids": ["0"], "capabilities": [["gpu"]]}],
        dns=["9.9.9.9"],
        privileged=True,
        log_opts_max_size="1m",
        cpus=0.5,
        labels={"a": "b"},
        mount_tmp_dir=False,
        command='["a", "b c"]',
    )
    assert work.command == ["a", "b c"]
    assert work.mounts == []
    assert work.host_config == {
        "CpuShares": 512,
        "Dns": ["9.9.9.9"],
        "Privileged": True,
        "DeviceRequests": [{"Driver": "nvidia", "DeviceIDs": ["0"], "Capabilities": [["gpu"]]}],
        "PortBindings": {
            "80/tcp": [{"HostPort": "8080"}],
            "53/udp": [{"HostIp": "127.0.0.1", "HostPort": "5353"}],
            "90/tcp": [{"HostPort": "9090"}, {"HostPort": ""}],
        },
        "LogConfig": {"Type": "json-file", "Config": {"max-size": "1m"}},
    }
    assert work.config == {
        "Labels": {"a": "b", "container_name": "db"},
        "ExposedPorts": {"80/tcp": {}, "53/udp": {}, "90/tcp": {}},
        "NetworkingConfig": {"EndpointsConfig": {"mine": {"Aliases": ["db"]}}},
    }


def test_mounts():
    assert mount_of({"target": "/t", "source": "s", "read_only": True, "no_copy": True}) == {
        "Type": "volume",
        "Target": "/t",
        "Source": "s",
        "ReadOnly": True,
        "VolumeOptions": {"NoCopy": True},
    }
    assert mount_of({"target": "/t", "type": "tmpfs", "tmpfs_size": "1m"})["TmpfsOptions"] == {
        "SizeBytes": 1 << 20
    }
    with pytest.raises(InputError, match="has no target"):
        mount_of({"source": "s"})


def test_env_files():
    text = "A=1\nexport B = x y # z\n\n#C=1\nD='a # b' # c\nE=\"a\\nb\"\nF=\nG=a=b#c"
    assert read_env_file(text) == {
        "A": "1", "B": "x y", "D": "a # b", "E": "a\nb", "F": "", "G": "a=b#c",
    }  # fmt: skip
    # A name alone has no value, as python-dotenv reads it.
    assert read_env_file("FLAG\nA=1") == {"A": "1"}
    with pytest.raises(InputError, match="line 2 of env_file is no variable") as refused:
        read_env_file('A=1\nKEY="of several\nlines')
    assert "lines" not in str(refused.value).partition(";")[0]


ENV_FILE = r"""# settings
export HOST=db.local
URL=postgres://${HOST}:5432/x
GREETING="say \"hi\" # not a comment"
PATTERN='a$b\n'
KEY="-----BEGIN KEY-----
bGluZTE==
-----END KEY-----"
EMPTY=
FLAG
SPACED = yes   # comment
"""
ENV_TEXTS = ["A=1\r\nB=2\r\n", "A=$HOME\n", "A='${X}'\n", "A=${X:-d}\nB=${A}\n", r"A='x\'y'"]
ENV_TEXTS += ['A = "x"#c\n', "A=x#c\n", "A==x\n", "A-B=c\n", "A=1\nA=2\n", "A=a b c \n"]


@pytest.mark.parametrize("text", [ENV_FILE, *ENV_TEXTS])
def test_an_env_file_is_what_python_dotenv_reads(text: str):
    wanted = {
        name: value
        for name, value in dotenv.dotenv_values(stream=io.StringIO(text)).items()
        if value is not None
    }
    assert read_env_file(text) == read_env_file("\ufeff" + text) == wanted


@pytest.mark.parametrize("text", ["'s3cret''s'", '"s3cret', '"""\ns3cret\n"""', "s3cret\0"])
def test_an_env_file_that_is_wrong_is_told_by_its_line_alone(text: str):
    with pytest.raises(InputError, match=r"line 2 of env_file is no variable") as refused:
        read_env_file(f"A=1\nB={text}\n")
    assert "s3cret" not in str(refused.value)


def test_a_hook_is_read():
    class Hook:
        ssh_conn_id = "from_hook"
        remote_host = "there"
        conn_timeout = 3
        cmd_timeout = 60.0

    operator = SSHOperator(task_id="t", ssh_hook=Hook(), command="true")
    assert operator.backend_spec().arguments == {
        "ssh_conn_id": "from_hook",
        "remote_host": "there",
        "root": ".tradewind/jobs",
        "conn_timeout": 3,
    }
    assert operator.longest_run() == 60


def test_the_official_templates():
    assert set(SSHOperator.template_fields) == {
        "command", "environment", "remote_host", "ssh_conn_id",
    }  # fmt: skip
    assert ".env" in DockerOperator.template_ext
