"""The HTTP face of the service: one ASGI application for all the services it plays.

The path of InvokeEndpoint is told apart before anything else and does as little as possible: it
is the one that is called hundreds of times a second.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import re
import urllib.parse
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any, TypeAlias

from sagemaker_local import registry, shapes, wire
from sagemaker_local.api_errors import (
    ApiError,
    InternalFailure,
    UnknownOperation,
    ValidationError,
)
from sagemaker_local.invocation import Invocation

if TYPE_CHECKING:
    from sagemaker_local.service import Service

__all__ = ["App"]

Message: TypeAlias = MutableMapping[str, Any]
Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]

# InvokeEndpoint takes 25 MB at most (SageMaker's quotas page); the control plane far less.
MAX_INVOCATION_BYTES = 25 * 1024 * 1024
MAX_CALL_BYTES = 8 * 1024 * 1024

_LOOPBACK = re.compile(r"127\.\d+\.\d+\.\d+")

_log = logging.getLogger(__name__)


class App:
    """The ASGI application.

    Args:
        service: What carries out the operations. The application starts and stops it.
        loopback: Whether it listens on this machine alone. Then a request must name this machine
            as its host: a web page elsewhere whose name was made to point here (DNS rebinding)
            could otherwise have a browser on this machine start containers.
    """

    def __init__(self, service: Service, *, loopback: bool = True) -> None:
        registry.load()  # an operation that cannot be imported stops the start, not a request
        self._service = service
        self._loopback = loopback

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or the application's life (https://asgi.readthedocs.io/)."""
        if scope["type"] == "http":
            path: str = scope["path"]
            if path.startswith("/endpoints/"):
                await self._invoke(scope, path, receive, send)
            else:
                await self._call(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._life(receive, send)

    async def _life(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            await self._service.start()
        except Exception as error:
            _log.exception("The local SageMaker could not start")
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._service.stop()
        await send({"type": "lifespan.shutdown.complete"})

    def _headers(self, scope: Scope) -> dict[str, str]:
        headers = {k.decode("latin-1"): v.decode("latin-1") for k, v in scope["headers"]}
        if self._loopback and not _is_here(headers.get("host", "localhost")):
            raise ApiError(
                "AccessDeniedException",
                f"This service is for this machine alone, not for {headers['host']!r}: "
                "use http://127.0.0.1 with its port.",
                status=403,
            )
        return headers

    # The runtime ----------------------------------------------------------------------------

    async def _invoke(self, scope: Scope, path: str, receive: Receive, send: Send) -> None:
        try:
            name, _, rest = path[len("/endpoints/") :].partition("/")
            if rest != "invocations" or scope["method"] != "POST":
                raise UnknownOperation(
                    f"{scope['method']} {path} is not offered: "
                    "the runtime offers POST /endpoints/{name}/invocations"
                )
            headers = self._headers(scope)
            body = await _body(receive, headers, MAX_INVOCATION_BYTES)
            result = await self._service.hosting.invoke(
                Invocation(
                    urllib.parse.unquote(name),
                    body,
                    headers.get("content-type"),
                    headers.get("accept"),
                    headers,
                )
            )
        except ApiError as error:
            await _reply(send, wire.json_error(error))
            return
        except Exception:
            _log.exception("An invocation failed: %s", path)
            fault = InternalFailure("The local SageMaker failed on this request: see its log.")
            await _reply(send, wire.json_error(fault))
            return
        fields = [
            (b"content-type", result.content_type.encode("latin-1")),
            (b"content-length", b"%d" % len(result.body)),
            (b"x-amzn-invoked-production-variant", result.variant.encode("latin-1")),
        ]
        for key, value in result.headers.items():
            fields.append((key.encode("latin-1"), value.encode("latin-1")))
        await send({"type": "http.response.start", "status": 200, "headers": fields})
        await send({"type": "http.response.body", "body": result.body})

    # The control plane, logs, STS, IAM ------------------------------------------------------

    async def _call(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/health":
            await _reply(send, wire.Reply(200, b'{"status":"ok"}', "application/json"))
            return
        call: wire.Call | None = None
        try:
            headers = self._headers(scope)
            body = await _body(receive, headers, MAX_CALL_BYTES)
            call = wire.read(headers, scope["query_string"], body)
            reply = call.answer(await self._carry_out(call))
        except ApiError as error:
            reply = call.refuse(error) if call is not None else wire.json_error(error)
        except Exception:
            what = f"{call.service}.{call.operation}" if call is not None else "a request"
            _log.exception("%s failed", what)
            fault = InternalFailure(f"The local SageMaker failed on {what}: see its log.")
            reply = call.refuse(fault) if call is not None else wire.json_error(fault)
        await _reply(send, reply)

    async def _carry_out(self, call: wire.Call) -> dict[str, Any] | None:
        operation = registry.find(call.service, call.operation)
        if operation is None:
            names = ", ".join(found.name for found in registry.offered(call.service))
            raise UnknownOperation(
                f"The operation {call.operation} of {call.service} is not offered by the local "
                f"SageMaker. It offers: {names}"
            )
        request = shapes.parse(call.service, call.operation, call.request)
        if operation.threaded:
            answer = await asyncio.to_thread(operation.handler, self._service, request)
        else:
            answer = operation.handler(self._service, request)
        if inspect.isawaitable(answer):
            return await answer
        return answer


def _is_here(host: str) -> bool:
    """Tell whether a Host header names this machine."""
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    name = name.lower()  # RFC 3986, section 3.2.2: a host is the same in any case.
    return (
        name in ("localhost", "[::1]")
        or _LOOPBACK.fullmatch(name) is not None
        or name.endswith(".localhost")
    )


async def _body(receive: Receive, headers: dict[str, str], limit: int) -> bytes:
    message = await receive()
    body: bytes = message.get("body", b"")
    if not message.get("more_body", False):
        if len(body) > limit:
            raise _too_large(limit)
        return body
    if int(headers.get("content-length") or 0) > limit:
        raise _too_large(limit)
    parts = [body]
    size = len(body)
    while message.get("more_body", False):
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ValidationError("The client went away while it was sending its request.")
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > limit:
            raise _too_large(limit)
    return b"".join(parts)


def _too_large(limit: int) -> ApiError:
    return ApiError(
        "ValidationError", f"The request's body is larger than {limit} bytes.", status=413
    )


async def _reply(send: Send, reply: wire.Reply) -> None:
    fields = [
        (b"content-type", reply.content_type.encode("latin-1")),
        (b"content-length", b"%d" % len(reply.body)),
    ]
    for key, value in reply.headers.items():
        fields.append((key.encode("latin-1"), value.encode("latin-1")))
    await send({"type": "http.response.start", "status": reply.status, "headers": fields})
    await send({"type": "http.response.body", "body": reply.body})
