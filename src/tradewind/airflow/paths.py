"""Airflow's `ObjectStoragePath` as a source or target.

https://airflow.apache.org/docs/apache-airflow/stable/core-concepts/objectstorage.html
"""

from __future__ import annotations

from typing import Any

__all__ = ["is_object_path", "uri_of"]

_AZURE = ("abfs", "abfss", "az", "adl", "wasb", "wasbs")


def is_object_path(value: Any) -> bool:
    """Tell whether it is an ``ObjectStoragePath``, without importing what reads such paths.

    Args:
        value: Anything.
    """
    return any(kind.__name__ == "ObjectStoragePath" for kind in type(value).__mro__)


def uri_of(path: Any) -> tuple[str, str | None]:
    """Take a path apart.

    Args:
        path: An ``ObjectStoragePath``.

    Returns:
        Its URI as `Objects` has it, and its Airflow connection; None where it names none.
    """
    # Its text has the connection in the place of a user; its path begins with the bucket.
    scheme = "az" if path.protocol in _AZURE else path.protocol or "file"
    return f"{scheme}://{path.path}", path.conn_id
