"""Systems and formats: ours as declared, and those of plugins."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path

import pytest

from tradewind.registry import Offered, imported, own_systems, system_of_connection_type
from tradewind.system import System

ROOT = Path(__file__).resolve().parent.parent
DECLARED = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]


def test_ours_are_declared_like_anybody_elses() -> None:
    assert DECLARED["tradewind.systems"] == {
        name: f"tradewind.systems.{name}:SYSTEM" for name in own_systems()
    }


@pytest.mark.parametrize("system", own_systems().values(), ids=lambda system: system.name)
def test_a_description_names_what_there_is(system: System) -> None:
    paths = (system.source, system.target, system.store, system.backend, system.local)
    for path in (*paths, system.connection, system.sweep, *system.formats.values()):
        if path is not None:
            assert path.startswith(f"tradewind.systems.{system.name}.")
            imported(path)
    assert set(system.aliases.values()) <= set(system.schemes)


def test_no_two_systems_share_a_name_that_users_write() -> None:
    schemes = [name for each in own_systems().values() for name in (*each.schemes, *each.aliases)]
    kinds = [name for each in own_systems().values() for name in each.connection_types]
    assert len(set(schemes)) == len(schemes)
    assert len(set(kinds)) == len(kinds)


def test_types_of_connections_lead_to_systems() -> None:
    found = system_of_connection_type("mariadb")
    assert found is not None
    assert found.name == "mysql"
    assert system_of_connection_type("no such type") is None


def test_what_there_is_lists_ours_first() -> None:
    offered = Offered(lambda system: dict.fromkeys(system.schemes, system.name), first={"x": "y"})
    assert next(iter(offered)) == "x"
    assert offered["gs"] == "gcs"
    assert len(offered) == len(list(offered))


PLUGIN = """
from tradewind.move.batches import Batches
from tradewind.move.source import Source
from tradewind.system import System
import pyarrow as pa

class Numbers(Source):
    def __init__(self, count):
        self.count = count

    def describe(self):
        return f"numbers up to {self.count}"

    def batches(self):
        table = pa.table({"number": pa.array(range(self.count))})
        return Batches(table.schema, iter(table.to_batches()))

    @classmethod
    def from_uri(cls, uri, options):
        return cls(int(uri.rpartition("/")[2]))

SYSTEM = System(name="numbers", title="Numbers", schemes=("numbers",), source="plugin:Numbers")
"""


SWEPT = """
from dataclasses import replace
from tradewind.sweep.leftover import Leftover

def leftovers(place):
    yield place, iter([Leftover(place, "number seven", None, "", None, lambda: None)])

SYSTEM = replace(SYSTEM, sweep="plugin:leftovers")
"""


@pytest.fixture
def plugins(tmp_path: Path) -> Path:
    """A distribution with a plugin that works, and one with a plugin that does not."""
    for name, module in (("good", PLUGIN), ("broken", "raise RuntimeError('no such library')")):
        folder = tmp_path / f"{name}-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        stem = "plugin" if name == "good" else "broken"
        (folder / "entry_points.txt").write_text(f"[tradewind.systems]\n{name} = {stem}:SYSTEM\n")
        (tmp_path / f"{stem}.py").write_text(textwrap.dedent(module))
    return tmp_path


def run(plugins: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    code = f"import sys; sys.path.insert(0, {str(plugins)!r}); "
    code += "from tradewind.cli import main; sys.exit(main())"
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)


def test_a_plugin_works_like_ours(plugins: Path, tmp_path: Path) -> None:
    ended = run(plugins, "move", "--from=numbers://up/to/3", f"--to={tmp_path / 'n.csv'}")
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "n.csv").read_text().split() == ["number", "0", "1", "2"]
    assert "plugin broken of broken cannot be loaded" in ended.stderr


def test_a_plugin_that_is_wrong_ends_no_command(plugins: Path) -> None:
    with (plugins / "plugin.py").open("a") as module:
        module.write(
            "from dataclasses import replace\n"
            "SYSTEM = replace(SYSTEM, name='postgres', local='plugin:nothing')\n"
            "OTHER = replace(SYSTEM, name='letters')\n"
        )
    points = plugins / "good-1.0.dist-info/entry_points.txt"
    points.write_text(f"{points.read_text()}letters = plugin:OTHER\n")
    ended = run(plugins, "up", "--list")
    assert ended.returncode == 0, ended.stderr
    assert "postgres" in ended.stdout
    assert "offers the system 'postgres', which is there already, and is left out" in ended.stderr
    assert "The local system of the plugin letters cannot be loaded" in ended.stderr


def test_a_plugin_is_swept(plugins: Path) -> None:
    with (plugins / "plugin.py").open("a") as module:
        module.write(SWEPT)
    for option in ("--numbers=here", "--system=numbers=here"):
        ended = run(plugins, "sweep", option, "--json")
        assert ended.returncode == 3, ended.stderr
        assert "number seven" in ended.stdout
    ended = run(plugins, "sweep")
    assert re.search(r"Give --bigquery, --docker, .*--numbers, .*--objects", ended.stderr)
    ended = run(plugins, "sweep", "--system=letters=here")
    assert ended.returncode == 2
    assert re.search("systems that are swept by it: .*numbers", ended.stderr)


def test_a_scheme_that_nobody_offers_is_told_with_those_there_are(plugins: Path) -> None:
    ended = run(plugins, "move", "--from=nothing://x", "--to=n.csv")
    assert ended.returncode == 2
    assert "numbers" in ended.stderr
    assert "install a plugin" in ended.stderr
