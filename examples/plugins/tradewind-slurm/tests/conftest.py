"""A real Slurm of one node, on loopback ports of the tests' own."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.register_assert_rewrite("tradewind.testing")

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch")
CONF = """\
ClusterName=tradewind
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmdPort={node_port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=0
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
KillWait=2
ReturnToService=2
MpiDefault=none
NodeName={host} NodeAddr=127.0.0.1 CPUs=32 State=UNKNOWN
PartitionName=batch Nodes={host} Default=YES MaxTime=INFINITE State=UP OverSubscribe=FORCE:32
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@pytest.fixture(scope="session")
def slurm() -> Iterator[Path]:
    """The folder of a running Slurm, which SLURM_CONF names meanwhile."""
    path = f"{os.environ['PATH']}:/usr/sbin"
    if os.geteuid() or not all(shutil.which(one, path=path) for one in PROGRAMS):
        pytest.skip("Slurm runs as root, by: apt-get install slurm-wlm munge")
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))
    (folder / "key").write_bytes(secrets.token_bytes(1024))
    (folder / "key").chmod(0o400)
    for name in ("state", "spool"):
        (folder / name).mkdir()
    conf = folder / "slurm.conf"
    conf.write_text(
        CONF.format(
            host=socket.gethostname().split(".")[0],
            port=free_port(),
            node_port=free_port(),
            folder=folder,
        )
    )
    environment = {**os.environ, "SLURM_CONF": str(conf), "PATH": path}
    commands = (
        [
            "munged",
            "--force",
            "--foreground",
            f"--key-file={folder}/key",
            f"--socket={folder}/munge.socket",
            f"--pid-file={folder}/munge.pid",
            f"--log-file={folder}/munge.log",
            f"--seed-file={folder}/munge.seed",
        ],
        ["slurmctld", "-D", "-f", str(conf)],
        ["slurmd", "-D", "-f", str(conf)],
    )
    running: list[subprocess.Popen[bytes]] = []
    with open(folder / "output", "ab") as output:
        for command in commands:
            running.append(
                subprocess.Popen(
                    command, env=environment, stdout=output, stderr=output, start_new_session=True
                )
            )
            if command[0] == "munged":
                until(lambda: (folder / "munge.socket").exists(), folder)
    try:
        until(lambda: b"idle" in told(environment), folder)
        before = os.environ.get("SLURM_CONF")
        os.environ["SLURM_CONF"] = str(conf)
        yield folder
        if before is None:
            del os.environ["SLURM_CONF"]
        else:
            os.environ["SLURM_CONF"] = before
    finally:
        for process in reversed(running):
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def told(environment: dict[str, str]) -> bytes:
    return subprocess.run(
        ["sinfo", "--noheader", "--format=%T"], env=environment, capture_output=True
    ).stdout


def until(there, folder: Path, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not there():
        if time.monotonic() > deadline:
            logs = "".join(path.read_text()[-2000:] for path in folder.glob("*.log"))
            raise AssertionError(f"Slurm did not start:\n{logs}{(folder / 'output').read_text()}")
        time.sleep(0.1)
