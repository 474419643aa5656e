"""``tradewind sweep``: find what Tradewind has left on other systems, and delete it."""

from __future__ import annotations

import argparse
import importlib
import json
import logging
import re
import sys
from contextlib import redirect_stdout
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from tradewind.commands.sweep_systems import (
    add_system_options,
    listings,
    named_places,
    option_names,
)
from tradewind.errors import InputError, SetupError, TradewindError
from tradewind.redaction import redacted

if TYPE_CHECKING:
    from tradewind.sweep.leftover import Leftover, OwnerLookup, OwnerState

__all__ = ["register_sweep"]

_LEFT = 3
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}

_EPILOG = """\
examples:
  tradewind sweep --docker unix:///var/run/docker.sock --ssh my_ssh_connection
  tradewind sweep --process /var/lib/tradewind/jobs --sagemaker aws_default --json
  tradewind sweep --yarn my_spark_connection --process ~/.tradewind/spark
  tradewind sweep --livy my_livy_connection --livy http://host:8998
  tradewind sweep --objects s3://bucket/prefix --older-than 2d --yes
  tradewind sweep --http-jobs my_http_connection=api.json
  tradewind sweep --tables mysql://app@db.example/shop --tables connection:my_mysql

A leftover is what belongs to a task run of this Airflow that has ended, has been cleared since, or
is gone, as its metadata database says, which is read where `airflow` itself would (AIRFLOW_HOME,
AIRFLOW__DATABASE__SQL_ALCHEMY_CONN). What a task run may still come back for is never listed.
Where nobody knows (Airflow cannot be asked, or a thing does not say whose it is, as what was made
before owners had a deployment) the reason says so, and it is removed only with --older-than, or by
its name with --remove. What another Airflow owns is removed only by its name.

Credentials come from Airflow connections, or where a URI is given, from the environment.

exit status: 0 nothing is left; 1 something failed; 2 the command line is wrong; 3 leftovers are
there still.
"""


