"""CloudWatch Logs: streams, pages, tokens and filters."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sagemaker_local import registry, shapes
from sagemaker_local.api_errors import ApiError
from sagemaker_local.log_filter import LogFilter
from sagemaker_local.logs import MAX_EVENT_BYTES, Logs

GROUP = "/aws/sagemaker/TrainingJobs"


@pytest.fixture
def logs(tmp_path: Path) -> Iterator[Logs]:
    logs = Logs(tmp_path / "logs.sqlite", "eu-west-1", "123456789012")
    yield logs
    logs.close()


def call(logs: Logs, operation: str, **request: Any) -> Any:
    registry.load()
    found = registry.find("logs", operation)
    assert found is not None
    answer = found.handler(
        SimpleNamespace(logs=logs),  # type: ignore[arg-type]
        shapes.parse("logs", operation, request),
    )
    assert not asyncio.iscoroutine(answer)
    public = {k: v for k, v in (answer or {}).items() if v is not None}  # type: ignore[union-attr]
    assert shapes.check("logs", operation, public) == []
    return public


def fill(logs: Logs, stream: str, count: int, start: int = 1000) -> None:
    logs.put(GROUP, stream, [(start + n, f"{stream} line {n}") for n in range(count)])


def read(logs: Logs, **request: Any) -> tuple[list[str], str, str]:
    answer = call(logs, "GetLogEvents", logGroupName=GROUP, **request)
    messages = [event["message"] for event in answer["events"]]
    return messages, answer["nextForwardToken"], answer["nextBackwardToken"]


def test_forward_to_the_end_where_the_token_repeats(logs: Logs) -> None:
    fill(logs, "a", 25)
    seen, token = [], None
    for _ in range(3):
        request = {"nextToken": token} if token else {}
        messages, token, _ = read(logs, logStreamName="a", limit=10, startFromHead=True, **request)
        seen += messages
    assert seen == [f"a line {n}" for n in range(25)]
    messages, again, _ = read(logs, logStreamName="a", nextToken=token, startFromHead=True)
    assert (messages, again) == ([], token)
    # What is written later is read from there on.
    fill(logs, "a", 1, start=9000)
    messages, later, _ = read(logs, logStreamName="a", nextToken=token)
    assert messages == ["a line 0"]
    assert later != token


def test_backward_from_the_end(logs: Logs) -> None:
    fill(logs, "a", 25)
    messages, _, token = read(logs, logStreamName="a", limit=10)
    assert messages == [f"a line {n}" for n in range(15, 25)]
    messages, _, token = read(logs, logStreamName="a", limit=20, nextToken=token)
    assert messages == [f"a line {n}" for n in range(15)]
    messages, _, again = read(logs, logStreamName="a", nextToken=token)
    assert (messages, again) == ([], token)


def test_an_empty_stream_read_early_loses_nothing(logs: Logs) -> None:
    for name, from_head in (("a", True), ("b", False)):
        logs.put(GROUP, name, [])
        messages, token, _ = read(logs, logStreamName=name, startFromHead=from_head)
        assert messages == []
        fill(logs, name, 2)
        messages, _, _ = read(logs, logStreamName=name, nextToken=token)
        assert messages == [f"{name} line 0", f"{name} line 1"]


def test_time_limits(logs: Logs) -> None:
    fill(logs, "a", 10)
    messages, _, _ = read(logs, logStreamName="a", startTime=1003, endTime=1005)
    assert messages == ["a line 3", "a line 4"]


def test_a_page_is_at_most_a_megabyte(logs: Logs) -> None:
    logs.put(GROUP, "a", [(n, str(n % 10) * 200_000) for n in range(20)])
    seen: list[str] = []
    token = None
    while True:
        request = {"nextToken": token} if token else {}
        messages, new, _ = read(logs, logStreamName="a", startFromHead=True, **request)
        assert sum(map(len, messages)) <= 1_000_000
        if new == token:
            break
        seen, token = seen + messages, new
    assert [message[0] for message in seen] == [str(n % 10) for n in range(20)]


def test_events_of_one_moment_keep_their_order(logs: Logs) -> None:
    for number in range(5):
        logs.put(GROUP, "a", [(7, f"{number}-{n}") for n in range(5)])
    seen, token = [], None
    for _ in range(9):
        request = {"nextToken": token} if token else {}
        messages, token, _ = read(logs, logStreamName="a", limit=3, startFromHead=True, **request)
        seen += messages
    assert seen == [f"{number}-{n}" for number in range(5) for n in range(5)]


def test_long_lines_are_cut(logs: Logs) -> None:
    logs.put(GROUP, "a", [(1, "ä" * MAX_EVENT_BYTES)])
    (event,) = logs.events(GROUP, ["a"])
    assert len(event.message.encode()) == MAX_EVENT_BYTES


def test_streams_are_listed_by_name_and_by_time(logs: Logs) -> None:
    for number in range(60):
        logs.put(GROUP, f"job/{number:02d}", [(1000 - number, "x")])
    logs.put(GROUP, "other", [(1, "x")])
    first = call(logs, "DescribeLogStreams", logGroupName=GROUP, logStreamNamePrefix="job/")
    assert len(first["logStreams"]) == 50
    rest = call(
        logs,
        "DescribeLogStreams",
        logGroupName=GROUP,
        logStreamNamePrefix="job/",
        nextToken=first["nextToken"],
    )
    assert [s["logStreamName"] for s in rest["logStreams"]] == [f"job/{n}" for n in range(50, 60)]
    assert "nextToken" not in rest
    newest = call(
        logs,
        "DescribeLogStreams",
        logGroupName=GROUP,
        orderBy="LastEventTime",
        descending=True,
        limit=1,
    )
    (stream,) = newest["logStreams"]
    assert stream["logStreamName"] == "job/00"
    assert stream["firstEventTimestamp"] == stream["lastEventTimestamp"] == 1000


def test_groups(logs: Logs) -> None:
    fill(logs, "a", 3)
    call(logs, "CreateLogGroup", logGroupName="mine")
    with pytest.raises(ApiError) as caught:
        call(logs, "CreateLogGroup", logGroupName="mine")
    assert caught.value.code == "ResourceAlreadyExistsException"
    groups = call(logs, "DescribeLogGroups")["logGroups"]
    assert [group["logGroupName"] for group in groups] == [GROUP, "mine"]
    assert groups[0]["storedBytes"] > 0
    found = call(logs, "DescribeLogGroups", logGroupNamePrefix="/aws")["logGroups"]
    assert [group["logGroupName"] for group in found] == [GROUP]
    call(logs, "DeleteLogGroup", logGroupName=GROUP)
    assert len(call(logs, "DescribeLogGroups")["logGroups"]) == 1


def test_anybody_may_write(logs: Logs) -> None:
    call(logs, "CreateLogGroup", logGroupName="mine")
    call(logs, "CreateLogStream", logGroupName="mine", logStreamName="s")
    events = [{"timestamp": 5, "message": "one"}, {"timestamp": 6, "message": "two"}]
    call(logs, "PutLogEvents", logGroupName="mine", logStreamName="s", logEvents=events)
    answer = call(logs, "GetLogEvents", logGroupName="mine", logStreamName="s")
    assert [event["message"] for event in answer["events"]] == ["one", "two"]
    with pytest.raises(ApiError, match="chronological"):
        call(logs, "PutLogEvents", logGroupName="mine", logStreamName="s", logEvents=events[::-1])
    call(logs, "DeleteLogStream", logGroupName="mine", logStreamName="s")
    assert call(logs, "DescribeLogStreams", logGroupName="mine")["logStreams"] == []


@pytest.mark.parametrize(
    ("operation", "request_"),
    [
        ("DescribeLogStreams", {"logGroupName": "none"}),
        ("GetLogEvents", {"logGroupName": "none", "logStreamName": "a"}),
        ("GetLogEvents", {"logGroupName": GROUP, "logStreamName": "none"}),
        ("FilterLogEvents", {"logGroupName": "none"}),
        ("FilterLogEvents", {"logGroupName": GROUP, "logStreamNames": ["none"]}),
    ],
)
def test_what_is_not_there(logs: Logs, operation: str, request_: dict[str, Any]) -> None:
    fill(logs, "a", 1)
    with pytest.raises(ApiError) as caught:
        call(logs, operation, **request_)
    assert caught.value.code == "ResourceNotFoundException"


def test_a_foreign_token_is_refused(logs: Logs) -> None:
    fill(logs, "a", 1)
    with pytest.raises(ApiError) as caught:
        read(logs, logStreamName="a", nextToken="f/nonsense")
    assert caught.value.code == "InvalidParameterException"


def test_filter_over_several_streams(logs: Logs) -> None:
    for number in range(3):
        fill(logs, f"job/{number}", 20, start=1000 + number)
    fill(logs, "other", 20)
    request = {"logGroupName": GROUP, "logStreamNamePrefix": "job/"}
    everything = call(logs, "FilterLogEvents", **request)
    assert len(everything["events"]) == 60
    moments = [event["timestamp"] for event in everything["events"]]
    assert moments == sorted(moments)
    seen: list[str] = []
    token = None
    while True:
        more = {"nextToken": token} if token else {}
        answer = call(logs, "FilterLogEvents", filterPattern='"line 1"', limit=7, **request, **more)
        seen += [event["message"] for event in answer["events"]]
        token = answer.get("nextToken")
        if token is None:
            break
    assert len(seen) == 33
    assert len(set(seen)) == 33


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("", [0, 1, 2]),
        ("ERROR", [0, 1]),
        ("ERROR disk", [1]),
        ("?disk ?fine", [1, 2]),
        ("ERROR -disk", [0]),
        ('"all is fine"', [2]),
        ("%[0-9]{3}%", [0]),
        ("error", []),
    ],
)
def test_patterns(pattern: str, found: list[int]) -> None:
    lines = ["ERROR 404 gone", "ERROR disk full", "all is fine"]
    wanted = LogFilter(pattern)
    assert [n for n, line in enumerate(lines) if wanted.matches(line)] == found


@pytest.mark.parametrize("pattern", ["{ $.a = 1 }", "[a, b]", '"open', "%(%"])
def test_patterns_that_are_none(pattern: str) -> None:
    with pytest.raises(ApiError, match="Invalid filter pattern"):
        LogFilter(pattern)
