"""Slurm as a system of Tradewind: batch jobs that run once."""

from __future__ import annotations

from tradewind.system import System

__all__ = ["SYSTEM"]

SYSTEM = System(
    name="slurm",
    title="Slurm",
    backend="tradewind_slurm.backend:SlurmBackend",
    sweep="tradewind_slurm.sweep:leftovers",
    sweep_place="FOLDER",
    sweep_help="batch jobs: the shared folder of the job folders, or connection:ID",
    connection_types=("slurm",),
    default_connection="slurm_default",
    connection="tradewind_slurm.connection:connection_of",
    doctor="tradewind_slurm.connection:checks",
    install="pip install tradewind-slurm",
)
