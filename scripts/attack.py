"""Attack the promises, and write what came of it into docs/trust.md.

python scripts/attack.py                     the short form of all attacks; the table is printed
python scripts/attack.py --long --write      the long form; the table of docs/trust.md is renewed
python scripts/attack.py zombies mutated     those whose files' names have one of the words
python scripts/attack.py --long --minutes 20 --slice 60
                                             20 minutes of the long form, a minute for each attack

Each attack is a test of tests/attack/. Its counts are kept in a file as they come, so that a run
that was broken off, or has used up its minutes, goes on where it was; ``--anew`` forgets those of
the files it runs. TRADEWIND_ATTACK_SEED chooses another seed, which needs a file of its own.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
ATTACKS = ROOT / "tests" / "attack"
KEPT = ROOT / ".tradewind" / "attack"
PAGE = ROOT / "docs" / "trust.md"
BY_STORE = "[by store](#fencing-on-object-stores)"
#: Where a promise has a window that is known to be left, what tells of it.
WINDOWS = {
    "A move is visible whole or not at all, and leaves nothing behind": BY_STORE,
    "An attempt that has lost its turn changes nothing any more": BY_STORE,
    "Two attempts at once leave one whole result": BY_STORE,
}
BEGIN, END = "<!-- attacks: begin -->", "<!-- attacks: end -->"
Unit = dict[str, Any]


def main() -> int:
    """Run the attacks that are wanted, and tell the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("words", nargs="*", help="words of the attacks' file names; all by default")
    parser.add_argument("--long", action="store_true", help="the long form")
    parser.add_argument("--only", default="", help="tests of these files, as pytest's -k has it")
    parser.add_argument("--anew", action="store_true", help="forget what these files have counted")
    parser.add_argument("--minutes", type=float, default=math.inf, help="end after so many")
    parser.add_argument("--slice", type=float, default=math.inf, help="seconds an attack, at most")
    parser.add_argument("--state", type=Path, help="the file with the counts")
    parser.add_argument("--tell", action="store_true", help="run nothing; tell what is there")
    parser.add_argument("--write", action="store_true", help="write the table into docs/trust.md")
    wanted = parser.parse_args()
    KEPT.mkdir(parents=True, exist_ok=True)
    state: Path = (wanted.state or KEPT / f"{'long' if wanted.long else 'short'}.json").absolute()
    until = time.time() + wanted.minutes * 60
    files = [
        file
        for word in wanted.words or [""]
        for file in sorted(ATTACKS.glob("test_*.py"))
        if word in file.stem
    ]
    broken = []
    for file in [] if wanted.tell else list(dict.fromkeys(files)):
        if wanted.anew:
            forget(state, file)
        more = ["-k", wanted.only] if wanted.only else []
        ended = run(file, state, until, wanted.slice, more, long=wanted.long)
        # 1: a test has failed, which the counts tell; 5: there is nothing left to do.
        if ended not in (0, 1, 5):
            raise SystemExit(f"{file.stem} has ended with status {ended}")
        if ended == 1:
            broken.append(file.stem)
    units = list(json.loads(state.read_text())["units"].values()) if state.exists() else []
    told = table(units)
    print(told)
    for unit in units:
        for line in unit["first"]:
            print(f"failure: {unit['how']}; {unit['on']}: {line}")
        if unit["tries"] < unit["wanted"]:
            print(f"not at its end: {unit['on']}: {unit['tries']} of {unit['wanted']} tries")
    if broken:
        print(f"tests have failed in: {', '.join(broken)}")
    if wanted.write:
        page = PAGE.read_text()
        before, rest = page.split(BEGIN)
        PAGE.write_text(f"{before}{BEGIN}\n{told}{END}{rest.split(END)[1]}")
    whole = all(unit["tries"] >= unit["wanted"] and not unit["failures"] for unit in units)
    return 0 if whole and not broken else 1


def run(
    file: Path, state: Path, until: float, seconds: float, more: list[str], *, long: bool
) -> int:
    """Run one file of attacks; what is at its end in `state` already is left out."""
    command = [sys.executable, "-m", "pytest", "-n", "0", "-q", "-s", "-m"]
    # A test has either form; one that has no short form is long alone.
    command += ["long" if long else "not long", str(file), *more]
    print(f"== {file.stem}", flush=True)
    if time.time() >= until:
        print("no time is left", flush=True)
        return 5
    given = {"STATE": str(state), "UNTIL": str(until), "SLICE": str(seconds)}
    given["COMMIT"] = commit()
    variables = {f"TRADEWIND_ATTACK_{name}": value for name, value in given.items()}
    return subprocess.run(command, cwd=ROOT, env={**os.environ, **variables}).returncode


def commit() -> str:
    """Name the commit of the code that is attacked, with a plus where it was changed since."""

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", *words], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout.strip()

    code = ("src", "packages")
    changed = git("status", "--porcelain", "--", *code)
    return git("log", "-1", "--format=%h", "--", *code) + ("+" if changed else "")


def forget(state: Path, file: Path) -> None:
    """Let a file's attacks begin at 0 again."""
    if state.exists():
        kept = json.loads(state.read_text())
        name = file.relative_to(ROOT).as_posix()
        kept["done"] = [test for test in kept["done"] if not test.startswith(f"{name}::")]
        kept["units"] = {
            key: unit for key, unit in kept["units"].items() if unit["file"] != file.stem
        }
        state.write_text(json.dumps(kept, indent=1))


def table(units: list[Unit]) -> str:
    """Put the counts together: a row for each promise and way to attack it."""
    rows: dict[tuple[str, str], list[Unit]] = {}
    for unit in units:
        if unit["tries"]:
            rows.setdefault((unit["promise"], unit["how"]), []).append(unit)
    told = [
        "| Promise | How it is attacked | On what | Tries | Failures | Window left |",
        "|---|---|---|--:|--:|---|",
    ]
    for (promise, how), those in sorted(rows.items()):
        by_commits: dict[str, list[Unit]] = {}
        for unit in those:
            by_commits.setdefault(", ".join(unit.get("commits", ())), []).append(unit)
        on = "; ".join(
            "; ".join(f"{unit['on']} ({unit['tries']:,})" for unit in units)
            + (f" [{commits}]" if commits else "")
            for commits, units in by_commits.items()
        )
        tries = sum(unit["tries"] for unit in those)
        failures = sum(unit["failures"] for unit in those)
        window = WINDOWS.get(promise, "none known")
        told.append(f"| {promise} | {how} | {on} | {tries:,} | {failures:,} | {window} |")
    return "\n".join(told) + "\n"


if __name__ == "__main__":
    sys.exit(main())
