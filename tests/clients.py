"""Foreign clients of SageMaker, which live in an environment of their own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def clients_python() -> Path:
    """The interpreter of the environment with SageMaker SDK 2.x and the AWS CLI, or a skip."""
    named = os.environ.get("TRADEWIND_CLIENTS_PYTHON")
    python = Path(named) if named else ROOT / ".venv-clients" / "bin" / "python"
    if not python.exists():
        pytest.skip(f"{python} is missing: run `make test`, which builds it")
    return python
