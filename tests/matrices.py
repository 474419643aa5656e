"""Matrices of tests: what is tried on every system, with the rows that the registry names.

A system with a side that a matrix is about, ours or a plugin's, has a row there or stands in
`LEFT_OUT` with the reason; a new one fails a test of the matrix until it has either.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from tradewind.registry import all_systems

Row = TypeVar("Row", bound=Callable[..., object])
Side = tuple[str, str]
"""A system and one of its sides: ``source``, ``target``, ``store`` or ``backend``."""

_EMULATED = "each statement takes its emulator a second: "
_READS = "a killed reader leaves nothing in a file or a driver; the others' rows kill its target"

#: By matrix: which side of a system has no row, and why.
LEFT_OUT: dict[str, dict[Side, str]] = {
    "types": {
        ("bigquery", "source"): f"{_EMULATED}tests/systems/bigquery has all its types",
        ("bigquery", "target"): f"{_EMULATED}tests/systems/bigquery has all its types",
    },
    "bad input": {
        ("bigquery", "source"): f"{_EMULATED}tests/systems/bigquery has its refusals",
        ("bigquery", "target"): f"{_EMULATED}tests/systems/bigquery has its refusals",
    },
    "killed movers": {
        ("bigquery", "source"): f"{_EMULATED}tests/systems/bigquery has what a dead load leaves",
        ("bigquery", "target"): f"{_EMULATED}tests/systems/bigquery has what a dead load leaves",
        ("dbapi", "source"): _READS,
        ("sqlite", "source"): _READS,
        ("duckdb", "source"): _READS,
        ("duckdb", "target"): "one transaction of a file; its suite has what fails on the way",
        ("sftp", "store"): "tests/systems/sftp kills an uploader",
    },
    "killed supervisors": {
        ("bigquery", "backend"): "its jobs are queries, no shell: tests/systems/bigquery",
        ("slurm", "backend"): "its own tests have what a claim without a submission leaves",
    },
    "killed attempts": {
        ("bigquery", "backend"): "its jobs are queries, no shell: tests/airflow/test_bigquery.py",
        ("sagemaker", "backend"): "tests/airflow/test_sagemaker_killed.py",
        ("slurm", "backend"): "its own tests have what a claim without a submission leaves",
        ("yarn", "backend"): "tests/systems/yarn/test_jobs.py, which has a cluster",
    },
    "killed workers": {
        ("bigquery", "backend"): "its jobs are queries, no shell: tests/airflow/test_bigquery.py",
        ("slurm", "backend"): "its own tests have what a claim without a submission leaves",
        ("yarn", "backend"): "tests/systems/yarn/test_jobs.py, which has a cluster",
    },
}


class Matrix:
    """One of these matrices.

    Args:
        name: As `LEFT_OUT` has it.
        sides: What of a system it is about.
    """

    def __init__(self, name: str, *sides: str) -> None:
        self.left_out = LEFT_OUT[name]
        self.name, self.sides = name, sides
        self.covered: set[Side] = set()

    def systems(self, side: str) -> list[str]:
        """Name the systems that need a row, in the registry's order."""
        return [
            name
            for name, system in all_systems().items()
            if getattr(system, side) is not None and (name, side) not in self.left_out
        ]

    def row(self, **systems: str) -> Callable[[Row], Row]:
        """Say which systems a test has, by their sides: ``row(source="postgres", store="s3")``.

        Args:
            systems: Names by the side; several of a side with spaces between them.
        """
        self.covered |= {(name, side) for side, names in systems.items() for name in names.split()}
        return lambda row: row

    def check(self) -> None:
        """Fail where the registry has a system that is nowhere here, or lacks one that is."""
        wanted = {(name, side) for side in self.sides for name in self.systems(side)}
        missing = sorted(wanted - self.covered)
        assert not missing, (
            f"no row of the matrix {self.name!r} has {missing}: write it, or give the reason in "
            f"{__file__}"
        )
        gone = sorted((self.covered | self.left_out.keys()) - self.offered())
        assert not gone, f"the matrix {self.name!r} has what no system offers: {gone}"
        both = sorted(self.covered & self.left_out.keys())
        assert not both, f"the matrix {self.name!r} has rows of what it leaves out: {both}"

    def offered(self) -> set[Side]:
        return {
            (name, side)
            for name, system in all_systems().items()
            for side in ("source", "target", "store", "backend")
            if getattr(system, side) is not None
        }
