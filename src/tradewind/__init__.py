"""Move data between systems, run work on them, and leave nothing behind."""

__version__ = "0.1.0"

from tradewind.former_names import keep_former_names

keep_former_names()
