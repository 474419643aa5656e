"""Values that Tradewind's operators refuse, where official operators take them.

Tests hold them against the operators.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tradewind.commands.adopt_arguments import Arguments, Told, entries_of, told_value

__all__ = ["CHECKS"]

Check = Callable[[Arguments], Iterator[str]]
"""Tells why Tradewind's operator would not take the arguments; nothing where it does."""

Taken = Callable[[Any], bool]
_UNTOLD = "what its value is cannot be told from the file, and some are refused"


def _one_of(*values: Any) -> Taken:
    return lambda value: any(value is one or value == one for one in values)


def _anything(value: Any) -> bool:
    return True


def _refusal(name: str, node: ast.expr, taken: Taken, says: str) -> Iterator[str]:
    if taken is _anything:
        return
    told = told_value(node)
    if told is None:
        yield f"{name}=: {_UNTOLD}" + (f": {says}" if says else "")
    elif not taken(told.value):
        yield f"{name}={told.value!r} is refused" + (f": {says}" if says else "")


def _only(name: str, taken: Taken, says: str) -> Check:
    def check(arguments: Arguments) -> Iterator[str]:
        if name in arguments:
            yield from _refusal(name, arguments[name], taken, says)

    return check


def _keys(name: str, known: Mapping[str, Taken], says: str, *, others: bool = False) -> Check:
    """Check a dict's entries; `others` says whether further ones are taken as they are."""

    def check(arguments: Arguments) -> Iterator[str]:
        if name not in arguments:
            return
        entries = entries_of(arguments[name])
        if entries is None:
            yield f"{name}=: {_UNTOLD}: {says}"
            return
        for key, value in entries.items():
            if key in known:
                yield from _refusal(f"{name}: {key}", value, known[key], says)
            elif not others:
                yield f"{name}: {key!r} is refused: {says}"

    return check


def _whatever(names: str) -> dict[str, Taken]:
    return dict.fromkeys(names.split(), _anything)


_NOTHING = _one_of(None)
_COMPRESSION = _one_of(None, "infer", "none", "uncompressed", "gzip", "gz", "zstd", "zst")
_ANY_FORMAT = _whatever(
    "batch_size chunksize engine maintain_order statistics storage_options use_pyarrow"
)
_JSON: dict[str, Taken] = {
    **_ANY_FORMAT,
    "orient": _one_of(None, "records"),
    "lines": _one_of(True, False),
    "date_format": _one_of(None, "iso"),
    "force_ascii": _one_of(False),
    "index": _one_of(None, False),
    "indent": _one_of(None, 0),
    "mode": _one_of("w"),
    "default_handler": _NOTHING,
    "compression": _COMPRESSION,
}
_FORMATS: dict[str, dict[str, Taken]] = {
    "csv": {
        **_ANY_FORMAT,
        **_whatever(
            "sep separator quotechar quote_char na_rep null_value lineterminator line_terminator "
            "index index_label"
        ),
        "header": _one_of(True, False),
        "include_header": _one_of(True, False),
        "quoting": _one_of(None, 0),
        "quote_style": _one_of(None, "necessary"),
        "doublequote": _one_of(True),
        "mode": _one_of("w"),
        "errors": _one_of("strict"),
        "include_bom": _one_of(False),
        "encoding": _one_of(None, "utf-8", "UTF-8", "utf8"),
        "columns": _NOTHING,
        "float_format": _NOTHING,
        "date_format": _NOTHING,
        "escapechar": _NOTHING,
        "decimal": _one_of("."),
        "compression": _COMPRESSION,
    },
    "json": _JSON,
    "jsonl": {**_JSON, "lines": _one_of(True)},
    "parquet": {
        **_ANY_FORMAT,
        "compression": _one_of(
            None, "none", "uncompressed", "zstd", "snappy", "gzip", "brotli", "lz4"
        ),
        "row_group_size": _anything,
        "index": _one_of(None, False),
        "partition_cols": _NOTHING,
    },
}


