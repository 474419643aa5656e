"""The house rules that ARCHITECTURE.md draws, held against the code."""

from __future__ import annotations

import ast
import functools
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SRC = ROOT / "src"
SAGEMAKER = ROOT / "packages" / "sagemaker-local" / "src"

_BASE = {
    "tradewind.former_names",
    "tradewind.backoff",
    "tradewind.doctor",
    "tradewind.errors",
    "tradewind.event_loop",
    "tradewind.json_path",
    "tradewind.owner",
    "tradewind.concealing",
    "tradewind.redaction",
    "tradewind.registry",
    "tradewind.spellings",
    "tradewind.system",
    "tradewind.tls",
}

#: Who may import whom: a room, and the rooms it may use besides itself. Longest name wins.
MAY_IMPORT = {
    "tradewind": {"tradewind.former_names"},
    "tradewind.former_names": set(),
    "tradewind.errors": set(),
    "tradewind.backoff": {"tradewind.errors"},
    "tradewind.doctor": {"tradewind.errors", "tradewind.registry", "tradewind.system"},
    "tradewind.event_loop": {"tradewind.errors"},
    "tradewind.owner": {"tradewind.errors", "tradewind.former_names"},
    "tradewind.redaction": {"tradewind.errors", "tradewind.spellings"},
    "tradewind.concealing": {"tradewind.errors", "tradewind.redaction"},
    "tradewind.spellings": set(),
    "tradewind.json_path": {"tradewind.errors"},
    "tradewind.system": set(),
    "tradewind.tls": {"tradewind.errors"},
    "tradewind.registry": {"tradewind.errors", "tradewind.system"},
    "tradewind.move": _BASE,
    "tradewind.run": _BASE,
    "tradewind.systems": {*_BASE, "tradewind.move", "tradewind.run", "tradewind.sweep"},
    "tradewind.airflow": {
        *_BASE,
        "tradewind",
        "tradewind.move",
        "tradewind.run",
        "tradewind.sweep",
        "tradewind.systems",
    },
    "tradewind.local": {"tradewind.errors", "tradewind.move", "tradewind.registry"},
    "tradewind.sweep": {
        "tradewind.errors",
        "tradewind.former_names",
        "tradewind.move",
        "tradewind.owner",
        "tradewind.run",
    },
    "tradewind.commands": {
        *_BASE,
        "tradewind",
        "tradewind.local",
        "tradewind.move",
        "tradewind.run",
        "tradewind.sweep",
        "tradewind.systems",
    },
    "tradewind.testing": {*_BASE, "tradewind.move", "tradewind.run"},
    "tradewind.cli": {
        "tradewind",
        "tradewind.commands",
        "tradewind.errors",
        "tradewind.local",
        "tradewind.redaction",
    },
    "tradewind.__main__": {"tradewind.cli"},
    "digits": {"tradewind.errors", "tradewind.move", "tradewind.airflow", "tradewind.systems"},
    # A distribution of its own: it knows nothing of tradewind, and nobody imports it.
    "sagemaker_local": set(),
    "listings": {"tradewind.errors", "tradewind.move", "tradewind.airflow", "tradewind.systems"},
}

#: What a room may import by string only: where it is there, and not as what it stands on.
MAY_NAME = {
    "tradewind.commands": {"tradewind.airflow"},
    "tradewind.registry": {"tradewind.systems"},
}

#: What some files of a system's folder may use besides: how it looks in Airflow, how it is started;
#: what is left on it, at a place that may be an Airflow connection.
FILES_MAY_IMPORT = {
    "airflow": {"tradewind.airflow"},
    "operators": {"tradewind.airflow"},
    "operator_base": {"tradewind.airflow"},
    "endpoint_operator": {"tradewind.airflow"},
    "load_operator": {"tradewind.airflow"},
    "session_operator": {"tradewind.airflow"},
    "local": {"tradewind.local"},
    "sweep": {"tradewind.airflow"},
}

#: Systems that stand on another one: a system, and those it may import.
STANDS_ON = {
    "bigquery": {"gcs"},
    "livy": {"http"},
    "sagemaker": {"s3"},
    "sftp": {"ssh"},
    "spark": {"process", "yarn"},
    "yarn": {"http"},
}

#: Client libraries, and the systems whose folders may import them.
CLIENT_LIBRARIES = {
    "MySQLdb": {"mysql"},
    "asyncpg": {"postgres"},
    "asyncssh": {"sftp", "ssh"},
    "azure": {"azure"},
    "boto3": {"s3", "sagemaker"},
    "botocore": {"s3", "sagemaker"},
    "bson": {"mongodb"},
    "google": {"bigquery", "gcs"},
    "pymongo": {"mongodb"},
    "swift": {"s3"},
}

#: What is used without Airflow.
LIBRARIES = (
    "tradewind.registry",
    "tradewind.system",
    "tradewind.move",
    "tradewind.run",
    "tradewind.sweep",
    "tradewind.local",
    "tradewind.systems",
    "sagemaker_local",
)


@functools.cache
def modules() -> dict[str, Path]:
    found = {}
    for base in (SRC, SAGEMAKER, ROOT / "pipelines"):
        for path in base.rglob("*.py"):
            parts = path.relative_to(base).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def room(module: str) -> str | None:
    candidates = [name for name in MAY_IMPORT if module == name or module.startswith(f"{name}.")]
    return max(candidates, key=len, default=None)


