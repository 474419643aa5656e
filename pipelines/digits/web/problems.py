"""What can go wrong with a request, as the client is told it.

A message is written here for whoever uses the page; what another system said goes to the log only,
since it may carry names and addresses that are nobody's business.
"""

from __future__ import annotations

__all__ = [
    "Problem",
    "blank",
    "endpoint_away",
    "model_failed",
    "not_json",
    "too_large",
    "unlabelled",
    "unreadable",
    "unsupported",
]


class Problem(Exception):
    """A request that is answered with an error.

    Args:
        status: The HTTP status.
        code: A short name of the trouble for programs; also the outcome in the metrics.
        message: What happened and what to do, for people.
        retry_after: Seconds after which the same request may succeed.
    """

    def __init__(
        self, status: int, code: str, message: str, *, retry_after: int | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.retry_after = retry_after


def blank() -> Problem:
    """Nothing is drawn."""
    return Problem(422, "blank", "There is nothing to recognise: the picture is blank.")


def not_json(reason: str) -> Problem:
    """The pixels are not what they should be."""
    return Problem(400, "bad_pixels", reason)


def unreadable(reason: str) -> Problem:
    """The picture is damaged."""
    return Problem(400, "unreadable", reason)


def unsupported(reason: str) -> Problem:
    """Neither JPEG, PNG nor JSON."""
    return Problem(415, "unsupported", reason)


def too_large(reason: str) -> Problem:
    """More bytes or pixels than are taken in."""
    return Problem(413, "too_large", reason)


def endpoint_away(reason: str) -> Problem:
    """The model cannot be asked now."""
    return Problem(503, "endpoint_away", reason, retry_after=5)


def model_failed(endpoint: str) -> Problem:
    """The model was asked and failed."""
    return Problem(
        502,
        "model_failed",
        f"The model behind the endpoint {endpoint!r} could not judge the picture: "
        "see the endpoint's log, the model in service may be another than this page's.",
    )


def unlabelled(variant: str, reason: str) -> Problem:
    """The model answered a cluster, but which digit that is cannot be known."""
    return Problem(
        503,
        "model_unlabelled",
        f"The model {variant!r} is in service, but {reason}: "
        "run the pipeline's task evaluate_model, which names the clusters.",
        retry_after=30,
    )
