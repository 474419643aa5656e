"""Options of pandas' and polars' writers, as those of our formats."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pytest

from tradewind.airflow.dataframe_options import check_read_options, file_options, strip_suffixes
from tradewind.airflow.json_array import JsonArrayFormat
from tradewind.airflow.row_numbers import RowNumbers
from tradewind.errors import InputError
from tradewind.move.batches import Batches
from tradewind.move.formats.csv import CsvFormat
from tradewind.move.formats.jsonl import JsonLinesFormat
from tradewind.move.formats.parquet import ParquetFormat


@pytest.mark.parametrize(
    ("file_format", "given", "made"),
    [
        ("csv", {}, CsvFormat()),
        ("CSV", {"index": False, "encoding": "utf-8", "chunksize": 100}, CsvFormat()),
        (
            "csv",
            {"sep": ";", "header": False, "na_rep": "NULL", "quotechar": "'"},
            CsvFormat(delimiter=";", header=False, null="NULL", quote="'"),
        ),
        (
            "csv",
            {"separator": "\t", "include_header": False, "null_value": "-"},
            CsvFormat(delimiter="\t", header=False, null="-"),
        ),
        ("json", {"orient": "records", "lines": True}, JsonLinesFormat()),
        ("json", {}, JsonLinesFormat()),
        ("json", {"orient": "records"}, JsonArrayFormat()),
        ("jsonl", {"date_format": "iso"}, JsonLinesFormat()),
        ("parquet", {"engine": "pyarrow", "index": False}, ParquetFormat()),
        ("parquet", {"compression": "snappy"}, ParquetFormat(compression="snappy")),
    ],
)
def test_what_has_a_meaning_is_taken(file_format: str, given: dict[str, Any], made: Any):
    assert file_options(file_format, given, argument="df_kwargs").format() == made


@pytest.mark.parametrize(
    ("file_format", "given", "says"),
    [
        ("csv", {"columns": ["a"]}, "df_kwargs: columns=.*Name the columns in the query"),
        ("csv", {"float_format": "%.2f"}, "float_format.*Format the numbers in the query"),
        ("csv", {"encoding": "latin-1"}, "encoding='latin-1'.*UTF-8"),
        ("csv", {"header": ["a", "b"]}, "True or False. Name columns in the query"),
        ("csv", {"quoting": 1}, "quoting=1 has no meaning"),
        ("csv", {"unknown": 1}, "unknown=1 has no meaning"),
        ("csv", {"path_or_buf": "x"}, "path_or_buf.*s3_bucket and s3_key"),
        ("csv", {"compression": "xz"}, "choose 'gzip', 'zstd' or None"),
        ("json", {"orient": "columns"}, "orient='columns'.*'records'"),
        ("jsonl", {"orient": "split"}, "orient='split'"),
        ("json", {"date_format": "epoch"}, "date_format='epoch'"),
        ("parquet", {"partition_cols": ["a"]}, "partition_cols.*groupby_kwargs"),
        ("parquet", {"compression": "lzo"}, "none of Parquet's"),
        ("avro", {}, "doesn't support 'avro'. Choose from"),
    ],
)
def test_what_has_none_is_refused_by_name(file_format: str, given: dict[str, Any], says: str):
    with pytest.raises(InputError, match=says):
        file_options(file_format, given, argument="df_kwargs")


def test_names_end_as_the_official_ones():
    assert file_options("csv", {"compression": "gzip"}, argument="x").suffix == ".csv.gz"
    assert file_options("json", {"lines": True}, argument="x").suffix == ".json"
    assert file_options("parquet", {"compression": "gzip"}, argument="x").suffix == ".parquet"
    assert strip_suffixes("a/b.csv.gz") == "a/b"
    assert strip_suffixes("a/b.parquet") == "a/b"
    assert strip_suffixes("a/b.txt") == "a/b.txt"


def test_reading_options():
    check_read_options({"dtype_backend": "pyarrow", "coerce_float": False}, "pandas", argument="r")
    with pytest.raises(InputError, match="coerce_float' would lose digits"):
        check_read_options({"coerce_float": True}, "pandas", argument="read_kwargs")
    with pytest.raises(InputError, match="read_kwargs: 'parse_dates'"):
        check_read_options({"parse_dates": ["a"]}, "pandas", argument="read_kwargs")
    with pytest.raises(InputError, match="'pandas' or 'polars'"):
        check_read_options({}, "dask", argument="read_kwargs")


def batches(*pieces: dict[str, list[Any]]) -> Batches:
    made = [pa.record_batch(piece) for piece in pieces]
    return Batches(made[0].schema, made)


def test_a_json_array_is_what_json_reads():
    written = JsonArrayFormat().encode(
        batches({"a": [1, 2], "b": ["x\n", None]}, {"a": [3], "b": ["]"]})
    )
    text = b"".join(written)

    assert json.loads(text) == [{"a": 1, "b": "x\n"}, {"a": 2, "b": None}, {"a": 3, "b": "]"}]


def test_an_empty_json_array():
    empty = Batches(pa.schema([("a", pa.int64())]), [])
    assert b"".join(JsonArrayFormat().encode(empty)) == b"[]\n"


def test_rows_are_numbered_as_by_pandas():
    number = RowNumbers()
    first, second = pa.record_batch({"a": ["x", "y"]}), pa.record_batch({"a": ["z"]})
    assert number(first).to_pydict() == {"": [0, 1], "a": ["x", "y"]}
    assert number(second).to_pydict() == {"": [2], "a": ["z"]}
