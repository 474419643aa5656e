"""Copying objects within S3 and between stores.

Over 400 lines: one function; its cases share stores, and read as a list of promises.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from tradewind.errors import InputError, RetryError, SetupError
from tradewind.local import Systems
from tradewind.move.copy import copy_object, copy_prefix
from tradewind.move.flow import CancelledError, Progress
from tradewind.owner import Owner
from tradewind.systems.files.store import FileStore
from tradewind.systems.s3 import copy as _s3_copy
from tradewind.systems.s3.store import S3Store

MB = 1 << 20
OURS = Owner("copies", "2026-11-24", "copy")
OTHERS = Owner("copies", "2026-11-24", "another")
PART = 5 * MB
LARGE = os.urandom(12 * MB + 7)


def options(systems: Systems, **more: Any) -> dict[str, Any]:
    environment = systems.environment
    return {
        "endpoint_url": systems["s3"].endpoint,
        "aws_access_key_id": environment["AWS_ACCESS_KEY_ID"],
        "aws_secret_access_key": environment["AWS_SECRET_ACCESS_KEY"],
        "region_name": environment["AWS_REGION"],
        **more,
    }


@pytest.fixture(scope="module")
def s3(local_s3: Systems):
    return boto3.client("s3", config=Config(max_pool_connections=20), **options(local_s3))


@pytest.fixture(scope="module")
def bucket(s3) -> str:
    s3.create_bucket(
        Bucket="test-copy", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    return "test-copy"


@pytest.fixture(scope="module")
def store(local_s3: Systems, bucket: str) -> S3Store:
    return S3Store(bucket, client_options=options(local_s3))


@pytest.fixture
def place(request: pytest.FixtureRequest) -> str:
    """A prefix of this test's own."""
    return f"{request.node.name}/"


def put(s3, bucket: str, key: str, content: bytes = b"some text", **more: Any) -> None:
    s3.put_object(Bucket=bucket, Key=key, Body=content, **more)


def get(s3, bucket: str, key: str) -> bytes:
    return s3.get_object(Bucket=bucket, Key=key)["Body"].read()


def keys(s3, bucket: str, prefix: str) -> list[str]:
    listed = s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])
    return [entry["Key"].removeprefix(prefix) for entry in listed]


def left(store: S3Store, prefix: str) -> list[str]:
    return [unfinished.key for unfinished in store.unfinished(prefix)]


class Interfering:
    """A client that does something else just before some of its calls."""

    def __init__(self, client: Any, **before: Callable[[], None]) -> None:
        self._client = client
        self._before = before

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)
        if name not in self._before:
            return method

        def call(**arguments: Any) -> Any:
            self._before[name]()
            return method(**arguments)

        return call


class Through(S3Store):
    """A store whose client is another one."""

    def __init__(self, store: S3Store, client: Any) -> None:
        super().__init__(store.bucket)
        self._client = client


@pytest.mark.parametrize("threshold", [64 * MB, MB], ids=["in one request", "in ranges"])
def test_a_copy_keeps_what_belongs_to_the_object(s3, bucket, store, place, threshold: int) -> None:
    put(
        s3,
        bucket,
        place + "a b+ü%",
        LARGE,
        ContentType="text/csv",
        ContentEncoding="x-mine",
        CacheControl="max-age=7",
        ContentDisposition="attachment",
        Metadata={"colour": "blue"},
    )
    receipt = copy_object(
        store,
        place + "a b+ü%",
        store,
        place + "copy",
        owner=OURS,
        threshold=threshold,
        part_size=PART,
    )
    assert get(s3, bucket, place + "copy") == LARGE
    head = s3.head_object(Bucket=bucket, Key=place + "copy")
    assert head["ContentType"] == "text/csv"
    assert head["ContentEncoding"] == "x-mine"
    assert head["CacheControl"] == "max-age=7"
    assert head["ContentDisposition"] == "attachment"
    assert head["Metadata"]["colour"] == "blue"
    assert head["Metadata"]["tradewind-owner"] == OURS.digest
    (stored,) = receipt.stored.objects
    assert receipt.bytes == stored.bytes == len(LARGE)
    assert stored.etag == head["ETag"].strip('"')
    assert receipt.rows is None
    assert receipt.as_dict()["skipped"] == ()
    assert not left(store, place)


