"""What Airflow's task state store is for: kept from an attempt to the next, here by a test."""

from __future__ import annotations

__all__ = ["Notebook"]


class Notebook(dict[str, str]):
    """A memory of one test."""

    def set(self, key: str, value: str) -> None:
        self[key] = value

    def delete(self, key: str) -> None:
        self.pop(key, None)
