"""One connection to a file of DuckDB, and its errors in Tradewind's words."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import duckdb

from tradewind.errors import InputError, RetryError, SetupError, TradewindError

__all__ = ["opened", "path_of", "quoted", "translated"]

_PAUSE = 0.1


def path_of(uri: str) -> Path:
    """Read the path of a file from a URI.

    Args:
        uri: ``duckdb:///relative.db`` or ``duckdb:////absolute.db``.

    Raises:
        InputError: It names no file.
    """
    scheme, found, rest = uri.partition(":///")
    if scheme != "duckdb" or not found or not rest:
        raise InputError(
            "DuckDB: the URI names no file. Write duckdb:///relative.db or duckdb:////absolute.db."
        )
    return Path(unquote(rest))


def quoted(name: str) -> str:
    """Write a name in SQL."""
    return '"{}"'.format(name.replace('"', '""'))


@contextlib.contextmanager
def opened(path: Path, *, create: bool, lock_timeout: float) -> Iterator[Any]:
    """Open a file; waits while another process has it.

    Args:
        path: The file.
        create: Whether to make it where it is missing.
        lock_timeout: How long to wait for another process, in seconds.

    Raises:
        SetupError: It is missing, or no database.
        RetryError: Another process still has it.
    """
    if not create and not path.is_file():
        raise SetupError(
            f"DuckDB file {path}: there is no such file. Check the path, or give create=true."
        )
    deadline = time.monotonic() + lock_timeout
    while True:
        try:
            connection = duckdb.connect(str(path))
            break
        except duckdb.IOException as error:
            if "lock" not in str(error).lower():
                raise SetupError(f"DuckDB file {path}: {_first_line(error)}") from error
            if time.monotonic() > deadline:
                raise RetryError(
                    f"DuckDB file {path}: another process has it open, and a file has one writer. "
                    "Let that end, or raise lock_timeout."
                ) from error
            time.sleep(_PAUSE)
    try:
        connection.execute("SET TimeZone = 'UTC'")
        yield connection
    finally:
        connection.close()


@contextlib.contextmanager
def translated(where: str) -> Iterator[None]:
    """Raise errors of DuckDB as Tradewind's.

    Args:
        where: File and table or query, for messages.
    """
    try:
        yield
    except duckdb.Error as error:
        raise _error(error, where) from error


def _error(error: duckdb.Error, where: str) -> TradewindError:
    text = _first_line(error)
    if isinstance(error, duckdb.IOException | duckdb.OutOfMemoryException):
        return RetryError(f"{where}: {text}. Look at the disk and the memory, then try again.")
    if isinstance(error, duckdb.CatalogException):
        return SetupError(f"{where}: {text}. Create it, or correct its name.")
    if isinstance(error, duckdb.TransactionException):
        return RetryError(f"{where}: {text}. Somebody else changed the table: try again.")
    return InputError(f"{where}: {text}")


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".")
