"""Names of owners: readable, deterministic, and told apart whatever the system allows."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradewind.errors import InputError
from tradewind.owner import Owner

owners = st.builds(
    Owner,
    dag=st.text(min_size=1),
    run=st.text(min_size=1),
    task=st.text(min_size=1),
    map_index=st.integers(-1, 10_000),
    life=st.integers(0, 100),
)


@given(owners, st.integers(13, 300), st.sampled_from("-_"))
def test_a_name_is_one_that_every_system_takes(owner: Owner, limit: int, separator: str):
    name = owner.name(limit=limit, separator=separator)
    assert len(name) <= limit
    assert re.fullmatch(rf"[a-z][a-z0-9{separator}]*", name)
    assert name == owner.name(limit=limit, separator=separator)


@given(owners, owners)
def test_two_owners_have_two_names_however_little_fits(one: Owner, other: Owner):
    assert (one == other) == (one.name(limit=13) == other.name(limit=13))


def test_a_name_shows_who_it_is():
    owner = Owner("listings", "scheduled__2026-01-01", "export", map_index=3, life=1)
    assert owner.name().startswith("listings-export-scheduled-2026-01-01-")
    assert str(owner) == "listings/scheduled__2026-01-01/export[3]#1"


def test_a_retry_has_the_same_name_and_a_clear_another():
    first = Owner("d", "r", "t")
    assert first.name() == Owner("d", "r", "t", life=0).name()
    assert first.name() != Owner("d", "r", "t", life=1).name()


def test_too_little_room_is_refused():
    with pytest.raises(InputError, match="13 are needed"):
        Owner("d", "r", "t").name(limit=12)
