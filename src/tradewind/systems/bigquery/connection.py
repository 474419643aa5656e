"""Where BigQuery is, and who asks."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from tradewind.errors import InputError, MissingExtraError, SetupError
from tradewind.redaction import shown_uri
from tradewind.systems.gcs.credentials import remember_credentials

if TYPE_CHECKING:
    from google.auth.credentials import Credentials
    from google.cloud.bigquery_storage_v1 import BigQueryReadClient

__all__ = ["BigQueryConnection", "TableName", "quoted"]

_PROJECT = re.compile(r"[a-z](?:[a-z0-9.:-]*[a-z0-9])?")
_DATASET = re.compile(r"[A-Za-z0-9_]+")
_MESSAGE_BYTES = -1
"""No limit: one message of the Storage Read API may be larger than gRPC's default of 4 MB."""


@dataclass(frozen=True)
class TableName:
    """A table, with its project and dataset."""

    project: str
    dataset: str
    table: str

    def __str__(self) -> str:
        return f"{self.project}.{self.dataset}.{self.table}"

    @property
    def sql(self) -> str:
        """The name in SQL."""
        return f"{quoted(self.project)}.{quoted(self.dataset)}.{quoted(self.table)}"


def quoted(name: str) -> str:
    """Write a name in SQL.

    Source: https://cloud.google.com/bigquery/docs/reference/standard-sql/lexical#quoted_identifiers
    """
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


