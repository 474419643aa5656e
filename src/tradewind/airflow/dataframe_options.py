"""Options of pandas' writers, which official operators accept, as options of our formats.

What has a meaning in a stream is taken, what changes nothing is let pass, and everything else is
refused by name with what to do instead: an option that is silently dropped is a silent change.
See https://pandas.pydata.org/docs/reference/api/pandas.DataFrame.to_csv.html and its like.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tradewind.errors import InputError

if TYPE_CHECKING:
    from tradewind.move.format import Format

__all__ = ["FileOptions", "check_read_options", "file_options", "strip_suffixes"]

_SUFFIXES = {"csv": ".csv", "json": ".json", "jsonl": ".jsonl", "parquet": ".parquet"}
_COMPRESSED = {"gzip": ".gz", "zstd": ".zst"}
_CODECS = ("zstd", "snappy", "gzip", "brotli", "lz4")

_IN_THE_QUERY = "Say it in the query."
_REMEDIES = {
    "columns": "Name the columns in the query.",
    "float_format": "Format the numbers in the query.",
    "date_format": "Format dates in the query (to_char, DATE_FORMAT).",
    "decimal": "Format the numbers in the query.",
    "partition_cols": "Use groupby_kwargs, or TransferOperator with Objects(parts={'by': ...}).",
    "indent": "A stream has a record a line; leave it out.",
    "orient": "Choose 'records', or file_format='jsonl'; the others name every row in each column, "
    "which no stream can write.",
    "escapechar": "Quotes are doubled, as RFC 4180 has it; leave it out.",
    "storage_options": "The connection says how the store is reached; leave it out.",
    "encoding": "Files are UTF-8; leave it out.",
    "force_ascii": "Files are UTF-8, which JSON is by its standard (RFC 8259); leave it out.",
    "path_or_buf": "s3_bucket and s3_key say where it goes; leave it out.",
}
# Let pass whatever their value is: they steer how pandas or polars work, not what is written.
_WITHOUT_EFFECT = {
    "batch_size",
    "chunksize",
    "engine",
    "maintain_order",
    "statistics",
    "storage_options",
    "use_pyarrow",
}


@dataclass(frozen=True)
class FileOptions:
    """How files are written.

    Args:
        kind: Name of the format.
        arguments: Of the format's class.
        compression: ``gzip``, ``zstd`` or None.
        index: Name of a first column that numbers the rows, as pandas writes its index; None for
            none.
    """

    kind: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    compression: str | None = None
    index: str | None = None

    @property
    def suffix(self) -> str:
        """How names of the files end."""
        return _SUFFIXES[self.kind] + _COMPRESSED.get(self.compression or "", "")

    def format(self) -> Format:
        """Make the format."""
        from tradewind.move.registry import FORMATS, load

        made: Format
        if self.kind == "json" and not self.arguments.get("lines"):
            from tradewind.airflow.json_array import JsonArrayFormat

            made = JsonArrayFormat()
        elif self.kind == "json":
            made = load(FORMATS, "jsonl", what="format")()
        else:
            made = load(FORMATS, self.kind, what="format")(**self.arguments)
        return made


def file_options(file_format: str, given: Mapping[str, Any], *, argument: str) -> FileOptions:
    """Read what is to be written and how.

    Args:
        file_format: ``csv``, ``json``, ``jsonl`` or ``parquet``.
        given: Arguments of ``DataFrame.to_csv`` and its like, of pandas or polars.
        argument: What the user calls them, for messages.

    Returns:
        The same for a stream.

    Raises:
        InputError: The format is not known, or an option has no meaning in a stream.
    """
    kind = str(file_format).lower()
    readers = {"csv": _csv, "json": _json, "jsonl": _jsonl, "parquet": _parquet}
    if kind not in readers:
        raise InputError(
            f"The argument file_format doesn't support {file_format!r}. Choose from: "
            f"{', '.join(readers)}."
        )
    rest = {name: value for name, value in given.items() if name not in _WITHOUT_EFFECT}
    options = readers[kind](rest, argument)
    if rest:
        raise refused(argument, *rest.popitem())
    return options


def check_read_options(given: Mapping[str, Any], df_type: str, *, argument: str) -> None:
    """Check arguments of ``pandas.read_sql`` and ``polars.read_database``.

    Args:
        given: The arguments.
        df_type: ``pandas`` or ``polars``.
        argument: What the user calls them.

    Raises:
        InputError: One would change the data.
    """
    if df_type not in ("pandas", "polars"):
        raise InputError(f"df_type is 'pandas' or 'polars', not {df_type!r}; it changes nothing.")
    harmless = {"dtype_backend", "chunksize", "con", "iter_batches", "batch_size"}
    for name, value in given.items():
        if name in harmless or (name == "coerce_float" and not value):
            continue
        if name == "coerce_float":
            raise InputError(
                f"{argument}: 'coerce_float' would lose digits of decimals. Leave it out, or cast "
                "in the query."
            )
        raise InputError(
            f"{argument}: {name!r} has no meaning in a stream. Cast, name and choose columns in "
            "the query."
        )


def strip_suffixes(key: str) -> str:
    """Cut what names of files end with, as the official operator does."""
    known = [*_SUFFIXES.values(), *(f"{end}.gz" for end in _SUFFIXES.values())]
    for suffix in sorted(known, key=len, reverse=True):
        if key.endswith(suffix):
            return key[: -len(suffix)]
    return key


def refused(argument: str, name: str, value: Any) -> InputError:
    """Say that an option has no meaning here, and what to do."""
    return InputError(
        f"{argument}: {name}={value!r} has no meaning in a stream. "
        f"{_REMEDIES.get(name, _IN_THE_QUERY)}"
    )


# ------------------------------------------------------------------------------------------ formats


def _csv(rest: dict[str, Any], argument: str) -> FileOptions:
    arguments: dict[str, Any] = {}
    for ours, theirs in (
        ("delimiter", ("sep", "separator")),
        ("quote", ("quotechar", "quote_char")),
        ("null", ("na_rep", "null_value")),
        ("line_end", ("lineterminator", "line_terminator")),
    ):
        for name in theirs:
            value = rest.pop(name, None)
            if value is not None:
                arguments[ours] = value
    for name in ("header", "include_header"):
        header = rest.pop(name, True)
        if not isinstance(header, bool):
            raise InputError(
                f"{argument}: {name} is True or False. Name columns in the query (AS)."
            )
        if not header:
            arguments["header"] = False
    index = rest.pop("index", False)
    label = rest.pop("index_label", None)
    _only(rest, argument, "quoting", csv.QUOTE_MINIMAL, None)
    _only(rest, argument, "quote_style", "necessary", None)
    _only(rest, argument, "doublequote", True)
    _only(rest, argument, "mode", "w")
    _only(rest, argument, "errors", "strict")
    _only(rest, argument, "include_bom", False)
    _utf8(rest, argument)
    for name in ("columns", "float_format", "date_format", "escapechar", "storage_options"):
        _only(rest, argument, name, None)
    _only(rest, argument, "decimal", ".")
    return FileOptions(
        "csv", arguments, _compression(rest, argument), str(label or "") if index else None
    )


def _json(rest: dict[str, Any], argument: str) -> FileOptions:
    # The official default, orient='columns', names every row in each column.
    orient = rest.pop("orient", None)
    lines = bool(rest.pop("lines", False))
    if orient not in (None, "records"):
        raise refused(argument, "orient", orient)
    _json_rest(rest, argument)
    lines = lines or orient is None
    return FileOptions("json", {"lines": lines}, _compression(rest, argument))


def _jsonl(rest: dict[str, Any], argument: str) -> FileOptions:
    _only(rest, argument, "orient", "records", None)
    _only(rest, argument, "lines", True)
    _json_rest(rest, argument)
    return FileOptions("jsonl", {}, _compression(rest, argument))


def _json_rest(rest: dict[str, Any], argument: str) -> None:
    _only(rest, argument, "date_format", "iso", None)
    _only(rest, argument, "force_ascii", False)
    _only(rest, argument, "index", False, None)
    _only(rest, argument, "indent", None, 0)
    _only(rest, argument, "mode", "w")
    for name in ("default_handler", "storage_options"):
        _only(rest, argument, name, None)


def _parquet(rest: dict[str, Any], argument: str) -> FileOptions:
    arguments: dict[str, Any] = {}
    if "compression" in rest:
        codec = rest.pop("compression")
        if codec not in (*_CODECS, None, "none", "uncompressed"):
            raise InputError(
                f"{argument}: compression={codec!r} is none of Parquet's. Choose from: "
                f"{', '.join(_CODECS)}."
            )
        arguments["compression"] = None if codec in ("none", "uncompressed") else codec
    rows = rest.pop("row_group_size", None)
    if rows is not None:
        arguments["row_group_rows"] = rows
    _only(rest, argument, "index", False, None)
    _only(rest, argument, "partition_cols", None)
    return FileOptions("parquet", arguments)


def _compression(rest: dict[str, Any], argument: str) -> str | None:
    given = rest.pop("compression", None)
    if isinstance(given, Mapping):
        if set(given) - {"method", "mtime"}:
            raise refused(argument, "compression", given)
        given = given.get("method")
    if given in (None, "infer", "none", "uncompressed"):
        return None  # The official operator writes to a buffer, where pandas infers nothing.
    if given in ("gzip", "gz"):
        return "gzip"
    if given in ("zstd", "zst"):
        return "zstd"
    raise InputError(f"{argument}: compression={given!r}: choose 'gzip', 'zstd' or None.")


def _utf8(rest: dict[str, Any], argument: str) -> None:
    encoding = rest.pop("encoding", None)
    if encoding is not None and str(encoding).lower().replace("_", "-") not in ("utf-8", "utf8"):
        raise refused(argument, "encoding", encoding)


def _only(rest: dict[str, Any], argument: str, name: str, *allowed: Any) -> None:
    """Take an option away where it says what is done anyway."""
    if name in rest and rest[name] in allowed:
        del rest[name]
    elif name in rest:
        raise refused(argument, name, rest[name])
