"""The digits page as a process of a test's own."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

PIPELINES = Path(__file__).resolve().parents[1] / "pipelines"


@contextlib.contextmanager
def served(environment: dict[str, str], *arguments: str) -> Iterator[tuple[str, subprocess.Popen]]:
    """The page in a process of its own; its address and the process."""
    process = subprocess.Popen(
        [sys.executable, "-m", "digits.web", "--port", "0", *arguments],
        env=os.environ | environment | {"PYTHONPATH": str(PIPELINES)},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, f"the page did not start, exit status {process.wait(10)}"
        yield json.loads(line)["url"], process
    finally:
        if process.poll() is None:
            process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()