@dataclass(frozen=True)
class BigQueryConnection:
    """A project of BigQuery, and who asks.

    Args:
        project: The project that jobs run in, and are billed to. Of the environment
            (``GOOGLE_CLOUD_PROJECT``) or the credentials when not given.
        dataset: The dataset of tables that are named without one.
        location: Where jobs run, like ``EU``; BigQuery finds it by the tables when not given.
        credentials: `google.auth.credentials.Credentials`, or what makes them when it is called;
            application default credentials when not given.
        endpoint: Another address than Google's; ``BIGQUERY_EMULATOR_HOST`` when not given, which
            then needs no credentials.
        storage_endpoint: ``HOST:PORT`` of the Storage Read API, where `endpoint` is another than
            Google's; ``BIGQUERY_STORAGE_EMULATOR_HOST`` when not given. Without it rows are read
            as JSON through `endpoint`.
    """

    project: str = ""
    dataset: str = ""
    location: str | None = None
    credentials: Credentials | Callable[[], Credentials] | None = field(
        default=None, repr=False, compare=False
    )
    endpoint: str | None = None
    storage_endpoint: str | None = None

    def __post_init__(self) -> None:
        emulator = os.environ.get("BIGQUERY_EMULATOR_HOST", "")
        if self.endpoint is None and emulator:
            found = emulator if "//" in emulator else f"http://{emulator}"
            object.__setattr__(self, "endpoint", found.rstrip("/"))
            storage = os.environ.get("BIGQUERY_STORAGE_EMULATOR_HOST")
            if storage and self.storage_endpoint is None:
                object.__setattr__(self, "storage_endpoint", storage)
        if not self.project:
            object.__setattr__(self, "project", os.environ.get("GOOGLE_CLOUD_PROJECT", ""))

    @classmethod
    def from_uri(cls, uri: str, *, location: str | None = None) -> Self:
        """Make one from ``bigquery://PROJECT`` or ``bigquery://PROJECT/DATASET``.

        Args:
            uri: The URI.
            location: Where jobs run.

        Raises:
            InputError: It is no such URI.
        """
        scheme, _, rest = uri.partition("://")
        project, _, dataset = rest.rstrip("/").partition("/")
        wrong = bool(project) and _PROJECT.fullmatch(project) is None
        wrong = wrong or (bool(dataset) and _DATASET.fullmatch(dataset) is None)
        if scheme != "bigquery" or wrong:
            raise InputError(
                f"{shown_uri(uri)!r} is not of the form bigquery://PROJECT or "
                "bigquery://PROJECT/DATASET."
            )
        return cls(project, dataset, location=location)

    @property
    def uri(self) -> str:
        """Project and dataset, without secrets."""
        return f"bigquery://{self.project}" + (f"/{self.dataset}" if self.dataset else "")

    def table_name(self, text: str) -> TableName:
        """Read ``table``, ``dataset.table`` or ``project.dataset.table``.

        ``project:dataset.table`` is read too, as Airflow's operators write it; parts may be quoted
        as in SQL.

        Raises:
            InputError: It is no such name, or there is no dataset.
        """
        plain = text.strip().replace("`", "")
        project, colon, rest = plain.rpartition(":")
        if not colon:
            parts = plain.rsplit(".", 2)
            project, rest = ("", plain) if len(parts) < 3 else (parts[0], ".".join(parts[1:]))
        dataset, _, table = rest.rpartition(".")
        found = TableName(project or self.project, dataset or self.dataset, table)
        if not table or "." in found.dataset or not found.dataset:
            raise InputError(
                f"BigQuery: {text!r} names no table of a dataset. Write dataset.table or "
                "project.dataset.table."
            )
        if not found.project:
            raise SetupError(
                f"BigQuery: no project is known for the table {text}. Name it in the connection, "
                "in GOOGLE_CLOUD_PROJECT, or as project.dataset.table."
            )
        return found

    def client(self) -> Any:
        """Open a client. It renews its credentials, also while data are moving.

        Raises:
            MissingExtraError: google-cloud-bigquery is not installed.
            SetupError: There are no credentials, or no project.
        """
        try:
            from google.auth.exceptions import GoogleAuthError
            from google.cloud.bigquery import Client
        except ImportError as error:
            raise _missing("google.cloud.bigquery") from error
        options = {"api_endpoint": self.endpoint} if self.endpoint else None
        try:
            made: Any = Client
            client = made(
                project=self.project or None,
                credentials=self._credentials(),
                location=self.location,
                client_options=options,
            )
        except (GoogleAuthError, OSError, ValueError) as error:
            # What is wrong with a key may stand in the message of what reads it.
            raise SetupError(
                f"BigQuery: no client for project {self.project or '(none)'} "
                f"({type(error).__name__}). Set up application default credentials, or name "
                "project and credentials in the connection."
            ) from None
        # Made of what was given, with scopes: another object, which has the tokens.
        remember_credentials(getattr(client, "_credentials", None) or client)
        return client

    def read_client(self) -> BigQueryReadClient | None:
        """Open a client of the Storage Read API; None where that cannot be had."""
        try:
            from google.cloud.bigquery_storage_v1 import BigQueryReadClient
        except ImportError:
            return None
        made: Any = BigQueryReadClient
        if not self.endpoint:
            client = made(credentials=self._credentials())
            # Made of what was given, as in `client`: another object, with tokens of its own.
            remember_credentials(getattr(client.transport, "_credentials", None) or client)
            return client  # type: ignore[no-any-return]
        if not self.storage_endpoint:
            return None
        import grpc
        from google.cloud.bigquery_storage_v1.services.big_query_read import transports

        channel = grpc.insecure_channel(
            self.storage_endpoint,
            options=[
                ("grpc.max_receive_message_length", _MESSAGE_BYTES),
                ("grpc.enable_http_proxy", 0),
            ],
        )
        transport: Any = transports.BigQueryReadGrpcTransport
        return made(transport=transport(channel=channel))  # type: ignore[no-any-return]

    def _credentials(self) -> Any:
        if self.credentials is not None:
            return self.credentials() if callable(self.credentials) else self.credentials
        if self.endpoint:
            from google.auth.credentials import AnonymousCredentials

            made: Any = AnonymousCredentials
            return made()
        return None


def _missing(module: str) -> MissingExtraError:
    return MissingExtraError(module, extra="bigquery", purpose="BigQuery")
