"""What the parts of the service share: settings, state, logs, and processes for large requests."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sagemaker_local.hosting.workers import Workers
from sagemaker_local.logs import Logs
from sagemaker_local.store import FolderLock, Store

__all__ = ["Context", "Settings"]


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


class Context:
    """What each part works with. It knows none of them.

    Args:
        settings: What the service was started with.

    Raises:
        SetupError: The data folder or a database in it cannot be used.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._folder_lock = FolderLock(settings.data)
        self.store = Store(settings.data / "state.sqlite")
        self.logs = Logs(settings.data / "logs.sqlite", settings.region, settings.account)
        self.workers = Workers()

    def arn(self, kind: str, name: str) -> str:
        """Return the ARN of a resource.

        Args:
            kind: Such as "training-job".
            name: The resource's name. AWS writes it in lower case.
        """
        settings = self.settings
        return f"arn:aws:sagemaker:{settings.region}:{settings.account}:{kind}/{name.lower()}"

    def close(self) -> None:
        """Close the databases and let the data folder go."""
        self.logs.close()
        self.store.close()
        self._folder_lock.close()
