"""Objects as a source: which are meant, what they are, and that several of them agree."""

from __future__ import annotations

import contextlib
import fnmatch
import gzip
import os
import re
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from object_moves import ManyRows
from tradewind.errors import InputError, RetryError
from tradewind.move.flow import Flow
from tradewind.move.formats.csv import CsvFormat
from tradewind.move.formats.jsonl import JsonLinesFormat
from tradewind.move.formats.parquet import ParquetFormat
from tradewind.move.objects.globs import expression
from tradewind.move.objects.source import ObjectSource
from tradewind.move.objects.target import ObjectTarget, Parts
from tradewind.move.store import ObjectInfo, Store
from tradewind.move.transfer import transfer
from tradewind.owner import Owner
from tradewind.systems.files.store import FileStore

OWNER = Owner("dag", "run", "task")


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path)


def put(store: FileStore, **contents: bytes) -> None:
    for name, data in contents.items():
        path = store.root / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def values(source: ObjectSource) -> list[dict]:
    with source.batches() as batches:
        return [row for batch in batches for row in batch.to_pylist()]


def passed(source: ObjectSource, format=None) -> tuple[bytes, int | None, tuple | None]:
    flow = Flow(source)
    encoded = flow.passed_through(format or CsvFormat())
    assert encoded is not None
    data = b"".join(encoded.chunks)
    return data, flow.rows, encoded.columns


@pytest.mark.parametrize(
    ("key", "found"),
    [
        ("a.csv", [1]),
        ("d/", [2, 3, 5]),
        ("d", [2, 3, 5]),
        ("d/*.csv", [2, 3]),
        ("d/[ab].csv", [2, 3]),
        ("d/[!a].csv", [3]),
        ("?.csv", [1]),
        ("**/*.csv", [1, 2, 3, 5]),
        ("d/**/c.csv", [5]),
        ("d/*", [2, 3]),
    ],
)
def test_key_prefix_and_glob(store: FileStore, key: str, found: list[int]) -> None:
    put(store, a_csv=b"n\n1\n", d__b_csv=b"n\n3\n", d__a_csv=b"n\n2\n", d__e__c_csv=b"n\n5\n")
    if key in ("d/", "d"):  # what begins so is not data
        (store.root / "d" / "_SUCCESS").write_bytes(b"")
        (store.root / "d" / ".hidden").write_bytes(b"")
    assert [row["n"] for row in values(ObjectSource(store, key))] == found


@pytest.mark.parametrize("key", ["never.csv", "never/", "*.never"])
def test_nothing_there(store: FileStore, key: str) -> None:
    with pytest.raises(InputError, match="no such object"):
        ObjectSource(store, key).batches()


def test_a_manifest_rules(store: FileStore) -> None:
    transfer(ManyRows(10), ObjectTarget(store, "set", format="csv", parts=Parts(rows=6)), OWNER)
    put(store, set__stray_csv=b"id,kind,text\n99,a,b\n")
    for key in ("set", "set/", "set/*.csv", "s*/*", "**/*.csv"):
        assert [row["id"] for row in values(ObjectSource(store, key))] == list(range(10)), key
    data, rows, columns = passed(ObjectSource(store, "set"))
    assert (rows, columns) == (10, ("id", "kind", "text"))
    assert data.count(b"\n") == 11
    # A part that is not the one that was published.
    part = next(store.root.glob("set/part-00001-*"))
    os.utime(part, (1, 1))
    with pytest.raises(RetryError, match="replaced"):
        values(ObjectSource(store, "set"))
    part.unlink()
    with pytest.raises(InputError, match="part-00001"):
        values(ObjectSource(store, "set"))


@pytest.mark.parametrize("where", ["file_store", "s3_store", "gcs_store"])
def test_a_manifest_rules_what_is_below_it(request: pytest.FixtureRequest, where: str) -> None:
    """A partition's folder, and a glob in it, have what the manifest above names, and no more."""
    base: Store = request.getfixturevalue(where)
    target = ObjectTarget(base, "lake/set", format="csv", parts=Parts(by=("kind",)))
    transfer(ManyRows(9), target, OWNER)
    stray = base.upload(
        "lake/set/kind=a/part-00007-0123456789abcdef0123.csv", metadata={"tradewind-owner": "other"}
    )
    stray.write(b"id,text\n99,a\n")
    stray.complete()
    keys = ["lake/set/kind=a/", "lake/set/kind=a", "lake/set/kind=a/*.csv", "lake/set/kind=[a]/*"]
    sources = [ObjectSource(base, key) for key in keys]
    if isinstance(base, FileStore):
        for path in ("lake/set/kind=a/", "lake/set/kind=a/*.csv", "lake/set/kind=?/*.csv"):
            store, key = FileStore.from_uri(f"{base.root}/{path}")
            sources.append(ObjectSource(store, key))
    for source in sources:
        found = values(source)
        assert [row["id"] for row in found] == [0, 3, 6], source.describe()
        assert {row["kind"] for row in found} == {"a"}
    # What is no part of the publication is nobody's to leave out.
    own = base.upload("lake/set/raw/x.csv")
    own.write(b"id\n7\n")
    own.complete()
    assert [row["id"] for row in values(ObjectSource(base, "lake/set/raw/"))] == [7]
    with pytest.raises(InputError, match="no such object"):
        values(ObjectSource(base, "lake/set/kind=z/"))


