"""What the service remembers, it remembers through a kill, a break and many hands."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from sagemaker_local.errors import SetupError
from sagemaker_local.store import Exists, FolderLock, Missing, Store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "state.sqlite"


def test_create_get_update_delete(path: Path) -> None:
    store = Store(path)
    body = store.create("model", "a", {"ModelName": "a", "_private": [1]})
    assert body["CreationTime"] == body["LastModifiedTime"]
    assert store.get("model", "a") == body
    assert store.get("endpoint", "a") is None
    with pytest.raises(Exists):
        store.create("model", "a", {})
    changed = store.update("model", "a", lambda b: b.update(More=1), ModelName="b", _private=None)
    assert (changed["More"], changed["ModelName"]) == (1, "b")
    assert "_private" not in changed
    assert changed["LastModifiedTime"] >= body["LastModifiedTime"]
    store.create("model", "B", {})
    assert store.names("model") == ("B", "a")
    assert [b.get("ModelName") for b in store.list("model")] == [None, "b"]
    assert store.delete("model", "a")
    assert not store.delete("model", "a")
    with pytest.raises(Missing):
        store.update("model", "a", More=2)
    store.close()


def test_a_change_that_raises_changes_nothing(path: Path) -> None:
    store = Store(path)
    before = store.create("model", "a", {"Value": 1})

    def change(body: dict[str, Any]) -> None:
        body["Value"] = 2
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011
        store.update("model", "a", change)
    assert store.get("model", "a") == before
    store.close()


def test_threads_do_not_lose_each_others_changes(path: Path) -> None:
    store = Store(path)
    store.create("model", "a", {"Value": 0})

    def add() -> None:
        for _ in range(50):
            store.update("model", "a", lambda body: body.update(Value=body["Value"] + 1))

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    body = store.get("model", "a")
    assert body is not None
    assert body["Value"] == 200
    store.close()


def test_state_survives_sigkill(path: Path) -> None:
    script = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from sagemaker_local.store import Store\n"
        "store = Store(Path(sys.argv[1]))\n"
        "store.create('model', 'a', {'Value': 0})\n"
        "for number in range(100):\n"
        "    store.update('model', 'a', Value=number)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(path)], check=False)
    assert done.returncode == -9
    store = Store(path)
    body = store.get("model", "a")
    assert body is not None
    assert body["Value"] == 99
    store.close()


@pytest.mark.parametrize("damage", [b"this is no database at all" * 100, b"SQLite format 3\0x"])
def test_a_broken_file_is_named(path: Path, damage: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(damage)
    with pytest.raises(SetupError) as caught:
        Store(path)
    assert str(path) in str(caught.value)
    assert "Move it away" in str(caught.value)


def test_a_file_of_another_version_is_refused(path: Path) -> None:
    store = Store(path)
    store._database.execute("PRAGMA user_version=99")
    store.close()
    with pytest.raises(SetupError, match="another version"):
        Store(path)


def test_a_folder_belongs_to_one_service(tmp_path: Path) -> None:
    first = FolderLock(tmp_path / "data")
    with pytest.raises(SetupError, match="Another local SageMaker"):
        FolderLock(tmp_path / "data")
    first.close()
    FolderLock(tmp_path / "data").close()
    (tmp_path / "file").touch()
    with pytest.raises(SetupError, match="cannot be used"):
        FolderLock(tmp_path / "file" / "data")
