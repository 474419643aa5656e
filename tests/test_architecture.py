"""The house rules that ARCHITECTURE.md draws, held against the code."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SRC = ROOT / "src"

#: Who may import whom: a room, and the rooms it may use besides itself. Longest name wins.
MAY_IMPORT = {
    "tradewind": set(),
    "tradewind.errors": set(),
    "tradewind.owner": {"tradewind.errors"},
    "tradewind.redaction": {"tradewind.errors"},
    "tradewind.json_path": {"tradewind.errors"},
    "tradewind.move": {
        "tradewind.errors",
        "tradewind.json_path",
        "tradewind.owner",
        "tradewind.redaction",
    },
    "tradewind.run": {
        "tradewind.errors",
        "tradewind.json_path",
        "tradewind.owner",
        "tradewind.redaction",
    },
    "tradewind.airflow": {
        "tradewind",
        "tradewind.errors",
        "tradewind.move",
        "tradewind.owner",
        "tradewind.redaction",
        "tradewind.run",
        "tradewind.sweep",
    },
    "tradewind.local": {"tradewind.errors", "tradewind.move"},
    "tradewind.sweep": {"tradewind.errors", "tradewind.move", "tradewind.owner", "tradewind.run"},
    "tradewind.commands": {
        "tradewind.errors",
        "tradewind.move",
        "tradewind.owner",
        "tradewind.redaction",
        "tradewind.run",
        "tradewind.sweep",
    },
    "tradewind.cli": {
        "tradewind",
        "tradewind.commands",
        "tradewind.errors",
        "tradewind.local",
        "tradewind.redaction",
    },
    "digits": {"tradewind.errors", "tradewind.move", "tradewind.airflow"},
}

#: What is used without Airflow.
LIBRARIES = ("tradewind.move", "tradewind.run", "tradewind.sweep", "tradewind.local")


def modules() -> dict[str, Path]:
    found = {}
    for base in (SRC, ROOT / "pipelines"):
        for path in base.rglob("*.py"):
            parts = path.relative_to(base).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def room(module: str) -> str | None:
    candidates = [name for name in MAY_IMPORT if module == name or module.startswith(f"{name}.")]
    return max(candidates, key=len, default=None)


def imports(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: relative imports hide who uses whom"
            names.add(node.module or "")
    return names


@pytest.mark.parametrize("module", sorted(modules()))
def test_a_room_imports_only_what_it_may(module: str):
    home = room(module)
    assert home is not None, f"{module} belongs to no room: add it to MAY_IMPORT and the docs"
    for name in imports(modules()[module]):
        used = room(name)
        if used is None or used == home:
            continue
        assert used in MAY_IMPORT[home], f"{module} imports {name}: {home} may not use {used}"


@pytest.mark.parametrize(
    "module",
    sorted(name for name in modules() if name.startswith(LIBRARIES)),
)
def test_the_library_knows_nothing_of_airflow(module: str):
    assert not [name for name in imports(modules()[module]) if name.split(".")[0] == "airflow"]


def test_the_picture_of_the_house_names_every_room():
    text = (ROOT / "ARCHITECTURE.md").read_text()
    for package in sorted(path.parent for path in SRC.rglob("__init__.py")):
        if package != SRC / "tradewind" and "kmeans" not in package.parts:
            assert re.search(rf"\b{package.name}/", text), f"ARCHITECTURE.md lacks {package.name}/"


def test_only_the_standard_library_is_needed_to_set_up():
    for script in ("environment.py", "systems.py"):
        for name in imports(ROOT / "scripts" / script):
            assert name.split(".")[0] in sys.stdlib_module_names, f"{script} imports {name}"
