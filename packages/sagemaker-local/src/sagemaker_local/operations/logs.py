"""CloudWatch Logs: what jobs and endpoints wrote, and what anybody else puts there."""

from __future__ import annotations

import base64
import itertools
from typing import TYPE_CHECKING, Any

from sagemaker_local import listing
from sagemaker_local.api_errors import (
    InvalidParameter,
    ResourceAlreadyExists,
    ResourceNotFoundException,
    ValidationException,
)
from sagemaker_local.log_filter import LogFilter
from sagemaker_local.logs import Event
from sagemaker_local.registry import operation

if TYPE_CHECKING:
    from sagemaker_local.service import Service

# A page is cut at 1 MB (GetLogEvents, FilterLogEvents), counting 26 bytes an event beside its text.
_PAGE_BYTES = 1_000_000
_PAGE_EVENTS = 10_000
_SCAN = 5_000


def _group(service: Service, request: dict[str, Any]) -> str:
    name: str = request.get("logGroupName") or ""
    identifier = request.get("logGroupIdentifier")
    if name and identifier:
        raise InvalidParameter("Specify either logGroupName or logGroupIdentifier, not both.")
    if identifier:
        name = identifier.partition(":log-group:")[2] or identifier
        name = name.removesuffix(":*")
    if not name:
        raise InvalidParameter("One of logGroupName and logGroupIdentifier must be specified.")
    if not service.logs.has_group(name):
        raise ResourceNotFoundException("The specified log group does not exist.")
    return name


def _cut(
    items: list[dict[str, Any]], request: dict[str, Any], key: Any, descending: bool = False
) -> tuple[list[dict[str, Any]], str | None]:
    asked = {"MaxResults": request.get("limit", 50), "NextToken": request.get("nextToken")}
    try:
        return listing.cut(items, asked, key=key, descending=descending)
    except ValidationException:
        raise InvalidParameter("The specified nextToken is invalid.") from None


@operation("logs", "DescribeLogGroups", threaded=True)
def describe_log_groups(service: Service, request: dict[str, Any]) -> dict[str, Any]:
    """List log groups by name."""
    groups = service.logs.groups(
        request.get("logGroupNamePrefix", ""), request.get("logGroupNamePattern", "")
    )
    shown, token = _cut(groups, request, lambda group: [group["logGroupName"]])
    return {"logGroups": shown, "nextToken": token}


@operation("logs", "DescribeLogStreams", threaded=True)
def describe_log_streams(service: Service, request: dict[str, Any]) -> dict[str, Any]:
    """List a group's streams by name or by their newest event."""
    group = _group(service, request)
    prefix = request.get("logStreamNamePrefix", "")
    by_time = request.get("orderBy") == "LastEventTime"
    if by_time and prefix:
        raise InvalidParameter("Cannot order by LastEventTime with a logStreamNamePrefix.")

    def key(stream: dict[str, Any]) -> list[Any]:
        name = stream["logStreamName"]
        return [stream.get("lastEventTimestamp", 0), name] if by_time else [name]

    streams = service.logs.streams(group, prefix)
    shown, token = _cut(streams, request, key, request.get("descending", False))
    return {"logStreams": shown, "nextToken": token}


@operation("logs", "GetLogEvents", threaded=True)
def get_log_events(service: Service, request: dict[str, Any]) -> dict[str, Any]:
    """Read a stream forwards or backwards; at an end the same token comes back."""
    group, stream = _group(service, request), request["logStreamName"]
    if not _has_stream(service, group, stream):
        raise ResourceNotFoundException("The specified log stream does not exist.")
    token = request.get("nextToken")
    way, place = _read_token(token) if token else (None, None)
    forward = way == "f" if way else request.get("startFromHead", False)
    events = service.logs.events(
        group,
        [stream],
        start=request.get("startTime"),
        end=request.get("endTime"),
        after=place if way == "f" else None,
        before=place if way == "b" else None,
        newest=not forward,
        limit=min(request.get("limit", _PAGE_EVENTS), _PAGE_EVENTS),
    )
    events = _fit(events, keep_last=not forward)
    if events:
        head = (events[0].timestamp, events[0].id)
        tail = (events[-1].timestamp, events[-1].id)
    else:
        # Nothing here: both tokens point at the place the reader has come to.
        head = tail = place or ((2**62, 0) if not forward else (0, 0))
        if way is None:
            # An empty stream read for the first time; what comes later is after its beginning.
            head = tail = (0, 0)
    return {
        "events": [
            {"timestamp": e.timestamp, "message": e.message, "ingestionTime": e.ingested}
            for e in events
        ],
        "nextForwardToken": f"f/{tail[0]:020d}{tail[1]:020d}/s",
        "nextBackwardToken": f"b/{head[0]:020d}{head[1]:020d}/s",
    }


