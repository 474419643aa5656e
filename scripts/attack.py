"""Attack the promises, and write what came of it into docs/trust.md.

python scripts/attack.py                     the short form of all attacks; the table is printed
python scripts/attack.py --long --write      the long form; the table of docs/trust.md is renewed
python scripts/attack.py zombies mutated     those whose files' names have one of the words

Each attack is a file of tests/attack/ and runs by itself; its counts are kept under
.tradewind/attack/ as they come, so that a run that was broken off goes on where it was
(``--anew`` forgets them). TRADEWIND_ATTACK_SEED chooses another seed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
ATTACKS = ROOT / "tests" / "attack"
KEPT = ROOT / ".tradewind" / "attack"
PAGE = ROOT / "docs" / "trust.md"
BY_STORE = "[by store](#fencing-on-object-stores)"
#: Where a promise has a window that is known to be left, what tells of it.
WINDOWS = {
    "An attempt that has lost its turn changes nothing any more": BY_STORE,
    "Two attempts at once leave one whole result": BY_STORE,
}
BEGIN, END = "<!-- attacks: begin -->", "<!-- attacks: end -->"


def main() -> int:
    """Run the attacks that are wanted, and tell the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("words", nargs="*", help="words of the attacks' file names; all by default")
    parser.add_argument("--long", action="store_true", help="the long form")
    parser.add_argument("--anew", action="store_true", help="run again what has run already")
    parser.add_argument("--write", action="store_true", help="write the table into docs/trust.md")
    wanted = parser.parse_args()
    kept = KEPT / ("long" if wanted.long else "short")
    kept.mkdir(parents=True, exist_ok=True)
    files = [
        file
        for file in sorted(ATTACKS.glob("test_*.py"))
        if not wanted.words or any(word in file.stem for word in wanted.words)
    ]
    for file in files:
        done = kept / f"{file.stem}.jsonl"
        if wanted.anew or not done.exists():
            run(file, done, long=wanted.long)
    lines = [
        json.loads(line)
        for file in sorted(kept.glob("*.jsonl"))
        for line in file.read_text().splitlines()
    ]
    told = table(lines)
    print(told)
    if wanted.write:
        page = PAGE.read_text()
        before, rest = page.split(BEGIN)
        PAGE.write_text(f"{before}{BEGIN}\n{told}{END}{rest.split(END)[1]}")
    return 1 if any(line["failures"] for line in lines) else 0


def run(file: Path, done: Path, *, long: bool) -> None:
    """Run one attack; its counts stand in `done` once it has come to its end."""
    coming = done.with_suffix(".coming")
    coming.unlink(missing_ok=True)
    command = [sys.executable, "-m", "pytest", "-n", "0", "-q", "-s", "-m"]
    # A test has either form; one that has no short form is long alone.
    command += ["long" if long else "not long", str(file)]
    print(f"== {file.stem}", flush=True)
    ended = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "TRADEWIND_ATTACK_RESULTS": str(coming)}
    )
    # 1: an attack has succeeded, which its line tells; 5: there is no such form.
    if ended.returncode in (0, 1) and coming.exists():
        coming.replace(done)
    elif ended.returncode != 5:
        raise SystemExit(f"{file.stem} has ended with status {ended.returncode}")


def table(lines: list[dict[str, Any]]) -> str:
    """Put the counts together: a row for each promise and way to attack it."""
    rows: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for line in lines:
        rows.setdefault((line["promise"], line["how"]), []).append(line)
    told = [
        "| Promise | How it is attacked | On what | Tries | Failures | Window left |",
        "|---|---|---|--:|--:|---|",
    ]
    for (promise, how), those in rows.items():
        on = "; ".join(f"{line['on']} ({line['tries']:,})" for line in those)
        tries = sum(line["tries"] for line in those)
        failures = sum(line["failures"] for line in those)
        window = WINDOWS.get(promise, "none known")
        told.append(f"| {promise} | {how} | {on} | {tries:,} | {failures:,} | {window} |")
    return "\n".join(told) + "\n"


if __name__ == "__main__":
    sys.exit(main())
