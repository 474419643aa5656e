"""The online part of the digits pipeline as an ASGI application.

::

    uvicorn digits.web.app:app        python -m digits.web --port 8000

``POST /`` takes a picture and answers which digit it shows. The picture is the body: a JPEG or PNG
of any size (``image/jpeg``, ``image/png``, ``application/octet-stream``, or a form,
``multipart/form-data``, with one file), or a JSON array of pixels (``application/json``; see
`digits.web.bodies.read_pixels`). The answer::

    {
      "digit": 7,                       the digit
      "cluster": 41,                    the nearest cluster, in the endpoint's word
      "distance": 4.873,                its centroid's Euclidean distance, in the endpoint's word
      "distances": [8.1, ...],          by digit: distance to the nearest centroid of that digit
      "digits": [{"digit": 0, "cluster": 12, "distance": 8.1, "centroid": "data:..."}, ...],
      "centroid": "data:image/png...",  the nearest centroid as a picture, 28x28
      "picture": "data:image/png...",   what the model saw: the picture prepared as MNIST was
      "model": {"date": "2026-01-01", "variant": "digits-2026-01-01", "accuracy": 0.95}
    }

A digit that no cluster stands for has null for its cluster, distance and centroid. Errors answer
``{"error": {"code": "...", "message": "..."}}``, see `digits.web.problems`.

``GET /`` is a page to draw on, ``GET /health`` tells whether the endpoint is in service (200 or
503), ``GET /metrics`` has the figures for Prometheus.
"""

from __future__ import annotations

import logging
import time
from typing import Any

import anyio
import anyio.to_thread
import numpy as np
from numpy.typing import NDArray
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from digits.prepare import BlankPictureError, prepare
from digits.web import problems
from digits.web.bodies import Body, read_body
from digits.web.metrics import CONTENT_TYPE, Metrics
from digits.web.page import page_response
from digits.web.problems import Problem
from digits.web.recognise import Recogniser
from digits.web.settings import Settings

__all__ = ["create_app"]

DECODERS = 4  # pictures decoded at once: each may need 200 MB when it is of the largest size

_log = logging.getLogger(__name__)


def create_app(settings: Settings | None = None) -> Starlette:
    """Builds the application. Nothing outside is called before the first request.

    Args:
        settings: Where the model is; the environment says it when not given.

    Raises:
        SetupError: A variable of the environment is wrong.
    """
    online = _Online(settings or Settings.from_environment())
    return Starlette(
        routes=[
            Route("/", online.root, methods=["GET", "POST"]),
            Route("/health", online.health, methods=["GET"]),
            Route("/metrics", online.metrics_text, methods=["GET"]),
        ],
        middleware=[Middleware(GZipMiddleware, minimum_size=2000)],
        exception_handlers={
            Problem: _answer_problem,
            HTTPException: _answer_http,
            Exception: _answer_unforeseen,
        },
    )


class _Online:
    """The routes and what they share."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._metrics = Metrics()
        self._recogniser = Recogniser(settings, self._metrics)
        self._decoders: anyio.CapacityLimiter | None = None

    async def root(self, request: Request) -> Response:
        """The page, or a picture's answer."""
        if request.method == "POST":
            return await self.recognise(request)
        return await page_response(request)

    async def recognise(self, request: Request) -> Response:
        """Answers which digit a picture shows."""
        began = time.perf_counter()
        outcome = "failed"
        try:
            body = await read_body(request, max_bytes=self._settings.max_bytes)
            if self._decoders is None:  # made here, since it belongs to the running event loop
                self._decoders = anyio.CapacityLimiter(DECODERS)
            picture = await anyio.to_thread.run_sync(self._prepare, body, limiter=self._decoders)
            answer = await anyio.to_thread.run_sync(self._recogniser.recognise, picture)
            outcome = "recognised"
            return JSONResponse(answer, headers={"Cache-Control": "no-store"})
        except Problem as problem:
            outcome = problem.code
            raise
        except ClientDisconnect:
            outcome = "gone"
            # Nobody reads this; it keeps a client that left from being logged as a failure.
            return Response(status_code=499)
        finally:
            self._metrics.observe_request(outcome, time.perf_counter() - began)

    def _prepare(self, body: Body) -> NDArray[np.float32]:
        try:
            return prepare(body.ink(max_pixels=self._settings.max_pixels))
        except BlankPictureError:
            raise problems.blank() from None

    async def health(self, request: Request) -> Response:
        """Tells whether the endpoint is in service."""
        endpoint = self._settings.endpoint
        try:
            status = await anyio.to_thread.run_sync(self._recogniser.status)
        except Problem as problem:
            content: dict[str, Any] = {
                "status": "unavailable",
                "endpoint": endpoint,
                "error": {"code": problem.code, "message": problem.message},
            }
            return _health(503, content)
        # While it is being updated or rolled back, the former model goes on answering.
        serving = status in ("InService", "Updating", "SystemUpdating", "RollingBack")
        content = {
            "status": "ok" if serving else "unavailable",
            "endpoint": endpoint,
            "endpoint_status": status,
        }
        return _health(200 if serving else 503, content)

    async def metrics_text(self, request: Request) -> Response:
        """The figures for Prometheus."""
        return Response(self._metrics.text(), headers={"Content-Type": CONTENT_TYPE})


def _health(status: int, content: dict[str, Any]) -> Response:
    return JSONResponse(content, status, headers={"Cache-Control": "no-store"})


def _error(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> Response:
    content = {"error": {"code": code, "message": message}}
    return JSONResponse(content, status, headers={"Cache-Control": "no-store"} | (headers or {}))


async def _answer_problem(request: Request, problem: Exception) -> Response:
    assert isinstance(problem, Problem)  # noqa: S101 - registered for it
    headers = {}
    if problem.retry_after is not None:
        headers["Retry-After"] = str(problem.retry_after)
    return _error(problem.status, problem.code, problem.message, headers)


async def _answer_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for it
    messages = {
        404: "There is nothing here: the page is at /, its state at /health and /metrics.",
        405: "This address does not take that method: GET / is the page, POST / recognises.",
    }
    code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "refused")
    message = messages.get(error.status_code, error.detail)
    return _error(error.status_code, code, message, dict(error.headers or {}))


async def _answer_unforeseen(request: Request, error: Exception) -> Response:
    # Starlette raises the error again after this answer, and the server logs it.
    return _error(500, "internal", "Something went wrong here; the server's log says what.")


def __getattr__(name: str) -> Any:
    # `app` for servers that are told `digits.web.app:app`: built when it is asked for, so that a
    # wrong setting is an error of who runs the application, not of who imports this module.
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()["app"] = application = create_app()
    return application
