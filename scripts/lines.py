"""Count the lines of Python by folder, of the work tree or of two commits side by side.

python scripts/lines.py                    # src/ as it is now
python scripts/lines.py f7f0281~1 HEAD     # before each system got a folder, and now
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def folder_of(path: str) -> str:
    """Name the folder that a file is counted in: the second below ``src``, or of a distribution."""
    parts = path.split("/")
    if parts[0] == "src":
        return "/".join(parts[1 : min(len(parts) - 1, 3)])
    return "/".join(parts[:2])


def lines_of(revision: str | None) -> Counter[str]:
    """Count lines by folder.

    Args:
        revision: A commit; None for the work tree.
    """
    places = ["src", "packages"]
    listing = (
        ["git", "ls-files", *places]
        if revision is None
        else ["git", "ls-tree", "-r", "--name-only", revision, *places]
    )
    counted: Counter[str] = Counter()
    paths = subprocess.run(listing, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for path in paths.splitlines():
        if not path.endswith(".py") or "/tests/" in path or "/examples/" in path:
            continue
        if revision is None:
            text = (ROOT / path).read_bytes()
        else:
            command = ["git", "show", f"{revision}:{path}"]
            text = subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout
        counted[folder_of(path)] += text.count(b"\n")
    return counted


def main() -> int:
    """Print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("revisions", nargs="*", metavar="COMMIT", help="none: the work tree")
    revisions = parser.parse_args().revisions or [None]
    columns = [lines_of(revision) for revision in revisions]
    print("| folder | " + " | ".join(str(name or "now") for name in revisions) + " |")
    print("| --- |" + " ---: |" * len(columns))
    for folder in sorted(set().union(*columns)):
        print(f"| `{folder}` | " + " | ".join(f"{one[folder]:,}" for one in columns) + " |")
    print("| all | " + " | ".join(f"{one.total():,}" for one in columns) + " |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