def _files(arguments: Arguments) -> Iterator[str]:
    """Check how SqlToS3Operator's files are to be written."""
    told = told_value(arguments["file_format"]) if "file_format" in arguments else Told("csv")
    if told is None:
        yield f"file_format=: {_UNTOLD}"
        return
    kind = str(told.value).lower()
    if kind not in _FORMATS:
        yield f"file_format={told.value!r} is refused: choose from {', '.join(_FORMATS)}"
        return
    for name in ("df_kwargs", "pd_kwargs"):
        yield from _keys(name, _FORMATS[kind], "say it in the query, or leave it out")(arguments)


def _names(value: Any) -> bool:
    several = [value] if isinstance(value, str) else value
    return isinstance(several, list | tuple) and all(isinstance(one, str) for one in several)


def _gcs_format(value: Any) -> bool:
    return str(value).lower() in ("json", "csv", "parquet")


def _no_gzip_of_parquet(arguments: Arguments) -> Iterator[str]:
    told = told_value(arguments["export_format"]) if "export_format" in arguments else None
    if "gzip" in arguments and told and str(told.value).lower() == "parquet":
        says = "Parquet compresses by itself"
        yield from _refusal("gzip", arguments["gzip"], _one_of(False, None), says)


_READ: dict[str, Taken] = {
    **_whatever("dtype_backend chunksize con iter_batches batch_size"),
    "coerce_float": _one_of(False, None),
}
_GROUPS: dict[str, Taken] = {
    **_whatever("sort as_index group_keys observed maintain_order"),
    "dropna": _one_of(False, None),
    "by": _names,
}


def _no_slash(value: Any) -> bool:
    return bool(value != "/")


def _whole_chunk(value: Any) -> bool:
    return value is None or (isinstance(value, int) and value > 0 and value % 262144 == 0)


def _one_alone(first: str, second: str) -> Check:
    """Check that not both are given, where that one of them is nothing is not written."""

    def check(arguments: Arguments) -> Iterator[str]:
        given = [told_value(arguments[name]) for name in (first, second) if name in arguments]
        if len(given) == 2 and all(told is None or told.value for told in given):
            yield f"{first}= and {second}= are both given: choose one"

    return check


def _bigquery_format(value: Any) -> bool:
    return str(value).upper() in _BIGQUERY_FORMATS


def _updates(value: Any) -> bool:
    known = ("ALLOW_FIELD_ADDITION", "ALLOW_FIELD_RELAXATION")
    return isinstance(value, list | tuple) and all(one in known for one in value)


def _no_columns(arguments: Arguments) -> Iterator[str]:
    if "autodetect" in arguments and not {"schema_fields", "schema_object"} & {*arguments}:
        says = "give schema_fields or schema_object, or None for the table's columns"
        yield from _refusal("autodetect", arguments["autodetect"], _one_of(True, None), says)


def _configs(arguments: Arguments) -> Iterator[str]:
    told = told_value(arguments["source_format"]) if "source_format" in arguments else Told("CSV")
    known = _BIGQUERY_FORMATS.get(str(told.value).upper(), "") if told is not None else ""
    yield from _keys("src_fmt_configs", _whatever(known), "it is nothing of this format")(arguments)


