"""BigQuery: the emulator ``bqemulator``, with a guard before it where it is unlike the original."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

from tradewind.errors import SetupError
from tradewind.local.processes import free_port
from tradewind.local.system import Context, Offer, System

__all__ = ["SYSTEM", "BigQuery"]

PROJECT = "tradewind"
"""The project of the local BigQuery, with one dataset of the same name."""

_REMEDY = (
    "It pins another DuckDB than you may have, so install it beside: python -m venv "
    "~/bqemulator && ~/bqemulator/bin/pip install bqemulator duckdb-extensions "
    "duckdb-extension-spatial numpy, and put ~/bqemulator/bin/bqemulator on PATH, or name it in "
    "TRADEWIND_BQEMULATOR"
)
_EXTEND = "from duckdb_extensions import import_extension; import_extension('spatial')"


class BigQuery(System):
    """An emulator of BigQuery: REST, and the Storage Read API."""

    name = "bigquery"
    summary = f"BigQuery (bqemulator), with the project and the dataset `{PROJECT}`"
    default_port = 9050
    role = "bigquery"
    start_timeout = 60.0

    def check(self) -> None:
        """Look for the emulator."""
        self._program()

    def start(self, context: Context) -> Offer:
        """Start the emulator, then the guard before it; make the dataset."""
        program = self._program()
        home, objects = context.folder / "home", context.folder / "objects"
        for folder in (home, objects, context.folder / "data"):
            folder.mkdir(exist_ok=True)
        environment = {
            "HOME": str(home),
            # gs:// is read from and written to this folder.
            "BQEMU_GCS_LOCAL_ROOT": str(objects),
        }
        self._extend(program, home)
        rest, storage = free_port(), free_port()
        emulator = context.children.start(
            [
                program,
                "start",
                f"--rest-host={context.host}",
                f"--rest-port={rest}",
                f"--grpc-host={context.host}",
                f"--grpc-port={storage}",
                "--persistent",
                f"--data-dir={context.folder / 'data'}",
                f"--project={PROJECT}",
                "--log-level=warning",
            ],
            environment=environment,
            cwd=context.folder,
        )
        upstream = f"{context.host}:{rest}"
        emulator.wait_ready(lambda: _answers(upstream), seconds=context.start_timeout)
        emulator.wait_ready(lambda: _listens(context.host, storage), seconds=context.start_timeout)
        port = context.port or free_port()
        guard = context.children.start(
            [
                sys.executable,
                "-m",
                "tradewind.systems.bigquery.guard",
                f"--port={port}",
                f"--upstream={upstream}",
                f"--objects={objects}",
            ],
            cwd=context.folder,
        )
        address = f"{context.host}:{port}"
        guard.wait_ready(lambda: _answers(address), seconds=context.start_timeout)
        _make_dataset(address)
        return _offer(address, f"{context.host}:{storage}", objects)

    def _program(self) -> str:
        beside = Path(sys.prefix).parent / ".venv-bigquery" / "bin" / "bqemulator"
        named = os.environ.get("TRADEWIND_BQEMULATOR")
        found = named or shutil.which("bqemulator") or (str(beside) if beside.exists() else None)
        if found is None or not Path(found).exists():
            raise SetupError(f"{self.name}: the program 'bqemulator' is not installed. {_REMEDY}.")
        return found

    def _extend(self, program: str, home: Path) -> None:
        """Bring DuckDB's spatial extension to where the emulator looks, which would download it."""
        python = Path(program).resolve().with_name("python")
        done = subprocess.run(
            [str(python), "-c", _EXTEND],
            env={**os.environ, "HOME": str(home)},
            capture_output=True,
            text=True,
            check=False,
            timeout=self.start_timeout,
        )
        if done.returncode:
            raise SetupError(
                f"{self.name}: DuckDB's spatial extension is not there ({done.stderr[-300:]}). "
                f"{_REMEDY}."
            )


def _answers(address: str) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        opener.open(f"http://{address}/bigquery/v2/projects/{PROJECT}/datasets", timeout=5).close()
    except urllib.error.HTTPError as error:
        error.close()
    except OSError:
        return False
    return True


def _listens(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=2).close()
    except OSError:
        return False
    return True


def _make_dataset(address: str) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    body = f'{{"datasetReference":{{"projectId":"{PROJECT}","datasetId":"{PROJECT}"}}}}'
    asked = urllib.request.Request(
        f"http://{address}/bigquery/v2/projects/{PROJECT}/datasets",
        body.encode(),
        {"Content-Type": "application/json"},
    )
    try:
        opener.open(asked, timeout=30).close()
    except urllib.error.HTTPError as error:
        error.close()
        if error.code != 409:  # It is there since an earlier start.
            raise SetupError(f"bigquery: no dataset can be made (status {error.code}).") from error


def _offer(address: str, storage: str, objects: Path) -> Offer:
    extra = {
        "project": PROJECT,
        "api_endpoint": f"http://{address}",
        "storage_endpoint": storage,
    }
    google = {"conn_type": "google_cloud_platform", "extra": {**extra, "is_anonymous": True}}
    return Offer(
        endpoint=f"http://{address}",
        environment={
            "BIGQUERY_EMULATOR_HOST": f"http://{address}",
            "BIGQUERY_STORAGE_EMULATOR_HOST": storage,
            "GOOGLE_CLOUD_PROJECT": PROJECT,
        },
        connections={
            "google_cloud_default": google,
            "google_cloud_bigquery_default": {
                **google,
                "conn_type": "gcpbigquery",
                "schema": PROJECT,
            },
        },
        notes={"dataset": f"{PROJECT}.{PROJECT}", "gs:// of its jobs": str(objects)},
    )


SYSTEM = BigQuery()
