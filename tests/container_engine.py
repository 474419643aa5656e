"""A Docker daemon of the tests' own, and images made without a registry."""

from __future__ import annotations

import io
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

#: For root without the right to raise limits, and where no systemd and no journal run.
_PODMAN_SETTINGS = """[containers]
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
log_driver = "k8s-file"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
"""


class Engine:
    """A running container engine with the Docker API.

    Args:
        folder: Its folder.
        socket: Where it listens; in its folder when not given.
    """

    def __init__(self, folder: Path, socket: Path | None = None) -> None:
        self.folder = folder
        self.command: list[str] = []
        self.process: subprocess.Popen[bytes] | None = None
        self.socket = socket or folder / "docker.sock"
        self.client = httpx.Client(
            transport=httpx.HTTPTransport(uds=str(self.socket)),
            base_url="http://engine",
            timeout=120,
        )

    @property
    def address(self) -> str:
        return f"unix://{self.socket}"

    def start(self) -> None:
        """Start the daemon, again after its end."""
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log)
        wait_until_ready(self, self.process)

    def answers(self) -> bool:
        # httpx leaves the socket of a refused connection to the garbage collector, which warns.
        with socket.socket(socket.AF_UNIX) as attempt:
            if attempt.connect_ex(str(self.socket)):
                return False
        try:
            return self.client.get("/_ping").is_success
        except httpx.HTTPError:
            return False

    def import_image(self, name: str, tag: str, archive: bytes) -> None:
        """What `docker import` does, with a PATH."""
        response = self.client.post(
            "/images/create",
            params={"fromSrc": "-", "repo": name, "tag": tag, "changes": "ENV PATH=/usr/bin:/bin"},
            # In pieces: httpcore copies what is left of a body each time the socket takes some.
            content=(archive[at : at + 2**20] for at in range(0, len(archive), 2**20)),
        )
        response.raise_for_status()
        assert "error" not in response.text, response.text
        if self.client.get(f"/images/{name}:{tag}/json").status_code == 404:
            # podman 4.3 takes no tag there.
            where = {"repo": name, "tag": tag}
            self.client.post(f"/images/{name}:latest/tag", params=where).raise_for_status()

    def containers(self) -> list[dict[str, Any]]:
        """All containers, ended ones too."""
        found: list[dict[str, Any]] = self.client.get(
            "/containers/json", params={"all": "true"}
        ).json()
        return found


def _bridge() -> tuple[str, str]:
    """Make a network that no other daemon has: its name, and how its addresses begin."""
    for _ in range(20):
        number = random.randrange(256, 1 << 16)
        name = f"tw{number}"
        made = subprocess.run(
            ["ip", "link", "add", "name", name, "type", "bridge"], capture_output=True, text=True
        )
        if made.returncode == 0:
            return name, f"10.{number // 256}.{number % 256}"
    raise AssertionError(f"no network can be made: {made.stderr}")


