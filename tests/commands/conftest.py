"""Fixtures of the commands' tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from adopting import Adopt


@pytest.fixture
def adopt(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Adopt:
    folder = tmp_path / "dags"
    folder.mkdir()
    return Adopt(folder, capsys)