@pytest.mark.parametrize("key", ["set", "set/", "set/*.csv", "**/*.csv"])
def test_parts_of_an_unfinished_publication_are_not_read(store: FileStore, key: str) -> None:
    transfer(ManyRows(10), ObjectTarget(store, "set", format="csv", parts=Parts(rows=6)), OWNER)
    (store.root / "set" / "_manifest.json").unlink()
    with pytest.raises(InputError, match=r"only parts that no manifest names, like .*/set/part-"):
        values(ObjectSource(store, key))
    part = next(store.root.glob("set/part-00000-*")).name
    assert len(values(ObjectSource(store, f"set/{part}"))) == 6
    put(store, set__other_csv=b"id\n99\n")
    assert [row["id"] for row in values(ObjectSource(store, key))] == [99]


def test_a_glob_names_what_is_published_at_one_moment(
    store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the listing and the manifest all is replaced: then it is the new one, whole."""
    target = ObjectTarget(store, "set", format="csv", parts=Parts(rows=6))
    transfer(ManyRows(10), target, OWNER)
    plain = FileStore.list

    def listed(self: FileStore, prefix: str = "") -> Iterator[ObjectInfo]:
        found = list(plain(self, prefix))
        if prefix == "set/p":
            monkeypatch.setattr(FileStore, "list", plain)
            transfer(ManyRows(12, start=100), target, Owner("dag", "later", "task"))
        yield from found

    monkeypatch.setattr(FileStore, "list", listed)
    found = [row["id"] for row in values(ObjectSource(store, "set/p*.csv"))]
    assert found == list(range(100, 112))


@pytest.mark.parametrize(
    ("glob", "key", "fits"),
    [
        ("[!]a]x", "bx", True),
        ("[!]a]x", "]x", False),
        ("[]a]x", "]x", True),
        ("[^]", "[^]", True),
        ("[z-a]x", "mx", False),
        ("[a-c-]", "-", True),
        ("[a&&b]", "&", True),
        ("[--0]", ".", True),
        ("[\\\\w]", "x", False),
        ("a[b/c]d", "abd", False),
        ("a[b/c]d", "a[b/c]d", True),
        ("[!a]", "/", False),
        ("a.c", "abc", False),
        ("caf?", "caf\u00e9", True),
        ("caf?", "cafe\u0301", False),
    ],
)
def test_globs(glob: str, key: str, fits: bool) -> None:
    assert bool(expression(glob).fullmatch(key)) is fits


@given(st.text("ab]![^-*?/\\&~|", max_size=8), st.text("ab]![^-/\\&~|", max_size=8))
def test_any_text_is_a_glob(glob: str, key: str) -> None:
    """It never fails, and within one folder is what the standard library's is."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = bool(expression(glob).fullmatch(key))
    if "/" not in glob + key and "**" not in glob and "[^" not in glob:
        assert found is fnmatch.fnmatchcase(key, glob)


@given(st.text("ab]![^-*?&|", max_size=8))
def test_an_escaped_name_is_that_name(name: str) -> None:
    assert expression(re.sub(r"([*?[])", r"[\1]", name)).fullmatch(name)


@pytest.mark.parametrize("mark", [{"hdi_isfolder": "true"}, {}])
def test_the_mark_of_a_folder_is_no_object(store: FileStore, mark: dict[str, str]) -> None:
    class Marked(FileStore):
        """Like Azure with folders, which a file system cannot have beside a file of that name."""

        def head(self, key: str) -> ObjectInfo | None:
            if key == "d":
                kind = None if mark else "application/x-directory; charset=UTF-8"
                return ObjectInfo("d", 0, "1", content_type=kind, metadata=mark)
            return super().head(key)

    put(store, d__a_csv=b"n\n1\n")
    assert [row["n"] for row in values(ObjectSource(Marked(store.root), "d"))] == [1]


def test_a_manifest_that_is_none(store: FileStore) -> None:
    put(store, set__a_csv=b"n\n1\n")
    (store.root / "set" / "_manifest.json").write_bytes(b"{}")
    with pytest.raises(InputError, match=r"_manifest\.json.*no manifest"):
        values(ObjectSource(store, "set"))


def test_replaced_while_it_was_read(store: FileStore) -> None:
    put(store, a_csv=b"n\n1\n", b_csv=b"n\n2\n")
    with ObjectSource(store, "*.csv").batches() as batches:
        rest = iter(batches)
        next(rest)
        put(store, b_csv=b"n\n3\n4\n")
        with pytest.raises(RetryError, match=r"b\.csv"):
            list(rest)


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
@pytest.mark.parametrize("format", ["csv", "jsonl", "parquet"])
def test_what_it_is_shows_by_its_content(store: FileStore, format: str, compression: str) -> None:
    target = ObjectTarget(store, "nameless", format=format, compression=compression)
    transfer(ManyRows(600), target, OWNER)
    with ObjectSource(store, "nameless").batches() as batches:
        found = pa.Table.from_batches(list(batches))
    assert found.column("id").to_pylist() == list(range(600))


@pytest.mark.parametrize("content", [b"", b"[1, 2]", b"\x00\x01\x02"])
def test_content_that_tells_nothing(store: FileStore, content: bytes) -> None:
    put(store, nameless=content)
    with pytest.raises(InputError, match=r"nameless.*Give the format"):
        values(ObjectSource(store, "nameless"))


def test_csv_passes_through(store: FileStore) -> None:
    put(store, a_csv=b"n,t\n1,x\n2,y", b_csv=b"n,t\n", c_csv=b'"n",t\n3,"a\nb"\n')
    (store.root / "d.csv.gz").write_bytes(gzip.compress(b"n,t\n4,\n"))
    data, rows, columns = passed(ObjectSource(store, "[abd].csv*"))
    assert (data, rows, columns) == (b"n,t\n1,x\n2,y\n4,\n", 3, ("n", "t"))
    data, rows, _ = passed(ObjectSource(store, "*.csv*"))
    assert data == b'n,t\n1,x\n2,y\n3,"a\nb"\n4,\n'
    assert rows is None, "a line is not a record where values are quoted"
    headless = CsvFormat(header=False)
    data, rows, columns = passed(ObjectSource(store, "a.csv", format=headless), headless)
    assert (data, rows, columns) == (b"n,t\n1,x\n2,y", 3, None)


def test_json_lines_pass_through(store: FileStore) -> None:
    put(store, a_jsonl=b'{"n":1}\n{"n":2}', b_jsonl=b"", c_jsonl=b'{"n":3}\n')
    data, rows, _ = passed(ObjectSource(store, "*.jsonl"), JsonLinesFormat())
    assert (data, rows) == (b'{"n":1}\n{"n":2}\n{"n":3}\n', 3)


def test_other_formats_do_not_pass_through(store: FileStore) -> None:
    put(store, a_csv=b"n\n1\n")
    source = ObjectSource(store, "a.csv")
    for other in (JsonLinesFormat(), ParquetFormat(), CsvFormat(delimiter=";")):
        assert source.encoded(other) is None
    assert (
        ObjectSource(store, "a.csv", schema=pa.schema([("n", "int8")])).encoded(CsvFormat()) is None
    )


@pytest.mark.parametrize("native", [True, False])
def test_csv_with_other_columns(store: FileStore, native: bool) -> None:
    put(store, a_csv=b"n,t\n1,x\n", b_csv=b"n,u\n2,y\n")
    with pytest.raises(InputError, match=r"b\.csv.*'[tu]'"):
        passed(ObjectSource(store, "*")) if native else values(ObjectSource(store, "*"))


def test_parquet_with_other_columns(store: FileStore) -> None:
    pq.write_table(pa.table({"n": [1], "t": ["x"]}), store.root / "a.parquet")
    pq.write_table(pa.table({"n": ["1"], "t": ["x"]}), store.root / "b.parquet")
    with pytest.raises(InputError, match=r"b\.parquet.*'n' of type string.*int64"):
        values(ObjectSource(store, "*.parquet"))


def test_broken_content_names_the_object(store: FileStore) -> None:
    put(store, a_parquet=b"PAR1 and no more", a_csv=b'n\n"never closed\n')
    (store.root / "a.csv.gz").write_bytes(gzip.compress(b"n\n1\n" * 1000)[:-9])
    for key in ("a.parquet", "a.csv", "a.csv.gz"):
        with pytest.raises(InputError, match=key.replace(".", r"\.")):
            values(ObjectSource(store, key))


def test_ends_its_threads(store: FileStore) -> None:
    transfer(ManyRows(20_000), ObjectTarget(store, "a.csv"), OWNER)
    with contextlib.closing(ObjectSource(store, "a.csv").batches()) as batches:
        next(iter(batches))
    encoded = ObjectSource(store, "a.csv").encoded(CsvFormat())
    assert encoded is not None
    next(encoded.chunks)
    encoded.chunks.close()  # type: ignore[attr-defined]
    assert not [thread for thread in threading.enumerate() if "reads" in thread.name]


def test_from_uri(tmp_path: Path) -> None:
    put(FileStore(tmp_path), a_data=b"n\n1\n")
    source = ObjectSource.from_uri(f"file://{tmp_path}/*.data", {"format": "csv"})
    assert values(source) == [{"n": 1}]
    with pytest.raises(InputError, match="colour"):
        ObjectSource.from_uri("file:///a", {"colour": "x"})
    with pytest.raises(InputError, match="rar"):
        ObjectSource.from_uri("file:///a", {"compression": "rar"})
