"""Objects of a prefix as they lie around: empty in any way, without records, marked, encoded."""

from __future__ import annotations

import gzip
from pathlib import Path

import pyarrow as pa
import pytest

from tradewind.errors import InputError, SourceChangedError
from tradewind.move.formats.csv import CsvFormat
from tradewind.move.formats.jsonl import JsonLinesFormat
from tradewind.move.objects.source import ObjectSource
from tradewind.systems.files.store import FileStore

BOM, UTF16 = b"\xef\xbb\xbf", b"\xff\xfe"
A1, A2 = {"a": 1}, {"a": 2}
#: Objects in the order of their names, and the rows that they have.
PARTS: dict[str, tuple[dict[str, bytes], list[dict[str, object]]]] = {
    "no bytes first": ({"0.csv": b"", "1.csv": b"a\n1\n"}, [A1]),
    "no bytes between": ({"0.csv": b"a\n1\n", "1.csv": b"", "2.csv": b"a\n2\n"}, [A1, A2]),
    "a mark alone": ({"0.csv": BOM, "1.csv": BOM + b"a\n2\n"}, [A2]),
    "a mark of UTF-16 alone": ({"0.csv": UTF16, "1.csv": b"a\n2\n"}, [A2]),
    "a mark alone, JSON": ({"0.jsonl": BOM, "1.jsonl": b'{"a":2}\n'}, [A2]),
    "line ends alone": ({"0.csv": b"\n", "1.csv": b"a\n1\n", "2.csv": b"\r\n\n"}, [A1]),
    "line ends alone, JSON": ({"0.jsonl": b"\n\n", "1.jsonl": b'{"a":1}'}, [A1]),
    "nothing, compressed": (
        {"0.csv.gz": gzip.compress(b""), "1.csv.gz": gzip.compress(b"a\n1\n")},
        [A1],
    ),
    "nothing, compressed, last": (
        {"0.csv.gz": gzip.compress(b"a\n1\n"), "1.csv.gz": gzip.compress(b"")},
        [A1],
    ),
    "nothing, compressed, JSON": (
        {"0.jsonl.gz": gzip.compress(b""), "1.jsonl.gz": gzip.compress(b'{"a":1}')},
        [A1],
    ),
    "a header first": ({"0.csv": b"a\n", "1.csv": b"a\n", "2.csv": b"a\n1\n"}, [A1]),
    "two columns in another order": (
        {"0.csv": b"a,b\n", "1.csv": b"a,b\n1,x\n"},
        [{"a": 1, "b": "x"}],
    ),
    "marks of a job": (
        {"_SUCCESS": b"", "d_$folder$": b"", ".0.csv.crc": b"crc", "0.csv": b"a\n1\n"},
        [A1],
    ),
    "UTF-16 beside UTF-8": (
        {"0.csv": "a\n\xe9\n".encode("utf-16"), "1.csv": b"a\nx\n"},
        [{"a": "\xe9"}, {"a": "x"}],
    ),
    "no line end": ({"0.csv": b"a\n1", "1.csv": b"a\n2"}, [A1, A2]),
    "nulls of one column": ({"0.csv": b"a\n\n1\n"}, [{"a": None}, A1]),
}


def source_of(folder: Path, parts: dict[str, bytes], **options: object) -> ObjectSource:
    folder.mkdir(exist_ok=True)
    for name, data in parts.items():
        (folder / name).write_bytes(data)
    return ObjectSource(FileStore(folder), "", **options)  # type: ignore[arg-type]


def rows(source: ObjectSource) -> list[dict[str, object]]:
    with source.batches() as batches:
        table = pa.Table.from_batches(list(batches), batches.schema)
    assert not table.schema.metadata
    return table.to_pylist()


def written(source: ObjectSource, format: CsvFormat | JsonLinesFormat) -> bytes:
    encoded = source.encoded(format)
    if encoded is not None:
        return b"".join(encoded.chunks)
    try:
        loose = source.loose_batches(format)
        assert loose is not None
        return b"".join(format.encode(loose))
    except SourceChangedError:  # a column that comes late: a transfer begins anew, as here
        loose = source.loose_batches(format)
        assert loose is not None
        return b"".join(format.encode(loose))


@pytest.mark.parametrize("kind", PARTS)
def test_the_same_rows_for_each_target(tmp_path: Path, kind: str) -> None:
    parts, wanted = PARTS[kind]
    source = source_of(tmp_path / "in", parts)
    assert rows(source) == wanted
    lines = written(source, JsonLinesFormat())
    assert rows(source_of(tmp_path / "lines", {"a.jsonl": lines})) == wanted
    assert BOM not in lines
    table = written(source, CsvFormat())
    assert rows(source_of(tmp_path / "csv", {"a.csv": table})) == wanted


NOTHING = {
    "no bytes": {"0.csv": b"", "1.csv": b""},
    "a mark and a line end": {"0.csv": BOM, "1.csv": b"\n"},
    "compressed": {"0.csv.gz": gzip.compress(b"")},
}


