"""How variants share traffic, and how a fleet leaves service."""

from __future__ import annotations

import asyncio
import collections

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagemaker_local.hosting.fleet import Fleet, NoSuchVariantError, Variant
from sagemaker_local.invocation import Answer, Invocation


class Server:
    """A server that notes when it is closed."""

    def __init__(self) -> None:
        self.grace: float | None = None

    async def invoke(self, invocation: Invocation, timeout: float) -> Answer:
        return Answer(200, b"", "text/plain")

    async def close(self, grace: float = 30.0) -> None:
        self.grace = grace

    @property
    def resolved_image(self) -> str:
        return "image"


def fleet_of(**weights: float) -> Fleet:
    return Fleet(Variant(name, Server(), weight, "") for name, weight in weights.items())


@given(
    st.dictionaries(st.sampled_from("abcde"), st.integers(0, 20), min_size=2),
    st.integers(1, 300),
)
def test_shares_are_never_a_request_off_for_long(weights: dict[str, int], picks: int) -> None:
    total = sum(weights.values())
    fleet = fleet_of(**weights)
    if not total:
        with pytest.raises(NoSuchVariantError, match="weight 0"):
            fleet.pick()
        return
    counts = collections.Counter(fleet.pick().name for _ in range(picks))
    for name, weight in weights.items():
        assert abs(counts[name] - picks * weight / total) < len(weights)
    if picks % total == 0:
        assert all(counts[name] == picks // total * weight for name, weight in weights.items())


def test_a_variant_by_name_and_new_weights() -> None:
    fleet = fleet_of(a=1.0, b=0.0)
    assert fleet.pick("b").name == "b"
    with pytest.raises(NoSuchVariantError, match="Variant c not found"):
        fleet.pick("c")
    fleet.reweigh({"a": 0.0, "b": 2.5})
    assert {fleet.pick().name for _ in range(5)} == {"b"}


def test_the_only_variant_answers_whatever_its_weight() -> None:
    assert fleet_of(only=0.0).pick().name == "only"


def test_closing_waits_for_running_requests_but_not_for_ever() -> None:
    async def main() -> None:
        fleet = fleet_of(a=1.0)
        server = fleet.variants["a"].server
        assert isinstance(server, Server)
        with fleet:
            closing = asyncio.create_task(fleet.close(drain=30.0, grace=3.0))
            await asyncio.sleep(0)
            assert server.grace is None
        await closing
        assert server.grace == 3.0

        stuck = fleet_of(a=1.0)
        with stuck:
            await stuck.close(drain=0.0)
        server = stuck.variants["a"].server
        assert isinstance(server, Server)
        assert server.grace == 30.0

    asyncio.run(main())