@contextmanager
def docker_engine() -> Iterator[Engine]:
    """Start a Docker daemon beside any other, with a network of its own; stop it at the end."""
    for program in ("dockerd", "ip"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is missing: apt-get install docker.io iproute2")
    if os.getuid() != 0:
        pytest.skip("a Docker daemon of the tests' own needs root rights")
    # A short path: that of a Unix socket has 107 characters at most.
    folder = Path(tempfile.mkdtemp(prefix="tw-engine-"))
    # Not docker0: another daemon may be giving addresses away there.
    bridge, octets = _bridge()
    try:
        subprocess.run(["ip", "addr", "add", f"{octets}.1/24", "dev", bridge], check=True)
        subprocess.run(["ip", "link", "set", bridge, "up"], check=True)
        with _daemon(folder, bridge) as engine:
            yield engine
    finally:
        subprocess.run(["ip", "link", "delete", bridge], check=False)
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _daemon(folder: Path, bridge: str) -> Iterator[Engine]:
    engine = Engine(folder)
    command = ["dockerd", f"--data-root={folder}/data", f"--exec-root={folder}/exec"]
    command += ["-H", engine.address, f"--pidfile={folder}/docker.pid", f"--bridge={bridge}"]
    # Ports are published by docker-proxy alone, and containers reach nothing beyond the bridge.
    command += ["--iptables=false", "--ip-masq=false", "--ip-forward=false"]
    engine.command = command
    try:
        engine.start()
        yield engine
    finally:
        engine.client.close()
        if engine.process is not None:
            end(engine.process)


@contextmanager
def podman_engine() -> Iterator[Engine]:
    """Start podman's service for the Docker API with images of its own; stop it at the end."""
    for program in ("podman", "conmon"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is missing: apt-get install podman")
    if os.getuid() != 0:
        pytest.skip("a podman service of the tests' own needs root rights")
    # A short path: that of a Unix socket has 107 characters at most.
    folder = Path(tempfile.mkdtemp(prefix="tw-podman-"))
    settings = folder / "containers.conf"
    runtime = next((each for each in ("runc", "crun") if shutil.which(each)), "crun")
    settings.write_text(f'{_PODMAN_SETTINGS}runtime = "{runtime}"\n')
    engine = Engine(folder)
    command = ["podman", f"--root={folder}/root", f"--runroot={folder}/run"]
    environment = {**os.environ, "CONTAINERS_CONF": str(settings)}
    try:
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [*command, "system", "service", "--time=0", engine.address],
                stdout=log,
                stderr=log,
                env=environment,
                cwd=folder,  # where its monitors leave a file
            )
        try:
            wait_until_ready(engine, process)
            yield engine
        finally:
            engine.client.close()
            end(process)
    finally:
        # Its storage has mounts that are not of the service's process.
        subprocess.run(["umount", "-l", f"{folder}/root/overlay"], check=False, capture_output=True)
        shutil.rmtree(folder, ignore_errors=True)


def wait_until_ready(engine: Engine, process: subprocess.Popen[bytes]) -> None:
    """Wait for an engine that has just been started."""
    deadline = time.monotonic() + 60
    while not engine.answers():
        assert process.poll() is None, (engine.folder / "log").read_text()
        assert time.monotonic() < deadline, (engine.folder / "log").read_text()
        time.sleep(0.05)


def end(process: subprocess.Popen[bytes]) -> None:
    """End an engine, by force when it does not."""
    process.terminate()
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def python_root(
    programs: Mapping[str, str],
    *,
    packages: Mapping[Path, str] | None = None,
    files: Mapping[str, bytes] | None = None,
) -> bytes:
    """A tar of a root file system: this machine's Python, and programs written in it.

    Args:
        programs: Source by name; each becomes an executable on the PATH.
        packages: Folders of installed packages, and where each goes.
        files: Further files by their path.
    """
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", dereference=True) as archive:
        # At its own path, where it finds its library; a link puts it on the PATH.
        python = Path(os.path.realpath(sys.executable))
        archive.add(python, str(python).lstrip("/"))
        if python != Path("/usr/bin/python3"):
            link = tarfile.TarInfo("usr/bin/python3")
            link.type, link.linkname = tarfile.SYMTYPE, str(python)
            archive.addfile(link)
        library = Path(sysconfig.get_paths()["stdlib"])
        archive.add(library, str(library).lstrip("/"), filter=_wanted)
        modules = [python, *library.glob("lib-dynload/*.so")]
        for package, path in (packages or {}).items():
            archive.add(package, path, filter=_wanted)
            modules += [found for found in package.rglob("*.so*") if found.is_file()]
        for path in sorted(_libraries(modules)):
            if not any(Path(path).is_relative_to(package) for package in packages or {}):
                archive.add(path, os.path.normpath(path).lstrip("/"))
        for folder in ("tmp", "etc", "dev", "proc", "sys"):
            member = tarfile.TarInfo(folder)
            member.type, member.mode = tarfile.DIRTYPE, 0o777
            archive.addfile(member)
        executables = {
            f"usr/bin/{name}": f"#!/usr/bin/python3\n{source}".encode()
            for name, source in programs.items()
        }
        for path, content in {**executables, **(files or {})}.items():
            member = tarfile.TarInfo(path)
            member.size, member.mode = len(content), 0o755
            archive.addfile(member, io.BytesIO(content))
    return target.getvalue()


def _wanted(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    left_out = r"/(site-packages|dist-packages|test|tests|idlelib|ensurepip|lib2to3|config-[^/]*"
    left_out += r"|tkinter|turtledemo|__pycache__)(/|$)"
    return None if re.search(left_out, member.name) else member


def _libraries(binaries: list[Path]) -> set[str]:
    """The shared libraries that binaries need, the loader among them."""
    result = subprocess.run(
        ["ldd", *map(str, binaries)], capture_output=True, text=True, check=False
    )
    return set(re.findall(r"(/\S+\.so[.\d]*) \(0x", result.stdout))
