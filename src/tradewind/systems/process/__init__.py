"""Processes of this machine: work in job folders."""

from tradewind.system import System

__all__ = ["SYSTEM"]

SYSTEM = System(
    name="process",
    title="Processes of this machine",
    backend="tradewind.systems.process.backend:ProcessBackend",
    sweep="tradewind.systems.process.sweep:leftovers",
    sweep_place="FOLDER",
    sweep_help="jobs of this machine: the folder of the job folders",
)
