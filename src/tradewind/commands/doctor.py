"""``tradewind doctor``: check this installation and its connections."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING, Any, TextIO

from tradewind.errors import InputError, MissingExtraError, TradewindError
from tradewind.redaction import scheme_of, shown_uri

if TYPE_CHECKING:
    from tradewind.commands.doctor_runner import Subject
    from tradewind.doctor import Check

__all__ = ["register_doctor"]

_PREFIX = "AIRFLOW_CONN_"
_SIGNS = {"absent": "-"}

_EPILOG = """\
examples:
  tradewind doctor
  tradewind doctor --connection postgres_default --connection aws_default=my-bucket
  tradewind doctor --connection my_mysql=shop.orders --connection s3://my-bucket
  tradewind doctor --all-connections --json

Nothing is written to any system, and no secret is shown. "-" stands before what is not here though
nothing is wrong with that; a remedy says how to install it.

exit status: 0 nothing is wrong; 1 something is (fail); 2 the command line is wrong.
"""


def register_doctor(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command ``doctor``.

    Args:
        commands: The parsers of all commands.
    """
    parser = commands.add_parser(
        "doctor",
        help="say what is installed, which connections work, and what to do about the rest",
        description="Look at this installation and at connections: versions, extras, plugins, "
        "what `tradewind up` can start; of a connection whether it is reached, accepted, "
        "encrypted, allowed, and whose clock is wrong.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--connection",
        action="append",
        default=[],
        metavar="ID[=NAME]",
        help="an Airflow connection, and the bucket, table or path to ask about; or a URI like "
        "postgresql://host/database or s3://bucket; repeatable",
    )
    parser.add_argument(
        "--all-connections",
        action="store_true",
        help="all connections of AIRFLOW_CONN_... and of Airflow's metadata database",
    )
    parser.add_argument(
        "--timeout",
        type=float,
        default=5.0,
        metavar="SECONDS",
        help="how long an answer of a system may take: 5",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    # NaN is refused as well.
    if not 0 < arguments.timeout < 3600:
        raise InputError("doctor: --timeout is a number of seconds above 0 and below 3600.")
    subjects = [_subject(text, arguments.timeout) for text in arguments.connection]
    answer = sys.stdout
    # Stdout is for the answer alone: Airflow, and what its hooks use, log to it.
    with redirect_stdout(sys.stderr), _quiet():
        try:
            return _look(arguments, subjects, answer)
        except BrokenPipeError:
            # Whoever read it has seen enough, as `| head` does.
            os.dup2(os.open(os.devnull, os.O_WRONLY), answer.fileno())
            return 0


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what libraries log out of the way: what matters of it stands in the answer."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        yield
    finally:
        logging.disable(before)


def _look(arguments: argparse.Namespace, subjects: list[Subject], answer: TextIO) -> int:
    told = _Told(answer, as_json=arguments.json)
    from tradewind.commands.doctor_runner import looked_at, shown
    from tradewind.commands.doctor_setup import setup_sections

    for title, found in setup_sections():
        told.section(title, list(map(shown, found)))
    if arguments.all_connections:
        subjects += _all(told, [subject.title for subject in subjects], arguments.timeout)
    for title, found in looked_at(subjects, arguments.timeout):
        told.section(title, found)
    return told.close(asked=bool(subjects) or arguments.all_connections)


class _Told:
    """The answer, written section by section."""

    def __init__(self, answer: TextIO, *, as_json: bool) -> None:
        self._answer = answer
        self._as_json = as_json
        self._checks: list[dict[str, str]] = []

    def section(self, title: str, found: list[Check]) -> None:
        """Tell what was found of one thing."""
        self._checks += [{"about": title, **vars(check)} for check in found]
        if self._as_json:
            return
        from tradewind.commands.move import text_table

        rows = []
        for check in found:
            said = f"{check.said}. {check.remedy}" if check.remedy else check.said
            rows.append((f"  {_SIGNS.get(check.status, check.status)}", check.what, _line(said)))
        print(f"{title}\n{text_table(rows)}\n", file=self._answer, flush=True)

    def close(self, *, asked: bool) -> int:
        """Tell the sum, and give the exit status."""
        failed = sum(one["status"] == "fail" for one in self._checks)
        warned = sum(one["status"] == "warn" for one in self._checks)
        if self._as_json:
            print(json.dumps({"ok": not failed, "checks": self._checks}), file=self._answer)
        else:
            said = f"{failed} failed, {warned} to look at." if failed or warned else "All is fine."
            if not asked:
                said += " No connection was looked at: name one by --connection, or give"
                said += " --all-connections."
            print(said, file=self._answer)
        self._answer.flush()
        return 1 if failed else 0


def _line(text: str) -> str:
    return "".join(one if one.isprintable() else " " for one in text)


# -------------------------------------------------------------------------------------- connections


def _subject(text: str, timeout: float) -> Subject:
    if "://" in text:
        return _of_uri(text, timeout)
    conn_id, _, named = text.removeprefix("connection:").partition("=")
    if not conn_id:
        raise InputError(
            "doctor: --connection names no connection. Write ID, ID=BUCKET, ID=TABLE or a URI."
        )
    return _of_connection(conn_id, named, timeout)


def _of_uri(uri: str, timeout: float) -> Subject:
    from tradewind.commands.doctor_runner import Subject
    from tradewind.doctor import checks_of
    from tradewind.move.registry import SOURCES, canonical_uri, plain_scheme
    from tradewind.registry import imported, nobody_offers, system_of_scheme

    scheme = plain_scheme(scheme_of(uri))
    system = system_of_scheme(scheme)
    if system is None or not (system.doctor or system.store or system.dialect):
        raise nobody_offers("source", scheme, SOURCES)
    settings: Any = uri
    named = ""
    if system.name == "files":
        # Looking at a folder as a store does makes it.
        raise InputError("doctor: files of this machine need no connection. Look with `ls -l`.")
    if system.store:
        canonical, options = canonical_uri(uri)
        named = canonical.partition("://")[2].partition("/")[0]

        def make(bucket: str) -> Any:
            return imported(system.store or "").from_uri(f"{scheme}://{bucket}/", **options)[0]

        settings = make
    return Subject(
        f"connection {shown_uri(uri)}",
        lambda: (system.title, checks_of(system, settings, named, timeout)),
        uris=[uri],
    )


def _of_connection(conn_id: str, named: str, timeout: float) -> Subject:
    from tradewind.commands.doctor_runner import Subject

    secrets: set[str] = set()

    def begin() -> tuple[str, Iterator[Check]]:
        found: tuple[str, Iterator[Check]] = _airflow().look_at(conn_id, named, timeout, secrets)
        return found

    return Subject(f"connection {conn_id}", begin, secrets=secrets)


def _airflow() -> Any:
    if importlib.util.find_spec("airflow") is None:
        raise MissingExtraError("airflow", extra="airflow", purpose="Reading an Airflow connection")
    if "airflow" not in sys.modules:
        # It writes its log past `logging`, to stderr.
        os.environ.setdefault("AIRFLOW__LOGGING__LOGGING_LEVEL", "ERROR")
    return importlib.import_module("tradewind.airflow.connections.checks")


def _all(told: _Told, given: list[str], timeout: float) -> list[Subject]:
    """List the connections of the environment and of the metadata database."""
    from tradewind.commands.doctor_runner import Subject, looked_at
    from tradewind.doctor import Check

    named = {name.removeprefix(_PREFIX).lower() for name in os.environ if name.startswith(_PREFIX)}
    kept: set[str] = set()

    def begin() -> tuple[str, Iterator[Check]]:
        found = [Check("ok", "environment", f"{len(named)} of {_PREFIX}...")]
        try:
            kept.update(_airflow().kept_connections())
            found.append(Check("ok", "metadata database", f"{len(kept)} connections"))
        except TradewindError as error:
            found.append(Check("warn", "metadata database", str(error)))
        return "where they are kept", iter(found)

    # Like a system: its database may hang as any other.
    for title, checks in looked_at([Subject("connections", begin)], timeout):
        told.section(title, checks)
    return [
        _of_connection(conn_id, "", timeout)
        for conn_id in sorted(named | kept)
        if f"connection {conn_id}" not in given
    ]
