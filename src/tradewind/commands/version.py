"""What ``tradewind --version`` says beside the version."""

from __future__ import annotations

from tradewind.move.native import core

__all__ = ["cores"]


def cores() -> str:
    """Say which decoders run here: see `tradewind.move.native`."""
    return f"(decoders: {core()})"
