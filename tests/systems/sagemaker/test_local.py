"""`tradewind up sagemaker` starts the distribution sagemaker-local, which may not be installed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tradewind.errors import SetupError
from tradewind.local import Systems
from tradewind.local.system import find_systems


def test_without_it_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    with pytest.raises(SetupError, match=r"pip install \./packages/sagemaker-local"):
        find_systems()["sagemaker"].check()


def test_the_former_command_still_starts_it(local_s3: Systems, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tradewind.local.sagemaker", f"--data={tmp_path / 'data'}"]
    command += [f"--s3-endpoint={local_s3['s3'].endpoint}", "--container-engine=none"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, env=os.environ | local_s3.environment, text=True
    ) as process:
        assert process.stdout is not None
        endpoint = json.loads(process.stdout.readline())["endpoint"]
        assert endpoint.startswith("http://127.0.0.1:")
        process.terminate()
        assert process.wait(30) == 0
