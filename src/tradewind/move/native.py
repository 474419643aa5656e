"""The decoders in Rust, where their package is installed; every one has a plain form in Python.

Both give the same values, so nothing but speed depends on it. ``TRADEWIND_CORE=python`` leaves the
package alone.
"""

from __future__ import annotations

import importlib
import os
from typing import Any

__all__ = ["WANTED", "core", "decoders"]

WANTED = "0.1.0"
"""The version of ``tradewind-native`` that this version of Tradewind goes with."""


def decoders() -> Any | None:
    """Give the module of decoders; None where it is not installed, or is of another version."""
    found = _installed()
    return found if found is not None and found.__version__ == WANTED else None


def core() -> str:
    """Say in a few words which decoders run here: for receipts and ``tradewind --version``."""
    if decoders() is not None:
        return f"native {WANTED}"
    found = _installed()
    if found is None:
        return "python"
    return f"python (tradewind-native is {found.__version__}, and {WANTED} is needed)"


def _installed() -> Any | None:
    if os.environ.get("TRADEWIND_CORE") == "python":
        return None
    try:
        return importlib.import_module("tradewind_native")
    except ImportError:
        return None
