"""What is left on Livy of batches and sessions whose task cannot come back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tradewind.redaction import shown_place
from tradewind.run.backend import Backend
from tradewind.sweep.leftover import Leftover
from tradewind.sweep.work import leftovers_of_opened

__all__ = ["leftovers"]


def leftovers(place: str) -> Iterator[tuple[str, Iterator[Leftover]]]:
    """List batches and sessions.

    Args:
        place: A Livy connection of Airflow, ``CONNECTION/PREFIX`` where Livy has one, or Livy's
            ``http://host:port/prefix``.
    """
    for kind in ("batches", "sessions"):
        system = f"livy {shown_place(place)} {kind}"
        yield system, leftovers_of_opened(system, lambda kind=kind: _opened(place, kind))  # type: ignore[misc]


def _opened(place: str, kind: str) -> Backend[Any]:
    if "://" not in place:
        from tradewind.airflow.rest_backends import open_livy, open_livy_sessions

        conn_id, _, prefix = place.removeprefix("connection:").partition("/")
        return (open_livy if kind == "batches" else open_livy_sessions)(conn_id, prefix or None)
    from tradewind.systems.http.sweep import rest_connection
    from tradewind.systems.livy.backend import LivyBackend
    from tradewind.systems.livy.session import LivySessionBackend

    return (LivyBackend if kind == "batches" else LivySessionBackend)(rest_connection(place))