@functools.cache
def imports(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: relative imports hide who uses whom"
            names.add(node.module or "")
    return names


@functools.cache
def named(path: Path) -> set[str]:
    """Tell which modules a file imports by string, or names for somebody who does."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            # As a description names its sides.
            if node.value.partition(":")[0] in modules():
                names.add(node.value.partition(":")[0])
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name):
            called = getattr(node.func, "attr", getattr(node.func, "id", ""))
            first = node.args[0] if node.args else None
            if called in ("import_module", "__import__") and isinstance(first, ast.Constant):
                names.add(str(first.value))
    # Words as well; and a label that containers of the local SageMaker have.
    words = {"tradewind", "digits", "listings", "sagemaker_local", "tradewind.local.sagemaker"}
    return names - words


def system_of(module: str) -> str | None:
    parts = module.split(".")
    return parts[2] if parts[:2] == ["tradewind", "systems"] and len(parts) > 2 else None


def may_use(module: str) -> set[str]:
    allowed = set(MAY_IMPORT[room(module) or ""])
    if system_of(module):
        allowed |= FILES_MAY_IMPORT.get(module.rpartition(".")[2], set())
    return allowed


@pytest.mark.parametrize("module", sorted(modules()))
def test_a_room_imports_only_what_it_may(module: str):
    home = room(module)
    assert home is not None, f"{module} belongs to no room: add it to MAY_IMPORT and the docs"
    path = modules()[module]
    for name in imports(path) | named(path):
        used = room(name)
        if used is None or used == home:
            continue
        may = may_use(module) | (set() if name in imports(path) else MAY_NAME.get(home, set()))
        assert used in may, f"{module} imports {name}: {home} may not use {used}"


@pytest.mark.parametrize("module", sorted(name for name in modules() if system_of(name)))
def test_systems_do_not_know_each_other(module: str):
    home = system_of(module) or ""
    for name in imports(modules()[module]) | named(modules()[module]):
        other = system_of(name)
        assert other in (None, home, *STANDS_ON.get(home, ())), f"{module} imports {name}"


@pytest.mark.parametrize("module", sorted(name for name in modules() if "tradewind" in name))
def test_a_client_library_is_imported_in_its_systems_folder_only(module: str):
    for name in imports(modules()[module]) | named(modules()[module]):
        homes = CLIENT_LIBRARIES.get(name.split(".")[0])
        if homes and not name.startswith("google.protobuf"):
            assert system_of(module) in homes, f"{module} imports {name}"


@pytest.mark.parametrize(
    "module",
    sorted(
        name
        for name in modules()
        if name.startswith(LIBRARIES)
        and "tradewind.airflow" not in FILES_MAY_IMPORT.get(name.rpartition(".")[2], ())
    ),
)
def test_the_library_knows_nothing_of_airflow(module: str):
    names = imports(modules()[module]) | named(modules()[module])
    assert not [name for name in names if name.split(".")[0] == "airflow"]


@functools.cache
def import_graph() -> dict[str, frozenset[str]]:
    """Tell which modules each module imports: in functions and under TYPE_CHECKING too."""
    graph = {}
    for module, path in modules().items():
        found = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            else:
                continue
            for name in names:
                while name and name not in modules():
                    name = name.rpartition(".")[0]
                found.add(name)
        graph[module] = frozenset(found - {"", module})
    return graph


def circles(graph: dict[str, frozenset[str]]) -> list[list[str]]:
    """Find the groups of modules that import each other, by whatever way round (Tarjan)."""
    number: dict[str, int] = {}
    lowest: dict[str, int] = {}
    path: list[str] = []
    found: list[list[str]] = []

    def visit(module: str) -> None:
        number[module] = lowest[module] = len(number)
        path.append(module)
        for other in sorted(graph[module]):
            if other not in number:
                visit(other)
                lowest[module] = min(lowest[module], lowest[other])
            elif other in path:
                lowest[module] = min(lowest[module], number[other])
        if lowest[module] == number[module]:
            at = path.index(module)
            if len(path) - at > 1:
                found.append(sorted(path[at:]))
            del path[at:]

    for module in sorted(graph):
        if module not in number:
            visit(module)
    return found


def test_no_modules_import_each_other_in_a_circle():
    """What two modules both need stands in a third one. Types count: they are needed to read it."""
    assert circles(import_graph()) == []
    told = {"a": frozenset("b"), "b": frozenset("c"), "c": frozenset("a"), "d": frozenset("a")}
    assert circles(told) == [["a", "b", "c"]]


def test_a_file_of_over_400_lines_says_why():
    """Whoever writes the 401st looks for two rooms with names of their own first."""
    found = {
        path: path.read_text()
        for folder in ("src", "packages", "tests", "pipelines", "examples", "scripts", "bench")
        for path in (ROOT / folder).rglob("*.py")
        if not {"build", "node_modules", ".venv"} & set(path.parts)
    }
    for path, text in found.items():
        says = "Over 400 lines: " in (ast.get_docstring(ast.parse(text)) or "")
        long = len(text.splitlines()) > 400
        name = path.relative_to(ROOT)
        assert says or not long, f"{name} is over 400 lines long: split it, or say why it is one"


def test_the_picture_of_the_house_names_every_room():
    text = (ROOT / "ARCHITECTURE.md").read_text()
    packages = {path.parent for base in (SRC, SAGEMAKER) for path in base.rglob("__init__.py")}
    for package in sorted(packages):
        if package != SRC / "tradewind" and "kmeans" not in package.parts:
            assert re.search(rf"\b{package.name}/", text), f"ARCHITECTURE.md lacks {package.name}/"


def test_only_the_standard_library_is_needed_to_set_up():
    for script in ("environment.py", "systems.py"):
        for name in imports(ROOT / "scripts" / script):
            assert name.split(".")[0] in sys.stdlib_module_names, f"{script} imports {name}"
