"""Starting, stopping and failing of local systems."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from processes import gone
from tradewind.errors import InputError, SetupError
from tradewind.local import up
from tradewind.local.folders import claim_folder
from tradewind.local.processes import Children, bind_to_parent, free_port, spawn, wait_until


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


@pytest.fixture
def as_nobody(tmp_path: Path) -> Iterator[None]:
    """Root may write everywhere: be somebody else for a while."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_environment_and_ports(data: Path) -> None:
    port = free_port()
    with up(["s3"], data=data, ports={"s3": port}) as systems:
        assert list(systems) == ["s3"]
        assert systems["s3"].endpoint == f"http://127.0.0.1:{port}"
        environment = systems.environment
        assert environment["AWS_ENDPOINT_URL_S3"] == systems["s3"].endpoint
        assert environment["AWS_REGION"] == environment["AWS_DEFAULT_REGION"] == "eu-west-1"
        connection = json.loads(environment["AIRFLOW_CONN_AWS_DEFAULT"])
        assert connection["login"] == environment["AWS_ACCESS_KEY_ID"]
        assert connection["extra"]["service_config"]["s3"]["endpoint_url"].endswith(str(port))
        secret = environment["AWS_SECRET_ACCESS_KEY"]
    with up(["s3"], data=data, ports={"s3": port}) as systems:
        assert systems.environment["AWS_SECRET_ACCESS_KEY"] == secret


def test_full_environment_has_nothing_that_leads_elsewhere(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "real")
    monkeypatch.setenv("MINE", "kept")
    with up(["s3"], data=data) as systems:
        environment = systems.full_environment()
        child = psutil.Process(systems["s3"].pids[0])
        assert not {"AWS_PROFILE", "AWS_SESSION_TOKEN"} & set(child.environ())
    assert not {"AWS_PROFILE", "AWS_SESSION_TOKEN"} & set(environment)
    assert environment["MINE"] == "kept"


def test_nothing_goes_through_a_proxy(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "intranet")
    script = (
        "import boto3; s3 = boto3.client('s3')\n"
        "place = {'LocationConstraint': s3.meta.region_name}\n"
        "s3.create_bucket(Bucket='directly', CreateBucketConfiguration=place)\n"
        "print(boto3.client('sagemaker').list_models()['Models'])\n"
    )
    with up(["sagemaker"], data=data) as systems:
        environment = systems.full_environment()
        command = [sys.executable, "-c", script]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr
    assert environment["NO_PROXY"] == "intranet,127.0.0.1,localhost"


def test_port_in_use(data: Path, taken_port: int) -> None:
    with (
        pytest.raises(
            SetupError, match=rf"s3: port {taken_port} on 127\.0\.0\.1 is in use.*--port"
        ),
        up(["s3"], data=data, ports={"s3": taken_port}),
    ):
        pass
    assert not data.exists()


def test_port_in_use_of_a_later_system_starts_nothing(data: Path, taken_port: int) -> None:
    with (
        pytest.raises(SetupError, match=f"sagemaker: port {taken_port} on"),
        up(["sagemaker"], data=data, ports={"sagemaker": taken_port}),
    ):
        pass
    assert not data.exists()


def test_port_of_a_system_not_started(data: Path) -> None:
    with (
        pytest.raises(InputError, match="sagemaker"),
        up(["s3"], data=data, ports={"sagemaker": 0}),
    ):
        pass


def test_file_in_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    with pytest.raises(SetupError, match=r"data is not a folder.*--data"):
        up(["s3"], data=tmp_path / "data").__enter__()


def test_file_in_place_of_the_system_folder(data: Path) -> None:
    data.mkdir()
    (data / "s3").write_text("a file")
    with pytest.raises(SetupError, match=r"s3: the data folder .*/s3 is not a folder"):
        up(["s3"], data=data).__enter__()


