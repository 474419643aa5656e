"""The service: its parts put together, started in order and stopped in reverse order."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Protocol

from sagemaker_local.context import Context, Settings
from sagemaker_local.hosting import Hosting
from sagemaker_local.jobs import Jobs
from sagemaker_local.transform import Transforms

__all__ = ["Part", "Service", "Settings"]


class Part(Protocol):
    """A part of the service with work of its own going on."""

    def start(self) -> Awaitable[None]:
        """Take up again what was going on when the service ended."""

    def stop(self) -> Awaitable[None]:
        """End what is going on, quickly; what must survive is in the store."""


class Service(Context):
    """Everything an operation works with.

    Args:
        settings: What the service was started with.

    Raises:
        SetupError: The data folder or a database in it cannot be used.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.jobs = Jobs(self)
        self.hosting = Hosting(self)
        self.transforms = Transforms(self)
        self._started: list[Part] = []

    async def start(self) -> None:
        """Start all parts; each takes up what was going on when the service last ended."""
        for part in (self.hosting, self.jobs, self.transforms):
            self._started.append(part)
            await part.start()

    async def stop(self) -> None:
        """Stop all parts, in reverse order, and close the databases."""
        try:
            while self._started:
                await self._started.pop().stop()
        finally:
            self.close()
