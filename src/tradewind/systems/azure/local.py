"""Azure Blob Storage: Azurite, Microsoft's own emulator."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import shutil
import sys
import urllib.error
import urllib.request
from datetime import UTC, datetime
from pathlib import Path

from tradewind.errors import SetupError
from tradewind.local.processes import free_port
from tradewind.local.system import Context, Offer, System

__all__ = ["ACCOUNT", "CONTAINER", "SYSTEM", "Azure"]

ACCOUNT = "tradewind"
"""The storage account."""
CONTAINER = "tradewind"
"""The container that is there from the start."""

_VERSION = "2021-08-06"
_REMEDY = (
    "Install Node.js with npm, then: npm install -g azurite, or name its azurite-blob in "
    "TRADEWIND_AZURITE"
)


class Azure(System):
    """An emulator of Azure Blob Storage, with an account of its own and its key."""

    name = "azure"
    summary = f"Azure Blob Storage (Azurite), with the container `{CONTAINER}`"
    default_port = 10000
    role = "azure"
    start_timeout = 60.0

    def check(self) -> None:
        """Look for the emulator, and for Node.js."""
        _program()

    def start(self, context: Context) -> Offer:
        """Start it on the blobs in its folder, and make the container."""
        port = context.port or free_port()
        key = account_key(context.credentials.secret_access_key)
        blobs = context.folder / "blobs"
        blobs.mkdir(exist_ok=True)
        child = context.children.start(
            [
                _program(),
                "--silent",
                "--disableTelemetry",
                "--skipApiVersionCheck",
                f"--blobHost={context.host}",
                f"--blobPort={port}",
                f"--location={blobs}",
            ],
            environment={"AZURITE_ACCOUNTS": f"{ACCOUNT}:{key}"},
            cwd=context.folder,
        )
        place = f"http://{context.host}:{port}"
        child.wait_ready(lambda: _answers(place), seconds=context.start_timeout)
        endpoint = f"{place}/{ACCOUNT}"
        _make_container(endpoint, key)
        text = (
            f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={key};"
            f"BlobEndpoint={endpoint};"
        )
        return Offer(
            endpoint=endpoint,
            environment={"AZURE_STORAGE_CONNECTION_STRING": text},
            connections={
                "wasb_default": {"conn_type": "wasb", "extra": {"connection_string": text}}
            },
            notes={"container": f"az://{CONTAINER}"},
        )


def account_key(secret: str) -> str:
    """Make the account's key of the secret of the data folder: 64 bytes in Base64."""
    made = hmac.new(secret.encode(), b"azure storage account", hashlib.sha512)
    return base64.b64encode(made.digest()).decode()


def _program() -> str:
    beside = Path(sys.prefix).parent / ".tools/node/node_modules/.bin/azurite-blob"
    named = os.environ.get("TRADEWIND_AZURITE")
    found = named or shutil.which("azurite-blob") or (str(beside) if beside.exists() else None)
    if found is None or not Path(found).exists() or shutil.which("node") is None:
        raise SetupError(f"azure: the program 'azurite-blob' is not installed. {_REMEDY}.")
    return found


def _answers(place: str) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        opener.open(place, timeout=2).close()
    except urllib.error.HTTPError as error:
        error.close()
    except OSError:
        return False
    return True


def _make_container(endpoint: str, key: str) -> None:
    """Ask for it, signed with the account's key.

    Source: https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key
    """
    date = datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
    headers = f"x-ms-date:{date}\nx-ms-version:{_VERSION}\n"
    # Of an emulator the account stands in the path, too.
    resource = f"/{ACCOUNT}/{ACCOUNT}/{CONTAINER}\nrestype:container"
    said = "PUT" + "\n" * 12 + headers + resource
    signed = hmac.new(base64.b64decode(key), said.encode(), hashlib.sha256).digest()
    asked = urllib.request.Request(
        f"{endpoint}/{CONTAINER}?restype=container",
        method="PUT",
        headers={
            "x-ms-date": date,
            "x-ms-version": _VERSION,
            "Authorization": f"SharedKey {ACCOUNT}:{base64.b64encode(signed).decode()}",
        },
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        opener.open(asked, timeout=30).close()
    except urllib.error.HTTPError as error:
        error.close()
        if error.code != 409:  # It is there since an earlier start.
            raise SetupError(f"azure: no container can be made (status {error.code}).") from error


SYSTEM = Azure()