def test_metadata_are_replaced_when_given(s3, bucket, store, place) -> None:
    put(s3, bucket, place + "a", Metadata={"colour": "blue"})
    copy_object(store, place + "a", store, place + "b", owner=OURS, metadata={"size": "small"})
    metadata = s3.head_object(Bucket=bucket, Key=place + "b")["Metadata"]
    assert metadata["size"] == "small"
    assert "colour" not in metadata


def test_an_empty_object_is_copied_also_without_replacing(s3, bucket, store, place) -> None:
    put(s3, bucket, place + "a", b"")
    copy_object(store, place + "a", store, place + "b", owner=OURS, replace=False, threshold=0)
    assert get(s3, bucket, place + "b") == b""


def test_an_acl_is_given_only_when_asked(s3, bucket, store, place) -> None:
    put(s3, bucket, place + "a")
    seen: list[dict[str, Any]] = []
    s3.meta.events.register(
        "before-parameter-build.s3.CopyObject", lambda params, **_: seen.append(dict(params))
    )
    through = Through(store, s3)
    copy_object(through, place + "a", through, place + "b", owner=OURS)
    copy_object(through, place + "a", through, place + "b", owner=OURS, acl="private")
    assert [each.get("ACL") for each in seen] == [None, "private"]


@pytest.mark.parametrize("threshold", [64 * MB, 0], ids=["in one request", "in ranges"])
def test_without_replacing_only_own_copies_are_replaced(
    s3, bucket, store, place, threshold: int
) -> None:
    put(s3, bucket, place + "a")
    put(s3, bucket, place + "b", b"by a person")

    def attempt(target: str, owner: Owner) -> None:
        copy_object(
            store,
            place + "a",
            store,
            place + target,
            owner=owner,
            replace=False,
            threshold=threshold,
        )

    with pytest.raises(InputError, match=r"b exists and replace=False"):
        attempt("b", OURS)
    assert get(s3, bucket, place + "b") == b"by a person"
    attempt("c", OURS)
    attempt("c", OURS)
    with pytest.raises(InputError, match="exists"):
        attempt("c", OTHERS)


@pytest.mark.parametrize("threshold", [64 * MB, 0], ids=["in one request", "in ranges"])
def test_a_target_that_appears_meanwhile_is_not_replaced(
    s3, bucket, store, place, threshold: int
) -> None:
    put(s3, bucket, place + "a")

    def interfere() -> None:
        put(s3, bucket, place + "b", b"by a person")

    client = Interfering(s3, copy_object=interfere, complete_multipart_upload=interfere)
    through = Through(store, client)
    with pytest.raises(InputError, match="the target exists by now"):
        copy_object(
            through,
            place + "a",
            through,
            place + "b",
            owner=OURS,
            replace=False,
            threshold=threshold,
        )
    assert get(s3, bucket, place + "b") == b"by a person"
    assert not left(store, place)


@pytest.mark.parametrize("threshold", [64 * MB, MB], ids=["in one request", "in ranges"])
def test_a_source_that_changes_meanwhile_is_not_mixed(
    s3, bucket, store, place, threshold: int
) -> None:
    put(s3, bucket, place + "a", LARGE)
    calls = iter([lambda: None, lambda: put(s3, bucket, place + "a", LARGE[::-1])])
    client = Interfering(
        s3,
        upload_part_copy=lambda: next(calls, lambda: None)(),
        copy_object=lambda: put(s3, bucket, place + "a", LARGE[::-1]),
    )
    through = Through(store, client)
    with pytest.raises(RetryError, match="the source has changed"):
        copy_object(
            through,
            place + "a",
            through,
            place + "b",
            owner=OURS,
            threshold=threshold,
            part_size=PART,
            connections=1,
        )
    assert keys(s3, bucket, place) == ["a"]
    assert not left(store, place)


