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
        "config": {
            "tradewind": {
                "description": "What Tradewind needs to know of this Airflow.",
                "options": {
                    "deployment": {
                        "description": (
                            "Id of this Airflow, a part of all that it makes on other systems, so "
                            "that two Airflows that share one never meet: up to 40 letters, "
                            "digits, _ and -. Where it is not set, one is drawn once and kept as "
                            "the Airflow Variable tradewind_deployment. Let it stay the same while "
                            "the metadata database does."
                        ),
                        "type": "string",
                        "version_added": "0.1.0",
                        "example": "production",
                        "default": None,
                    }
                },
            }
        },
        "task-decorators": [
            {"name": f"{name}_job", "class-name": f"tradewind.airflow.decorators.{name}_job_task"}
            for name in ("docker", "ssh")
        ],
    }
