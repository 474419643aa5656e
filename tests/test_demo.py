"""`make demo ONCE=1`: what a stranger types first."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).resolve().parent.parent
TASKS = [
    "download_mnist",
    "extract_mnist_data",
    "sagemaker_train_model",
    "evaluate_model",
    "sagemaker_deploy_model",
]


def left_behind(mark: str) -> list[psutil.Process]:
    """Every process of this machine that inherited the mark in its environment."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("TRADEWIND_TEST_MARK") == mark:
                found.append(process)
        except psutil.Error:
            continue
    return found


@pytest.mark.airflow
@pytest.mark.timeout(900)
def test_the_demo_runs_twice_ends_with_its_result_and_leaves_nothing(tmp_path: Path):
    mark = uuid.uuid4().hex
    for attempt in ("first", "again, for the same date"):
        done = subprocess.run(
            [sys.executable, ROOT / "scripts" / "demo.py", "--once", "--state", tmp_path],
            env={**os.environ, "TRADEWIND_TEST_MARK": mark},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=420,
        )
        told = f"{attempt}\n{done.stdout}\n{done.stderr}"
        assert done.returncode == 0, told
        result = json.loads(done.stdout.splitlines()[-1])
        assert result["dag"] == "digits"
        assert result["state"] == "success"
        assert result["accuracy"] >= 0.93
        assert sorted(result["tasks"]) == sorted(TASKS)
        assert all(seconds > 0 for seconds in result["tasks"].values())
        assert result["seconds"] > 0
        assert result["prediction"]["digit"] == result["prediction"]["expected"]
        assert left_behind(mark) == [], told


@pytest.mark.airflow
def test_the_demo_says_what_is_wrong_and_ends_with_its_status(tmp_path: Path):
    (tmp_path / "data").write_text("a file where the folder of data belongs")
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "demo.py", "--once", "--state", tmp_path],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 1
    assert str(tmp_path / "data") in done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["state"] == "not run"
