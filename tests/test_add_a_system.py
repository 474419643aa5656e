"""The tutorial "Add a system", executed as it is written."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
BLOCK = re.compile(r"```(python|toml|sh)\n(.*?)```", re.S)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The files that the tutorial writes, and the metadata that pip would make of them."""
    files: dict[str, str] = {}
    for _, text in BLOCK.findall((ROOT / "docs/add-a-system.md").read_text()):
        first, _, rest = text.partition("\n")
        if first.startswith("# ") and "." in first and " " not in first[2:]:
            files[first[2:]] = files.get(first[2:], "") + rest + "\n\n"
    assert sorted(files) == ["my_duckdb.py", "pyproject.toml", "test_my_duckdb.py"]
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def run(project: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *command], cwd=project, capture_output=True, text=True)


def test_the_system_of_the_tutorial_works(project: Path) -> None:
    site = project / "site"
    installed = run(
        project,
        *("-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"),
        *("--disable-pip-version-check", "--target", str(site), "."),
    )
    assert installed.returncode == 0, installed.stderr
    text = (ROOT / "docs/add-a-system.md").read_text()
    for program, line in re.findall(r"^(printf|python) (.*)$", text, re.M):
        begun = f"'{sys.executable}'" if program == "python" else program
        made = subprocess.run(["sh", "-c", f"{begun} {line}"], cwd=project, capture_output=True)
        assert made.returncode == 0, made.stderr
    commands = re.findall(r"^tradewind (move .*)$", text, re.M)
    assert len(commands) == 2
    for command in commands:
        # The example plugin offers a system of this name too: it is not there for this one.
        code = (
            f"import sys, importlib.metadata as m; sys.path.insert(0, {str(site)!r}); "
            "found = m.entry_points; "
            "m.entry_points = lambda **group: "
            "[one for one in found(**group) if 'tradewind_duckdb' not in one.value]; "
            "from tradewind.cli import main; sys.exit(main())"
        )
        ended = run(project, "-c", code, *shlex.split(command))
        assert ended.returncode == 0, ended.stderr
    assert (project / "count.jsonl").read_text() == '{"orders":2}\n'


def test_the_suite_of_the_tutorial_passes(project: Path) -> None:
    ended = run(project, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_my_duckdb.py")
    assert ended.returncode == 0, ended.stdout
    assert "passed" in ended.stdout
