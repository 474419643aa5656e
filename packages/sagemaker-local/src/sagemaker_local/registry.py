"""Which operations are offered, and by what function.

A module in ``operations/`` registers its functions when it is imported; all of them are imported
by `load`, so adding an operation is adding a function. The names of the modules are looked up, so
that this table imports none of them.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from sagemaker_local.service import Service

__all__ = ["Handler", "Operation", "find", "load", "offered", "operation"]

Answer: TypeAlias = dict[str, Any] | None
Handler: TypeAlias = Callable[["Service", dict[str, Any]], Answer | Awaitable[Answer]]


@dataclass(frozen=True)
class Operation:
    """One operation that is offered.

    Args:
        service: The service as botocore names it: "sagemaker", "logs", "sts", "iam".
        name: The operation as botocore names it.
        handler: Takes the service and the validated request, gives the response's members.
        threaded: Whether it is called in a thread, because it may take its time.
    """

    service: str
    name: str
    handler: Handler
    threaded: bool = False


_operations: dict[tuple[str, str], Operation] = {}


def operation(service: str, name: str, *, threaded: bool = False) -> Callable[[Handler], Handler]:
    """Register the decorated function as the one that carries out an operation.

    Its request was checked against botocore's service model before. It may be a coroutine
    function; a plain one runs on the event loop and must not block, unless it asks for a thread and
    touches nothing but store and logs. Members of the answer
    whose names begin with "_" and members that are None are left out; times are epoch seconds
    or datetimes.

    Args:
        service: The service as botocore names it.
        name: The operation as botocore names it.
        threaded: Call it in a thread: its time grows with what there is to look through, and
            invocations must not wait for it.

    Raises:
        ValueError: Two functions claim the same operation.
    """

    def register(handler: Handler) -> Handler:
        known = _operations.get((service, name))
        if known is not None and known.handler is not handler:
            raise ValueError(
                f"{service}.{name} is registered by {known.handler.__module__} "
                f"and by {handler.__module__}: remove one of them"
            )
        _operations[service, name] = Operation(service, name, handler, threaded)
        return handler

    return register


@functools.cache
def load() -> None:
    """Import every module of ``operations/``, once."""
    operations = importlib.import_module(f"{__package__}.operations")
    for module in pkgutil.iter_modules(operations.__path__):
        importlib.import_module(f"{operations.__name__}.{module.name}")


def find(service: str, name: str) -> Operation | None:
    """Return the operation, or None if it is not offered."""
    load()
    return _operations.get((service, name))


def offered(service: str | None = None) -> list[Operation]:
    """Return the operations offered, of one service or of all, ordered by service and name."""
    load()
    return [
        found for key, found in sorted(_operations.items()) if service is None or key[0] == service
    ]
