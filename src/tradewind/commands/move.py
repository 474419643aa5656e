"""``tradewind move``: from one system to another, from the command line."""

from __future__ import annotations

import argparse
import importlib
import json
import logging
import sys
from collections.abc import Sequence
from contextlib import closing, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from tradewind.commands.answer import write_receipt
from tradewind.commands.owners import owner_of
from tradewind.commands.progress import ProgressLine
from tradewind.commands.stopping import Stop
from tradewind.errors import InputError
from tradewind.move.progress import size_text
from tradewind.redaction import has_password, scheme_of

if TYPE_CHECKING:
    from tradewind.move.receipt import Receipt
    from tradewind.move.source import Source
    from tradewind.move.target import Target

__all__ = ["CONNECTION", "connections", "register_move", "source_of", "text_table"]

CONNECTION = "connection"
"""The scheme that stands for an Airflow connection: ``connection:postgres_default``."""

_EPILOG = """\
examples:
  tradewind move --from postgresql://app@db.example/shop --query "SELECT * FROM listings" \\
                 --to s3://bucket/listings.parquet
  tradewind move --from connection:my_mongo --set-from collection=orders --to orders.jsonl.zst
  tradewind move --from 's3://bucket/2026-01/*.csv.gz' \\
                 --to postgresql://app@db.example/shop --set-to table=listings --set-to mode=replace
  tradewind move --dry-run ...

Passwords come from the environment, as the systems' own tools read them (PGPASSWORD, MYSQL_PWD,
AWS_PROFILE or AWS_ACCESS_KEY_ID, ...), or from an Airflow connection (connection:ID, with
Airflow's settings or AIRFLOW_CONN_ID in the environment). One that stands in a URI is shown nowhere
here, but the list of processes shows it to everybody on this machine.

exit status: 0 all is moved; 1 something failed, and nothing of it is visible; 2 the command line,
the query or the data are wrong; 128 + n ended by signal n, and nothing of it is visible.
"""


