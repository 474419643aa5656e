"""``tradewind copy``: objects of one store to another, from the command line."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
from contextlib import closing, redirect_stdout
from typing import TYPE_CHECKING, Any, TextIO

from tradewind.commands.answer import write_receipt
from tradewind.commands.move import CONNECTION, connections, text_table
from tradewind.commands.progress import ProgressLine
from tradewind.commands.stopping import Stop
from tradewind.errors import InputError
from tradewind.move.progress import size_text
from tradewind.owner import Owner

if TYPE_CHECKING:
    from tradewind.move.copy import CopyReceipt
    from tradewind.move.store import Store

__all__ = ["register_copy"]

_SHOWN = 20

_EPILOG = """\
examples:
  tradewind copy --from s3://lake/daily/ --to gs://mirror/daily/
  tradewind copy --from s3://lake/daily/ --to az://mirror/daily/ --delete-extra-files --dry-run
  tradewind copy --from sftp://partner.example/out/ --from-conn my_sftp --to /srv/in/

A URI that ends with a slash means all objects below it, any other one object. Credentials come from
the environment, as for `tradewind move`, or from an Airflow connection (--from-conn, --to-conn).

With --delete-extra-files what stands below the target and is the copy of nothing is deleted, when
all are copied: what a listing showed before, and nobody has replaced since. Where the source has
nothing at all it is an error, and nothing is deleted.

exit status: 0 all is copied; 1 something failed: each object is there whole or not at all, and a
second run copies the rest; 2 the command line or the source is wrong; 128 + n ended by signal n.
"""


def register_copy(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command ``copy``.

    Args:
        commands: The parsers of all commands.
    """
    parser = commands.add_parser(
        "copy",
        help="copy objects between stores as they are, each whole or not at all",
        description="Copy objects between stores as they are: within one store by its server where "
        "it can, else in a stream. What is equal already is not copied again.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--from", dest="source", required=True, metavar="URI", help="what to copy")
    parser.add_argument("--to", dest="target", required=True, metavar="URI", help="where to")
    for side in ("from", "to"):
        parser.add_argument(f"--{side}-conn", metavar="ID", help="an Airflow connection for it")
    parser.add_argument(
        "--delete-extra-files",
        action="store_true",
        help="delete what stands below the target and has no source",
    )
    parser.add_argument(
        "--no-replace", action="store_true", help="refuse where a target object exists"
    )
    parser.add_argument("--run", dest="run_name", default="", metavar="ID", help="a name for it")
    parser.add_argument("--dry-run", action="store_true", help="show what would be done")
    parser.add_argument("--json", action="store_true", help="print the receipt as one JSON object")
    parser.add_argument("--quiet", action="store_true", help="no progress on stderr")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    answer = sys.stdout
    # Stdout is for the answer alone: Airflow, and what its hooks use, log to it.
    from tradewind.move.interface import interface

    with redirect_stdout(sys.stderr), interface("cli"):
        return _copy(arguments, answer)


