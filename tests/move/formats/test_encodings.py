"""Text in other encodings: read by its mark or when told, written when asked, else refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tradewind.errors import InputError
from tradewind.move.formats.csv import CsvFormat
from tradewind.move.formats.jsonl import JsonLinesFormat
from tradewind.move.interface import interface
from tradewind.move.objects.source import ObjectSource
from tradewind.move.objects.target import ObjectTarget
from tradewind.move.transfer import transfer
from tradewind.owner import Owner
from tradewind.systems.files.store import FileStore

OWNER = Owner("dag", "run", "task")
TEXTS = {"csv": "id,name\n1,Grüße €\n2,naïve\n", "jsonl": '{"id":1,"name":"Grüße €"}\n{"id":2}\n'}
TARGETS = ["csv", "jsonl", "parquet"]


def moved(folder: Path, source: str, target: str, **options: str) -> bytes:
    read = ObjectSource.from_uri(f"{folder}/{source}", options)
    transfer(read, ObjectTarget(FileStore(folder), target), OWNER)
    return (folder / target).read_bytes()


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("kind", ["csv", "jsonl"])
@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-8-sig", "utf-8"])
def test_a_mark_tells_the_encoding(tmp_path: Path, kind: str, encoding: str, target: str) -> None:
    (tmp_path / f"plain.{kind}").write_text(TEXTS[kind])
    (tmp_path / f"in.{kind}").write_bytes(TEXTS[kind].encode(encoding))
    expected = moved(tmp_path, f"plain.{kind}", f"expected.{target}")
    found = moved(tmp_path, f"in.{kind}", f"out.{target}")
    assert found.removeprefix(b"\xef\xbb\xbf") == expected


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("kind", ["csv", "jsonl"])
@pytest.mark.parametrize("encoding", ["cp1252", "utf-16-le", "utf-16-be", "iso8859-15"])
def test_an_encoding_that_is_told(tmp_path: Path, kind: str, encoding: str, target: str) -> None:
    (tmp_path / f"plain.{kind}").write_text(TEXTS[kind])
    (tmp_path / f"in.{kind}").write_bytes(TEXTS[kind].encode(encoding))
    expected = moved(tmp_path, f"plain.{kind}", f"expected.{target}")
    assert moved(tmp_path, f"in.{kind}", f"out.{target}", encoding=encoding) == expected


def test_a_mark_in_each_object(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "1.csv").write_bytes("a\n1\n".encode("utf-16"))
    (tmp_path / "d" / "2.csv").write_bytes("a\n2\n".encode("utf-8-sig"))
    assert moved(tmp_path, "d/", "out.csv", format="csv") == b"a\n1\n2\n"
    assert moved(tmp_path, "d/", "out.jsonl", format="csv") == b'{"a":1}\n{"a":2}\n'


@pytest.mark.parametrize("target", ["jsonl", "parquet"])
@pytest.mark.parametrize(
    ("kind", "place"), [("csv", "record 2"), ("jsonl", "line 2")], ids=["csv", "jsonl"]
)
def test_bytes_that_are_no_utf8(tmp_path: Path, kind: str, place: str, target: str) -> None:
    texts = {"csv": "id,name\n1,x\n2,Größe\n", "jsonl": '{"n":"x"}\n{"n":"Größe"}\n'}
    data = texts[kind].encode("latin-1")
    (tmp_path / f"in.{kind}").write_bytes(data)
    odd = CsvFormat(delimiter=",") if target == "csv" else JsonLinesFormat(omit_null=True)
    source = ObjectSource.from_uri(f"{tmp_path}/in.{kind}", {})
    options = {"format": odd} if target == "jsonl" else {}
    written = ObjectTarget(FileStore(tmp_path), f"out.{target}", **options)
    expected = rf"0xf6 in {place} is not UTF-8.*--set-from encoding=cp1252"
    with interface("cli"), pytest.raises(InputError, match=expected):
        transfer(source, written, OWNER)
    assert (
        moved(tmp_path, f"in.{kind}", "right.jsonl", encoding="latin-1").count(b"Gr\xc3\xb6") == 1
    )


def test_bytes_that_are_not_of_the_encoding_that_is_told(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_bytes(b"id,name\n1,x\n2,\x81\n")
    with pytest.raises(InputError, match=r"0x81 in line 3 is not cp1252.*encoding"):
        moved(tmp_path, "in.csv", "out.jsonl", encoding="cp1252")
    with pytest.raises(InputError, match="no encoding 'klingon'"):
        moved(tmp_path, "in.csv", "out.jsonl", encoding="klingon")
    (tmp_path / "in.csv").write_bytes("id,name\n1,x\n".encode("utf-16-le"))
    with pytest.raises(InputError, match=r"UTF-16 without its mark.*utf-16-le"):
        moved(tmp_path, "in.csv", "out.jsonl")


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
@pytest.mark.parametrize("encoding", ["cp1252", "utf-16", "utf-8-sig"])
def test_an_encoding_to_write(tmp_path: Path, kind: str, encoding: str) -> None:
    rows = [{"id": 1, "name": "Grüße €"}, {"id": 2, "name": "x"}]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    format = CsvFormat(encoding=encoding) if kind == "csv" else JsonLinesFormat(encoding=encoding)
    target = ObjectTarget(FileStore(tmp_path), f"out.{kind}", format=format)
    transfer(ObjectSource(FileStore(tmp_path), "in.jsonl"), target, OWNER)
    text = (tmp_path / f"out.{kind}").read_bytes().decode(encoding)
    assert "Grüße €" in text
    assert len(text.splitlines()) == (3 if kind == "csv" else 2)
    again = moved(tmp_path, f"out.{kind}", "again.jsonl", encoding=encoding)
    assert [json.loads(line) for line in again.splitlines()] == rows


def test_a_character_that_the_encoding_lacks(tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text('{"a":"x","b":"日本"}\n')
    target = ObjectTarget(FileStore(tmp_path), "o.csv", format=CsvFormat(encoding="cp1252"))
    with pytest.raises(InputError, match=r"'b'.*CSV in cp1252 cannot hold.*日本"):
        transfer(ObjectSource(FileStore(tmp_path), "in.jsonl"), target, OWNER)
    assert not (tmp_path / "o.csv").exists()


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("mark", [";", "\t", "|"])
@pytest.mark.parametrize("header", [True, False])
def test_another_delimiter_is_refused_on_every_road(
    tmp_path: Path, mark: str, target: str, header: bool
) -> None:
    lines = [f"{number}{mark}x" for number in range(50)]
    (tmp_path / "in.csv").write_text("\n".join([f"id{mark}name"] * header + lines) + "\n")
    for written in (CsvFormat(header=header), CsvFormat(header=header, quoting="all")):
        options = {"format": written} if target == "csv" else {}
        source = ObjectSource(FileStore(tmp_path), "in.csv", format=CsvFormat(header=header))
        with pytest.raises(InputError, match=r"in\.csv.*delimiter"):
            transfer(source, ObjectTarget(FileStore(tmp_path), f"o.{target}", **options), OWNER)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(("header", "named"), [("a,a", "'a' more than once"), ("a,", "without")])
def test_a_wrong_header_is_refused_on_every_road(
    tmp_path: Path, header: str, named: str, target: str
) -> None:
    (tmp_path / "in.csv").write_text(f"{header}\n1,2\n")
    with pytest.raises(InputError, match=named):
        moved(tmp_path, "in.csv", f"out.{target}")
