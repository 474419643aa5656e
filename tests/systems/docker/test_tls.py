"""A container engine over mutual TLS, with an authority of the tests' own."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from busybox import IMAGE, with_busybox
from container_engine import Engine, docker_engine
from notebook import Notebook
from tls_cases import Files, Pki, check_tls, nothing_swept
from tls_front import TlsFront, reach_socket
from tradewind.airflow.backends import open_docker
from tradewind.errors import SetupError
from tradewind.owner import Owner
from tradewind.run.supervise import supervise
from tradewind.systems.docker.backend import Container

pytestmark = [pytest.mark.container, pytest.mark.xdist_group("run-docker")]


@pytest.fixture(scope="module")
def daemon() -> Iterator[Engine]:
    with with_busybox(docker_engine()) as daemon:
        yield daemon
        assert daemon.containers() == []


def run(**options: object) -> list[str]:
    """Run a container by Airflow's way to an engine; give its log."""
    lines: list[str] = []
    with contextlib.closing(open_docker(**options)) as backend:
        supervise(
            backend,
            Owner("docker", uuid.uuid4().hex, "tls"),
            Container(IMAGE, ["sh", "-c", "echo hello"], network_mode="none"),
            log=lambda line: lines.append(line.text),
            state_store=Notebook(),
        )
    return lines


def test_an_engine(
    pki: Pki, daemon: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def by_options(host: str, port: int, authority: Path, own: Files | None) -> object:
        files = dict(zip(("tls_client_cert", "tls_client_key"), map(str, own or ()), strict=False))
        url = f"tcp://{host}:{port}"
        return run(docker_url=url, tls_ca_cert=str(authority), **files) == ["hello"]

    def by_environment(host: str, port: int, authority: Path, own: Files | None) -> object:
        folder = tmp_path / uuid.uuid4().hex
        folder.mkdir()
        monkeypatch.setenv("DOCKER_HOST", f"tcp://{host}:{port}")
        monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
        monkeypatch.setenv("DOCKER_CERT_PATH", str(folder))
        files = (authority, *(own or ()))
        for name, file in zip(("ca", "cert", "key"), files, strict=False):
            (folder / f"{name}.pem").write_bytes(file.read_bytes())
        return run() == ["hello"] and nothing_swept("docker", f"tcp://{host}:{port}")

    for use in (by_options, by_environment):
        check_tls(pki, reach_socket(daemon.socket), use, trust="certificate as tls_ca_cert")


def test_the_name_of_the_certificate(pki: Pki, daemon: Engine) -> None:
    given = {
        "tls_ca_cert": str(pki.trusted),
        "tls_client_cert": str(pki.client[0]),
        "tls_client_key": str(pki.client[1]),
    }
    with TlsFront(reach_socket(daemon.socket), pki.server, clients=pki.trusted) as front:
        url = f"https://127.0.0.2:{front.port}"
        assert run(docker_url=url, tls_hostname="db.test", **given) == ["hello"]
        assert run(docker_url=url, tls_hostname=False, **given) == ["hello"]
        assert run(docker_url=url, tls_verify=False, **given) == ["hello"]
        front.heard = b""
        with pytest.raises(SetupError, match=r"other\.test"):
            run(docker_url=url, tls_hostname="other.test", **given)
        for wrong, said in (
            ({"tls_client_key": None, "tls_client_cert": None}, "certificate of the client"),
            ({"tls_client_cert": None}, "key and no certificate"),
            ({"tls_client_key": str(pki.strange_client[1])}, "belong together"),
            ({"tls_ca_cert": "/there/is/none"}, "no file /there/is/none"),
        ):
            with pytest.raises(SetupError, match=said):
                run(docker_url=url, tls_hostname=False, **{**given, **wrong})
        assert front.heard == b""
