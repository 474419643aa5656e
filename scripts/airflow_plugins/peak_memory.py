"""An Airflow plugin of the listings demo: how much memory the process of each task took at most.

It adds a line of JSON to the file that LISTINGS_PEAKS names for each task that has succeeded:
``{"task": "export_listings", "run": ..., "megabytes": ...}``. A task's process is forked from a
worker, so the number has Airflow's own libraries in it.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from typing import Any

from airflow.listeners import hookimpl
from airflow.plugins_manager import AirflowPlugin


class Listener:
    """Hears from the task's own process."""

    @hookimpl
    def on_task_instance_success(self, previous_state: Any, task_instance: Any) -> None:
        """Write how much the process took.

        Args:
            previous_state: Unused.
            task_instance: The task run.
        """
        file = os.environ.get("LISTINGS_PEAKS")
        if not file:
            return
        used = resource.getrusage(resource.RUSAGE_SELF)
        told = {
            "task": task_instance.task_id,
            "run": task_instance.run_id,
            # Linux counts in KiB, macOS in bytes.
            "megabytes": round(used.ru_maxrss / 1e6 * (1 if sys.platform == "darwin" else 1024), 1),
            "processor_seconds": round(used.ru_utime + used.ru_stime, 2),
        }
        with open(file, "a") as out:
            out.write(json.dumps(told) + "\n")


class PeakMemory(AirflowPlugin):
    """Registers the listener."""

    name = "peak_memory"
    listeners = [Listener()]  # noqa: RUF012 - as Airflow declares it
