"""Which official operators Tradewind has too, and which uses of theirs it refuses.

What differs where nothing is refused stands in `tradewind.commands.adopt_table`. Tests hold the
names here against the signatures of the operators themselves, which a command line without
Airflow could not read.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tradewind.commands.adopt_arguments import Arguments, Told, entries_of, told_value
from tradewind.commands.adopt_names import BASE, OWN
from tradewind.commands.adopt_table import ROWS, Row

__all__ = ["DECORATORS", "NAMES_OF_ROW", "OFFICIAL", "Official"]

NAMES_OF_ROW = re.compile(r"`([a-z][a-z0-9_]*)(\.\.\.)?(?:=([^`]+))?`")
"""Finds in what a row is about names of parameters, whether more begin so, and a value."""

Check = Callable[[Arguments], Iterator[str]]
"""Tells why Tradewind's operator would not take the arguments; nothing where it does."""


@dataclass(frozen=True)
class Official:
    """An official operator that Tradewind has too.

    Args:
        module: Where it is imported from.
        name: Its name there.
        ours: The name in `tradewind.airflow`.
        needs: Parameters that a call must give: Tradewind's operator has another default.
        by_hand: Why no import of it is changed, and what to do; nothing where it can be.
        families: Further groups of rows in the table that are about it.
    """

    module: str
    name: str
    ours: str
    needs: tuple[str, ...] = ()
    by_hand: str = ""
    families: tuple[str, ...] = ()

    @property
    def path(self) -> str:
        """Module and name."""
        return f"{self.module}.{self.name}"

    def rows(self) -> Iterator[Row]:
        """Go through what differs; a row that says not what it is about goes on with the last."""
        for group in (self.ours, *self.families):
            about = ""
            for what, official, here in ROWS.get(group, ()):
                about = what or about
                names = NAMES_OF_ROW.findall(about)
                # A family's row may be about what only some of its operators have.
                if group == self.ours or not names or any(self.has(one[0]) for one in names):
                    yield about, official, here

    def refusals(self, given: Arguments, arguments: Arguments) -> Iterator[str]:
        """Tell why a call cannot be switched.

        Args:
            given: What the call gives.
            arguments: The same, and what `default_args` add of the operator's own parameters.

        Yields:
            A reason each.
        """
        for name in given:
            if name not in OWN[self.ours] and name not in BASE:
                yield f"{name}=: Tradewind's {self.ours} has no such parameter"
        for name in self.needs:
            if name not in arguments:
                yield f"{name}= is not given, and Tradewind's {self.ours} has another default"
        for check in _CHECKS.get(self.ours, ()):
            yield from check(arguments)

    def reached_by(self, defaults: Arguments) -> dict[str, ast.expr]:
        """Choose from `default_args` what is the operator's own; all tasks have the rest."""
        return {name: value for name, value in defaults.items() if name in OWN[self.ours]}

    def has(self, name: str, *, more: bool = False) -> bool:
        """Say whether Tradewind's operator has a parameter; `more` asks for one that begins so."""
        every = OWN[self.ours] | BASE
        return name in every or (more and any(one.startswith(name) for one in every))

    def loses_row_numbers(self, arguments: Arguments) -> bool:
        """Say whether a call makes CSV that has a column of row numbers officially alone."""
        if self.ours != "SqlToS3Operator":
            return False
        kind = told_value(arguments["file_format"]) if "file_format" in arguments else Told("csv")
        if kind is None or str(kind.value).lower() != "csv":
            return False
        both = [arguments[name] for name in ("df_kwargs", "pd_kwargs") if name in arguments]
        return not any("index" in (entries_of(one) or ()) for one in both)


# ------------------------------------------------------------------------------------------- checks

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
_CHECKS: dict[str, tuple[Check, ...]] = {
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

# -------------------------------------------------------------------------------------------- names

_AMAZON = "airflow.providers.amazon.aws"
_GOOGLE = "airflow.providers.google.cloud.transfers"
_MOVES = ("transfers",)
_JOBS = ("jobs of SageMaker",)
_CONNECTION = "switch by hand to SqlToGCSOperator, with sql_conn_id= for the connection"

OFFICIAL: tuple[Official, ...] = (
    *(
        Official(f"{_AMAZON}.{module}", name, name, families=_MOVES)
        for module, name in (
            ("transfers.sql_to_s3", "SqlToS3Operator"),
            ("transfers.mongo_to_s3", "MongoToS3Operator"),
            ("transfers.http_to_s3", "HttpToS3Operator"),
            ("transfers.s3_to_sql", "S3ToSqlOperator"),
            ("operators.s3", "S3CopyObjectOperator"),
        )
    ),
    Official(
        f"{_GOOGLE}.postgres_to_gcs", "PostgresToGCSOperator", "SqlToGCSOperator", families=_MOVES
    ),
    Official(
        f"{_GOOGLE}.mysql_to_gcs",
        "MySQLToGCSOperator",
        "SqlToGCSOperator",
        # Without any, Tradewind's operator reads postgres_default.
        needs=("mysql_conn_id",),
        families=_MOVES,
    ),
    *(
        Official(f"{_GOOGLE}.{module}", name, "SqlToGCSOperator", by_hand=_CONNECTION)
        for module, name in (
            ("mssql_to_gcs", "MSSQLToGCSOperator"),
            ("oracle_to_gcs", "OracleToGCSOperator"),
            ("presto_to_gcs", "PrestoToGCSOperator"),
            ("trino_to_gcs", "TrinoToGCSOperator"),
        )
    ),
    *(
        Official(f"{_AMAZON}.operators.sagemaker", name, name, families=_JOBS)
        for name in (
            "SageMakerProcessingOperator",
            "SageMakerTrainingOperator",
            "SageMakerTransformOperator",
            "SageMakerTuningOperator",
        )
    ),
    *(
        Official(f"airflow.providers.{module}", name, name)
        for module, name in (
            ("amazon.aws.operators.sagemaker", "SageMakerEndpointOperator"),
            ("docker.operators.docker", "DockerOperator"),
            ("ssh.operators.ssh", "SSHOperator"),
            ("apache.livy.operators.livy", "LivyOperator"),
            ("apache.spark.operators.spark_submit", "SparkSubmitOperator"),
        )
    ),
)
"""The official operators that Tradewind has too."""

DECORATORS: dict[str, str] = {
    "docker": "@task.docker runs the function in the container; @task.docker_job asks the function "
    "for the command: write it anew by hand",
    "ssh": "@task.ssh_job has SSHOperator's differences: switch by hand",
}
"""Decorators whose like Tradewind has under another name, and why none is changed."""
