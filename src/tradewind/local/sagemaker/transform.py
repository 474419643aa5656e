"""Batch transform jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tradewind.local.sagemaker.service import Service

__all__ = ["Transforms"]


class Transforms:
    """All transform jobs of the service."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def start(self) -> None:
        """Take up jobs."""

    async def stop(self) -> None:
        """Stop jobs."""
