"""What all List operations of SageMaker have in common: filters, order, pages."""

from __future__ import annotations

import base64
import json
from typing import Any

from sagemaker_local.api_errors import ValidationException
from sagemaker_local.store import Body

__all__ = ["cut", "page"]

_DEFAULT_PAGE = 10


def page(
    bodies: list[Body],
    request: dict[str, Any],
    *,
    name: str,
    status: str | None = None,
    sort_by: str = "CreationTime",
    order: str = "Descending",
) -> tuple[list[Body], str | None]:
    """Filter and sort resources as the request says, and cut the page it asks for.

    Honoured are NameContains (case does not count), StatusEquals, CreationTime and
    LastModifiedTime After and Before, SortBy (Name, CreationTime, LastModifiedTime, Status),
    SortOrder, MaxResults and NextToken.

    Args:
        bodies: All resources of the kind.
        request: The validated request.
        name: The member that holds the name, such as "TrainingJobName".
        status: The member that holds the status, such as "TrainingJobStatus".
        sort_by: When the request has no SortBy.
        order: When the request has no SortOrder.

    Returns:
        The page's resources, and the token of the next page or None.

    Raises:
        ValidationException: The token is none of ours.
    """
    found = [body for body in bodies if _wanted(body, request, name, status)]
    members = {"Name": name, "Status": status or name}
    sort_by = request.get("SortBy", sort_by)
    member = members.get(sort_by, sort_by)
    # The name makes the order total, so that no page repeats or leaves out a resource.
    return cut(
        found,
        request,
        key=lambda body: [body.get(member, 0), body[name]],
        descending=request.get("SortOrder", order) == "Descending",
    )


def cut(
    items: list[Body],
    request: dict[str, Any],
    *,
    key: Any,
    descending: bool = False,
    default: int = _DEFAULT_PAGE,
) -> tuple[list[Body], str | None]:
    """Sort items and cut the page that MaxResults and NextToken ask for.

    The token holds the key of the last item shown: what is made or removed meanwhile neither
    repeats nor hides another item.

    Args:
        items: All of them.
        request: The validated request.
        key: Gives an item's place as a list of JSON values, unlike any other's.
        descending: The greatest first.
        default: Size of the page when the request has no MaxResults.

    Returns:
        The page's items, and the token of the next page or None.

    Raises:
        ValidationException: The token is none of ours.
    """
    items = sorted(items, key=key, reverse=descending)
    token = request.get("NextToken")
    if token:
        try:
            last = json.loads(base64.urlsafe_b64decode(token.encode()))
            items = [
                item for item in items if (key(item) < last if descending else key(item) > last)
            ]
        except (ValueError, TypeError):
            raise ValidationException(f"The provided token {token!r} is not valid.") from None
    size = request.get("MaxResults", default)
    shown = items[:size]
    if len(items) <= size:
        return shown, None
    text = json.dumps(key(shown[-1]), separators=(",", ":"))
    return shown, base64.urlsafe_b64encode(text.encode()).decode()


def _wanted(body: Body, request: dict[str, Any], name: str, status: str | None) -> bool:
    contains = request.get("NameContains")
    if contains and contains.lower() not in body[name].lower():
        return False
    wanted = request.get("StatusEquals")
    if wanted and status is not None and body.get(status) != wanted:
        return False
    for member in ("CreationTime", "LastModifiedTime"):
        time = body.get(member, 0)
        after, before = request.get(f"{member}After"), request.get(f"{member}Before")
        if (after is not None and time <= after) or (before is not None and time >= before):
            return False
    return True