_BIGQUERY_FORMATS = {
    "CSV": "allowJaggedRows allowQuotedNewlines autodetect fieldDelimiter skipLeadingRows "
    "ignoreUnknownValues nullMarker quote encoding preserveAsciiControlCharacters "
    "columnNameCharacterMap",
    "NEWLINE_DELIMITED_JSON": "autodetect ignoreUnknownValues",
    "AVRO": "useAvroLogicalTypes",
    "PARQUET": "autodetect ignoreUnknownValues",
    "ORC": "autodetect",
    "DATASTORE_BACKUP": "projectionFields",
}
_KILL = _only("cancel_on_kill", _one_of(True), "a person who ends the task ends its job")
_CONNECTION = "say it in the connection"
_EXTRA: tuple[Check, ...] = (
    _keys("s3_extra_args", _whatever("region_name"), _CONNECTION),
    _keys("wasb_extra_args", {}, _CONNECTION),
)
CHECKS: dict[str, tuple[Check, ...]] = {
    "SqlToS3Operator": (
        _files,
        _keys("read_kwargs", _READ, "cast, name and choose columns in the query"),
        _keys("read_pd_kwargs", _READ, "cast, name and choose columns in the query"),
        _keys("groupby_kwargs", _GROUPS, "give names of columns as 'by' alone"),
        _only("df_type", _one_of("pandas", "polars"), "it changes nothing"),
    ),
    "MongoToS3Operator": (_only("compression", _one_of(None, "gzip", "zstd"), "choose gzip"),),
    "HttpToS3Operator": (
        _only("log_response", _one_of(False, None), "the answer is streamed; leave it out"),
        _keys(
            "extra_options",
            {"check_response": _one_of(True)},
            "an error page is never stored; leave it out",
            others=True,
        ),
    ),
    "S3CopyObjectOperator": (
        _only("meta_data_directive", _one_of(None, "COPY"), "write the object anew"),
    ),
    "SqlToGCSOperator": (
        _only("export_format", _gcs_format, "choose from json, csv, parquet"),
        _no_gzip_of_parquet,
        _only("schema_filename", _NOTHING, "Parquet holds its schema; BigQuery reads it"),
        _only("schema", _NOTHING, "cast in the query"),
        _only("partition_columns", _one_of(None, []), "use TransferOperator with parts="),
        _only("stringify_dict", _one_of(False, None), "cast JSON columns to text in the query"),
    ),
    "S3ToGCSOperator": (
        _only("deferrable", _one_of(False, None), "the worker streams the data; leave it out"),
        _one_alone("apply_gcs_prefix", "apply_wildcard"),
    ),
    "GCSToS3Operator": (
        _only("gcp_user_project", _NOTHING, "no bucket whose requester pays is read"),
    ),
    "GCSToGCSOperator": (
        _only("retain_until_time", _NOTHING, "give the bucket a default retention"),
        _only("retention_mode", _NOTHING, "give the bucket a default retention"),
        _only("delimiter", _no_slash, "give match_glob"),
        _one_alone("source_object", "source_objects"),
    ),
    "AzureBlobStorageToS3Operator": _EXTRA,
    "S3ToAzureBlobStorageOperator": _EXTRA,
    "LocalFilesystemToGCSOperator": (
        _only("chunk_size", _whole_chunk, "give a multiple of 262144"),
    ),
    "LocalFilesystemToWasbOperator": (
        _keys("load_options", _whatever("overwrite metadata max_concurrency"), "leave it out"),
    ),
    "BigQueryInsertJobOperator": (_KILL,),
    "GCSToBigQueryOperator": (
        _KILL,
        _only("external_table", _one_of(False, None), "make it by CREATE EXTERNAL TABLE"),
        _only("force_delete", _one_of(False, None), "give write_disposition='WRITE_TRUNCATE'"),
        _only("source_format", _bigquery_format, "choose CSV, PARQUET or another one"),
        _only("schema_update_options", _updates, "choose ALLOW_FIELD_ADDITION or ..._RELAXATION"),
        _no_columns,
        _configs,
    ),
    "DockerOperator": (
        _only("auto_remove", _one_of("never", "success", "force"), "it is one of these texts"),
        _only("host_tmp_dir", _NOTHING, "name a folder of the engine's machine in mounts"),
        _only("retrieve_output", _one_of(False), "write the result to TRADEWIND_RESULT"),
    ),
    "SSHOperator": (_only("ssh_hook", _NOTHING, "give ssh_conn_id"),),
    "SparkSubmitOperator": (
        _only("track_driver_via_k8s_api", _one_of(False, None), "no cluster mode on Kubernetes"),
    ),
}
"""By the name of an operator of Tradewind."""