@pytest.mark.parametrize("kind", NOTHING)
def test_nothing_at_all_is_no_record_and_has_declared_columns(tmp_path: Path, kind: str) -> None:
    source = source_of(tmp_path, NOTHING[kind])
    assert written(source, CsvFormat()).removeprefix(BOM).strip(b"\n") == b""
    assert written(source, JsonLinesFormat()) == b""
    with pytest.raises(InputError, match=r"empty.*schema="):
        rows(source)
    declared = source_of(tmp_path, {}, types={"id": "int64"})
    with declared.batches() as batches:
        assert batches.schema == pa.schema([("id", pa.int64())])
        assert list(batches) == []


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        ({"0.csv": b"\na\n1\n", "1.csv": b"a\n1\n"}, r"0\.csv"),
        ({"0.csv": b"a,b\n", "1.csv": b"a,c\n1,2\n"}, r"1\.csv.*'[bc]'"),
    ],
)
def test_what_is_no_empty_object_is_told_by_its_name(
    tmp_path: Path, parts: dict[str, bytes], says: str
) -> None:
    source = source_of(tmp_path, parts)
    for reading in (
        lambda: rows(source),
        lambda: written(source, CsvFormat()),
        lambda: written(source, JsonLinesFormat()),
    ):
        with pytest.raises(InputError, match=says):
            reading()


def test_a_first_record_longer_than_the_sample_tells_types(tmp_path: Path) -> None:
    format = CsvFormat(sample_bytes=16)
    parts = {"0.csv": b'id,text\n1,"' + b"x" * 100 + b'"\n2,y\n'}
    source = source_of(tmp_path, parts, format=format)
    assert [row["id"] for row in rows(source)] == [1, 2]


def test_the_longest_record_is_as_long_as_is_said(tmp_path: Path) -> None:
    limit = 5 << 20
    for length, right in ((limit - 10, True), (limit + 10, False)):
        parts = {"0.csv": b'a,b\n"' + b"x" * length + b'",1\n'}
        format = CsvFormat(max_record_bytes=limit, sample_bytes=1 << 10)
        source = source_of(tmp_path, parts, format=format)
        if right:
            assert len(str(rows(source)[0]["a"])) == length
            continue
        with pytest.raises(InputError, match="max_record_bytes"):
            rows(source)
    # In the first megabytes, too, of which types are told; and line ends within quotes count.
    for text, record in (
        ("a,b\n1,2\n3," + "x" * 3000 + "\n", 2),
        ('a,b\n1,2\n3,4\n5,"' + "x\n" * 1500 + '"\n', 3),
        ("a,b\n" + "1,2\n" * 1000, None),
    ):
        format = CsvFormat(max_record_bytes=1000)
        source = source_of(tmp_path, {"0.csv": text.encode()}, format=format)
        if record is None:
            assert len(rows(source)) == 1000
            continue
        with pytest.raises(InputError, match=rf"record {record} is over 1000.*max_record_bytes"):
            rows(source)


def test_columns_without_a_name_or_with_one_twice_are_numbered_when_asked(tmp_path: Path) -> None:
    parts = {"0.csv": b",a,a,a_2\n0,1,02,x\n"}
    with pytest.raises(InputError, match=r"names.*number"):
        rows(source_of(tmp_path, parts))
    asked = {"format_options": {"names": "number"}}
    wanted = {"column_1": 0, "a": 1, "a_3": "02", "a_2": "x"}
    assert rows(source_of(tmp_path, parts, **asked)) == [wanted]


def test_what_was_saved_under_the_name_of_a_table_is_no_table(tmp_path: Path) -> None:
    source = ObjectSource(FileStore(tmp_path), "x.csv")
    for text, what in (
        ("<!DOCTYPE html><html><body>Log in</body></html>\n", "HTML or XML"),
        ("\n <HTML>\n<p>Log in</p>\n</HTML>\n", "HTML or XML"),
        ("<?xml version='1.0'?>\n<rows/>\n", "HTML or XML"),
        ('{"a":1}\n{"a":2}\n', "JSON and no header.*format='jsonl'"),
        ('[{"a":1}]\n', "JSON and no header"),
    ):
        (tmp_path / "x.csv").write_text(text)
        with pytest.raises(InputError, match=what):
            source.batches()
    for kept in ("<price>\n1\n", "{a}\n1\n", "html\n1\n"):
        (tmp_path / "x.csv").write_text(kept)
        with source.batches() as batches:
            assert batches.schema.names == [kept.partition("\n")[0]]
    (tmp_path / "x.csv").write_text('"{""a"":1}"\n"{""a"":2}"\n')
    bare = ObjectSource(FileStore(tmp_path), "x.csv", format_options={"header": False})
    with bare.batches() as batches:
        assert sum(batch.num_rows for batch in batches) == 2
