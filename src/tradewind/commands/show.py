"""``tradewind show``: columns, types and first rows, without moving anything."""

from __future__ import annotations

import argparse
import json
import os
import sys
from contextlib import closing, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from tradewind.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["register_show"]

_WIDTH = 40

_EPILOG = """\
examples:
  tradewind show s3://bucket/listings.parquet
  tradewind show 's3://bucket/2026-01/*.csv.gz' --rows 3
  tradewind show postgresql://app@db.example/shop --query "SELECT * FROM orders"
  tradewind show connection:my_mongo --set-from collection=orders --json

Nothing is counted or changed: only as much is read as is shown.
"""


def register_show(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command ``show``.

    Args:
        commands: The parsers of all commands.
    """
    parser = commands.add_parser(
        "show",
        help="show columns, types and the first rows of a table, query, object or prefix",
        description="Show columns, types and the first rows of what a URI names.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("source", metavar="URI", help="what to look at, as for move --from")
    query = parser.add_mutually_exclusive_group()
    query.add_argument("--query", metavar="TEXT", help="SQL, or a filter for MongoDB as JSON")
    query.add_argument("--query-file", type=Path, metavar="FILE", help="a file with the query")
    parser.add_argument(
        "--set-from",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="any other option of the source; repeatable",
    )
    parser.add_argument("--rows", type=int, default=10, metavar="N", help="how many rows: 10")
    parser.add_argument(
        "--json", action="store_true", help="print the columns, then a JSON object a row"
    )
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    if arguments.rows < 0:
        raise InputError("show: --rows is 0 or more.")
    answer = sys.stdout
    from tradewind.move.interface import interface

    # Stdout is for the answer alone: Airflow, and what its hooks use, log to it.
    with redirect_stdout(sys.stderr), interface("cli"):
        try:
            _show(arguments, answer)
            answer.flush()
        except BrokenPipeError:
            # Whoever read it has seen enough, as `| head` does.
            os.dup2(os.open(os.devnull, os.O_WRONLY), answer.fileno())
    return 0


def _show(arguments: argparse.Namespace, answer: TextIO) -> None:
    from tradewind.commands.move import source_of, text_table
    from tradewind.move.types import logical_type

    source = source_of(arguments)
    rows: list[dict[str, Any]] = []
    with closing(source.batches()) as batches:
        columns = [
            {"name": field.name, "type": logical_type(field) or str(field.type)}
            for field in batches.schema
        ]
        for batch in batches:
            rows += _rows(batch.slice(0, arguments.rows - len(rows)))
            if len(rows) >= arguments.rows:
                break
    if arguments.json:
        print(json.dumps({"source": source.describe(), "columns": columns}), file=answer)
        for row in rows:
            print(json.dumps(row, default=_plain, ensure_ascii=False), file=answer)
        return
    print(f"{source.describe()}\n", file=answer)
    head = text_table(
        [(column["name"], column["type"]) for column in columns], head=("column", "type")
    )
    print(f"{head}\n", file=answer)
    names = tuple(column["name"] for column in columns)
    print(
        text_table([tuple(_cell(row[name]) for name in names) for row in rows], head=names),
        file=answer,
    )


def _rows(batch: pa.RecordBatch) -> list[dict[str, Any]]:
    try:
        rows: list[dict[str, Any]] = batch.to_pylist()
    except (ValueError, OverflowError):  # Python has no nanoseconds, nor years past 9999
        from tradewind.move.formats.csv import CsvFormat

        spelled = map(CsvFormat().spelled, batch.columns, batch.schema)
        rows = type(batch).from_arrays(list(spelled), names=batch.schema.names).to_pylist()
    return rows


def _cell(value: Any) -> str:
    """Write a value for a terminal: NULL is told from text, and nothing can move the cursor."""
    if value is None:
        return "NULL"
    text = value if isinstance(value, str) else str(_plain(value))
    text = "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 3]}..."


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
