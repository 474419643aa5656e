"""Targets that their own source takes in are refused; what becomes itself is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tradewind.errors import InputError
from tradewind.move.objects.source import ObjectSource
from tradewind.move.objects.target import ObjectTarget
from tradewind.move.publish.destination import Parts
from tradewind.move.transfer import transfer
from tradewind.owner import Owner
from tradewind.systems.files.store import FileStore
from tradewind.systems.s3.store import S3Store
from tradewind.systems.sftp.store import SFTPStore
from tradewind.systems.ssh.connection import SSHConnection

OWNER = Owner("dag", "run", "task")


@pytest.mark.parametrize(
    ("source", "target", "options"),
    [
        ("g/*.csv", "g/all.csv", {}),
        ("g/*.csv", "g/2.csv", {}),
        ("g/", "g/all.csv", {}),
        ("g", "g/all.csv", {}),
        ("g/**/*.csv", "g/new/all.csv", {}),
        ("*/*.csv", "g/all.csv", {}),
        ("g/*.csv", "link/all.csv", {}),
        ("link/*.csv", "g/all.csv", {}),
        ("g/../g/*.csv", "g/all.csv", {}),
        ("g/l*.csv", "elsewhere.csv", {}),
        ("g/*.csv", "g/linked.csv", {}),
        ("g/", "g/out/", {"parts": Parts(rows=1), "format": "csv"}),
        ("g/**/*.csv", "g/out/", {"parts": Parts(by=("id",)), "format": "csv"}),
    ],
)
def test_a_target_within_its_source_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, target: str, options: dict
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "g").mkdir()
    (tmp_path / "g/1.csv").write_text("id,v\n1,one\n")
    (tmp_path / "link").symlink_to("g")
    (tmp_path / "elsewhere.csv").write_text("id,v\n2,two\n")
    (tmp_path / "g/linked.csv").symlink_to("../elsewhere.csv")
    before = sorted(tmp_path.rglob("*"))
    to = ObjectTarget(*FileStore.from_uri(target), **options)
    for _ in range(2):
        with pytest.raises(InputError, match=r"takes in the target .*choose another place"):
            transfer(ObjectSource(*FileStore.from_uri(source)), to, OWNER)
        assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("source", "target", "options", "rows"),
    [
        ("g/1.csv", "g/1.csv", {}, 1),
        ("g/*.csv", "g/all.jsonl", {}, 2),
        ("g/*.csv", "g/new/all.csv", {}, 2),
        ("g/", "g/_all.csv", {}, 2),
        ("g/", "gg/all.csv", {}, 2),
        ("g/", "g/_out/", {"parts": Parts(rows=1), "format": "csv"}, 2),
        ("g/*.csv", "g/out/", {"parts": Parts(rows=1), "format": "csv"}, 2),
        ("g/", "g/", {"parts": Parts(rows=1), "format": "csv"}, 2),
    ],
)
def test_a_target_beside_its_source_has_the_same_rows_each_time(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    source: str,
    target: str,
    options: dict,
    rows: int,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "g").mkdir()
    for at in (1, 2):
        (tmp_path / f"g/{at}.csv").write_text(f"id,v\n{at},one\n")
    for _ in range(3):
        to = ObjectTarget(*FileStore.from_uri(target), **options)
        assert transfer(ObjectSource(*FileStore.from_uri(source)), to, OWNER).rows == rows


def test_the_same_bucket_by_another_client(s3_store: S3Store) -> None:
    upload = s3_store.upload("g/1.csv")
    upload.write(b"id,v\n1,one\n")
    upload.complete()
    twin = S3Store(
        s3_store.bucket,
        session=s3_store._session,
        client_options={**s3_store._client_options, "region_name": "eu-west-1"},
    )
    for pattern in ("g/*.csv", "g/", "g"):
        with pytest.raises(InputError, match="takes in the target"):
            transfer(ObjectSource(s3_store, pattern), ObjectTarget(twin, "g/all.csv"), OWNER)
    assert [info.key for info in s3_store.list()] == ["g/1.csv"]


def test_links_of_another_machine_are_followed(
    tmp_path: Path, sftp_connection: SSHConnection
) -> None:
    (tmp_path / "g").mkdir()
    (tmp_path / "g/1.csv").write_text("id,v\n1,one\n")
    (tmp_path / "link").symlink_to("g")
    top = SFTPStore(sftp_connection, str(tmp_path))
    for pattern, target in (("g/*.csv", "link/all.csv"), ("link/", "g/sub/all.csv")):
        source = ObjectSource(*SFTPStore(sftp_connection).within(str(tmp_path / pattern)))
        with pytest.raises(InputError, match="takes in the target"):
            transfer(source, ObjectTarget(top, target), OWNER)
    assert sorted(path.name for path in (tmp_path / "g").iterdir()) == ["1.csv"]
