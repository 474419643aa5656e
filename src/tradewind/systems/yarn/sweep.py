"""What is left on YARN of applications whose task cannot come back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tradewind.redaction import shown_place
from tradewind.run.backend import Backend
from tradewind.sweep.leftover import Leftover
from tradewind.sweep.work import leftovers_of_opened

__all__ = ["leftovers"]


def leftovers(place: str) -> Iterator[tuple[str, Iterator[Leftover]]]:
    """List the applications that run.

    Args:
        place: A Spark connection of Airflow, or the ResourceManager's ``http://host:port``.
    """
    shown = shown_place(place)
    yield shown, leftovers_of_opened(f"yarn {shown}", lambda: _opened(place))


def _opened(place: str) -> Backend[Any]:
    if "://" not in place:
        from tradewind.airflow.spark_backends import open_yarn

        return open_yarn(place.removeprefix("connection:"))
    from tradewind.systems.http.sweep import rest_connection
    from tradewind.systems.yarn.backend import YarnBackend

    return YarnBackend([rest_connection(place)])