def register_move(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command ``move``.

    Args:
        commands: The parsers of all commands.
    """
    parser = commands.add_parser(
        "move",
        help="move data from one system to another, whole or not at all",
        description="Stream data from one system to another in flat memory. What is published is "
        "visible at once and whole; when anything fails, nothing of it is.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--from", dest="source", required=True, metavar="URI", help="where to read")
    parser.add_argument("--to", dest="target", required=True, metavar="URI", help="where to write")
    query = parser.add_mutually_exclusive_group()
    query.add_argument("--query", metavar="TEXT", help="SQL, or a filter for MongoDB as JSON")
    query.add_argument("--query-file", type=Path, metavar="FILE", help="a file with the query")
    parser.add_argument("--format", metavar="NAME", help="csv, jsonl, parquet, ...: by name if not")
    parser.add_argument("--compression", metavar="NAME", help="gzip or zstd: by the name if not")
    parser.add_argument(
        "--no-replace", action="store_true", help="refuse where the target object exists"
    )
    for side in ("from", "to"):
        parser.add_argument(
            f"--set-{side}",
            action="append",
            default=[],
            metavar="NAME=VALUE",
            help=f"any other option of the {'source' if side == 'from' else 'target'}; repeatable",
        )
    parser.add_argument(
        "--run",
        "--run-id",
        dest="run_name",
        default="",
        metavar="ID",
        help="what this run is called: the same line with the same name takes effect once; without "
        "it each append is a new one",
    )
    parser.add_argument("--dry-run", action="store_true", help="show schema and plan, move nothing")
    parser.add_argument("--json", action="store_true", help="print the receipt as one JSON object")
    parser.add_argument("--quiet", action="store_true", help="no progress on stderr")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    answer = sys.stdout
    # Stdout is for the answer alone: Airflow, and what its hooks use, log to it.
    from tradewind.move.interface import interface

    with redirect_stdout(sys.stderr), interface("cli"):
        return _move(arguments, answer)


def _move(arguments: argparse.Namespace, answer: TextIO) -> int:
    for option, uri in (("--from", arguments.source), ("--to", arguments.target)):
        if not uri.strip():
            # As of a shell's variable that is not set; as a path it would be the current folder.
            raise InputError(f"{option} is empty. Give the URI or the path of the data.")
        if has_password(uri) and not arguments.quiet:
            print(
                f"tradewind: the list of processes shows the password in {option} to everybody on "
                "this machine. Give it in the environment, or name an Airflow connection.",
                file=sys.stderr,
            )
    source = source_of(arguments)
    target = _target(arguments)
    if arguments.dry_run:
        _show_plan(source, target, answer, as_json=arguments.json)
        return 0
    from tradewind.move.flow import CancelledError
    from tradewind.move.transfer import transfer

    owner = owner_of(source, target, arguments.run_name)
    line = ProgressLine(sys.stderr, quiet=arguments.quiet or not sys.stderr.isatty())
    with Stop() as stop:
        try:
            with closing(line):
                receipt = transfer(source, target, owner, progress=line.show, stop=stop.event)
        except CancelledError:
            print("Stopped; nothing of it is visible.", file=sys.stderr)
            return 128 + stop.signal
        except KeyboardInterrupt:
            print("Stopped; either nothing of it is visible, or all.", file=sys.stderr)
            return 128 + stop.signal
    told = json.dumps(receipt.as_dict()) if arguments.json else _receipt_text(receipt)
    write_receipt(told, answer)
    if receipt.earlier:
        print(
            "\nNothing was written: an earlier run of this line has done that. To have it done "
            "once more, give the run another name with --run.",
            file=sys.stderr,
        )
    return 0


# ------------------------------------------------------------------------------- source and target


def source_of(arguments: argparse.Namespace) -> Source:
    """Make the source that a command line names."""
    from tradewind.move.registry import SOURCES, load, plain_scheme

    options = _options(arguments.set_from)
    query = arguments.query
    if arguments.query_file is not None:
        try:
            query = arguments.query_file.read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"move: the file {arguments.query_file}: {error}") from error
    if query is not None:
        options["query"] = query
    uri = _uri(arguments.source)
    scheme = _scheme(uri)
    made: Source
    if scheme == CONNECTION:
        made = connections().source_of_connection(_connection_id(uri), options)
    else:
        made = load(SOURCES, plain_scheme(scheme), what="source").from_uri(uri, options)
    return made


def _target(arguments: argparse.Namespace) -> Target:
    from tradewind.move.registry import TARGETS, load, plain_scheme

    options = _options(arguments.set_to)
    for name in ("format", "compression"):
        if getattr(arguments, name) is not None:
            options[name] = getattr(arguments, name)
    if arguments.no_replace:
        options["replace"] = "false"
    uri = _uri(arguments.target)
    scheme = _scheme(uri)
    made: Target
    if scheme == CONNECTION:
        made = connections().target_of_connection(_connection_id(uri), options)
    else:
        made = load(TARGETS, plain_scheme(scheme), what="target").from_uri(uri, options)
    return made


def connections() -> Any:
    """Import Airflow, which takes seconds, where a connection is asked for and only there."""
    connections = importlib.import_module("tradewind.airflow.connections")
    logging.disable(logging.INFO)
    return connections


def _uri(text: str) -> str:
    """Turn a path without a scheme into a URI of this machine's files."""
    from tradewind.move.registry import SOURCES, TARGETS, plain_scheme

    if "://" in text or text.startswith(f"{CONNECTION}:"):
        return text
    begin = text.partition(":")[0].lower()
    if ":" in text and plain_scheme(begin) in {*SOURCES, *TARGETS} - {"file"}:
        # Not taken for a path, which is shown whole: a password may stand in it.
        raise InputError(f"move: an address of {begin} begins with {begin}://. Correct it.")
    if text == "-":
        raise InputError(
            "move: standard input and output cannot be moved whole or not at all. Name a file; "
            "./- is one of that name."
        )
    return f"file://{Path(text).absolute()}" + ("/" * text.endswith("/"))


def _scheme(uri: str) -> str:
    return CONNECTION if uri.startswith(f"{CONNECTION}:") else scheme_of(uri)


def _connection_id(uri: str) -> str:
    return uri.partition(":")[2].strip("/")


def _options(pairs: list[str]) -> dict[str, str]:
    options: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name.isidentifier():
            raise InputError(
                f"move: an option of {len(pair)} characters is not of the form NAME=VALUE."
            )
        if name in options:
            raise InputError(f"move: the option {name!r} is given twice.")
        options[name] = value
    return options


# --------------------------------------------------------------------------------- plan and receipt


def _show_plan(source: Source, target: Target, answer: TextIO, *, as_json: bool) -> None:
    from tradewind.move.types import logical_type

    with closing(source.batches()) as batches:
        schema = batches.schema
    columns = [
        {"name": field.name, "type": logical_type(field) or str(field.type)} for field in schema
    ]
    steps = [f"read {source.describe()}", *target.plan(schema)]
    if as_json:
        print(json.dumps({"columns": columns, "plan": steps}), file=answer)
        return
    table = text_table(
        [(column["name"], column["type"]) for column in columns], head=("column", "type")
    )
    plan = "\n".join(f"{number}. {step}" for number, step in enumerate(steps, 1))
    print(f"{table}\n\n{plan}\n\nNothing was moved.", file=answer)


def _receipt_text(receipt: Receipt) -> str:
    facts: list[tuple[str, Any]] = [
        ("from", receipt.source),
        ("to", receipt.target),
        ("rows", "not counted" if receipt.rows is None else f"{receipt.rows:,}"),
        ("size", _size(receipt.bytes)),
        ("time", f"{receipt.seconds:.1f} s"),
        ("peak memory", size_text(receipt.peak_memory)),
    ]
    if receipt.core:
        facts.append(("decoder", receipt.core))
    if receipt.stored.manifest:
        facts.append(("manifest", receipt.stored.manifest))
    if receipt.stored.kept:
        facts.append(
            ("kept", f"{receipt.stored.kept:,} objects of other partitions (overwrite=all: none)")
        )
    facts += [("removed", uri) for uri in receipt.stored.removed[:10]]
    if len(receipt.stored.removed) > 10:
        facts.append(("removed", f"... {len(receipt.stored.removed)} in all"))
    facts += [("note", note) for note in receipt.stored.notes]
    text = text_table([(name, str(value)) for name, value in facts])
    if receipt.earlier:
        text = f"{receipt.stored.skipped}\n{text}"
    objects = [
        (
            stored.uri,
            "" if stored.rows is None else f"{stored.rows:,}",
            "" if stored.bytes is None else f"{stored.bytes:,}",
            stored.etag or "",
            stored.checksum or "",
        )
        for stored in receipt.stored.objects[:20]
    ]
    text += "\n\n" + text_table(objects, head=("published", "rows", "bytes", "etag", "checksum"))
    if len(receipt.stored.objects) > 20:
        text += f"\n... {len(receipt.stored.objects)} in all"
    return text


def _size(size: int) -> str:
    return size_text(size) + (f" ({size:,} bytes)" if size >= 1000 else "")


def text_table(rows: Sequence[tuple[str, ...]], *, head: tuple[str, ...] | None = None) -> str:
    """Write rows as a table for a terminal."""
    lines = [head, *rows] if head else rows
    if not lines:
        return ""
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    if head:
        lines = [head, tuple("-" * width for width in widths), *rows]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
