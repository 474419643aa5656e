"""MongoDB: how to reach it, and what its errors mean."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qsl

from tradewind.errors import (
    InputError,
    MissingExtraError,
    RetryError,
    SetupError,
    TradewindError,
)
from tradewind.move.interface import option
from tradewind.redaction import is_secret_name, redacted, scheme_of, shown_host, split_uri
from tradewind.systems.mongodb.capped import refuses_capped
from tradewind.tls import refusal, see_files

if TYPE_CHECKING:
    from pymongo import MongoClient

__all__ = ["MongoConnection", "named_errors", "refuse_missing"]

_SERVER_SELECTION_MS = 10_000
_TRUST = "tlsCAFile in the URI or the connection's extra"
_OWN = "tlsCertificateKeyFile in the URI or the connection's extra"
_FILES = ("tlsCAFile", "tlsCertificateKeyFile", "tlsCRLFile")

# Codes of the server: https://github.com/mongodb/mongo/blob/v6.0/src/mongo/base/error_codes.yml
_REFUSED = {13: "no permission", 18: "credentials refused", 8000: "credentials refused"}
_PASSING = {
    6: "HostUnreachable",
    7: "HostNotFound",
    43: "CursorNotFound",
    89: "NetworkTimeout",
    91: "ShutdownInProgress",
    112: "WriteConflict",
    136: "CappedPositionLost",
    175: "QueryPlanKilled",
    189: "PrimarySteppedDown",
    237: "CursorKilled",
    239: "SnapshotTooOld",
    246: "SnapshotUnavailable",
    262: "ExceededTimeLimit",
    279: "ClientDisconnect",
    9001: "SocketException",
    10107: "NotWritablePrimary",
    11600: "InterruptedAtShutdown",
    11601: "Interrupted",
    11602: "InterruptedDueToReplStateChange",
    13388: "StaleConfig",
    13435: "NotPrimaryNoSecondaryOk",
    13436: "NotPrimaryOrSecondary",
}
_REMEDIES = {
    43: "The server gave up the cursor, as it does after 10 minutes without a request or when it "
    "is killed. Try again.",
    237: "Somebody killed the cursor. Try again.",
    239: "The read took longer than the server keeps a snapshot. Raise the server's parameter "
    "minSnapshotHistoryWindowInSeconds, or read without a snapshot: {snapshot}.",
    246: "The server cannot give that snapshot. Try again, or read without a snapshot: {snapshot}.",
    50: "It exceeded max_time. Raise it, or help the query with an index.",
    292: "A stage needs more memory than the server grants. Give {disk}.",
    16819: "A stage needs more memory than the server grants. Give {disk}.",
    96: "A sort may need more memory than the server grants: give {disk}.",
    20: "If the server cannot read from a snapshot, give {snapshot}.",
    72: "Correct the options of the query; where the collection cannot be read from a snapshot, "
    "give {snapshot}.",
}


@dataclass(frozen=True)
class MongoConnection:
    """How to reach a MongoDB deployment.

    Args:
        uri: Its connection string, with read preference, TLS and the like as MongoDB defines them
            (https://www.mongodb.com/docs/manual/reference/connection-string/).
        options: Further arguments of `pymongo.MongoClient`, like ``tlsCAFile``, ``password`` or
            ``tlsCertificateKeyFile``, which holds the client's certificate and its key.
    """

    uri: str = field(repr=False)
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def from_uri(cls, uri: str) -> Self:
        """Take a connection string; ``MONGODB_PASSWORD`` is its user's password if it has none.

        Raises:
            InputError: It cannot be read.
        """
        split_uri(uri, "MongoDB", "mongodb://user@host:27017/database")
        user = re.match(r"mongodb(?:\+srv)?://([^/@]*)@", uri)
        password = os.environ.get("MONGODB_PASSWORD")
        if password and user and ":" not in user[1]:
            return cls(uri, {"password": password})
        return cls(uri)

    @property
    def address(self) -> str:
        """Hosts and ports, without user and password."""
        known = scheme_of(self.uri) in ("mongodb", "mongodb+srv")
        return shown_host(self.uri) if known else "an address that is not a MongoDB URI"

    @property
    def database(self) -> str | None:
        """The database that the URI names, if it does."""
        found = re.match(r"mongodb(?:\+srv)?://[^/?]*/([^?]+)", self.uri)
        return found[1] if found else None

    def __repr__(self) -> str:
        return f"MongoConnection({self.address!r})"

    def open(self) -> MongoClient[dict[str, Any]]:
        """Make a client; it connects when it is used.

        Raises:
            SetupError: An option is wrong, or a host of an SRV record is not known.
            MissingExtraError: PyMongo is not installed.
        """
        try:
            from pymongo import MongoClient
            from pymongo.errors import PyMongoError
        except ImportError as error:
            raise MissingExtraError(
                "pymongo", extra="mongo", purpose="Reading from MongoDB"
            ) from error
        self._see_files()
        options = {
            "appname": "tradewind",
            "serverSelectionTimeoutMS": _SERVER_SELECTION_MS,
            **self.options,
        }
        if "serverselectiontimeoutms" in self.uri.lower():
            options.pop("serverSelectionTimeoutMS")
        try:
            return MongoClient(self.uri, **options)
        except (PyMongoError, OSError, ValueError, TypeError) as error:
            # A file is none, say. Without its cause: PyMongo's errors repeat what it was given.
            raise _wrong_settings(f"MongoDB at {self.address}", error, self) from None

    def _see_files(self) -> None:
        """Name what is missing: PyMongo's error repeats parts of the URI, so it is not shown."""
        given = {name.lower(): value for name, value in parse_qsl(self.uri.partition("?")[2])}
        given |= {name.lower(): value for name, value in self.options.items()}
        files = [(given.get(name.lower()), name) for name in _FILES]
        see_files(
            f"MongoDB at {self.address}",
            *((str(path), name) for path, name in files if path is not None),
        )


@contextmanager
def named_errors(where: str) -> Iterator[None]:
    """Give MongoDB's errors our names.

    Args:
        where: System and object, for messages.

    Raises:
        RetryError: Network, a restart, a lost cursor.
        SetupError: Credentials, permissions, TLS, no server there.
        InputError: All else that the server refuses; bytes that are not BSON.
    """
    from bson.errors import BSONError
    from pymongo import errors

    try:
        yield
    except TradewindError:
        raise
    except errors.OperationFailure as error:
        raise _refusal(where, error) from error
    except errors.ServerSelectionTimeoutError as error:
        raise _unreached(where, error) from error
    except (errors.AutoReconnect, errors.WaitQueueTimeoutError, errors.NetworkTimeout) as error:
        _refuse_tls(where, error)
        raise RetryError(
            f"{where}: the connection broke ({_short(error)}). Nothing of it was published; "
            "try again."
        ) from error
    except (errors.ConfigurationError, errors.InvalidURI) as error:
        raise _wrong_settings(where, error) from None
    except (BSONError, errors.InvalidOperation, TypeError, ValueError, UnicodeError) as error:
        raise InputError(
            f"{where}: {_short(error)}. Correct the query, or the document that holds it."
        ) from error
    except errors.PyMongoError as error:
        raise RetryError(f"{where}: {_short(error)}. Try again.") from error


def _wrong_settings(
    where: str, error: Exception, connection: MongoConnection | None = None
) -> SetupError:
    text = _short(error)
    if connection is not None:
        secrets = [str(one) for key, one in connection.options.items() if is_secret_name(key)]
        text = redacted(text, uris=[connection.uri], secrets=secrets)
    return SetupError(
        f"{where}: the connection's settings are wrong ({text}). Correct its URI or options."
    )


def _refusal(where: str, error: Any) -> TradewindError:
    code, text = error.code or 0, _short(error)
    snapshot, disk = option("snapshot", False), option("allow_disk_use", True)
    remedy = _REMEDIES.get(code, "").format(snapshot=snapshot, disk=disk)
    if code in _REFUSED:
        return SetupError(
            f"{where}: {_REFUSED[code]} ({text}). Correct user and password, or grant the user "
            "the role 'read' on the database."
        )
    if refuses_capped(error):
        return InputError(f"{where}: {text}. Read it without a snapshot: {snapshot}.")
    if code in _PASSING or error.has_error_label("TransientTransactionError"):
        return RetryError(f"{where}: {text}. {remedy or 'Try again.'}")
    return InputError(f"{where}: {text}. {remedy or 'Correct the query.'}")


def _unreached(where: str, error: Exception) -> TradewindError:
    _refuse_tls(where, error)
    hint = ""
    if "connection closed" in str(error):
        # All that a server says that misses a certificate of the client.
        hint = f" If it wants TLS, set tls=true; if a certificate of the client, {_OWN}."
    return RetryError(
        f"{where}: no server answers ({_short(error)}). Look whether it runs and whether host, "
        f"port and replica set in the URI are right, and try again.{hint}"
    )


def _refuse_tls(where: str, error: Exception) -> None:
    if (text := refusal(error, trust=_TRUST, own=_OWN)) is not None:
        raise SetupError(f"{where}: TLS failed: {text}.") from error


def _short(error: Exception) -> str:
    """The message without its tail of topology, full text of the reply and URIs."""
    details = getattr(error, "details", None)
    text = str((details or {}).get("errmsg") or error)
    text = re.split(r", (?:full error:|Timeout: |Topology Description:)", text)[0]
    text = redacted(text).rstrip(".")
    return text if len(text) <= 300 else f"{text[:297]}..."


def refuse_missing(database: Any, collection: str, where: str) -> None:
    """Refuse a collection that is not there, as far as the user may know.

    Args:
        database: PyMongo's.
        collection: The collection's name.
        where: Deployment and collection, for messages.

    Raises:
        SetupError: It is not there.
    """
    from pymongo.errors import OperationFailure

    try:
        found = database.list_collection_names(
            filter={"name": collection}, authorizedCollections=True
        )
    except OperationFailure as error:
        if error.code == 13:  # may read it, but not list it
            return
        raise
    if not found:
        raise SetupError(
            f"{where}: there is no such collection. Correct database and "
            "collection, grant the user the role 'read', or give "
            f"{option('missing_ok', True)} where it may not be there yet."
        )
