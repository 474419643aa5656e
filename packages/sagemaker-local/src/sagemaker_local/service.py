"""The service's parts, put together: settings, state, logs, jobs, hosting, transforms."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sagemaker_local import registry
from sagemaker_local.logs import Logs
from sagemaker_local.store import FolderLock, Store

__all__ = ["Part", "Service", "Settings"]


@dataclass(frozen=True)
class Settings:
    """What the service was started with.

    Args:
        data: The folder that holds the service's state and its jobs' working folders.
        s3_endpoint: URL of the S3 service that data and models are read from and written to.
        region: The AWS region the service plays, part of every ARN.
        account: The AWS account the service plays, 12 digits, part of every ARN.
        engine: "auto", "none" or the address of a container engine's socket
            ("unix:///run/docker.sock").
        trainers: How many training jobs may run at once.
    """

    data: Path
    s3_endpoint: str
    region: str = "eu-west-1"
    account: str = "123456789012"
    engine: str = "auto"
    trainers: int = 2


class Part(Protocol):
    """A part of the service with work of its own going on."""

    def start(self) -> Awaitable[None]:
        """Take up again what was going on when the service ended."""

    def stop(self) -> Awaitable[None]:
        """End what is going on, quickly; what must survive is in the store."""


class Service:
    """Everything an operation works with.

    Args:
        settings: What the service was started with.

    Raises:
        SetupError: The data folder or a database in it cannot be used.
    """

    def __init__(self, settings: Settings) -> None:
        registry.load()
        self.settings = settings
        self._folder_lock = FolderLock(settings.data)
        self.store = Store(settings.data / "state.sqlite")
        self.logs = Logs(settings.data / "logs.sqlite", settings.region, settings.account)
        # The parts name this class in their types, so they are imported when they are needed.
        from sagemaker_local.hosting import Hosting
        from sagemaker_local.jobs import Jobs
        from sagemaker_local.transform import Transforms

        self.jobs = Jobs(self)
        self.hosting = Hosting(self)
        self.transforms = Transforms(self)
        self._started: list[Part] = []

    def arn(self, kind: str, name: str) -> str:
        """Return the ARN of a resource.

        Args:
            kind: Such as "training-job".
            name: The resource's name. AWS writes it in lower case.
        """
        settings = self.settings
        return f"arn:aws:sagemaker:{settings.region}:{settings.account}:{kind}/{name.lower()}"

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
            self.logs.close()
            self.store.close()
            self._folder_lock.close()