def test_a_killed_copy_leaves_nothing_to_the_next_attempt(
    s3, bucket, store, place, local_s3: Systems
) -> None:
    put(s3, bucket, place + "a", LARGE)
    put(s3, bucket, place + "b", b"of yesterday")
    child = textwrap.dedent(
        f"""
        import os, signal
        from tradewind.move.copy import copy_object
        from tradewind.systems.s3.store import S3Store
        from tradewind.owner import Owner

        store = S3Store({bucket!r})
        original, calls = store.client.upload_part_copy, []

        def dying(**arguments):
            original(**arguments)
            calls.append(1)
            if len(calls) == 2:
                os.kill(os.getpid(), signal.SIGKILL)
            return original(**arguments)

        store.client.upload_part_copy = dying
        copy_object(store, {place + "a"!r}, store, {place + "b"!r},
                    owner=Owner("copies", "2026-11-24", "copy"), threshold=0, part_size={PART})
        """
    )
    died = subprocess.run(
        [sys.executable, "-c", child], env={**os.environ, **local_s3.environment}, check=False
    )
    assert died.returncode == -9
    assert set(left(store, place)) == {place + "b"}
    assert get(s3, bucket, place + "b") == b"of yesterday"
    copy_object(store, place + "a", store, place + "b", owner=OURS, threshold=0, part_size=PART)
    assert not left(store, place)
    assert get(s3, bucket, place + "b") == LARGE


def test_the_later_of_two_attempts_wins(s3, bucket, store, place) -> None:
    put(s3, bucket, place + "a", LARGE)

    def overtake() -> None:
        copy_object(store, place + "a", store, place + "b", owner=OURS, threshold=0, part_size=PART)

    once = iter([overtake])
    client = Interfering(s3, complete_multipart_upload=lambda: next(once, lambda: None)())
    through = Through(store, client)
    with pytest.raises(RetryError, match=r"[Aa]nother attempt"):
        copy_object(
            through, place + "a", through, place + "b", owner=OURS, threshold=0, part_size=PART
        )
    assert get(s3, bucket, place + "b") == LARGE
    assert not left(store, place)