def _copy(arguments: argparse.Namespace, answer: TextIO) -> int:
    for option, uri in (("--from", arguments.source), ("--to", arguments.target)):
        if not uri.strip() or uri.startswith(f"{CONNECTION}:"):
            raise InputError(
                f"{option} names no object. Give its URI, and an Airflow connection as "
                f"{option}-conn."
            )
    folder = arguments.source.endswith("/")
    if folder != arguments.target.endswith("/"):
        raise InputError(
            "copy: one of --from and --to ends with a slash and the other does not. End both with "
            "one to copy a folder, or neither to copy an object."
        )
    if arguments.delete_extra_files and not folder:
        raise InputError("--delete-extra-files is for folders: end --from and --to with a slash.")
    source, read = _store(arguments.source, arguments.from_conn)
    target, written = _store(arguments.target, arguments.to_conn)
    if arguments.dry_run:
        _show_plan(arguments, (source, read), (target, written), answer)
        return 0
    from tradewind.move.copy import copy_object, copy_prefix
    from tradewind.move.flow import CancelledError

    line = ProgressLine(sys.stderr, quiet=arguments.quiet or not sys.stderr.isatty())
    with Stop() as stop:
        options: dict[str, Any] = {
            "owner": _owner((source, read), (target, written), arguments.run_name),
            "replace": not arguments.no_replace,
            "skip_equal": True,
            "progress": line.show,
            "stop": stop.event,
        }
        if folder:
            options["delete_surplus"] = arguments.delete_extra_files
        try:
            with closing(line):
                copy = copy_prefix if folder else copy_object
                receipt = copy(source, read, target, written, **options)
        except (CancelledError, KeyboardInterrupt):
            print("Stopped; each object is there whole or not at all.", file=sys.stderr)
            return 128 + stop.signal
    told = json.dumps(receipt.as_dict()) if arguments.json else _text(receipt)
    write_receipt(told, answer)
    return 0


def _store(uri: str, connection: str | None) -> tuple[Store, str]:
    """Make a store and tell the key in it; of a folder the key is its prefix."""
    if connection is None:
        from tradewind.move.objects.uris import store_of

        return store_of(uri, {})
    connections()
    stores = importlib.import_module("tradewind.airflow.connections.stores")
    # Some object of the folder: a folder may be the whole bucket, an object has a key.
    more = "x" if uri.endswith("/") else ""
    store, key = stores.store_of(uri + more, connection)
    return store, key.removesuffix(more)


def _owner(source: tuple[Store, str], target: tuple[Store, str], run: str) -> Owner:
    """Tell whose effect it is: the same line typed again is the same owner."""
    from tradewind.move.identity import described, digest

    places = [os.environ.get(name) for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")]
    stores = [described(store) for store, _ in (source, target)]
    what = digest(*stores, [source[1], target[1]], list(map(str, places)))
    if what is None:
        what = digest([store.uri(key) for store, key in (source, target)])
    return Owner("tradewind copy", run or "line", str(what))


def _show_plan(
    arguments: argparse.Namespace,
    source: tuple[Store, str],
    target: tuple[Store, str],
    answer: TextIO,
) -> None:
    from tradewind.move.copy import plan_copy

    (store, read), (to, written) = source, target
    if arguments.source.endswith("/"):
        copied, extra = plan_copy(
            store, read, to, written, delete_surplus=arguments.delete_extra_files
        )
    else:
        copied, extra = [read], []
        if store.head(read) is None:
            raise InputError(f"There is no object {store.uri(read)}. Correct its name.")
    plan = {
        "copy": [store.uri(key) for key in copied],
        "delete": [to.uri(key) for key in extra],
    }
    if arguments.json:
        print(json.dumps(plan), file=answer)
        return
    print(f"{len(copied)} objects would be copied, as far as they are not equal.", file=answer)
    for what, uris in plan.items():
        for uri in uris[:_SHOWN]:
            print(f"{what}  {uri}", file=answer)
        if len(uris) > _SHOWN:
            print(f"{what}  ... {len(uris)} in all", file=answer)
    print("\nNothing was copied.", file=answer)


def _text(receipt: CopyReceipt) -> str:
    facts = [
        ("from", receipt.source),
        ("to", receipt.target),
        ("copied", f"{len(receipt.stored.objects):,} objects, {size_text(receipt.bytes)}"),
        ("equal already", f"{len(receipt.skipped):,} objects"),
        ("time", f"{receipt.seconds:.1f} s"),
        ("deleted", f"{len(receipt.stored.removed):,} objects"),
    ]
    facts += [("deleted", uri) for uri in receipt.stored.removed[:_SHOWN]]
    if len(receipt.stored.removed) > _SHOWN:
        facts.append(("deleted", "... the others are told by --json"))
    facts += [("note", note) for note in receipt.stored.notes]
    return text_table(facts)
