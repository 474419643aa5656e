"""The first minute: samples, the environment of another terminal, and what is told to try."""

from __future__ import annotations

import re
import shlex
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tradewind.errors import SetupError
from tradewind.local.system import find_systems

TRADEWIND = [sys.executable, "-m", "tradewind.cli"]


def test_what_up_tells_to_try_works(tmp_path: Path) -> None:
    for name in ("postgres", "s3"):
        try:
            find_systems()[name].check()
        except SetupError as error:
            pytest.skip(str(error))
    command = [*TRADEWIND, "up", "postgres", "s3", "--sample", "--port=postgres=0", "--port=s3=0"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        told = []
        for line in running.stdout:
            told.append(line.rstrip())
            if line.startswith("Ctrl-C"):
                break
        try:
            commands = [line for line in told if line.startswith("tradewind ")]
            assert len(commands) == 3
            environment = tmp_path / ".tradewind/env"
            assert stat.S_IMODE(environment.stat().st_mode) == 0o600
            for one in commands:
                given = " ".join(map(shlex.quote, TRADEWIND)) + one.removeprefix("tradewind")
                script = f'eval "$({" ".join(map(shlex.quote, TRADEWIND))} env)" && {given}'
                ended = subprocess.run(
                    ["sh", "-c", script], cwd=tmp_path, capture_output=True, text=True
                )
                assert ended.returncode == 0, ended.stderr
                if one.startswith("tradewind show"):
                    assert re.search(r"price +decimal128\(10, 2\)", ended.stdout), ended.stdout
                else:
                    assert re.search(r"rows +1,000", ended.stdout), ended.stdout
        finally:
            running.send_signal(signal.SIGINT)
            running.wait(60)
    assert not environment.exists()
    ended = subprocess.run([*TRADEWIND, "env"], cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == 1
    assert "Run `tradewind up" in ended.stderr
