"""The page "What happens to my values" says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tradewind.errors import InputError
from values_cases import BEGIN, CASES, END, PAGE, Case, outcome, table


@pytest.mark.parametrize(
    "case", CASES, ids=lambda case: f"{case.source}-{case.target}-{case.does}-{case.what}"
)
def test_case(case: Case, tmp_path: Path) -> None:
    found = outcome(case, tmp_path)
    if case.does == "refused":
        assert isinstance(found, InputError), found
        assert re.search(str(case.last), str(found)), str(found)
        assert not list(tmp_path.glob("out.*"))
    else:
        assert found == case.last


def test_the_page_is_up_to_date() -> None:
    text = PAGE.read_text(encoding="utf-8")
    written = text.partition(BEGIN)[2].partition(END)[0].strip()
    assert written == table(), "Run scripts/values_page.py."
