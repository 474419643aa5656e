"""Write the tables of systems in README.md and docs/systems.md from what the registry knows."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path


def main() -> None:
    """Replace what stands between the marks."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    tables = importlib.import_module("systems_tables")
    for page, table in tables.PAGES.items():
        before, _, after = tables.parts(page)
        written = f"{before}{tables.BEGIN}\n\n{table()}\n\n{tables.END}{after}"
        page.write_text(written, encoding="utf-8")


if __name__ == "__main__":
    main()