def test_two_attempts_at_once_never_mix(s3, bucket, store, place) -> None:
    put(s3, bucket, place + "a", LARGE)
    outcomes: list[object] = []
    together = threading.Barrier(2)

    def attempt() -> None:
        together.wait(10)
        try:
            outcomes.append(
                copy_object(
                    store, place + "a", store, place + "b", owner=OURS, threshold=0, part_size=PART
                )
            )
        except RetryError as error:
            outcomes.append(error)

    threads = [threading.Thread(target=attempt) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(outcomes) == 2
    copy_object(store, place + "a", store, place + "b", owner=OURS, threshold=0, part_size=PART)
    assert get(s3, bucket, place + "b") == LARGE
    assert not left(store, place)


def test_stopping_leaves_nothing(s3, bucket, store, place) -> None:
    put(s3, bucket, place + "a", LARGE)
    stop = threading.Event()
    through = Through(store, Interfering(s3, upload_part_copy=stop.set))
    with pytest.raises(CancelledError, match="asked to stop"):
        copy_object(
            through,
            place + "a",
            through,
            place + "b",
            owner=OURS,
            threshold=0,
            part_size=PART,
            connections=1,
            stop=stop,
        )
    assert keys(s3, bucket, place) == ["a"]
    assert not left(store, place)


def test_bad_input_names_object_and_remedy(s3, bucket, store, place, local_s3: Systems) -> None:
    put(s3, bucket, place + "a")
    nowhere = S3Store("test-no-such-bucket", client_options=options(local_s3))
    wrong = S3Store(bucket, client_options=options(local_s3, aws_secret_access_key="wrong"))
    cases: list[tuple[S3Store, str, S3Store, type[Exception], str]] = [
        (store, "absent", store, InputError, rf"no object s3://{bucket}/.*absent\. Correct"),
        (store, "a", nowhere, SetupError, r"test-no-such-bucket.*Create it"),
        (nowhere, "a", store, SetupError, r"test-no-such-bucket.*Create it"),
        (wrong, "a", store, SetupError, rf"{bucket}.*[Cc]redentials"),
        (store, "a", wrong, SetupError, rf"{bucket}.*[Cc]redentials"),
    ]
    for source, key, target, error, message in cases:
        with pytest.raises(error, match=message):
            copy_object(source, place + key, target, place + "b", owner=OURS)
    with pytest.raises(InputError, match="onto itself"):
        copy_object(store, place + "a", store, place + "a", owner=OURS)
    with pytest.raises(InputError, match="ACL"):
        copy_object(store, place + "a", FileStore("/tmp"), "b", owner=OURS, acl="private")
    assert keys(s3, bucket, place) == ["a"]


def test_a_version_is_asked_for(s3, bucket, store, place) -> None:
    # The local server has no versions and takes no notice: it is the request that is looked at.
    put(s3, bucket, place + "a")
    seen: list[dict[str, Any]] = []
    s3.meta.events.register(
        "before-parameter-build.s3.CopyObject", lambda params, **_: seen.append(dict(params))
    )
    through = Through(store, s3)
    copy_object(through, place + "a", through, place + "b", owner=OURS, source_version="null")
    assert seen[-1]["CopySource"] == f"{bucket}/{place}a?versionId=null"
    with pytest.raises(InputError, match="only S3"):
        copy_object(FileStore("/tmp"), "a", store, place + "b", owner=OURS, source_version="1")


@pytest.mark.parametrize("restored", [False, True])
def test_an_archived_object_is_refused_before_anything(
    s3, bucket, store, place, restored: bool
) -> None:
    # No server here archives: the answer is made to say so.
    put(s3, bucket, place + "a")

    class Archived(Interfering):
        def head_object(self, **arguments: Any) -> dict[str, Any]:
            answer = self._client.head_object(**arguments)
            restore = {"Restore": 'ongoing-request="false", expiry-date="x"'} if restored else {}
            return {**answer, "StorageClass": "GLACIER", **restore}

    through = Through(store, Archived(s3))
    if restored:
        copy_object(through, place + "a", through, place + "b", owner=OURS)
        return
    with pytest.raises(InputError, match=r"a is archived \(GLACIER\).*[Rr]estore it first"):
        copy_object(through, place + "a", through, place + "b", owner=OURS)


def test_tags_go_with_ranges(s3, bucket, store, place) -> None:
    # The local server knows no tags: they are put into the answer, and taken out of the request.
    put(s3, bucket, place + "a", LARGE)
    asked: list[str] = []

    class Tagged(Interfering):
        def get_object_tagging(self, **arguments: Any) -> dict[str, Any]:
            return {"TagSet": [{"Key": "team", "Value": "a&b"}]}

        def create_multipart_upload(self, *, Tagging: str = "", **arguments: Any) -> Any:
            # The record of an upload has no tags, and is never completed.
            if Tagging:
                asked.append(Tagging)
            return self._client.create_multipart_upload(**arguments)

    through = Through(store, Tagged(s3))
    copy_object(through, place + "a", through, place + "b", owner=OURS, threshold=0, part_size=PART)
    assert asked == ["team=a%26b"]


def test_between_stores_the_data_are_streamed(s3, bucket, store, place, tmp_path: Path) -> None:
    put(s3, bucket, place + "a.csv", LARGE, ContentType="text/csv", Metadata={"colour": "blue"})
    files = FileStore(tmp_path)
    out = copy_object(store, place + "a.csv", files, "x/a.csv", owner=OURS)
    assert (tmp_path / "x/a.csv").read_bytes() == LARGE
    assert out.bytes == len(LARGE)
    again = copy_object(store, place + "a.csv", files, "x/a.csv", owner=OURS, skip_equal=True)
    assert again.skipped == (files.uri("x/a.csv"),)
    back = copy_object(files, "x/a.csv", store, place + "b.csv", owner=OURS)
    assert get(s3, bucket, place + "b.csv") == LARGE
    head = s3.head_object(Bucket=bucket, Key=place + "b.csv")
    assert head["ContentType"] == "text/csv"
    assert head["Metadata"]["colour"] == "blue"
    assert back.stored.objects[0].etag == head["ETag"].strip('"')
    with pytest.raises(InputError, match="exists and replace=False"):
        copy_object(store, place + "a.csv", files, "x/a.csv", owner=OTHERS, replace=False)


def test_a_target_whose_credentials_do_not_see_the_source_gets_a_stream(
    s3, bucket, store, place, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(s3, bucket, place + "a", LARGE)

    class Blind(Interfering):
        def copy_object(self, **arguments: Any) -> Any:
            return self._client.copy_object(
                **{**arguments, "CopySource": {"Bucket": "test-no-such", "Key": "a"}}
            )

    target = Through(store, Blind(s3))
    monkeypatch.setattr(_s3_copy.Seen, "uri", lambda self, key="": key)
    monkeypatch.setattr("tradewind.systems.s3.copy._readable", lambda *_: False)
    copy_object(store, place + "a", target, place + "b", owner=OURS)
    assert get(s3, bucket, place + "b") == LARGE


@pytest.fixture
def tree(s3, bucket, place) -> Iterator[dict[str, bytes]]:
    contents = {f"{name}.csv": f"content of {name}".encode() for name in range(30)}
    contents["deep/er/large"] = LARGE
    contents["_manifest.json"] = b"{}"
    for key, content in contents.items():
        put(s3, bucket, f"{place}from/{key}", content)
    return contents


def test_a_prefix_is_copied_and_the_manifest_last(s3, bucket, store, place, tree) -> None:
    told: list[Progress] = []
    receipt = copy_prefix(
        store,
        place + "from/",
        store,
        place + "to/",
        owner=OURS,
        threshold=MB,
        part_size=PART,
        progress=told.append,
    )
    for key, content in tree.items():
        assert get(s3, bucket, f"{place}to/{key}") == content
    assert len(receipt.stored.objects) == len(tree)
    assert receipt.bytes == sum(map(len, tree.values()))
    assert told[-1].bytes == receipt.bytes
    modified = {
        entry["Key"].rpartition("/")[2]: entry["LastModified"]
        for entry in s3.list_objects_v2(Bucket=bucket, Prefix=place + "to/")["Contents"]
    }
    assert modified["_manifest.json"] == max(modified.values())


def test_equal_objects_are_skipped_and_others_are_not(s3, bucket, store, place, tree) -> None:
    def copied() -> tuple[set[str], int]:
        receipt = copy_prefix(
            store,
            place + "from/",
            store,
            place + "to/",
            owner=OURS,
            skip_equal=True,
            threshold=MB,
            part_size=PART,
        )
        names = {stored.uri.partition("/to/")[2] for stored in receipt.stored.objects}
        return names, len(receipt.skipped)

    assert copied() == (set(tree), 0)
    assert copied() == (set(), len(tree))
    put(s3, bucket, place + "from/3.csv", b"other content")
    put(s3, bucket, place + "from/4.csv", b"content of X")
    put(s3, bucket, place + "to/deep/er/large", LARGE[::-1])
    s3.delete_object(Bucket=bucket, Key=place + "to/5.csv")
    assert copied() == ({"3.csv", "4.csv", "5.csv", "deep/er/large"}, len(tree) - 4)
    assert get(s3, bucket, place + "to/deep/er/large") == LARGE
    assert get(s3, bucket, place + "to/4.csv") == b"content of X"


def test_what_has_no_source_is_deleted_on_request(s3, bucket, store, place) -> None:
    for key in ("from/a", "from/b", "to/b", "to/gone", "to/deep/gone", "to/late", "tomb"):
        put(s3, bucket, place + key, b"x")

    def sync(**how: Any) -> None:
        copy_prefix(store, place + "from/", store, place + "to/", owner=OURS, **how)

    sync()
    assert keys(s3, bucket, place + "to/") == ["a", "b", "deep/gone", "gone", "late"]
    replaced = threading.Event()

    def written(told: Progress) -> None:
        if not replaced.is_set():
            put(s3, bucket, place + "to/late", b"by somebody meanwhile")
            replaced.set()

    sync(delete_surplus=True, skip_equal=True, progress=written)
    assert keys(s3, bucket, place + "to/") == ["a", "b"] + ["late"] * replaced.is_set()
    assert get(s3, bucket, place + "tomb") == b"x"
    sync(delete_surplus=True, skip_equal=True)
    assert keys(s3, bucket, place + "to/") == ["a", "b"]
    with pytest.raises(InputError, match="both prefixes end with a slash"):
        copy_prefix(store, place + "from", store, place + "to", owner=OURS, delete_surplus=True)
    with pytest.raises(InputError, match="no object"):
        copy_prefix(store, place + "none/", store, place + "to/", owner=OURS, delete_surplus=True)
    assert keys(s3, bucket, place + "to/") == ["a", "b"]


def test_a_prefix_refuses_before_it_copies(s3, bucket, store, place, tree) -> None:
    put(s3, bucket, place + "to/7.csv", b"by a person")
    with pytest.raises(InputError, match=r"to/7\.csv exists and replace=False"):
        copy_prefix(store, place + "from/", store, place + "to/", owner=OURS, replace=False)
    assert keys(s3, bucket, place + "to/") == ["7.csv"]
    with pytest.raises(InputError, match="no object"):
        copy_prefix(store, place + "absent/", store, place + "to/", owner=OURS)
    with pytest.raises(InputError, match="overlap"):
        copy_prefix(store, place + "from/", store, place + "from/deep/", owner=OURS)


def test_a_prefix_leaves_uploads_of_other_keys_alone(s3, bucket, store, place, tree) -> None:
    killed = store.upload(place + "to/1.csv", metadata={"tradewind-owner": OURS.digest})
    killed.write(bytes(store.part_bytes + 1))
    assert {found.owner for found in store.unfinished(place)} == {OURS.digest}
    theirs = (place + "to/1.csv", place + "to/else")
    begun = {s3.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]: key for key in theirs}
    copy_prefix(store, place + "from/", store, place + "to/", owner=OURS)
    assert {found.id: found.key for found in store.unfinished(place)} == begun
    for upload, key in begun.items():
        s3.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload)


def test_the_first_error_of_a_prefix_ends_it(s3, bucket, store, place, tree) -> None:
    through = Through(
        store,
        Interfering(
            s3, upload_part_copy=lambda: put(s3, bucket, place + "from/deep/er/large", b"else")
        ),
    )
    with pytest.raises(RetryError, match="deep/er/large"):
        copy_prefix(
            through,
            place + "from/",
            through,
            place + "to/",
            owner=OURS,
            threshold=MB,
            part_size=PART,
        )
    assert "_manifest.json" not in keys(s3, bucket, place + "to/")
    assert not left(store, place)


def test_a_prefix_is_streamed_between_stores(s3, bucket, store, place, tree, tmp_path) -> None:
    copy_prefix(store, place + "from/", FileStore(tmp_path), "to/", owner=OURS)
    for key, content in tree.items():
        found = (tmp_path / "to" / key).read_bytes()
        assert hashlib.sha256(found).digest() == hashlib.sha256(content).digest()
