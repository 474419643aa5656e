"""What is in the wheels: each distribution carries its own modules, and nothing of the other."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from email import message_from_bytes
from email.message import Message
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "packages" / "sagemaker-local"


def build(project: Path, folder: Path) -> Path:
    """Build a wheel as pip would, but with the hatchling that is installed here."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    (wheel,) = folder.glob("*.whl")
    return wheel


def contents(wheel: Path) -> tuple[set[str], Message]:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (metadata,) = [name for name in names if name.endswith(".dist-info/METADATA")]
        return names, message_from_bytes(archive.read(metadata))


@pytest.fixture(scope="module")
def tradewind(tmp_path_factory: pytest.TempPathFactory) -> tuple[set[str], Message]:
    return contents(build(ROOT, tmp_path_factory.mktemp("tradewind")))


def test_tradewind_carries_no_sagemaker_service(tradewind: tuple[set[str], Message]) -> None:
    names, metadata = tradewind
    assert {name.split("/")[0] for name in names} <= {
        "tradewind",
        f"tradewind-{metadata['Version']}.dist-info",
    }
    service = {
        str(path.relative_to(PACKAGE / "src" / "sagemaker_local"))
        for path in (PACKAGE / "src" / "sagemaker_local").rglob("*.py")
    }
    assert len(service) > 50
    assert not [name for name in names if name.startswith("tradewind/local/sagemaker/")]
    ours = {name.removeprefix("tradewind/local/") for name in names}
    assert service & ours <= {"__init__.py"}
    needed = [line for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line]
    assert {re.split(r"[^\w-]", line)[0] for line in needed} == {"numpy", "pyarrow"}
    asked = [line for line in metadata.get_all("Requires-Dist", []) if "sagemaker-local" in line]
    assert {re.sub(r"['\"]", "", line) for line in asked} == {
        "sagemaker-local; extra == local-sagemaker",
        "sagemaker-local; extra == local",
    }


def test_sagemaker_local_stands_alone(tmp_path: Path) -> None:
    wheel = build(PACKAGE, tmp_path)
    names, metadata = contents(wheel)
    roots = {name.split("/")[0] for name in names}
    assert roots == {"sagemaker_local", f"sagemaker_local-{metadata['Version']}.dist-info"}
    assert not [
        line for line in metadata.get_all("Requires-Dist", []) if re.match("tradewind|apache", line)
    ]
    # Every module of it, from the wheel alone, where neither of the two can be imported.
    everything = (
        "import pkgutil, sys; sys.path.insert(0, sys.argv[1]); "
        "sys.modules.update(tradewind=None, airflow=None); import sagemaker_local as p; "
        "assert p.__file__.startswith(sys.argv[1]), p.__file__; "
        "[__import__(m.name) for m in pkgutil.walk_packages(p.__path__, 'sagemaker_local.') "
        "if not m.name.endswith('__main__')]; "
        "from sagemaker_local.cli import main; main(['serve', '--help'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", everything, str(wheel)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert "--s3-endpoint" in done.stdout
