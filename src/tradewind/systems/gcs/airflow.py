"""Google Cloud Storage from Airflow's Google connections, without Airflow's Google provider."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tradewind.airflow.connections import find_connection
from tradewind.errors import InputError, MissingExtraError, RetryError, SetupError

if TYPE_CHECKING:
    from tradewind.systems.gcs.store import GCSStore

__all__ = ["gcs_store", "google_credentials"]

_PREFIX = "extra__google_cloud_platform__"
_SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)


def gcs_store(
    bucket: str,
    conn_id: str | None = "google_cloud_default",
    *,
    impersonation_chain: str | Sequence[str] | None = None,
    **options: Any,
) -> GCSStore:
    """Make the store of a bucket.

    Args:
        bucket: Its name.
        conn_id: A connection of type ``google_cloud_platform``; None for the credentials that
            google-auth finds by itself (application default credentials).
        impersonation_chain: The service account to act as, or the chain of those that lead to it;
            what the connection says when not given.
        options: Further arguments of `GCSStore`.

    Returns:
        The store. Its credentials are renewed when they expire, also while data are moving.

    Raises:
        SetupError: The connection is missing or wrong.
    """
    from tradewind.systems.gcs.store import GCSStore

    credentials = google_credentials(conn_id, impersonation_chain=impersonation_chain)
    return GCSStore(bucket, credentials=credentials, **options)


def google_credentials(
    conn_id: str | None, *, impersonation_chain: str | Sequence[str] | None = None
) -> Any:
    """Read a connection's extra as ``GoogleBaseHook`` does.

    In this order: ``keyfile_dict``, ``key_path``, ``credential_config_file``, ``is_anonymous``, and
    application default credentials. ``scope``, ``impersonation_chain`` are heeded. Source:
    https://airflow.apache.org/docs/apache-airflow-providers-google/stable/connections/gcp.html

    Args:
        conn_id: Id of the connection; None for application default credentials.
        impersonation_chain: Takes the place of the connection's.

    Returns:
        `google.auth.credentials.Credentials`.

    Raises:
        SetupError: The connection is missing or wrong.
        RetryError: Google has to be asked about them, and does not answer.
        MissingExtraError: google-auth is not installed.
    """
    try:
        import google.auth
        import google.auth.exceptions
    except ImportError as error:
        raise MissingExtraError(
            "google.auth", extra="gcs", purpose="A Google Cloud connection"
        ) from error
    extra = {} if conn_id is None else find_connection(conn_id).extra_dejson

    def told(name: str) -> Any:
        return extra.get(name) or extra.get(f"{_PREFIX}{name}") or None

    if told("key_secret_name"):
        raise SetupError(
            f"The connection {conn_id!r} keeps its key in Google's Secret Manager "
            "(key_secret_name), which is not read here. Use keyfile_dict, key_path or "
            "impersonation_chain."
        )
    scopes = told("scope") or told("scopes")
    scopes = [one.strip() for one in scopes.split(",")] if isinstance(scopes, str) else scopes
    scopes = list(scopes or _SCOPES)
    try:
        credentials = _own_credentials(told, scopes)
        chain = impersonation_chain or told("impersonation_chain")
        return _impersonated(credentials, chain, scopes) if chain else credentials
    except google.auth.exceptions.TransportError as error:
        raise RetryError(
            f"Google cannot be asked about the credentials of the connection {conn_id!r} "
            f"({type(error).__name__}). Look at the network, or try again later."
        ) from None
    except (google.auth.exceptions.GoogleAuthError, OSError, ValueError, KeyError) as error:
        # A faulty key may stand in the message of what reads it: its kind has to do.
        raise SetupError(
            f"The connection {conn_id!r} gives no Google credentials ({type(error).__name__}). "
            "Correct keyfile_dict or key_path in its extra, or set up application default "
            "credentials on this machine."
        ) from None


def _own_credentials(told: Any, scopes: list[str]) -> Any:
    import google.auth
    import google.auth.credentials
    from google.oauth2 import service_account

    # Untyped in google-auth.
    accounts: Any = service_account.Credentials
    auth: Any = google.auth
    keyfile = told("keyfile_dict")
    if keyfile:
        keyfile = json.loads(keyfile) if isinstance(keyfile, str) else dict(keyfile)
        # As in the official hook: the web form writes line ends as two characters.
        keyfile["private_key"] = keyfile["private_key"].replace("\\n", "\n")
        return accounts.from_service_account_info(keyfile, scopes=scopes)
    path = told("key_path")
    if path:
        if path.endswith(".p12"):
            raise InputError("Legacy P12 keys are not supported. Make a JSON key.")
        return accounts.from_service_account_file(path, scopes=scopes)
    config = told("credential_config_file")
    if config:
        with warnings.catch_warnings():
            # They warn of configurations of strangers; a connection is the deployment's own.
            warnings.simplefilter("ignore", DeprecationWarning)
            # With scopes, a federated identity would ask right here for a project's id.
            if isinstance(config, str) and not config.lstrip().startswith("{"):
                found = auth.load_credentials_from_file(config)[0]
            else:
                config = json.loads(config) if isinstance(config, str) else config
                found = auth.load_credentials_from_dict(config)[0]
        return auth.credentials.with_scopes_if_required(found, scopes)
    if str(told("is_anonymous")).lower() == "true":
        return auth.credentials.AnonymousCredentials()
    return auth.default(scopes=scopes)[0]


def _impersonated(credentials: Any, chain: Any, scopes: list[str]) -> Any:
    from google.auth import impersonated_credentials

    accounts = [one.strip() for one in chain.split(",")] if isinstance(chain, str) else list(chain)
    make: Any = impersonated_credentials.Credentials  # Untyped in google-auth.
    return make(
        source_credentials=credentials,
        target_principal=accounts[-1],
        delegates=accounts[:-1],
        target_scopes=scopes,
    )
