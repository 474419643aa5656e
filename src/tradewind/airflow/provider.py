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
            "Moves data between systems in flat memory, runs work on them exactly once, "
            "leaves nothing behind, and brings those systems to one machine to try it all."
        ),
        "versions": [__version__],
    }
