"""What ``airflow providers list`` and Airflow's provider manager read of this package."""

from __future__ import annotations

from typing import Any

from tradewind import __version__

__all__ = ["get_provider_info"]


def get_provider_info() -> dict[str, Any]:
    """Describe this provider to Airflow (entry point ``apache_airflow_provider``).

    Returns:
        What Airflow's ``provider_info.schema.json`` asks for.
    """
    return {
        "package-name": "tradewind",
        "name": "Tradewind",
        "description": (
            "For pipelines whose data and heavy work live in other systems: moves data between "
            "databases, APIs and object stores in a stream, whole or not at all, and brings those "
            "systems to one machine (S3, SageMaker, PostgreSQL, MariaDB, MongoDB)."
        ),
        "versions": [__version__],
        "task-decorators": [
            {"name": f"{name}_job", "class-name": f"tradewind.airflow.decorators.{name}_job_task"}
            for name in ("docker", "ssh")
        ],
    }
