"""``python -m tradewind``, where the command's folder is not on PATH."""

from __future__ import annotations

import sys

from tradewind.cli import main

if __name__ == "__main__":
    sys.exit(main())
