"""Who asks Azure Blob Storage, where that is not said: as Azure's own tools find it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from tradewind.errors import MissingExtraError, SetupError
from tradewind.spellings import remember

__all__ = ["default_credential", "of_environment", "remember_credential"]


def default_credential() -> Any:
    """Make what azure-identity finds by itself: environment, managed identity, ``az login``.

    Raises:
        MissingExtraError: azure-identity is not installed.
    """
    try:
        from azure.identity import DefaultAzureCredential
    except ImportError as error:
        raise MissingExtraError(
            error.name or "azure.identity", extra="azure", purpose="Azure Blob Storage"
        ) from error
    return DefaultAzureCredential()


def remember_credential(credential: Any) -> None:
    """Keep an account's key, or the signature of a SAS, out of what is told.

    Args:
        credential: As Azure's client takes it.
    """
    fields = credential if isinstance(credential, Mapping) else {}
    key = credential if isinstance(credential, str) else fields.get("account_key")
    text = str(key or getattr(credential, "signature", "") or "")
    # Of a SAS all else is its dates and rights.
    signed = [pair[4:] for pair in text.lstrip("?").split("&") if pair.startswith("sig=")]
    secrets = [unquote(one) for one in signed] or [text]
    remember(lambda: secrets)


def of_environment(account: str | None) -> dict[str, Any]:
    """Read the variables that Azure's own command line reads.

    Args:
        account: The storage account, where it was named; then no connection string counts.

    Returns:
        Arguments of `tradewind.systems.azure.store.AzureStore`: ``account``, ``credential`` and
        ``endpoint``, None or left out where nothing tells them.

    Raises:
        SetupError: The connection string is not whole.
    """
    text = os.environ.get("AZURE_STORAGE_CONNECTION_STRING")
    if text and account is None:
        parts = dict(part.split("=", 1) for part in text.split(";") if "=" in part)
        known = {
            "account": parts.get("AccountName"),
            "credential": parts.get("AccountKey") or parts.get("SharedAccessSignature"),
            "endpoint": parts.get("BlobEndpoint"),
        }
        if not known["account"] or not known["credential"]:
            raise SetupError(
                "AZURE_STORAGE_CONNECTION_STRING names no AccountName with an AccountKey or a "
                "SharedAccessSignature. Copy it again from the account's page 'Access keys'."
            )
        return {name: value for name, value in known.items() if value}
    key, signature = (os.environ.get(f"AZURE_STORAGE_{name}") for name in ("KEY", "SAS_TOKEN"))
    return {
        "account": account or os.environ.get("AZURE_STORAGE_ACCOUNT"),
        "credential": key or signature or None,
    }
