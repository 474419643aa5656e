"""Names of modules that the former version had still lead to the same things."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

from tradewind.former_names import FORMER_NAMES


@pytest.mark.parametrize("former", sorted(FORMER_NAMES))
def test_a_former_name_is_the_module_of_today(former: str) -> None:
    today = importlib.import_module(f"tradewind.{FORMER_NAMES[former]}")
    sys.modules.pop(f"tradewind.{former}", None)
    with pytest.warns(DeprecationWarning, match="is now tradewind"):
        module = importlib.import_module(f"tradewind.{former}")
    assert module is today
    assert today.__name__ == f"tradewind.{FORMER_NAMES[former]}"


def test_a_program_of_the_former_version_runs(tmp_path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "from tradewind.move.sources.sqlite import SQLiteSource\n"
        "from tradewind.move.stores.files import FileStore\n"
        "from tradewind.move.targets.objects import ObjectTarget, Parts\n"
        "import tradewind.run.backends.process as process\n"
        "print(SQLiteSource.__module__, process.ProcessBackend.__module__)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", program], capture_output=True, text=True, check=True
    )
    assert ended.stdout.split() == [
        "tradewind.systems.sqlite.source",
        "tradewind.systems.process.backend",
    ]


def test_what_never_was_is_not_found() -> None:
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("tradewind.move.sources.nothing")