def test_folder_with_something_else_in_it(data: Path) -> None:
    (data / "s3").mkdir(parents=True)
    (data / "s3" / "thesis.txt").write_text("precious")
    with pytest.raises(SetupError, match=r"s3: the data folder .* holds something else"):
        up(["s3"], data=data).__enter__()
    assert (data / "s3" / "thesis.txt").read_text() == "precious"


@pytest.mark.parametrize("marker", ['{"system": "s3", "layout": 99}', "{", '{"system": "mongo"}'])
def test_folder_of_another_layout(data: Path, marker: str) -> None:
    (data / "s3").mkdir(parents=True)
    (data / "s3" / "tradewind.json").write_text(marker)
    with pytest.raises(SetupError, match=r"s3: the data folder .* holds something else"):
        up(["s3"], data=data).__enter__()


def test_broken_key_pair(data: Path) -> None:
    data.mkdir()
    (data / "credentials.json").write_text("{")
    with pytest.raises(SetupError, match=r"credentials\.json is not the key pair.*Remove it"):
        up(["s3"], data=data).__enter__()


@pytest.mark.usefixtures("as_nobody")
def test_folder_that_cannot_be_written() -> None:
    with pytest.raises(SetupError, match=r"cannot make the data folder /usr/.*Permission denied"):
        up(["s3"], data=Path("/usr/tradewind-data")).__enter__()


def test_folder_of_somebody_else(data: Path, request: pytest.FixtureRequest) -> None:
    (data / "s3").mkdir(parents=True)
    (data / "s3").chmod(0o500)
    if os.geteuid() == 0:
        # Pytest's folders are closed to others.
        for folder in (data, *data.parents):
            if folder.stat().st_uid == 0 and not folder.stat().st_mode & 0o001:
                folder.chmod(0o711)
    request.getfixturevalue("as_nobody")
    with pytest.raises(SetupError, match=r"s3: cannot write to .*/s3: Permission denied"):
        claim_folder("s3", data).__enter__()


def test_folder_in_use_by_another(data: Path) -> None:
    with (
        up(["s3"], data=data),
        pytest.raises(SetupError, match=rf"s3: .* is in use by another .*process {os.getpid()}"),
        up(["s3"], data=data),
    ):
        pass


def test_what_had_started_is_stopped_when_a_later_one_fails(data: Path) -> None:
    (data / "sagemaker" / "state").mkdir(parents=True)
    marker = {"system": "sagemaker", "layout": 1}
    (data / "sagemaker" / "tradewind.json").write_text(json.dumps(marker))
    (data / "sagemaker" / "state").rmdir()
    (data / "sagemaker" / "state").write_text("a file where a folder belongs")
    before = set(psutil.Process().children())
    with pytest.raises(SetupError, match=r"sagemaker: .*state.*--data"):
        up(["s3", "sagemaker"], data=data).__enter__()
    assert set(psutil.Process().children()) <= before
    assert "endpoint" in (data / "s3" / "logs" / "s3.out").read_text()


def test_a_system_that_ends_while_starting_says_why(tmp_path: Path) -> None:
    children = Children("s9", tmp_path / "logs")
    child = children.start(["sh", "-c", "echo no room left >&2; exit 3"])
    with pytest.raises(SetupError, match=r"(?s)s9: its process ended with status 3 .*no room left"):
        child.wait_ready(lambda: False, seconds=30)
    children.stop()


def test_a_system_that_is_never_ready(tmp_path: Path) -> None:
    children = Children("s9", tmp_path / "logs")
    child = children.start(["sleep", "60"])
    with pytest.raises(SetupError, match=r"s9: its process was not ready within 0 s .*is empty"):
        child.wait_ready(lambda: False, seconds=0.1)
    children.stop()
    assert gone(child.pid)


def test_runs_a_program_to_its_end_with_what_is_typed(tmp_path: Path) -> None:
    children = Children("s9", tmp_path / "logs")
    command = ["sh", "-c", "read word; echo said $word"]
    children.run(command, name="once", purpose="say it", seconds=30, typed="hello\n")
    assert (tmp_path / "logs" / "once.log").read_text() == "said hello\n"
    assert children.all == []