def register_sweep(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command ``sweep``.

    Args:
        commands: The parsers of all commands.
    """
    parser = commands.add_parser(
        "sweep",
        help="list what Tradewind has left on other systems, and remove it",
        description="List what Tradewind has on other systems that nobody needs any more: who left "
        "it, since when, and why it is a leftover. Remove it with --yes.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_system_options(parser)
    parser.add_argument("--older-than", metavar="AGE", help="only what is older, like 30m, 12h, 2d")
    parser.add_argument(
        "--remove",
        action="append",
        default=[],
        metavar="NAME",
        help="remove what is listed under this name, certain or not; repeatable",
    )
    parser.add_argument("--yes", action="store_true", help="remove what is listed")
    parser.add_argument("--json", action="store_true", help="print one JSON object a leftover")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from tradewind.sweep.leftover import judge

    older_than = _age(arguments.older_than)
    if not named_places(arguments):
        options = [f"--{name}" for name in option_names()]
        raise InputError(
            f"sweep: no system is named. Give {', '.join(options[:-1])} or {options[-1]}."
        )
    ask = _Airflow()
    left, sure, failed, removed = 0, 0, 0, 0
    for system, found in listings(arguments):
        try:
            for one in judge(found, ask, older_than=older_than, now=datetime.now(UTC)):
                if arguments.yes and older_than is None and not ask.answers:
                    raise _NobodyToAskError(
                        "Airflow cannot be asked what is still needed, so nothing is removed. Run "
                        "this where `airflow db check` succeeds, or say by --older-than what is "
                        "surely not needed."
                    )
                old = older_than is not None and not one.others
                named = not {one.what, one.what.rpartition(" ")[2]}.isdisjoint(arguments.remove)
                may = named or (arguments.yes and (one.certain or old))
                outcome = _remove(one, ask) if may else "kept"
                failed += outcome == "failed"
                left += outcome == "kept"
                sure += outcome == "kept" and one.certain
                removed += outcome == "removed"
                _show(one, outcome, as_json=arguments.json, asked=arguments.yes)
        except _NobodyToAskError:
            raise
        except TradewindError as error:
            failed += 1
            print(redacted(f"tradewind: {system}: {error}"), file=sys.stderr)
    if not arguments.json:
        _close(removed, left, sure, failed, asked=arguments.yes)
    return 1 if failed else _LEFT if left else 0


def _remove(one: Leftover, ask: OwnerLookup) -> str:
    # It may have been a while since: a person may have had time to start something.
    if ask(one.owner, one.title, one.task_run).alive:
        return "kept"
    try:
        one.remove()
    except TradewindError as error:
        print(f"tradewind: {one.system}: {one.what}: {error}", file=sys.stderr)
        return "failed"
    return "removed"


def _show(one: Leftover, outcome: str, *, as_json: bool, asked: bool) -> None:
    since = None if one.since is None else one.since.astimezone(UTC).isoformat(timespec="seconds")
    if as_json:
        told = {
            "system": one.system,
            "what": one.what,
            "owner": one.title or None,
            "digest": one.owner,
            "since": since,
            "reason": one.reason,
            "certain": one.certain,
            "outcome": outcome,
        }
        print(json.dumps(told), flush=True)
        return
    print(f"{one.system}: {one.what}")
    print(f"  owner   {one.title or one.owner or 'unknown'}")
    print(f"  since   {since or 'unknown'}")
    print(f"  reason  {one.reason}" + ("" if one.certain else " (not certain)"))
    if asked or outcome != "kept":
        way = "--remove NAME"
        kept = f"kept: not certain; {way if one.others else f'{way} or --older-than'} removes it"
        print(f"  {kept if outcome == 'kept' else outcome}")
    sys.stdout.flush()


def _close(removed: int, left: int, sure: int, failed: int, *, asked: bool) -> None:
    if not removed and not left:
        print("Something failed: see above." if failed else "Nothing is left.")
    elif asked or removed:
        print(f"\n{removed} removed, {left} kept, {failed} failed.")
    elif sure:
        which = "it" if sure == left else f"{sure} of them, those that are certain"
        print(f"\n{left} left. Nothing was removed; --yes removes {which}.")
    else:
        print(f"\n{left} left. Nothing was removed: none is certain. --remove NAME removes one.")


def _age(text: str | None) -> timedelta | None:
    if text is None:
        return None
    match = re.fullmatch(r"(\d+)([smhd])", text)
    if match is None:
        raise InputError(f"sweep: {text!r} is no age. Write it like 30m, 12h or 2d.")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


class _NobodyToAskError(SetupError):
    """Airflow cannot be asked, and what is to be removed depends on its answer."""


class _Airflow:
    """Airflow, asked about owners; not started up before there is one to ask about."""

    def __init__(self) -> None:
        self.answers = True
        self._ask: OwnerLookup | None = None

    def __call__(self, digest: str | None, title: str, task_run: str) -> OwnerState:
        """Tell whether an owner may still come back."""
        if self._ask is None:
            self._ask = self._start()
        return self._ask(digest, title, task_run)

    def _start(self) -> OwnerLookup:
        from tradewind.sweep.leftover import OwnerState

        try:
            # Importing Airflow takes seconds, it may not be there, and it logs to stdout.
            with redirect_stdout(sys.stderr):
                runs = importlib.import_module("tradewind.airflow.task_runs").TaskRuns()
            logging.disable(logging.INFO)
            ask: OwnerLookup = runs.ask
            return ask
        except (ImportError, SetupError) as error:
            logging.disable(logging.INFO)
            self.answers = False
            why = str(error) if isinstance(error, SetupError) else "Airflow is not installed here."
            print(f"tradewind: {why}", file=sys.stderr)
            return lambda *_: OwnerState(None, "unknown: Airflow cannot be asked")
