"""Names as people write them: each arrives as it was, or is refused in words, on every store."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from object_moves import ManyRows
from tradewind.errors import InputError
from tradewind.local import Systems
from tradewind.move.objects.source import ObjectSource
from tradewind.move.objects.target import ObjectTarget
from tradewind.move.store import Store
from tradewind.move.transfer import transfer
from tradewind.owner import Owner
from tradewind.systems.azure.store import AzureStore
from tradewind.systems.files.store import FileStore
from tradewind.systems.gcs.store import GCSStore
from tradewind.systems.s3.airflow import split_s3
from tradewind.systems.s3.store import S3Store

OWNER = Owner("dag", "run", "task")
STORES = ["s3_store", "versity_store", "file_store", "gcs_store", "azure_store", "sftp_store"]
NAMES = {
    # A name, and another that somebody could take it for: by a pattern, or decoded once more.
    "a?b.csv": "axb.csv",
    "a*b.csv": "axxb.csv",
    "a[1].csv": "a1.csv",
    "[!x].csv": "y.csv",
    "d[1]/e.csv": "d1/e.csv",
    "**/e.csv": "d/e.csv",
    "a#b.csv": "a",
    "a%20b.csv": "a b.csv",
    "a%2Fb.csv": "a/b.csv",
    "a%2520b.csv": "a%20b.csv",
    "a+b.csv": "a b.csv",
    "export?code=DE.csv": "export",
    "100%.csv": "100.csv",
    " a b .csv": "a b.csv",
    'it\'s "so" `x`.csv': "its so x.csv",
    "caf\u00e9.csv": "cafe\u0301.csv",
    "cafe\u0301.csv": "caf\u00e9.csv",
    "\uc5ed\uc0ac-\U0001f680.csv": "\U0001f680.csv",
    "a;b=c&d,e.csv": "a.csv",
    "{a,b}<c>|d.csv": "a.csv",
    "tab\there.csv": "tabhere.csv",
    "~/x.csv": "x.csv",
    "...csv": "csv",
    "x=1/y=a%3Ab/z.csv": "x=1/y=a:b/z.csv",
}


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest) -> Store:
    return request.getfixturevalue(request.param)


def put(store: Store, key: str, data: bytes) -> None:
    upload = store.upload(key)
    upload.write(data)
    upload.complete()


def read(store: Store, key: str) -> bytes:
    return b"".join(bytes(piece) for piece in store.read(key))


def ids(store: Store, key: str) -> list[int]:
    with ObjectSource(store, key).batches() as batches:
        return [row["id"] for batch in batches for row in batch.to_pylist()]


def keys(store: Store, prefix: str = "") -> list[str]:
    return [info.key for info in store.list(prefix)]


CORE = ("a?b.csv", "d[1]/e.csv", "a#b.csv", "a%20b.csv", "a+b.csv", "caf\u00e9.csv")


@pytest.mark.parametrize(
    ("where", "name"),
    [
        pytest.param(
            where,
            name,
            id=f"{where}-{name!a}",
            marks=() if name in CORE or where == "file_store" else pytest.mark.long,
        )
        for where in STORES
        for name in NAMES
    ],
)
def test_a_name_is_that_name(request: pytest.FixtureRequest, where: str, name: str) -> None:
    store: Store = request.getfixturevalue(where)
    other = NAMES[name]
    put(store, other, b"id\n-1\n")
    transfer(ManyRows(2), ObjectTarget(store, name, format="csv"), OWNER)
    assert ids(store, name) == [0, 1]
    assert sorted(keys(store)) == sorted([name, other])
    assert keys(store, name) == [name]
    assert read(store, other) == b"id\n-1\n"
    transfer(ObjectSource(store, name), ObjectTarget(store, f"to/{name}", format="csv"), OWNER)
    assert read(store, f"to/{name}") == read(store, name)
    store.delete([name])
    assert sorted(keys(store)) == sorted([other, f"to/{name}"])


PREFIXES = ["data[2024]", "100%", "what?", "caf\u00e9", "*"]


def test_a_prefix_is_that_prefix(store: Store) -> None:
    for number, prefix in enumerate(PREFIXES):
        put(store, f"{prefix}/x.csv", b"id\n%d\n" % number)
    for other in ("data2/x.csv", "100/x.csv", "whatx/x.csv", "cafe\u0301/x.csv"):
        put(store, other, b"id\n-1\n")
    for number, prefix in enumerate(PREFIXES):
        for key in (prefix, f"{prefix}/", f"{prefix}/x.csv", f"{prefix}/*.csv", f"{prefix}/?.csv"):
            assert ids(store, key) == [number], key
    assert ids(store, "data[2]/*.csv") == [-1]
    assert ids(store, "data[[]2024[]]/*.csv") == [0]
    assert ids(store, "what[?]/x.csv") == [2]


@pytest.mark.parametrize("where", ["s3_store", "gcs_store", "azure_store"])
def test_slashes_are_as_written(request: pytest.FixtureRequest, where: str) -> None:
    store: Store = request.getfixturevalue(where)
    for number, key in enumerate(("a/x.csv", "a//x.csv", "/a/x.csv", "a/y.csv/")):
        put(store, key, b"id\n%d\n" % number)
    assert ids(store, "a/x.csv") == [0]
    assert ids(store, "a//x.csv") == [1]
    assert ids(store, "/a/x.csv") == [2]
    assert ids(store, "a//") == [1]
    assert ids(store, "/") == [2]
    assert ids(store, "a/y.csv/") == [3], "an object with bytes is no mark of a folder"
    assert sorted(ids(store, "a/")) == [0, 1, 3]


@pytest.mark.parametrize("key", ["a/../b.csv", "./b.csv", "a/.", "..", "../b.csv"])
def test_no_path_leads_elsewhere(store: Store, key: str) -> None:
    put(store, "b.csv", b"id\n1\n")
    if isinstance(store, GCSStore) and key != "..":
        pytest.skip("there it is a name like any other")
    for doing in (lambda: ObjectTarget(store, key, format="csv"), lambda: store.upload(key)):
        with pytest.raises(InputError):
            doing()
    if not isinstance(store, S3Store):  # S3 may have such a key, and a server that makes it a path
        with pytest.raises(InputError):
            ids(store, key)
        with pytest.raises(InputError):
            store.delete([key])
    assert read(store, "b.csv") == b"id\n1\n"


@pytest.mark.parametrize("key", ["\ud800.csv", "a/\udfff*"])
def test_what_is_no_text_is_refused(store: Store, key: str) -> None:
    for doing in (
        lambda: ids(store, key),
        lambda: ObjectTarget(store, key, format="csv"),
        lambda: store.head(key),
        lambda: store.upload(key),
    ):
        with pytest.raises(InputError):
            doing()


def test_what_would_be_another_name_is_refused(s3_store: S3Store, azure_store: AzureStore) -> None:
    for store, name in ((s3_store, "\x01.csv"), (azure_store, "\x01.csv"), (azure_store, "a\\b")):
        with pytest.raises(InputError, match="Choose another"):
            store.upload(name)


def test_what_is_not_there_is_told_with_what_is(file_store: FileStore) -> None:
    for name in ("caf\u00e9.csv", "a b.csv", "d/e.csv"):
        put(file_store, name, b"id\n1\n")
    for wrong, right in (
        ("cafe\u0301.csv", "are composed"),
        ("a%20b.csv", "a b.csv is there: nothing in a key is percent-decoded"),
        ("d/e.csv/", r"d/e\.csv is there, without / at its end"),
    ):
        with pytest.raises(InputError, match=right):
            ids(file_store, wrong)


# ----------------------------------------------------------------------------------- URIs and lines

KEYS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)
STEPS = st.lists(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0/"), min_size=1).filter(
        lambda step: step not in (".", "..")
    ),
    min_size=1,
)


@given(KEYS)
@settings(max_examples=300)
def test_a_uri_has_the_key_as_it_is(key: str) -> None:
    for store in (S3Store("bucket"), GCSStore("bucket"), AzureStore("bucket", account="account")):
        uri = store.uri(key)
        options = {"account": "account"} if isinstance(store, AzureStore) else {}
        if "=" in key and ("?" in key or "&" in key):
            continue  # It may look like a signed address, which is refused.
        assert type(store).from_uri(uri, **options)[1] == key
        if isinstance(store, S3Store) and key:
            assert split_s3(None, uri, conn_id=None, bucket_argument="b", key_argument="k") == (
                "bucket",
                key,
            )


@given(STEPS)
@settings(max_examples=300)
def test_the_uri_of_a_file_has_its_path_as_it_is(steps: list[str]) -> None:
    path = "/" + "/".join(steps)
    for uri in (f"file://{path}", path, f"file://localhost{path}", f"file:///{path}"):
        store, key = FileStore.from_uri(uri)
        assert str(store.path(key)) == path
        assert store.uri(key) == f"file://{path}"


@pytest.mark.parametrize(
    ("path", "root", "key"),
    [
        ("file:///x.csv", "/", "x.csv"),
        ("/a//b/./c.csv", "/a/b", "c.csv"),
        ("/a/b/.", "/a/b", ""),
        ("/a/*//c/./x.csv", "/a", "*/c/x.csv"),
        ("/a/.b", "/a", ".b"),
        ("/a/b.", "/a", "b."),
        ("/a/%2E%2E/b", "/a/%2E%2E", "b"),
    ],
)
def test_paths_as_a_file_system_reads_them(path: str, root: str, key: str) -> None:
    store, found = FileStore.from_uri(path)
    assert (str(store.root), found) == (root, key)


def test_names_on_the_command_line(tmp_path: Path, s3_store: S3Store, local_s3: Systems) -> None:
    odd = [
        "a?b.csv",
        "a[1].csv",
        "a#b.csv",
        "a%20b.csv",
        "a+b.csv",
        "cafe\u0301.csv",
        "it's \".csv",
    ]
    line = "import sys; from tradewind.cli import main; sys.exit(sum(main(a.split(chr(1))) or 0"
    line += " for a in sys.argv[1:]))"
    moves = []
    (tmp_path / "in[1]").mkdir()
    for number, name in enumerate(odd):
        (tmp_path / "in[1]" / name).write_bytes(b"id\n%d\n" % number)
        moves.append(("--from", f"in[1]/{name}", "--to", f"out?/{name}"))
    names = ("a?b.csv", "a%20b.csv", "cafe\u0301.csv")
    for name in names:
        uri = s3_store.uri(f"d[1]/{name}")
        moves += [("--from", f"in[1]/{name}", "--to", uri), ("--from", uri, "--to", f"s3 {name}")]
    packed = ["\1".join(("move", "--json", *move)) for move in moves]
    done = subprocess.run(
        [sys.executable, "-c", line, *packed],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, **local_s3.environment},
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    receipts = [json.loads(text) for text in done.stdout.splitlines()]
    assert len(receipts) == len(moves)
    for number, name in enumerate(odd):
        assert (tmp_path / "out?" / name).read_bytes() == b"id\n%d\n" % number
        if name in names:
            assert (tmp_path / f"s3 {name}").read_bytes() == b"id\n%d\n" % number
    assert sorted(keys(s3_store)) == sorted(f"d[1]/{name}" for name in names)


def test_a_name_that_is_no_utf8(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.csv")
    (tmp_path / name).write_bytes(b"id\n1\n")
    done = subprocess.run(
        [sys.executable, "-m", "tradewind.cli", "move", "--from", name, "--to", f"to-{name}"],
        cwd=tmp_path,
        capture_output=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / f"to-{name}").read_bytes() == b"id\n1\n"