def test_a_program_that_fails_says_why(tmp_path: Path) -> None:
    children = Children("s9", tmp_path / "logs")
    command = ["sh", "-c", "echo no room left >&2; exit 3"]
    with pytest.raises(SetupError, match=r"(?s)s9: could not say it: sh ended with status 3.*room"):
        children.run(command, name="once", purpose="say it", seconds=30)
    with pytest.raises(SetupError, match=r"s9: could not say it: sleep took more than 0 s"):
        children.run(["sleep", "60"], name="once", purpose="say it", seconds=0.1)
    assert children.all == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts processes of others")
def test_a_process_of_another_user_dies_with_its_parent(tmp_path: Path) -> None:
    script = (
        "import pathlib, sys, time\n"
        "from tradewind.local.processes import Account, Children\n"
        "children = Children('s9', pathlib.Path(sys.argv[1]))\n"
        "print(children.start(['sleep', '600'], account=Account(65534, 65534)).pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    with parent, parent.stdout:
        pid = int(parent.stdout.readline())
        started = wait_until(lambda: psutil.Process(pid).name() == "sleep", seconds=10)
        users = set(psutil.Process(pid).uids())
        parent.kill()
    assert started
    assert users == {65534}
    assert wait_until(lambda: gone(pid), seconds=10)


def test_stop_sweeps_what_the_process_left(tmp_path: Path) -> None:
    children = Children("s9", tmp_path / "logs")
    script = "sleep 60 & echo $! >&2; trap 'exit 0' TERM; while :; do sleep 0.01; done"
    child = children.start(["sh", "-c", script])
    assert wait_until(lambda: child.log.read_text().strip() != "", seconds=10)
    left = int(child.log.read_text())
    children.stop()
    assert wait_until(lambda: gone(left), seconds=10)


def test_stop_sweeps_what_a_process_left_that_ended_by_itself(tmp_path: Path) -> None:
    children = Children("s9", tmp_path / "logs")
    child = children.start(["sh", "-c", "sleep 60 & echo $! >&2; exit 3"])
    assert wait_until(child.ended, seconds=10)
    assert child.describe_end() == "ended with status 3"
    left = int(child.log.read_text())
    assert not gone(left)
    children.stop()
    assert wait_until(lambda: gone(left), seconds=10)


def test_stop_kills_what_does_not_listen(tmp_path: Path) -> None:
    children = Children("s9", tmp_path / "logs")
    script = "trap '' TERM; echo deaf >&2; while :; do sleep 1; done"
    child = children.start(["sh", "-c", script], grace=0.2)
    assert wait_until(lambda: "deaf" in child.log.read_text(), seconds=10)
    child.stop()
    assert child.process.returncode == -signal.SIGKILL


def test_bound_command_that_is_not_there() -> None:
    process = spawn(bind_to_parent(["/no/such/program"]), stderr=subprocess.PIPE)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 127
    assert b"No such file" in said


@pytest.mark.skipif(sys.platform != "linux", reason="only the Linux kernel has this request")
def test_nothing_outlives_a_killed_parent(data: Path) -> None:
    script = (
        "import json, pathlib, sys, time\n"
        "from tradewind.local import up\n"
        "with up(['s3', 'sagemaker'], data=pathlib.Path(sys.argv[1])) as systems:\n"
        "    print(json.dumps([pid for s in systems.values() for pid in s.pids]), flush=True)\n"
        "    time.sleep(600)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script, str(data)], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    with parent, parent.stdout:
        pids = json.loads(parent.stdout.readline())
        assert len(pids) == 2
        parent.kill()
    assert wait_until(lambda: all(gone(pid) for pid in pids), seconds=20)
    # And the folder is free again, at once.
    with up(["s3", "sagemaker"], data=data) as systems:
        assert len(systems) == 2
