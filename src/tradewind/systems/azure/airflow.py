"""Azure Blob Storage from Airflow's ``wasb`` connections, read as ``WasbHook`` reads them."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tradewind.airflow.connections import find_connection
from tradewind.errors import MissingExtraError, SetupError

if TYPE_CHECKING:
    from tradewind.systems.azure.store import AzureStore

__all__ = ["azure_settings", "azure_store"]

_PREFIX = "extra__wasb__"


def azure_store(container: str, conn_id: str | None = "wasb_default", **options: Any) -> AzureStore:
    """Make the store of a container.

    Args:
        container: Its name.
        conn_id: A connection of type ``wasb``.
        options: Further arguments of `AzureStore`.

    Returns:
        The store.

    Raises:
        SetupError: The connection is missing or wrong.
    """
    from tradewind.systems.azure.store import AzureStore

    # As in the official hook: the client logs every request with its headers at INFO.
    logger = logging.getLogger("azure.core.pipeline.policies.http_logging_policy")
    logger.setLevel(os.environ.get("AZURE_HTTP_LOGGING_LEVEL", logging.WARNING))
    return AzureStore(container, **{**azure_settings(conn_id or "wasb_default"), **options})


def azure_settings(conn_id: str) -> dict[str, Any]:
    """Read account and credential of a connection.

    In this order, as in ``WasbHook.get_conn``: ``connection_string``; ``tenant_id`` with login and
    password (a service principal); ``shared_access_key``; ``sas_token``; the password or
    ``account_key``; and what azure-identity finds by itself (managed or workload identity).

    Args:
        conn_id: Id of the connection.

    Returns:
        ``account``, ``credential`` and, where it is not the account's usual one, ``endpoint``.

    Raises:
        SetupError: The connection is missing or wrong.
        MissingExtraError: azure-identity is not installed.
    """
    connection = find_connection(conn_id)
    extra = dict(connection.extra_dejson)

    def told(name: str) -> Any:
        return extra.get(name) or extra.get(f"{_PREFIX}{name}") or None

    if text := told("connection_string"):
        return _of_connection_string(conn_id, text)
    settings = _account(conn_id, connection.host, connection.login)
    if tenant := told("tenant_id"):
        identity = _identity()
        settings["credential"] = identity.ClientSecretCredential(
            tenant_id=tenant,
            client_id=connection.login,
            client_secret=connection.password,
            **(extra.get("client_secret_auth_config") or {}),
        )
        return settings
    sas = told("sas_token")
    if not told("shared_access_key") and sas and sas.startswith("https"):
        url, _, sas = sas.partition("?")
        settings = _account(conn_id, url, None)
    credential = told("shared_access_key") or sas or connection.password or told("account_key")
    if credential is None:
        identity = _identity()
        options = {
            "managed_identity_client_id": told("managed_identity_client_id"),
            "workload_identity_tenant_id": told("workload_identity_tenant_id"),
        }
        credential = identity.DefaultAzureCredential(
            **{name: value for name, value in options.items() if value}
        )
    settings["credential"] = credential
    return settings


def _of_connection_string(conn_id: str, text: str) -> dict[str, Any]:
    """See https://learn.microsoft.com/azure/storage/common/storage-configure-connection-string."""
    parts = dict(part.split("=", 1) for part in text.strip().split(";") if "=" in part)
    parts = {name.lower(): value for name, value in parts.items()}
    credential = parts.get("accountkey") or parts.get("sharedaccesssignature")
    endpoint = parts.get("blobendpoint")
    account = parts.get("accountname")
    if account is None and endpoint:
        account = (urlsplit(endpoint).hostname or "").partition(".")[0] or None
    if account is None or credential is None:
        raise SetupError(
            f"The connection_string of the connection {conn_id!r} names no account with a key or "
            "signature. Copy it again from the storage account's page 'Access keys'."
        )
    settings: dict[str, Any] = {"account": account, "credential": credential}
    suffix = parts.get("endpointsuffix")
    if endpoint:
        settings["endpoint"] = endpoint.rstrip("/")
    elif suffix and suffix != "core.windows.net":
        protocol = parts.get("defaultendpointsprotocol", "https")
        settings["endpoint"] = f"{protocol}://{account}.blob.{suffix}"
    return settings


def _account(conn_id: str, host: str | None, login: str | None) -> dict[str, Any]:
    """Tell account and endpoint as ``parse_blob_account_url`` does."""
    if not host:
        if not login:
            raise SetupError(
                f"The connection {conn_id!r} names no storage account. Give its name as the login, "
                "or its address as the host."
            )
        return {"account": login}
    parts = urlsplit(host if "//" in host else f"https://{host}")
    name = parts.hostname or ""
    if "." not in name and not parts.port:
        return {"account": name}
    account = name.partition(".")[0]
    if name == f"{account}.blob.core.windows.net":
        return {"account": account}
    if name.replace(".", "").isdigit() or name == "localhost":
        # An emulator: the account is the path's first part, http://127.0.0.1:10000/account.
        account = parts.path.strip("/") or login or ""
    return {"account": account, "endpoint": f"{parts.scheme}://{parts.netloc}{parts.path}"}


def _identity() -> Any:
    try:
        import azure.identity
    except ImportError as error:
        raise MissingExtraError(
            "azure.identity", extra="azure", purpose="This Azure connection"
        ) from error
    return azure.identity
