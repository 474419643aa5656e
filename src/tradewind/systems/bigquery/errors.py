"""What BigQuery answers, in our words.

Source: https://cloud.google.com/bigquery/docs/error-messages
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from tradewind.concealing import concealing
from tradewind.errors import InputError, RetryError, SetupError, TradewindError
from tradewind.redaction import redacted

__all__ = ["PATIENCE", "failure_of_job", "patient", "translated"]

PATIENCE = 60.0
"""Seconds for which a request is repeated while the service is in trouble."""

_PASSING = {
    "aborted",
    "backendError",
    "internalError",
    "jobBackendError",
    "jobInternalError",
    "jobRateLimitExceeded",
    "quotaExceeded",
    "rateLimitExceeded",
    "stopped",
    "tableUnavailable",
    "timeout",
}
_SETUP = {"accessDenied", "billingNotEnabled", "blocked", "notFound", "proxyAuthenticationRequired"}
_ELSEWHERE = ("different locations", "in a different location")
_LOCATION = (
    "location of the connection or operator, --set-from or --set-to location=EU on the command line"
)
_CONCURRENT = ("concurrent update", "transaction is aborted", "could not serialize access")


def patient() -> Any:
    """Make the policy by which the client repeats a request that found trouble."""
    from google.cloud.bigquery.retry import DEFAULT_RETRY

    return DEFAULT_RETRY.with_timeout(PATIENCE)


@contextlib.contextmanager
def translated(where: str) -> Iterator[None]:
    """Raise Google's errors as ours.

    Args:
        where: System and object, for messages.
    """
    with concealing():
        yield from _translated(where)


def _translated(where: str) -> Iterator[None]:
    import requests
    from google.api_core import exceptions
    from google.auth.exceptions import GoogleAuthError, TransportError

    try:
        yield
    except exceptions.RetryError as error:
        cause = error.cause
        said = _said(cause) if isinstance(cause, exceptions.GoogleAPICallError) else str(cause)
        raise RetryError(f"{where}: it stays in trouble ({said}). Try again later.") from error
    except exceptions.GoogleAPICallError as error:
        raise _failure(where, error) from error
    except (requests.ConnectionError, requests.Timeout, TransportError) as error:
        raise RetryError(
            f"{where}: it cannot be reached ({type(error).__name__}). Look at the network, or try "
            "again later."
        ) from error
    except GoogleAuthError as error:
        raise SetupError(
            f"{where}: the credentials are refused ({type(error).__name__}). Give others, or renew "
            "them."
        ) from None


def _said(error: Any) -> str:
    return redacted(str(error.message or error))[:1000]


def _failure(where: str, error: Any) -> TradewindError:
    reasons = [str(one.get("reason", "")) for one in error.errors if isinstance(one, Mapping)]
    if reasons and reasons[0] and error.code != 401:
        return failure_of_job(where, {"reason": reasons[0], "message": _said(error)})
    code = int(error.code or 0)
    if code == 401:
        return SetupError(f"{where}: the credentials are refused ({_said(error)}). Renew them.")
    if code in (403, 404):
        word = "accessDenied" if code == 403 else "notFound"
        return failure_of_job(where, {"reason": word, "message": _said(error)})
    if code in (408, 429) or code >= 500:
        return RetryError(f"{where}: it is in trouble ({_said(error)}). Try again later.")
    return failure_of_job(where, {"reason": "invalid", "message": _said(error)})


def failure_of_job(where: str, told: Mapping[str, Any]) -> TradewindError:
    """Make the error of what BigQuery calls an ErrorProto.

    Args:
        where: System and object, for messages.
        told: ``reason`` and ``message``.
    """
    reason, message = str(told.get("reason", "")), str(told.get("message", "no reason given"))
    message = redacted(message)[:2000].rstrip(".")
    if reason in _PASSING or any(words in message.lower() for words in _CONCURRENT):
        return RetryError(f"{where}: {message} ({reason}). Try again.")
    if any(words in message.lower() for words in _ELSEWHERE):
        return SetupError(
            f"{where}: {message}. Take datasets and buckets of one location, and name it: "
            f"{_LOCATION}."
        )
    if reason == "accessDenied":
        return SetupError(
            f"{where}: no permission: {message}. Grant the account BigQuery Job User on the "
            "project, and BigQuery Data Editor on the dataset (Data Viewer to read)."
        )
    if reason in _SETUP:
        # Looked for in one location, it may be in another.
        place = f"; or name where it is: {_LOCATION}" if "in location" in message else ""
        return SetupError(f"{where}: {message}. Create it, or correct its name{place}.")
    return InputError(f"{where}: {message} ({reason}).")
