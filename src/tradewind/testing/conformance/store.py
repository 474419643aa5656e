"""What every object store does, whatever it is made of."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import pytest

from tradewind.errors import InputError, RetryError
from tradewind.move.store import OWNER, ObjectInfo, Store

MB = 1 << 20
OURS = "0123456789ab"
SIZES = [0, 1, "one part", "parts"]
"""Bytes, or parts of the store's own size."""


def bytes_of(store: Store, size: int | str) -> int:
    """Tell a size: of exactly one part, or of more than two parts of an upload to this store."""
    if isinstance(size, int):
        return size
    part: int = getattr(store, "part_bytes", 0) or getattr(store, "_part_bytes", MB)
    return part if size == "one part" else 2 * part + 12345


def put(store: Store, key: str, data: bytes, **options: Any) -> ObjectInfo:
    upload = store.upload(key, **options)
    upload.write(data)
    return upload.complete()


def read(store: Store, key: str, **options: Any) -> bytes:
    return b"".join(bytes(piece) for piece in store.read(key, **options))


def keys(store: Store, prefix: str = "") -> list[str]:
    return [info.key for info in store.list(prefix)]


def wait_until(there: Callable[[], bool], *, seconds: float) -> bool:
    """Wait until something holds, at most for some seconds."""
    deadline = time.monotonic() + seconds
    while not there():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


