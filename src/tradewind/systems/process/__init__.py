"""Processes of this machine: work in job folders."""

from tradewind.system import System

__all__ = ["SYSTEM"]

SYSTEM = System(
    name="process",
    title="Processes of this machine",
    backend="tradewind.systems.process.backend:ProcessBackend",
)
