"""What every local system keeps to: one file, found by itself, honest about what it needs."""

from __future__ import annotations

import re
import stat
import urllib.parse
from pathlib import Path

import psutil
import pytest

import tradewind.systems
from processes import gone
from tradewind.errors import InputError, SetupError
from tradewind.local import Systems, up
from tradewind.local.folders import claim_folder, credentials_of
from tradewind.local.processes import wait_until
from tradewind.local.system import System, find_program, find_systems, plan
from tradewind.systems.s3.local import S3

SYSTEMS = find_systems()


def installed(name: str) -> System:
    try:
        SYSTEMS[name].check()
    except SetupError as error:
        pytest.skip(str(error))
    return SYSTEMS[name]


def marked(name: str):
    return pytest.param(name, marks=[pytest.mark.airflow] if name == "airflow" else [])


def test_each_module_has_one_system() -> None:
    folder = Path(tradewind.systems.__path__[0])
    assert len(SYSTEMS) == len(list(folder.glob("*/local.py")))


def test_default_ports_differ() -> None:
    ports = [system.default_port for system in SYSTEMS.values()]
    assert len(set(ports)) == len(ports)


@pytest.mark.parametrize("name", SYSTEMS)
def test_describes_itself(name: str) -> None:
    system = SYSTEMS[name]
    assert isinstance(system, System)
    assert re.fullmatch(r"[a-z0-9]+", name)
    assert system.summary
    assert 1024 <= system.default_port < 65536
    assert system.role in SYSTEMS, "the role's first system has its name"
    assert set(system.needs) <= {other.role for other in SYSTEMS.values()}


@pytest.mark.parametrize("name", SYSTEMS)
def test_its_folder_is_its_user_s_alone(name: str, tmp_path: Path) -> None:
    data = tmp_path / "new" / "data"
    key_pair = credentials_of(data)
    with claim_folder(name, data) as (folder, _):
        assert folder == data / name
    for path in (data, folder):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert stat.S_IMODE((data / "credentials.json").stat().st_mode) == 0o600
    # One of the former version is closed now; the data folder stays as people have it.
    folder.chmod(0o755)
    data.chmod(0o755)
    with claim_folder(name, data):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(data.stat().st_mode) == 0o755
    assert credentials_of(data) == key_pair


@pytest.mark.parametrize("name", [marked(name) for name in SYSTEMS])
def test_a_life_from_start_to_stop(name: str, data) -> None:
    installed(name)
    before = set(psutil.Process().children(recursive=True))
    with up([name], data=data) as systems:
        running = systems[name]
        started = set(psutil.Process().children(recursive=True)) - before
        assert {process.pid for process in started} >= set(running.pids) != set()
        listens_on_loopback_only(running.endpoint, started)
        for variable, value in running.offer.environment.items():
            assert variable.isupper()
            assert value
        secret = credentials_of(data).secret_access_key
        assert not [process for process in started if secret in " ".join(command_of(process))]
        says_when_it_ends_by_itself(systems, running.pids[-1])
    assert wait_until(lambda: all(gone(process.pid) for process in started), seconds=5), started
    assert running.folder.parent == data
    assert stat.S_IMODE(running.folder.stat().st_mode) == 0o700
    for path in data.rglob("*"):
        if path.is_file():
            assert (secret.encode() in path.read_bytes()) == (path.name == "credentials.json")


def command_of(process: psutil.Process) -> list[str]:
    """Give its command line; none of one that has ended, as sshd's for one login does."""
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []


def listens_on_loopback_only(endpoint: str, processes: set[psutil.Process]) -> None:
    place = urllib.parse.urlsplit(endpoint)
    assert place.hostname == "127.0.0.1"
    listening = [
        connection.laddr
        for process in processes
        if process.is_running()
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN or connection.type.name == "SOCK_DGRAM"
    ]
    # gRPC listens by IPv6's word for the same address.
    assert {address.ip.removeprefix("::ffff:") for address in listening} == {"127.0.0.1"}
    assert place.port in {address.port for address in listening}


def says_when_it_ends_by_itself(systems: Systems, pid: int) -> None:
    assert systems.ended() is None
    psutil.Process(pid).kill()
    assert wait_until(lambda: systems.ended() is not None, seconds=10)
    ended = systems.ended()
    assert ended is not None
    assert ended.describe_end() == "was ended by SIGKILL"


def test_plan_puts_what_is_needed_first() -> None:
    assert [system.name for system in plan(["sagemaker"])] == ["s3", "sagemaker"]
    assert [system.name for system in plan(["sagemaker", "s3"])] == ["s3", "sagemaker"]


def test_plan_takes_another_system_of_the_same_role() -> None:
    class Other(S3):
        name = "other"

    systems = {**SYSTEMS, "other": Other()}
    planned = plan(["sagemaker", "other"], systems)
    assert [system.name for system in planned] == ["other", "sagemaker"]
    with pytest.raises(InputError, match="s3 and other both offer s3"):
        plan(["s3", "other"], systems)


def test_plan_names_what_there_is() -> None:
    with pytest.raises(InputError, match=r"no local system 'oracle'\. Choose from: .*s3"):
        plan(["oracle"])


def test_missing_program_says_what_to_install() -> None:
    with pytest.raises(SetupError, match=r"s9: the program 'no-such' is not installed\. Do this\."):
        find_program("no-such", system="s9", remedy="Do this.")
