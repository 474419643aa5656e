"""DataProcessing: what is selected, and how input and output are joined."""

from __future__ import annotations

from typing import Any

import pytest

from sagemaker_local.errors import InputError
from sagemaker_local.transform.paths import parse_path
from sagemaker_local.transform.processing import Processing

RECORD = {"id": 7, "a b": {"x-y": [1, 2, 3]}, "rest": [{"n": 1}, {"n": 2}]}


@pytest.mark.parametrize(
    ("path", "value", "selected"),
    [
        ("$", RECORD, RECORD),
        ("$.id", RECORD, 7),
        ("$['a b'].x-y[1:]", RECORD, [2, 3]),
        ("$.['id','a b']", RECORD, {"id": 7, "a b": {"x-y": [1, 2, 3]}}),
        ('$["id"]', RECORD, 7),
        ("$.rest[-1].n", RECORD, 2),
        ("$.rest[*]", RECORD, [{"n": 1}, {"n": 2}]),
        ("$.*", {"a": 1, "b": 2}, [1, 2]),
        ("$[0]", [4, 5, 6], 4),
        ("$[0, -1]", [4, 5, 6], [4, 6]),
        ("$[:-1]", [4, 5, 6], [4, 5]),
        ("$['it\\'s']", {"it's": 1}, 1),
    ],
)
def test_what_a_path_selects(path: str, value: Any, selected: Any) -> None:
    assert parse_path(path)(value) == selected


@pytest.mark.parametrize("path", ["", "id", "$..id", "$.rest[?(@.n>1)]", "$[a]", "$['a',0]", "$."])
def test_other_paths_are_refused(path: str) -> None:
    with pytest.raises(InputError, match="is not understood"):
        parse_path(path)


@pytest.mark.parametrize("path", ["$.none", "$[9]", "$.id.x", "$['id','none']", "$.id[0:1]"])
def test_nothing_to_select_is_an_error(path: str) -> None:
    with pytest.raises(InputError, match="finds nothing"):
        parse_path(path)(RECORD)


def processing(kind: str, split: str = "Line", **wanted: str) -> Processing:
    found = Processing.of(
        {
            "TransformInput": {"ContentType": kind, "SplitType": split},
            "TransformOutput": {"Accept": kind},
            "DataProcessing": wanted,
        }
    )
    assert found is not None
    return found


def test_nothing_asked_for_is_nothing_done() -> None:
    wanted = {"InputFilter": "$", "OutputFilter": "$", "JoinSource": "None"}
    job = {"TransformInput": {}, "TransformOutput": {}, "DataProcessing": wanted}
    assert Processing.of(job) is None
    assert Processing.of(job | {"DataProcessing": None}) is None


def test_csv() -> None:
    work = processing("text/csv", InputFilter="$[1:]", JoinSource="Input", OutputFilter="$[0,-1]")
    payload = b'"a, b",1,2\r\nc,3,4\n'
    assert work.request(payload) == b"1,2\n3,4\n"
    assert work.result(payload, b"0.5\n0.25\n") == b'"a, b",0.5\nc,0.25\n'
    with pytest.raises(InputError, match="2 records went to the model, 1 came back"):
        work.result(payload, b"0.5\n")


def test_json() -> None:
    work = processing("application/json", InputFilter="$.x", JoinSource="Input")
    assert work.request(b'{"x":[1],"id":2}') == b"[1]"
    joined = work.result(b'{"x":[1],"id":2}', b'{"y":1}')
    assert joined == b'{"x":[1],"id":2,"SageMakerOutput":{"y":1}}'
    assert work.result(b"[1]", b"2") == b'{"SageMakerInput":[1],"SageMakerOutput":2}'
    with pytest.raises(InputError, match="not one JSON value a line"):
        work.request(b"{")
    whole = processing("application/json", split="None", OutputFilter="$.y")
    assert whole.result(b"{}", b'{\n"y": 1\n}') == b"1"


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"TransformInput": {"ContentType": "image/png"}}, "ContentType is another"),
        ({"TransformOutput": {}}, "Accept is another"),
        ({"TransformOutput": {"Accept": "application/json"}}, "must be the same"),
        (
            {"TransformInput": {"ContentType": "text/csv", "SplitType": "RecordIO"}},
            "SplitType Line or None",
        ),
    ],
)
def test_what_cannot_be_done_is_refused(change: dict[str, Any], text: str) -> None:
    job = {
        "TransformInput": {"ContentType": "text/csv", "SplitType": "Line"},
        "TransformOutput": {"Accept": "text/csv"},
        "DataProcessing": {"JoinSource": "Input"},
    }
    with pytest.raises(InputError, match=text):
        Processing.of(job | change)
