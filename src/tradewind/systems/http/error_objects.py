"""Answers that say by their content, not by their status, that something went wrong."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

__all__ = ["is_error_object", "is_foreign", "reported"]

_ERROR = re.compile(r"^(is|has)?err(or|ors|msg|code)?$|^error|errors?$|exception$|faults?$")
_WORDS = {"error", "errored", "fail", "failed", "failure", "fault"}
_BESIDE = {
    *("code", "status", "statuscode", "statustext", "state", "success", "succeeded", "ok"),
    *("message", "messages", "msg", "detail", "details", "description", "reason", "title", "type"),
    *("path", "instance", "timestamp", "time", "date", "requestid", "traceid", "correlationid"),
    *("documentationurl", "moreinfo", "help", "helpurl", "hint", "links", "jsonrpc", "version"),
}


def _plain(name: str) -> str:
    return re.sub(r"[\W_]", "", name).lower()


def _tells(name: str, value: Any) -> bool:
    """Whether a member says that something went wrong."""
    if name in ("success", "succeeded", "ok"):
        return value is False
    if name in ("status", "state", "result", "type"):
        return isinstance(value, str) and value.lower() in _WORDS
    return bool(value) and _ERROR.search(name) is not None


def is_error_object(document: Any) -> bool:
    """Whether an object does nothing but report an error.

    Args:
        document: The object. ``{"error": "quota"}``, ``{"success": false, "message": "no key"}``
            and ``{"code": 401, "msg": "log in"}`` are such; one with any member of another kind,
            like ``{"id": 7, "error": "timeout"}``, is a record.
    """
    if not isinstance(document, dict):
        return False
    members = {_plain(name): value for name, value in document.items()}
    beside = _BESIDE | ({"id"} if "jsonrpc" in members else set())
    for name, value in members.items():
        if value not in (None, "", [], {}) and name not in beside and not _ERROR.search(name):
            return False
    return _coded(members) or any(_tells(name, value) for name, value in members.items())


def _coded(members: Mapping[str, Any]) -> bool:
    """Whether it has a status of HTTP that is an error, and words."""
    codes = [members.get(name) for name in ("code", "status", "statuscode")]
    numbers = [int(one) for one in codes if str(one).isdecimal() and isinstance(one, int | str)]
    words = members.keys() & {"message", "msg", "messages", "detail", "title", "description"}
    return bool(words) and any(400 <= number < 600 for number in numbers)


def reported(document: Any, *, records: bool) -> Any:
    """Find what a page that holds its records in a member says of an error beside them.

    Args:
        document: The page.
        records: Whether it has records too: then only what is sent of errors counts, as GraphQL
            does where a part of the answer is missing.

    Returns:
        What it says; None for nothing.
    """
    if not isinstance(document, dict):
        return None
    said = document.get("errors") or document.get("error")
    if said and isinstance(said, list | dict | str):
        return said
    if records:
        return None
    odd = {name: one for name, one in document.items() if _tells(_plain(name), one)}
    return document if odd else None


def is_foreign(record: Any, first: Any) -> bool:
    """Whether a record shares nothing with the first one, and does nothing but report an error."""
    return (
        isinstance(record, dict)
        and isinstance(first, dict)
        and first.keys().isdisjoint(record)
        and is_error_object(record)
    )
