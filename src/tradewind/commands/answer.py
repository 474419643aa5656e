"""Stdout, which has the answer of a command, and what follows where it cannot be written."""

from __future__ import annotations

import codecs
import contextlib
import os
import sys
from typing import TextIO

__all__ = ["lossless", "unwritable", "write_receipt"]

_HANDLER = "tradewind.answer"


def lossless() -> None:
    """Let stdout take every text, whatever the locale: other letters are spelled by escapes.

    Bytes of file names that are no text (`os.fsdecode`) are written as they are, where it can be.
    """
    codecs.register_error(_HANDLER, _spelled)
    if sys.stdout is None:  # closed by who began the process: ``>&-``
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    with contextlib.suppress(AttributeError, ValueError):  # a stand-in, or closed
        sys.stdout.reconfigure(errors=_HANDLER)  # type: ignore[union-attr]


def _spelled(error: UnicodeError) -> tuple[str | bytes, int]:
    try:
        return codecs.lookup_error("surrogateescape")(error)
    except UnicodeError:
        return codecs.lookup_error("backslashreplace")(error)


def write_receipt(receipt: str, answer: TextIO) -> None:
    """Write the receipt of a move or copy that is published.

    It is published whatever becomes of its receipt, and the exit status has to say so: who is told
    otherwise moves once more.

    Args:
        receipt: The text.
        answer: Where to.
    """
    try:
        print(receipt, file=answer, flush=True)
    except BrokenPipeError:
        _silence(answer)  # as of ``tradewind move ... | head -1``: who reads has enough
    except OSError as error:
        _silence(answer)
        print(
            f"tradewind: all is done, but its receipt cannot be written: {error.strerror}.",
            file=sys.stderr,
        )


def unwritable(error: OSError) -> str | None:
    """Tell whether an error is that of stdout, which takes nothing more.

    Args:
        error: What a command ended with.

    Returns:
        What to say: nothing where the reader has gone. None where it is another error.
    """
    try:
        print(end="", flush=True)
    except OSError as again:
        if again.errno != error.errno:
            return None
        _silence(sys.stdout)
        if isinstance(error, BrokenPipeError):
            return ""
        return f"the answer cannot be written to standard output: {error.strerror}."
    except ValueError:
        pass
    return None


def _silence(answer: TextIO) -> None:
    """Let what is buffered go nowhere: Python would try again when it ends, and fail."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, answer.fileno())
        finally:
            os.close(nowhere)
