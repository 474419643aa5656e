"""Emulators of Azure Blob Storage and Google Cloud Storage, which only their owners can run.

Azurite is Microsoft's own; fake-gcs-server is the one of Google's that checks preconditions. Beside
them stands a second S3 server, Versity's gateway: it knows what the local Swift does not, the
condition If-Match, tags, and checksums of whole objects. `make test` brings all into ``.tools/``.
"""

from __future__ import annotations

import base64
import contextlib
import secrets
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tradewind.local.processes import Children, free_port

ROOT = Path(__file__).resolve().parent.parent
AZURITE = ROOT / ".tools/node/node_modules/azurite/dist/src/blob/main.js"
FAKE_GCS = ROOT / ".tools/go/bin/fake-gcs-server"
VERSITY = ROOT / ".tools/go/bin/versitygw"
_HOST = "127.0.0.1"


@dataclass(frozen=True)
class Emulator:
    """A running emulator.

    Args:
        endpoint: Its address; Azurite's ends with the account.
        port: Its port.
        account: Azure's storage account; S3's access key.
        key: The secret that goes with it.
        children: Its process.
    """

    endpoint: str
    port: int
    children: Children
    account: str = ""
    key: str = field(default="", repr=False)


@contextlib.contextmanager
def azurite(folder: Path) -> Iterator[Emulator]:
    """Start Azure Blob Storage with an account of its own, or skip.

    Args:
        folder: Where it keeps its data; empty.
    """
    node = shutil.which("node")
    if node is None or not AZURITE.exists():
        pytest.skip("Azurite is not there: install Node.js with npm, then `make test` brings it")
    port = free_port()
    account, key = "tradewind", base64.b64encode(secrets.token_bytes(64)).decode()
    command = [node, str(AZURITE), "--silent", "--disableTelemetry", "--skipApiVersionCheck"]
    command += [f"--blobHost={_HOST}", f"--blobPort={port}", f"--location={folder}"]
    environment = {"AZURITE_ACCOUNTS": f"{account}:{key}"}
    with _running("azurite", command, folder, port, environment) as children:
        yield Emulator(f"http://{_HOST}:{port}/{account}", port, children, account, key)


@contextlib.contextmanager
def fake_gcs(folder: Path) -> Iterator[Emulator]:
    """Start Google Cloud Storage, or skip.

    Args:
        folder: Where it writes its log.
    """
    if not FAKE_GCS.exists():
        pytest.skip("fake-gcs-server is not there: install Go 1.26, then `make test` builds it")
    port = free_port()
    endpoint = f"http://{_HOST}:{port}"
    command = [str(FAKE_GCS), "-scheme=http", f"-host={_HOST}", f"-port={port}"]
    command += ["-backend=memory", f"-external-url={endpoint}", f"-public-host={_HOST}:{port}"]
    command += ["-log-level=warn"]
    with _running("fake-gcs-server", command, folder, port, {}) as children:
        yield Emulator(endpoint, port, children)


@contextlib.contextmanager
def versity(folder: Path) -> Iterator[Emulator]:
    """Start an S3 server on a folder, or skip.

    Args:
        folder: Where it keeps its data; empty.
    """
    if not VERSITY.exists():
        pytest.skip("versitygw is not there: install Go 1.26, then `make test` builds it")
    port = free_port()
    account, key = "tradewind", secrets.token_hex(20)
    (folder / "objects").mkdir()
    command = [str(VERSITY), "--port", f"{_HOST}:{port}", "--region", "eu-west-1", "--quiet"]
    (folder / "accounts").mkdir()
    command += ["--iam-dir", str(folder / "accounts"), "--iam-cache-disable"]
    command += ["posix", str(folder / "objects")]
    environment = {"ROOT_ACCESS_KEY": account, "ROOT_SECRET_KEY": key}
    with _running("versitygw", command, folder, port, environment) as children:
        yield Emulator(f"http://{_HOST}:{port}", port, children, account, key)


def versity_user(
    versity: Emulator, order: str, account: str, secret: str = "", role: str = "admin"
) -> None:
    """Make or remove a user of Versity's gateway.

    Args:
        versity: The running gateway.
        order: ``create-user`` or ``delete-user``.
        account: The access key.
        secret: The secret key of a new one.
        role: ``admin`` may do all; ``user`` nothing but what is granted to it.
    """
    command = [str(VERSITY), "admin", "--endpoint-url", versity.endpoint, "--region", "eu-west-1"]
    command += [order, "--access", account]
    command += ["--secret", secret, "--role", role] if secret else []
    environment = {"ADMIN_ACCESS_KEY_ID": versity.account, "ADMIN_SECRET_ACCESS_KEY": versity.key}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


@contextlib.contextmanager
def _running(
    name: str, command: list[str], folder: Path, port: int, environment: dict[str, str]
) -> Iterator[Children]:
    children = Children(name, folder / "logs")
    try:
        child = children.start(command, environment=environment, cwd=folder)
        child.wait_ready(lambda: _answers(port), seconds=60)
        yield children
    finally:
        children.stop()


def _answers(port: int) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        opener.open(f"http://{_HOST}:{port}/", timeout=2).close()
    except urllib.error.HTTPError as error:
        error.close()
    except OSError:
        return False
    return True
