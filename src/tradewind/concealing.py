"""Keep secrets out of errors and of what lies behind them, and out of the logs of libraries.

What is a secret, and where in a text it stands, `tradewind.redaction` says.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from tradewind.errors import TradewindError
from tradewind.redaction import redacted, shown_uri

__all__ = [
    "ConcealedError",
    "concealing",
    "keep_addresses_out_of_logs",
    "keep_secrets_out_of_logs",
    "without_secrets",
]


class ConcealedError(Exception):
    """An error of a client library without what it told of secrets; see `without_secrets`."""


def without_secrets(
    error: BaseException, *, uris: Iterable[str] = (), secrets: Iterable[str] = ()
) -> BaseException:
    """Give an error that another one may be raised from: tracebacks show its text, too.

    Args:
        error: Of a client library.
        uris: Addresses that it may tell, as `redacted` takes them.
        secrets: What it may tell, as `redacted` takes it.

    Returns:
        The error itself where it and those behind it tell nothing, else one with its redacted text.
    """
    given = {"uris": tuple(uris), "secrets": tuple(secrets)}
    for one in _shown_with(error):
        # What a traceback shows of an error is not always what str() gives: a SyntaxError's line.
        text = "".join(traceback.TracebackException.from_exception(one).format_exception_only())
        if redacted(text, **given) != text:
            return ConcealedError(f"{type(error).__name__}: {redacted(str(error), **given)}")
    return error


@contextmanager
def concealing(
    *,
    uris: Callable[[], Iterable[str]] = tuple,
    secrets: Callable[[], Iterable[str]] = tuple,
) -> Iterator[None]:
    """Let no error come out that tells a secret, nor one behind it.

    An error of ours keeps its kind; one of others that tells a secret becomes a `ConcealedError`.

    Args:
        uris: Gives addresses that errors may tell, as `redacted` takes them. Asked where one comes.
        secrets: Gives what errors may tell, as `redacted` takes it.
    """
    try:
        yield
    except TradewindError as error:
        given = {"uris": tuple(uris()), "secrets": tuple(secrets())}
        if (text := redacted(str(error), **given)) != str(error):
            error.args = (text, *error.args[1:])
        if notes := getattr(error, "__notes__", None):
            error.__notes__ = [redacted(note, **given) for note in notes]
        if error.__cause__ is not None:
            error.__cause__ = without_secrets(error.__cause__, **given)
        elif error.__context__ is not None and not error.__suppress_context__:
            told = without_secrets(error.__context__, **given)
            if told is not error.__context__:
                error.__context__ = told
        raise
    except Exception as error:
        told = without_secrets(error, uris=uris(), secrets=secrets())
        if told is error:
            raise
        raise told from None


def _shown_with(error: BaseException) -> Iterator[BaseException]:
    """Give all errors that a traceback of this one shows, each once: causes may go in a ring."""
    waiting, known = [error], set()
    while waiting:
        one = waiting.pop()
        if id(one) in known:
            continue
        known.add(id(one))
        yield one
        if isinstance(one, BaseExceptionGroup):
            waiting += one.exceptions
        behind = one.__cause__ or (None if one.__suppress_context__ else one.__context__)
        if behind is not None:
            waiting.append(behind)


class _ShownAddresses(logging.Filter):
    """Shows the addresses among a record's arguments as `shown_uri` does."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(
                shown_uri(str(one)) if "://" in str(one) else one for one in record.args
            )
        return True


class _WithoutSecrets(logging.Filter):
    """Redacts a record, and the error that it tells of."""

    def filter(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        if (told := redacted(text)) != text:
            record.msg, record.args = told, ()
        error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
        if error is not None and (shown := without_secrets(error)) is not error:
            record.exc_info = (type(shown), shown, None)
            record.exc_text = None
        return True


_shown_addresses = _ShownAddresses()
_without_secrets = _WithoutSecrets()


def keep_addresses_out_of_logs() -> None:
    """Let httpx, which logs the whole address of each request, log what may be shown of it."""
    # Adding the same filter twice changes nothing.
    logging.getLogger("httpx").addFilter(_shown_addresses)


def keep_secrets_out_of_logs(*libraries: str) -> None:
    """Redact what client libraries log, whatever their level: headers and addresses of requests.

    A filter of a logger is not asked for what the loggers below it log, so each gets it that is
    there by now. Call it when the client is made.

    Args:
        libraries: First parts of their loggers' names, like ``botocore``.
    """
    for name in list(logging.root.manager.loggerDict):
        if name.partition(".")[0] in libraries:
            logging.getLogger(name).addFilter(_without_secrets)
