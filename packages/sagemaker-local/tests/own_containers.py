"""The containers of one service, among those that an engine has."""

from __future__ import annotations

from pathlib import Path

from container_engine import Engine
from sagemaker_local.containers.labels import SERVICE


def of_service(engine: Engine, data: Path) -> set[str]:
    """The ids of a service's containers; other services of these tests have some as well."""
    return {c["Id"] for c in engine.containers() if c["Labels"].get(SERVICE) == str(data)}