class StoreConformance:
    """Tests that pass for every store.

    A subclass has a fixture ``store``: an empty store, anew for each test.
    """

    tells_owners: ClassVar[bool] = False
    """Whether what an upload has left says whose it is (`Unfinished.owner`)."""
    etag_counts_parts: ClassVar[bool] = False
    """Whether the ETag of an upload in parts ends with their number, as S3's does."""

    @pytest.mark.parametrize("size", SIZES)
    def test_round_trip(self, store: Store, size: int | str) -> None:
        size = bytes_of(store, size)
        data = os.urandom(size)
        upload = store.upload("a/b.csv")
        for start in range(0, size, 100_000):
            upload.write(data[start : start + 100_000])
        stored = upload.complete()
        assert (stored.key, stored.size) == ("a/b.csv", size)
        assert read(store, "a/b.csv") == data
        head = store.head("a/b.csv")
        assert head is not None
        assert (head.size, head.etag) == (size, stored.etag)
        if self.etag_counts_parts and size > 2 * bytes_of(store, "one part"):
            assert str(head.etag).endswith("-3"), "it was no multipart upload"
        if stored.checksum and stored.checksum.startswith("md5:"):
            assert stored.checksum == f"md5:{hashlib.md5(data).hexdigest()}"

    def test_the_upload_tells_a_checksum(self, store: Store) -> None:
        stored = put(store, "key", b"data")
        assert stored.checksum is not None
        algorithm, _, digest = stored.checksum.partition(":")
        assert algorithm
        assert bytes.fromhex(digest)

    def test_says_when_it_was_written(self, store: Store) -> None:
        put(store, "key", b"data")
        head = store.head("key")
        assert head is not None
        assert head.modified is not None
        assert abs(head.modified - datetime.now(UTC)) < timedelta(minutes=10)

    def test_keeps_type_encoding_and_metadata(self, store: Store) -> None:
        if not store.keeps_metadata:
            pytest.skip("it keeps none")
        metadata = {"tradewind-owner": "0123456789ab", "rows": "3"}
        data = b"\x1f\x8b not really gzip"
        for name, size in (("small", 1), ("large", bytes_of(store, "parts"))):
            put(
                store,
                name,
                data * size if size == 1 else data + bytes(size),
                content_type="text/csv; charset=utf-8",
                content_encoding="gzip",
                metadata=metadata,
            )
            head = store.head(name)
            assert head is not None
            assert head.content_type == "text/csv; charset=utf-8"
            assert head.content_encoding == "gzip"
            assert {key: head.metadata.get(key) for key in metadata} == metadata
            assert read(store, name)[: len(data)] == data, "it was unpacked on the way"

    @pytest.mark.parametrize("size", [1, "parts"])
    def test_nothing_is_visible_before_completion(self, store: Store, size: int | str) -> None:
        size = bytes_of(store, size)
        upload = store.upload("dir/key")
        upload.write(bytes(size))
        assert store.head("dir/key") is None
        assert keys(store) == []
        upload.complete()
        assert keys(store) == ["dir/key"]

    @pytest.mark.parametrize("size", [1, "parts"])
    def test_an_abort_leaves_what_was_there(self, store: Store, size: int | str) -> None:
        size = bytes_of(store, size)
        before = put(store, "key", b"before")
        upload = store.upload("key")
        upload.write(bytes(size))
        upload.abort()
        upload.abort()
        after = store.head("key")
        assert after is not None
        assert after.etag == before.etag
        assert read(store, "key") == b"before"
        assert list(store.unfinished("key")) == []

    @pytest.mark.parametrize("size", [1, "parts"])
    def test_an_abort_leaves_nothing_where_nothing_was(self, store: Store, size: int | str) -> None:
        size = bytes_of(store, size)
        upload = store.upload("key")
        upload.write(bytes(size))
        upload.abort()
        assert store.head("key") is None
        assert keys(store) == []

    def test_an_abort_after_completion_does_nothing(self, store: Store) -> None:
        upload = store.upload("key")
        upload.write(b"data")
        upload.complete()
        upload.abort()
        assert read(store, "key") == b"data"

    @pytest.mark.parametrize("size", [1, "parts"])
    def test_create_only(self, store: Store, size: int | str) -> None:
        size = bytes_of(store, size)
        put(store, "key", bytes(size), create_only=True)
        with pytest.raises(InputError, match="key"):
            put(store, "key", b"x" * size, create_only=True)
        assert read(store, "key") == bytes(size)

    @pytest.mark.parametrize("size", [1, "parts"])
    def test_create_only_when_another_was_faster(self, store: Store, size: int | str) -> None:
        size = bytes_of(store, size)
        upload = store.upload("key", create_only=True)
        upload.write(b"x" * size)
        put(store, "key", b"other")
        with pytest.raises(InputError, match="key"):
            upload.complete()
        upload.abort()
        assert read(store, "key") == b"other"

    @pytest.mark.parametrize("size", [1, "parts"])
    def test_replaces_the_version_that_was_seen(self, store: Store, size: int | str) -> None:
        size = bytes_of(store, size)
        first = put(store, "key", b"first")
        second = put(store, "key", b"x" * size, replaces=first.etag)
        assert read(store, "key") == b"x" * size
        upload = store.upload("key", replaces=first.etag)
        upload.write(b"y" * size)
        with pytest.raises(InputError, match="key"):
            upload.complete()
        upload.abort()
        head = store.head("key")
        assert head is not None
        assert head.etag == second.etag

    def test_of_two_uploads_at_once_one_is_there_and_whole(self, store: Store) -> None:
        one, two = store.upload("key"), store.upload("key")
        piece = bytes_of(store, "parts") // 8
        for number in range(8):
            one.write(b"1" * (piece + number))
            two.write(b"2" * piece)
        for upload in (one, two):
            try:
                upload.complete()
            except RetryError:
                upload.abort()
        stored = read(store, "key")
        assert set(stored) in ({ord("1")}, {ord("2")})
        assert len(stored) == (8 * piece + 28 if stored[0] == ord("1") else 8 * piece)

    def test_what_is_left_unfinished_can_be_discarded(self, store: Store) -> None:
        upload = store.upload("dir/part-1")
        upload.write(bytes(bytes_of(store, "parts")))
        lefts = list(store.unfinished("dir/"))
        assert {left.key for left in lefts} <= {"dir/part-1"}
        assert list(store.unfinished("other/")) == []

        def discard_all() -> bool:
            # The upload is alive: what it has on its way may arrive after.
            for left in store.unfinished("dir/"):
                store.discard(left)
                store.discard(left)
            return list(store.unfinished("dir/")) == []

        assert wait_until(discard_all, seconds=20)
        assert keys(store) == []
        if lefts:
            with pytest.raises(RetryError):
                upload.complete()
        upload.abort()
        assert keys(store) == []

    def test_lists_by_prefix_in_order(self, store: Store) -> None:
        for key in ("b/2", "a/10", "a/1", "a/2", "ab"):
            put(store, key, key.encode())
        assert keys(store) == ["a/1", "a/10", "a/2", "ab", "b/2"]
        assert keys(store, "a/") == ["a/1", "a/10", "a/2"]
        assert keys(store, "a/1") == ["a/1", "a/10"]
        assert keys(store, "c") == []
        assert [info.size for info in store.list("a/")] == [3, 4, 3]
        listed = {info.key: info.etag for info in store.list()}
        for key, etag in listed.items():
            head = store.head(key)
            assert head is not None
            assert head.etag == etag

    @pytest.mark.parametrize(
        "key",
        ["with space/a+b=c&d#e%20f", "u\u0308mlaut/\u00fc[1]?*", "x" * 200],
        ids=["signs", "letters and brackets", "long"],
    )
    def test_keys_of_any_spelling(self, store: Store, key: str) -> None:
        """Also of uploads in parts, and of what they leave: more in `test_names.py`."""
        data = os.urandom(bytes_of(store, "parts"))
        upload = store.upload(key, metadata={OWNER: OURS})
        upload.write(data)
        lefts = list(store.unfinished(key))
        assert {left.key for left in lefts} <= {key}
        upload.complete()
        assert list(store.unfinished()) == []
        assert keys(store) == keys(store, key) == [key]
        assert read(store, key) == data
        store.delete([key])
        assert keys(store) == []

    def test_unfinished_uploads_have_owners(self, store: Store) -> None:
        """An attempt discards its own, and lets be what others are writing to the same key."""
        size = bytes_of(store, "parts")
        mine = store.upload("dir/key", metadata={OWNER: OURS})
        theirs = store.upload("dir/key", metadata={OWNER: "f" * 12})
        nobodys = store.upload("dir/key")
        for upload, byte in ((mine, b"1"), (theirs, b"2"), (nobodys, b"3")):
            upload.write(byte * size)
        lefts = list(store.unfinished("dir/"))
        assert {left.key for left in lefts} <= {"dir/key"}
        if self.tells_owners:
            assert {left.owner for left in lefts} == {OURS, "f" * 12, None}
        for left in lefts:
            if left.owner == OURS:
                store.discard(left)
        theirs.complete()
        assert read(store, "dir/key") == b"2" * size
        with pytest.raises(RetryError):
            mine.complete()
        for upload in (mine, nobodys):
            upload.abort()
        assert list(store.unfinished()) == []
        assert keys(store) == ["dir/key"]

    def test_deletes_many_and_those_that_are_not_there(self, store: Store) -> None:
        names = [f"key-{number:02d}" for number in range(20)]
        for name in names:
            put(store, name, b"")
        store.delete(["never", *names[:19]])
        assert keys(store) == names[19:]
        store.delete([])

    def test_reads_the_version_that_is_wanted(self, store: Store) -> None:
        first = put(store, "key", b"first")
        assert read(store, "key", etag=first.etag) == b"first"
        put(store, "key", b"second")
        with pytest.raises(RetryError, match="key"):
            read(store, "key", etag=first.etag)

    def test_missing_object(self, store: Store) -> None:
        assert store.head("never") is None
        with pytest.raises(InputError, match="never"):
            read(store, "never")

    def test_check(self, store: Store) -> None:
        store.check()
        assert keys(store) == []

    def test_names_objects_without_secrets(self, store: Store) -> None:
        assert store.uri("a/b").endswith("/a/b")
        assert store.uri("a/b").startswith(store.uri())
        assert "@" not in store.uri("a/b")

    def test_a_key_is_needed(self, store: Store) -> None:
        with pytest.raises(InputError):
            put(store, "", b"data")
