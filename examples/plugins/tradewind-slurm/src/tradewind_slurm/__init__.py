"""Slurm as a system of Tradewind: batch jobs that run once."""

from __future__ import annotations

from tradewind.system import System

__all__ = ["SYSTEM"]

SYSTEM = System(
    name="slurm",
    title="Slurm",
    backend="tradewind_slurm.backend:SlurmBackend",
    sweep="tradewind_slurm.sweep:leftovers",
    sweep_help="the shared folder that holds the job folders",
    install="pip install tradewind-slurm",
)
