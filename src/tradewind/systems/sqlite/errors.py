"""What SQLite says went wrong, in our words."""

from __future__ import annotations

from tradewind.errors import InputError, RetryError, SetupError, TradewindError

__all__ = ["sqlite_error"]


def sqlite_error(error: Exception, system: str) -> TradewindError:
    """Tell an error of SQLite in our own terms."""
    text = str(error).rstrip(".")
    code = getattr(error, "sqlite_errorname", None) or ""
    if code.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return RetryError(f"{system}: {text}. Somebody else writes: try again.")
    if code.startswith("SQLITE_INTERRUPT"):
        return RetryError(f"{system}: the query took too long. Raise statement_timeout.")
    if code.startswith(("SQLITE_FULL", "SQLITE_IOERR", "SQLITE_NOMEM")):
        return RetryError(f"{system}: {text}. Free space or look at the disk, then try again.")
    if code == "SQLITE_READONLY":
        return SetupError(
            f"{system}: {text}. A query may only read; of a target, check the path's permissions."
        )
    if code.startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_PERM", "SQLITE_AUTH")):
        return SetupError(f"{system}: {text}. Check the path and its permissions.")
    if code.startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")):
        return SetupError(f"{system}: {text}. It is no whole database of SQLite: replace it.")
    if "no such table" in text:
        return SetupError(f"{system}: {text}. Create the table, or name another one.")
    if "decode to UTF-8" in text:
        return InputError(f"{system}: {text}. CAST(... AS BLOB) in the query gives its bytes.")
    return InputError(f"{system}: {text}. Correct the query or the data.")
