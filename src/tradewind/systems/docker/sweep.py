"""What is left of containers whose task cannot come back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tradewind.redaction import shown_place
from tradewind.run.backend import Backend
from tradewind.sweep.leftover import Leftover
from tradewind.sweep.work import leftovers_of_opened

__all__ = ["leftovers"]


def leftovers(place: str) -> Iterator[tuple[str, Iterator[Leftover]]]:
    """List the containers of an engine.

    Args:
        place: Its address, like ``unix:///var/run/docker.sock``.
    """
    shown = shown_place(place)
    yield shown, leftovers_of_opened(f"docker {shown}", lambda: _opened(place))


def _opened(uri: str) -> Backend[Any]:
    from tradewind.systems.docker.backend import DockerBackend, Engine
    from tradewind.systems.docker.tls import context_of_environment

    return DockerBackend(Engine(uri, tls=context_of_environment(uri)))
