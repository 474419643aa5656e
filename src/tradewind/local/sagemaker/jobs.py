"""Stand-in while the life of training jobs is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tradewind.local.sagemaker.service import Service


class Jobs:
    """Training jobs."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def start(self) -> None:
        """Take up jobs."""

    async def stop(self) -> None:
        """Stop jobs."""
