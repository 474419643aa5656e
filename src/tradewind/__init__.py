"""Move data between systems, run work on them, and leave nothing behind."""

__version__ = "0.1.0"
