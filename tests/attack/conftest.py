"""Systems and warm workers for the attacks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from attack_workers import Workers
from fault_systems import *  # noqa: F403

ACTIONS = Path(__file__).with_name("attack_moves.py")

pytest.register_assert_rewrite("attack_report")


@pytest.fixture(scope="module")
def workers(
    environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Workers]:
    """A warm process that forks movers."""
    with Workers(ACTIONS, tmp_path_factory.mktemp("told"), environment) as workers:
        yield workers
