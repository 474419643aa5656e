"""The variants that serve an endpoint together, and how they share its traffic."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field

from sagemaker_local.hosting.servers import ModelServer

__all__ = ["Fleet", "NoSuchVariantError", "Variant"]


class NoSuchVariantError(Exception):
    """No variant can take the request; the text says why."""


@dataclass(slots=True)
class Variant:
    """One production variant in service.

    Args:
        name: The variant's name.
        server: What answers.
        weight: Its share of the traffic, relative to the other variants' weights.
        stream: Its log stream in CloudWatch Logs.
    """

    name: str
    server: ModelServer
    weight: float
    stream: str
    credit: float = field(default=0.0, repr=False)


class Fleet:
    """The variants of one endpoint configuration, loaded and healthy.

    Traffic is shared by smooth weighted round robin (as in nginx, commit 52327e0): each pick
    gives every variant its weight in credit, takes the richest and charges it the sum of the
    weights. After any number of picks no variant is a whole request away from its share.

    Args:
        variants: The variants.
    """

    def __init__(self, variants: Iterable[Variant]) -> None:
        self.variants = {variant.name: variant for variant in variants}
        self._single = next(iter(self.variants.values())) if len(self.variants) == 1 else None
        self._running = 0
        self._idle = asyncio.Event()
        self._idle.set()

    def pick(self, target: str | None = None) -> Variant:
        """Choose who answers the next request.

        Args:
            target: The variant a caller asks for by name.

        Raises:
            NoSuchVariantError: There is no such variant, or no variant has a weight.
        """
        if target is not None:
            variant = self.variants.get(target)
            if variant is None:
                raise NoSuchVariantError(f"Variant {target} not found for Request")
            return variant
        if self._single is not None:
            return self._single
        total = 0.0
        chosen: Variant | None = None
        for variant in self.variants.values():
            if variant.weight <= 0:
                continue
            total += variant.weight
            variant.credit += variant.weight
            if chosen is None or variant.credit > chosen.credit:
                chosen = variant
        if chosen is None:
            raise NoSuchVariantError("Every production variant of the endpoint has weight 0")
        chosen.credit -= total
        return chosen

    def reweigh(self, weights: dict[str, float]) -> None:
        """Change the weights of variants by name; a fresh round begins."""
        for variant in self.variants.values():
            variant.weight = weights.get(variant.name, variant.weight)
            variant.credit = 0.0

    def __enter__(self) -> Fleet:
        self._running += 1
        self._idle.clear()
        return self

    def __exit__(self, *_: object) -> None:
        self._running -= 1
        if not self._running:
            self._idle.set()

    async def close(self, drain: float, grace: float = 30.0) -> None:
        """Leave service: let running requests finish, then let the models go.

        Args:
            drain: Seconds that running requests may take.
            grace: Seconds that a container has between SIGTERM and SIGKILL; AWS gives 30.
        """
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(drain):
                    await self._idle.wait()
        finally:
            await asyncio.gather(
                *(variant.server.close(grace) for variant in self.variants.values()),
                return_exceptions=True,
            )
