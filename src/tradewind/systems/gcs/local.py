"""Google Cloud Storage: the emulator ``fake-gcs-server``."""

from __future__ import annotations

import os
import shutil
import sys
import urllib.error
import urllib.request
from pathlib import Path

from tradewind.errors import SetupError
from tradewind.local.processes import free_port
from tradewind.local.system import Context, Offer, System

__all__ = ["BUCKET", "GCS", "SYSTEM"]

BUCKET = "tradewind"
"""The bucket that is there from the start."""

_REMEDY = (
    "Install Go 1.26, then: go install github.com/fsouza/fake-gcs-server@v1.56.1, and put "
    "$(go env GOPATH)/bin on PATH, or name the program in TRADEWIND_FAKE_GCS_SERVER"
)


class GCS(System):
    """An emulator of Google Cloud Storage: the JSON API, with preconditions by generation."""

    name = "gcs"
    summary = f"Google Cloud Storage (fake-gcs-server), with the bucket `{BUCKET}`"
    default_port = 9020
    role = "gcs"

    def check(self) -> None:
        """Look for the emulator."""
        _program()

    def start(self, context: Context) -> Offer:
        """Start it on the objects in its folder, and make the bucket."""
        port = context.port or free_port()
        endpoint = f"http://{context.host}:{port}"
        objects = context.folder / "objects"
        objects.mkdir(exist_ok=True)
        child = context.children.start(
            [
                _program(),
                "-scheme=http",
                f"-host={context.host}",
                f"-port={port}",
                "-backend=filesystem",
                f"-filesystem-root={objects}",
                f"-external-url={endpoint}",
                f"-public-host={context.host}:{port}",
                "-log-level=warn",
            ],
            cwd=context.folder,
        )
        child.wait_ready(lambda: _answers(endpoint), seconds=context.start_timeout)
        _make_bucket(endpoint)
        return Offer(
            endpoint=endpoint,
            environment={"STORAGE_EMULATOR_HOST": endpoint},
            connections={
                "google_cloud_default": {
                    "conn_type": "google_cloud_platform",
                    "extra": {"is_anonymous": True},
                }
            },
            notes={"bucket": f"gs://{BUCKET}"},
        )


def _program() -> str:
    beside = Path(sys.prefix).parent / ".tools/go/bin/fake-gcs-server"
    named = os.environ.get("TRADEWIND_FAKE_GCS_SERVER")
    found = named or shutil.which("fake-gcs-server") or (str(beside) if beside.exists() else None)
    if found is None or not Path(found).exists():
        raise SetupError(f"gcs: the program 'fake-gcs-server' is not installed. {_REMEDY}.")
    return found


def _answers(endpoint: str) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        opener.open(f"{endpoint}/storage/v1/b?project=p", timeout=2).close()
    except OSError:
        return False
    return True


def _make_bucket(endpoint: str) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    asked = urllib.request.Request(
        f"{endpoint}/storage/v1/b?project=p",
        f'{{"name":"{BUCKET}"}}'.encode(),
        {"Content-Type": "application/json"},
    )
    try:
        opener.open(asked, timeout=30).close()
    except urllib.error.HTTPError as error:
        error.close()
        if error.code != 409:  # It is there since an earlier start.
            raise SetupError(f"gcs: no bucket can be made (status {error.code}).") from error


SYSTEM = GCS()
