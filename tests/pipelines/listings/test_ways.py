"""What the demo says of ways that cannot run on this machine."""

from __future__ import annotations

import shutil
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).resolve().parents[3] / "scripts")]

import listings_ways  # noqa: E402
from ssh_server import find_sshd  # noqa: E402
from tradewind.errors import SetupError  # noqa: E402


def test_what_is_not_installed_is_named_with_its_remedy_and_the_others_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    find_sshd()
    programs = tmp_path / "bin"
    programs.mkdir()
    keygen = shutil.which("ssh-keygen")
    assert keygen is not None
    (programs / "ssh-keygen").symlink_to(keygen)
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no.sock")
    monkeypatch.setattr(listings_ways, "HAS_SPARK", False)
    with ExitStack() as stack:
        ready, missing = listings_ways.start_ways(stack, tmp_path, list(listings_ways.WAYS))
    assert list(ready) == ["ssh"]
    assert "AIRFLOW_CONN_SSH_DEFAULT" in ready["ssh"]
    assert set(missing) == {"docker", "spark", "livy"}
    for name, why in missing.items():
        assert "is missing: apt-get install" in why, name


def test_a_way_that_there_is_not_is_named(tmp_path: Path):
    with ExitStack() as stack, pytest.raises(SetupError, match=r"names shh; there are docker, ssh"):
        listings_ways.start_ways(stack, tmp_path, ["shh"])
