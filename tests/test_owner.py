"""Names of owners: readable, deterministic, and told apart whatever the system allows."""

from __future__ import annotations

import re
from dataclasses import replace

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
    clears=st.integers(0, 100),
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
    owner = Owner("listings", "scheduled__2026-01-01", "export", map_index=3, clears=1)
    assert owner.name().startswith("listings-export-scheduled-2026-01-01-")
    assert str(owner) == "listings/scheduled__2026-01-01/export[3]#1"


def test_a_retry_has_the_same_name_and_a_clear_another():
    first = Owner("d", "r", "t")
    assert first.name() == Owner("d", "r", "t", clears=0).name()
    assert first.name() != Owner("d", "r", "t", clears=1).name()


def test_too_little_room_is_refused():
    with pytest.raises(InputError, match="13 are needed"):
        Owner("d", "r", "t").name(limit=12)


WORDS = st.from_regex(r"[A-Za-z0-9_-]{1,40}", fullmatch=True)


def test_an_owner_without_a_deployment_has_the_names_that_it_always_had():
    assert Owner("dag", "run", "task").digest == "cad0451ed3d3"
    owner = Owner("dag", "run", "task", map_index=3, clears=2)
    assert (owner.digest, str(owner)) == ("2d3c21a8937f", "dag/run/task[3]#2")


@given(owners, WORDS, WORDS)
def test_each_deployment_and_each_generation_has_names_of_its_own(owner: Owner, one, other):
    names = {
        owner.name(limit=13),
        replace(owner, deployment=one).name(limit=13),
        replace(owner, generation=one).name(limit=13),
        replace(owner, deployment=one, generation=other).name(limit=13),
    }
    assert len(names) == 4
    assert (one == other) == (replace(owner, deployment=one) == replace(owner, deployment=other))


@pytest.mark.parametrize(
    "owner",
    [
        Owner("dag", "run", "task", deployment="production"),
        Owner("dag", "a/b", "task", map_index=0, clears=3, deployment="d-1", generation="0af_"),
        Owner("dag", "run", "task@d:g"),
        Owner("dag", "run", "task@d:g", deployment="d", generation="g"),
    ],
)
def test_an_owner_is_read_out_of_its_words(owner: Owner):
    assert Owner.of_title(str(owner), owner.digest) == owner
    assert Owner.of_title(str(owner)[:-1], owner.digest) is None


def test_former_lives_are_those_of_the_same_task_of_the_same_deployment():
    now = Owner("d", "r", "t", clears=2, deployment="a", generation="g2")
    assert replace(now, clears=1).is_superseded_by(now)
    assert replace(now, clears=5, generation="g1").is_superseded_by(now)
    for other in (
        now,
        replace(now, clears=3),
        replace(now, deployment="b"),
        replace(now, map_index=1),
        replace(now, run="r2"),
        Owner("d", "r", "t"),
    ):
        assert not other.is_superseded_by(now), other


@pytest.mark.parametrize("word", ["a b", "a/b", "ä", "x" * 41, "a\n"])
def test_what_cannot_be_a_part_of_names_is_refused(word: str):
    with pytest.raises(InputError, match="letters, digits"):
        Owner("d", "r", "t", deployment=word)