def _has_stream(service: Service, group: str, stream: str) -> bool:
    return any(s["logStreamName"] == stream for s in service.logs.streams(group, stream))


def _read_token(token: str) -> tuple[str, tuple[int, int]]:
    way, _, rest = token.partition("/")
    digits = rest.removesuffix("/s")
    if way not in ("f", "b") or len(digits) != 40 or not digits.isdecimal():
        raise InvalidParameter("The specified nextToken is invalid.")
    return way, (int(digits[:20]), int(digits[20:]))


def _fit(events: list[Event], *, keep_last: bool) -> list[Event]:
    size = 0
    for number, event in enumerate(reversed(events) if keep_last else events):
        size += len(event.message.encode()) + 26
        if size > _PAGE_BYTES and number:
            return events[-number:] if keep_last else events[:number]
    return events


@operation("logs", "FilterLogEvents", threaded=True)
def filter_log_events(service: Service, request: dict[str, Any]) -> dict[str, Any]:
    """Find events in the streams of a group."""
    group = _group(service, request)
    names, prefix = request.get("logStreamNames"), request.get("logStreamNamePrefix")
    if names and prefix:
        raise InvalidParameter("Specify either logStreamNames or logStreamNamePrefix, not both.")
    known = [stream["logStreamName"] for stream in service.logs.streams(group, prefix or "")]
    if names:
        known = [name for name in known if name in names]
        if not known:
            raise ResourceNotFoundException("The specified log stream does not exist.")
    wanted = LogFilter(request.get("filterPattern", ""))
    limit = request.get("limit", _PAGE_EVENTS)
    place = _read_place(request.get("nextToken"))
    found: list[Event] = []
    size, more = 0, False
    while not more:
        scanned = service.logs.events(
            group,
            known,
            start=request.get("startTime"),
            end=request.get("endTime"),
            after=place,
            limit=_SCAN,
        )
        for event in scanned:
            if wanted.matches(event.message):
                size += len(event.message) + 26
                if len(found) >= limit or (found and size > _PAGE_BYTES):
                    more = True
                    break
                found.append(event)
            place = (event.timestamp, event.id)
        if len(scanned) < _SCAN:
            break
    answer: dict[str, Any] = {
        "events": [
            {
                "logStreamName": event.stream,
                "timestamp": event.timestamp,
                "message": event.message,
                "ingestionTime": event.ingested,
                "eventId": f"{event.timestamp:020d}{event.id:036d}",
            }
            for event in found
        ],
        "searchedLogStreams": [],
    }
    if more and place is not None:
        answer["nextToken"] = base64.urlsafe_b64encode(b"%d,%d" % place).decode()
    return answer


def _read_place(token: str | None) -> tuple[int, int] | None:
    if token is None:
        return None
    try:
        timestamp, _, number = base64.urlsafe_b64decode(token.encode()).decode().partition(",")
        return int(timestamp), int(number)
    except ValueError:
        raise InvalidParameter("The specified nextToken is invalid.") from None


@operation("logs", "CreateLogGroup")
def create_log_group(service: Service, request: dict[str, Any]) -> None:
    """Make an empty group."""
    if not service.logs.create_group(request["logGroupName"]):
        raise ResourceAlreadyExists("The specified log group already exists")


@operation("logs", "CreateLogStream")
def create_log_stream(service: Service, request: dict[str, Any]) -> None:
    """Make an empty stream."""
    group = _group(service, request)
    if not service.logs.create_stream(group, request["logStreamName"]):
        raise ResourceAlreadyExists("The specified log stream already exists")


@operation("logs", "PutLogEvents")
def put_log_events(service: Service, request: dict[str, Any]) -> dict[str, Any]:
    """Append events to a stream that is there."""
    group, stream = _group(service, request), request["logStreamName"]
    if not _has_stream(service, group, stream):
        raise ResourceNotFoundException("The specified log stream does not exist.")
    events = [(event["timestamp"], event["message"]) for event in request["logEvents"]]
    if any(one[0] > other[0] for one, other in itertools.pairwise(events)):
        raise InvalidParameter(
            "Log events in a single PutLogEvents request must be in chronological order."
        )
    service.logs.put(group, stream, events)
    return {"nextSequenceToken": "0" * 56}


@operation("logs", "DeleteLogGroup", threaded=True)
def delete_log_group(service: Service, request: dict[str, Any]) -> None:
    """Remove a group with all it holds."""
    service.logs.delete(_group(service, request))


@operation("logs", "DeleteLogStream", threaded=True)
def delete_log_stream(service: Service, request: dict[str, Any]) -> None:
    """Remove a stream with all it holds."""
    group = _group(service, request)
    if not service.logs.delete(group, request["logStreamName"]):
        raise ResourceNotFoundException("The specified log stream does not exist.")
