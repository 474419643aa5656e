"""What `tradewind doctor` says of an installation: versions, extras, plugins, local systems."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tradewind.cli import main
from tradewind.commands import doctor_setup
from tradewind.local.system import find_systems


def test_the_installation(capsys: pytest.CaptureFixture[str]) -> None:
    main(["doctor", "--json"])
    checks = json.loads(capsys.readouterr().out)["checks"]
    found = {(one["about"], one["what"]): one for one in checks}
    assert found["versions", "tradewind"]["status"] == "ok"
    assert found["extras", "s3"]["said"].startswith("boto3 ")
    assert "Amazon S3" in found["extras", "s3"]["said"]
    assert ("extras", "move") not in found
    assert {what for about, what in found if about == "tradewind up"} == set(find_systems())


def test_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    main(["doctor"])
    text = capsys.readouterr().out
    assert "\n  ok" in text
    assert "No connection was looked at" in text


def test_what_is_missing_is_told_with_what_installs_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    here = [one for one in doctor_setup._installed() if one[0] not in ("boto3", "httpx")]
    monkeypatch.setattr(doctor_setup, "_installed", lambda: [*here, ("httpx", "0.1")])
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    assert main(["doctor", "--json"]) == 1
    checks = json.loads(capsys.readouterr().out)["checks"]
    found = {(one["about"], one["what"]): one for one in checks}
    assert found["extras", "s3"]["status"] == "absent"
    assert found["extras", "s3"]["remedy"] == "pip install 'tradewind[s3]'"
    assert found["extras", "http"]["status"] == "fail"
    assert found["tradewind up", "sagemaker"]["status"] == "absent"
    assert "pip install" in found["tradewind up", "sagemaker"]["said"]


def test_a_broken_plugin_is_named(tmp_path: Path) -> None:
    info = tmp_path / "tradewind_broken-1.5.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tradewind-broken\nVersion: 1.5\n")
    (info / "entry_points.txt").write_text(
        "[tradewind.systems]\nbroken = no_module_at_all:SYSTEM\n"
    )
    ended = subprocess.run(
        [sys.executable, "-m", "tradewind.cli", "doctor", "--json"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])},
    )
    assert ended.returncode == 1
    broken = [one for one in json.loads(ended.stdout)["checks"] if one["status"] == "fail"]
    assert [one["what"] for one in broken] == ["tradewind-broken 1.5"]
    assert "no_module_at_all" in broken[0]["said"]
