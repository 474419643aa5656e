"""A copy between stores is killed by SIGKILL at random moments, and tried again.

As of the moves of `test_killed_movers.py`. A folder that is made like another has moments in
between: each object is the old one or the new one, and none is deleted before all are copied.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator
from typing import Any

import kinds
import pytest
from attack_moves import store_of
from attack_places import sftp_place
from attack_report import forms
from attack_workers import Workers
from test_killed_movers import check

from ssh_server import ssh_server
from tradewind.move.store import Store

pytestmark = pytest.mark.xdist_group("attack-moves")
HOW = "SIGKILL of a copy at a random moment, then the retry"
#: How often in each form.
SOME, MANY = 1, 35
LARGE = random.Random(7).randbytes(5 << 20)
FILES = {
    f"{folder}{number}": LARGE[: 150_000 + number] for folder in ("", "a/b/") for number in range(6)
}
Place = dict[str, Any]


@pytest.fixture(scope="module")
def sides(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Place]]:
    """Each store as a place, by its scheme."""
    with ssh_server(tmp_path_factory.mktemp("sshd")) as server:
        yield {
            "s3": {"store": "s3", **request.getfixturevalue("s3_place")[1]},
            "gs": {"store": "gcs", **request.getfixturevalue("gcs")[1]},
            "az": {"store": "azure", **request.getfixturevalue("azure")[1]},
            "sftp": sftp_place(server, str(tmp_path_factory.mktemp("files"))),
        }


class Copied(kinds.Kind):
    """The copy of an object."""

    action = "copy_sides"
    sync = False

    def __init__(self, source: Place, target: Place, stores: tuple[Store, Store]) -> None:
        self.source, self.target, self.stores = source, target, stores
        self.of = f"source-{uuid.uuid4().hex[:6]}/"
        self.fill()

    def fill(self) -> None:
        self.put(0, f"{self.of}large", LARGE)

    def put(self, side: int, key: str, data: bytes) -> None:
        upload = self.stores[side].upload(key)
        upload.write(data)
        upload.complete()

    def folder(self, name: str) -> str:
        return f"copies/{name}/"

    def prepare(self, name: str) -> dict[str, Any]:
        key = f"{self.folder(name)}large"
        self.put(1, key, b"old")
        sides = {"source": self.source, "target": self.target}
        return {**sides, "read": f"{self.of}large", "written": key}

    def all(self, name: str) -> dict[str, bytes]:
        folder, store = self.folder(name), self.stores[1]
        return {
            info.key.removeprefix(folder): b"".join(store.read(info.key))
            for info in store.list(folder)
        }

    def seen(self, name: str) -> Any:
        return self.all(name)

    def left(self, name: str) -> list[str]:
        return [f"upload of {one.key}" for one in self.stores[1].unfinished(self.folder(name))]


class Mirrored(Copied):
    """A folder made like another, with deletion of what has no source."""

    extra = ("0old", "a/old", "a/b/old", "z/old")
    sync = True

    def fill(self) -> None:
        for name, data in FILES.items():
            self.put(0, self.of + name, data)

    def prepare(self, name: str) -> dict[str, Any]:
        folder = self.folder(name)
        for key in (*self.extra, "1", "a/b/5"):
            self.put(1, folder + key, b"old")
        sides = {"source": self.source, "target": self.target}
        return {**sides, "read": self.of, "written": folder, "sync": True}

    def seen(self, name: str) -> Any:
        found = self.all(name)
        extra = {key for key in found if key in self.extra}
        whole = all(found.get(key) == data for key, data in FILES.items())
        if set(found) - extra - set(FILES):
            return f"objects of nobody: {sorted(found)}"
        if any(data not in (b"old", FILES.get(key)) for key, data in found.items()):
            return "an object is half of one"
        if not whole and extra != set(self.extra):
            return f"deleted before all were copied: {sorted(set(self.extra) - extra)}"
        return "like its source" if whole and not extra else "not yet"


KINDS: dict[str, tuple[str, str, type[Copied]]] = {
    "SFTP to S3": ("sftp", "s3", Copied),
    "S3 to SFTP": ("s3", "sftp", Copied),
    "Azure within itself": ("az", "az", Copied),
    "Azure to S3": ("az", "s3", Copied),
    "Google Cloud Storage, rewritten": ("gs", "gs", Copied),
    "a folder of S3 made like another": ("s3", "s3", Mirrored),
    "a folder of Azure made like one of SFTP": ("sftp", "az", Mirrored),
    "a folder of SFTP made like one of Google Cloud Storage": ("gs", "sftp", Mirrored),
}
SHORT = ("S3 to SFTP", "a folder of S3 made like another")


@pytest.mark.parametrize(("on", "count"), forms(SHORT, SOME, KINDS, MANY))
def test_copies(workers: Workers, sides: dict[str, Place], s3_place: Any, on: str, count: int):
    source, target, kind = KINDS[on]
    stores = [s3_place[0] if side == "s3" else store_of(sides[side]) for side in (source, target)]
    made = kind(sides[source], sides[target], (stores[0], stores[1]))
    check(workers, made, count, on, HOW)
    for store in stores:
        if (client := getattr(store, "client", None)) is not None and store is not s3_place[0]:
            client.close()
