"""Parts that no manifest names, and begun uploads, on real stores."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import boto3
import pyarrow as pa
import pytest

from made_rows import Rows
from tradewind.errors import TradewindError
from tradewind.local import Systems
from tradewind.move.objects.target import ObjectTarget, Parts
from tradewind.move.store import Store
from tradewind.move.transfer import transfer
from tradewind.owner import Owner
from tradewind.sweep.objects import leftovers_of_objects
from tradewind.systems.files.store import FileStore
from tradewind.systems.s3.store import S3Store

OWNER = Owner("dag", "run", "task")


@pytest.fixture(params=["files", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "files":
        try:
            os.setxattr(tmp_path, "user.tradewind.test", b"1")
        except OSError:
            pytest.skip("this file system keeps no attributes")
        yield FileStore(tmp_path / "root")
        return
    systems: Systems = request.getfixturevalue("local_s3")
    environment = systems.environment
    session = boto3.Session(
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        region_name=environment["AWS_REGION"],
    )
    made = S3Store(
        f"sweep-{uuid.uuid4().hex[:12]}",
        session=session,
        client_options={"endpoint_url": environment["AWS_ENDPOINT_URL_S3"]},
    )
    made.client.create_bucket(
        Bucket=made.bucket,
        CreateBucketConfiguration={"LocationConstraint": environment["AWS_REGION"]},
    )
    yield made


def rows() -> Rows:
    """Four rows in two batches."""
    return Rows(
        *(pa.table({"n": [n, n + 1], "half": [half] * 2}) for n, half in ((1, "a"), (3, "b")))
    )


def put(store: Store, key: str, owner: str | None) -> None:
    upload = store.upload(key, metadata={"tradewind-owner": owner} if owner else {})
    upload.write(b"n\n1\n")
    upload.complete()


def keys(store: Store) -> set[str]:
    return {info.key for info in store.list()}


def test_only_what_no_manifest_names_is_found_and_removed(store: Store):
    target = ObjectTarget(store, "set/", format="csv", parts=Parts(rows=1, by=("half",)))
    transfer(rows(), target, OWNER)
    published = keys(store)
    # A dead attempt's, below the same manifest; another's, which had none yet; and strangers.
    orphans = {
        "set/half=a/part-00000-0123abcd.csv",
        "other/part-00000-0123abcd.csv.gz",
    }
    strangers = {"set/notes.csv", "other/part-00000-0123abce.csv", "part-1.csv"}
    for key in orphans:
        put(store, key, OWNER.digest)
    for key in strangers:
        put(store, key, None)
    found = list(leftovers_of_objects("here", store, ""))
    assert {one.what.split()[-1] for one in found} == {store.uri(key) for key in orphans}
    assert {one.owner for one in found} == {OWNER.digest}
    assert all(one.since is not None for one in found)
    for one in found:
        one.remove()
        one.remove()
    assert keys(store) == published | strangers


def test_a_manifest_above_the_prefix_counts(store: Store):
    target = ObjectTarget(store, "set/", format="csv", parts=Parts(rows=1, by=("half",)))
    transfer(rows(), target, OWNER)
    assert list(leftovers_of_objects("here", store, "set/half=a/")) == []


def test_below_a_manifest_that_cannot_be_read_nothing_is_touched(store: Store):
    put(store, "set/_manifest.json", None)
    put(store, "set/part-00000-0123abcd.csv", OWNER.digest)
    assert list(leftovers_of_objects("here", store, "")) == []


def test_what_a_manifest_has_come_to_name_meanwhile_stays(store: Store, monkeypatch):
    put(store, "set/part-00000-0123abcd.csv", OWNER.digest)
    (found,) = leftovers_of_objects("here", store, "")
    put(store, "set/_manifest.json", None)
    found.remove()
    assert "set/part-00000-0123abcd.csv" in keys(store)


def test_begun_uploads_of_parts_are_found_and_discarded(store: Store):
    part = store.upload("set/part-00007-0123abcd.csv")
    part.write(b"x" * (20 << 20))
    found = list(leftovers_of_objects("here", store, "set/"))
    assert [one.what.split()[-1] for one in found] == [store.uri("set/part-00007-0123abcd.csv")]
    assert found[0].owner is None, "a begun upload does not say whose it is"
    found[0].remove()
    assert list(store.unfinished("")) == []
    with pytest.raises(TradewindError):
        part.complete()


def test_a_begun_upload_of_a_users_name_says_whose_it_is(store: Store):
    upload = store.upload("set/rows.csv", metadata={"tradewind-owner": OWNER.digest})
    upload.write(b"x" * (20 << 20))
    (found,) = leftovers_of_objects("here", store, "set/")
    assert (found.owner, found.what.split()[-1]) == (OWNER.digest, store.uri("set/rows.csv"))
    assert found.since is not None
    found.remove()
    assert list(store.unfinished("")) == []
    with pytest.raises(TradewindError):
        upload.complete()


# Staged files have names of our own.
@pytest.mark.parametrize("store", ["s3"], indirect=True)
def test_a_begun_upload_of_a_strangers_name_is_not_ours_on_s3(store: Store):
    upload = store.upload("set/theirs.csv")
    upload.write(b"x" * (20 << 20))
    assert list(leftovers_of_objects("here", store, "")) == []
    upload.abort()


def test_files_that_were_got_ready_and_not_put_in_their_places(store: Store):
    """What NamedFiles leaves when it is killed between writing and copying."""
    folder = f"out/rows.tradewind-{OWNER.digest}"
    transfer(rows(), ObjectTarget(store, folder, format="csv", parts=Parts(rows=2)), OWNER)
    transfer(rows(), ObjectTarget(store, "out/set", format="csv", parts=Parts(rows=2)), OWNER)
    put(store, "out/rows_0.csv", OWNER.digest)
    found = list(leftovers_of_objects("here", store, "out/"))
    assert len(found) == 3, "two parts and their manifest"
    assert {one.owner for one in found} == {OWNER.digest}
    for one in found:
        one.remove()
        one.remove()
    assert not [key for key in keys(store) if "tradewind-" in key]
    assert len(keys(store)) == 4
    assert list(leftovers_of_objects("here", store, "out/")) == []
