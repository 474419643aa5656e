"""A container of Azure Blob Storage and its account: settings and Microsoft's client."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from tradewind.concealing import keep_secrets_out_of_logs
from tradewind.errors import InputError, MissingExtraError
from tradewind.move.store import ObjectInfo, Store
from tradewind.redaction import shown_host
from tradewind.systems.azure.blobs import info_of
from tradewind.systems.azure.credentials import default_credential, remember_credential
from tradewind.systems.azure.errors import code_of, translated

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential
    from azure.storage.blob import ContainerClient

__all__ = ["Container"]

READ_BYTES = 8 << 20
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


class Container(Store):
    """What the store shares with its uploads; see `tradewind.systems.azure.store.AzureStore`."""

    decides = ("account", "container", "_endpoint")

    def __init__(
        self,
        container: str,
        *,
        account: str,
        credential: str | TokenCredential | Callable[[], Any] | None = None,
        endpoint: str | None = None,
        part_bytes: int = 8 << 20,
        connections: int = 2,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        if not container or "/" in container:
            raise InputError(f"{container!r} is not the name of a container of Azure.")
        if not account and not endpoint:
            raise InputError(f"az://{container}: name the storage account.")
        if part_bytes <= 0 or connections < 1:
            raise InputError("part_bytes and connections of a container of Azure are positive.")
        self.container = container
        self.account = account
        self._credential = credential
        self._endpoint = (endpoint or f"https://{account}.blob.core.windows.net").rstrip("/")
        self._part_bytes = part_bytes
        self._connections = connections
        self._options = dict(options or {})
        self._lock = threading.Lock()
        self._made: ContainerClient | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.container!r}, account={self.account!r})"

    def uri(self, key: str = "") -> str:
        """Name a blob, or the container itself."""
        return f"az://{self.container}/{key}" if key else f"az://{self.container}"

    def check_key(self, key: str, *, writing: bool = False) -> None:
        """Refuse names of which Azure or its client makes others; see `Store.check_key`."""
        super().check_key(key, writing=writing)
        if {".", ".."} & set(key.split("/")):
            raise InputError(
                f"{self.uri(key)}: the name has a step . or .., which clients of Azure take for a "
                "path, so that another blob is meant. Write the name without it."
            )
        if writing and ("\\" in key or _CONTROLS.search(key)):
            raise InputError(
                f"{self.uri(key)!a}: the name has a backslash, of which Azure makes a slash, "
                "or control characters, which it cannot list. Choose another name."
            )

    def check(self) -> None:
        """Look whether the container is there and may be used."""
        with translated(self.describe(), "look at the container"):
            # Not its properties, which a signature for its blobs may not see.
            next(iter(self.client.list_blobs(results_per_page=1)), None)

    def head(self, key: str) -> ObjectInfo | None:
        """Describe one blob; None where there is none."""
        from azure.core.exceptions import ResourceNotFoundError

        self.check_key(key)
        with translated(self.describe(key), "look at the blob"):
            try:
                return info_of(self.client.get_blob_client(key).get_blob_properties())
            except ResourceNotFoundError as error:
                if code_of(error) == "ContainerNotFound":
                    raise
        return None

    def describe(self, key: str = "") -> str:
        """Name a blob and its account, for messages."""
        return f"{self.uri(key)} at {shown_host(self._endpoint)}"

    @property
    def client(self) -> ContainerClient:
        """Microsoft's client, which threads share."""
        with self._lock:
            if self._made is None:
                self._made = self._connect()
            return self._made

    def _connect(self) -> ContainerClient:
        try:
            from azure.storage.blob import ContainerClient, ExponentialRetry
        except ImportError as error:
            raise MissingExtraError(
                error.name or "azure.storage.blob", extra="azure", purpose="Azure Blob Storage"
            ) from error
        credential = self._credential
        if callable(credential):
            credential = credential()
        if credential is None:
            credential = default_credential()
        options = {
            "retry_policy": ExponentialRetry(initial_backoff=1, increment_base=2, retry_total=5),
            "connection_timeout": 10,
            "read_timeout": 60,
            "max_single_get_size": READ_BYTES,
            "max_single_put_size": max(self._part_bytes, 1 << 20),
            **self._options,
        }
        remember_credential(credential)
        with translated(self.describe(), "connect"):
            made = ContainerClient(self._endpoint, self.container, credential, **options)
        keep_secrets_out_of_logs("azure", "urllib3")
        return made
