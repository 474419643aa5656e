"""What is a leftover, and what is not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tradewind.owner import Owner
from tradewind.sweep.leftover import Leftover, OwnerState, judge, owner_of_title

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


def thing(name: str, *, hours: float | None = 1.0) -> Leftover:
    since = None if hours is None else NOW - timedelta(hours=hours)
    return Leftover("system", name, name, "", since, lambda: None)


def ask(digest: str | None, _: str, __: str) -> OwnerState:
    return {
        "alive": OwnerState(True, "it runs"),
        "gone": OwnerState(False, "it is gone"),
        "unknown": OwnerState(None, "who knows"),
    }[str(digest)]


def test_what_is_needed_is_no_leftover():
    found = [thing("alive"), thing("gone"), thing("unknown")]
    left = list(judge(found, ask, now=NOW))
    assert [(one.what, one.reason, one.certain) for one in left] == [
        ("gone", "it is gone", True),
        ("unknown", "who knows", False),
    ]


def test_age_passes_over_what_is_young_or_ageless_and_never_adds_what_is_needed():
    found = [thing("gone", hours=3), thing("gone", hours=1), thing("gone", hours=None)]
    found.append(thing("alive", hours=1000))
    left = list(judge(found, ask, older_than=timedelta(hours=2), now=NOW))
    assert [one.since for one in left] == [NOW - timedelta(hours=3)]


@pytest.mark.parametrize(
    "owner",
    [
        Owner("dag", "manual__2026-01-01T00:00:00+00:00", "group.task"),
        Owner("dag.x", "a/b", "task", map_index=0),
        Owner("dag", "run", "task", map_index=12, clears=3),
        Owner("dag", "run", "task", clears=2),
    ],
)
def test_an_owner_is_read_out_of_its_words(owner: Owner):
    assert owner_of_title(str(owner), owner.digest) == owner


@pytest.mark.parametrize("title", ["", "dag/run", "dag/run/task_3_", "dag/run/task#1"])
def test_words_that_were_cut_or_changed_say_nothing(title: str):
    assert owner_of_title(title, Owner("dag", "run", "task", map_index=3).digest) is None
