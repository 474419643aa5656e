"""Which results become an XCom."""

from __future__ import annotations

import json

import pytest

from tradewind.airflow.results import check_line, check_result
from tradewind.errors import InputError


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("NaN", "NaN"),
        ('{"loss": [1, -Infinity]}', "-Infinity"),
        ("1e999", "beyond what a double"),
        ("[" * 10_000 + "]" * 10_000, "levels"),
        ("[" * 101 + "]" * 101, "levels"),
        ('{"a":' * 5_000 + "1" + "}" * 5_000, "levels"),
        ('["\\ud800"]', "half a character"),
        ('{"\\udfff": 1}', "half a character"),
        ('[{"a": {"__id__": 1}}]', '"__id__"'),
        ('{"__classname__": "x"}', '"__classname__"'),
        ('{"__type": "dict", "__var": 1}', '"__type" and "__var"'),
        ('["a\\u0000"]', "zero character"),
        ('{"\\u0000": 1}', "zero character"),
        ('"\\\\\\u0000"', "zero character"),
        ("a\0b", "zero character"),
    ],
)
def test_what_no_xcom_can_hold_is_refused_in_words(text: str, message: str):
    with pytest.raises(InputError, match=message):
        check_result(text)


def test_a_line_of_a_log_that_no_xcom_can_hold_is_refused_with_a_way_out():
    check_line("NaN")
    with pytest.raises(InputError, match="do_xcom_push=False"):
        check_line("a\0b")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nan",
        "plain text",
        '"\\ud83d\\ude00"',
        "[" * 90 + "]" * 90,
        json.dumps({"a": None}),
        '{"__type": 1}',
        r'"a path \\u0000"',
    ],
)
def test_what_an_xcom_can_hold_passes(text: str):
    check_result(text)
