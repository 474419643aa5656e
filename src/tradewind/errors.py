"""The errors Tradewind raises, grouped by what the caller can do about them.

::

    TradewindError
    ├── RetryError      passing trouble on another system: the same call may succeed later
    ├── InputError      what was handed in is wrong: correct the data or the arguments
    │   └── CorruptDataError   bytes that are not what their format says
    ├── CancelledError  it was asked to stop, and has stopped
    └── SetupError      something on this machine or in a connection is missing or wrong
        └── MissingExtraError  a client library that an extra of this package installs

Every message names the system, the object and the remedy, and never a secret.
"""

from __future__ import annotations

__all__ = [
    "CancelledError",
    "CorruptDataError",
    "InputError",
    "MissingExtraError",
    "RetryError",
    "SetupError",
    "SourceChangedError",
    "TradewindError",
]


class TradewindError(Exception):
    """Base of all errors that Tradewind raises on purpose."""


class CancelledError(TradewindError):
    """It was asked to stop. Of a move nothing is visible."""


class RetryError(TradewindError):
    """Another system failed in a way that may pass: try again later."""


class SourceChangedError(RetryError):
    """What is read was replaced as a whole meanwhile: begin again, and read what stands now."""


class InputError(TradewindError):
    """Data or arguments handed in are wrong: correct them and call again."""


class CorruptDataError(InputError):
    """Bytes are truncated or are not what their format says.

    Args:
        message: What is wrong.
        offset: Where in the stream, in bytes from its start.
    """

    def __init__(self, message: str, *, offset: int) -> None:
        super().__init__(f"{message} (at byte offset {offset})")
        self.offset = offset


class SetupError(TradewindError):
    """Something on this machine or in a connection is missing or wrong."""


class MissingExtraError(SetupError):
    """A client library is missing that an extra of this package installs.

    Args:
        module: The module that could not be imported.
        extra: The extra that brings it.
        purpose: What it is needed for.
    """

    def __init__(self, module: str, *, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs the Python module {module!r}, which is not installed here. "
            f"Install it with: pip install 'tradewind[{extra}]'"
        )
        self.module = module
        self.extra = extra
