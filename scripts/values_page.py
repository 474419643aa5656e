"""Write the tables of docs/values.md from the cases that the tests run."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path


def main() -> None:
    """Replace what stands between the marks."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    cases = importlib.import_module("values_cases")
    text = cases.PAGE.read_text(encoding="utf-8")
    before, begin, rest = text.partition(cases.BEGIN)
    after = rest.partition(cases.END)[2]
    if not begin:
        raise SystemExit(f"{cases.PAGE} has no line {cases.BEGIN}")
    written = f"{before}{begin}\n\n{cases.table()}\n\n{cases.END}{after}"
    cases.PAGE.write_text(written, encoding="utf-8")


if __name__ == "__main__":
    main()
