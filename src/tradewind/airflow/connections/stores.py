"""Object stores from Airflow's connections, by the scheme of the URI."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tradewind.errors import InputError
from tradewind.move.registry import canonical_uri
from tradewind.redaction import refuse_signed, scheme_of, shown_uri

if TYPE_CHECKING:
    from tradewind.move.store import Store

__all__ = ["DEFAULT_CONNECTIONS", "store_of"]

DEFAULT_CONNECTIONS = {
    "s3": "aws_default",
    "gs": "google_cloud_default",
    "az": "wasb_default",
    "file": None,
}
"""The connection of each scheme where none is named, as in the official operators."""


def store_of(uri: str, conn_id: str | None = None, **options: Any) -> tuple[Store, str]:
    """Make the store of an object.

    Args:
        uri: ``s3://bucket/key``, ``gs://bucket/key``, ``az://container/key`` or ``file:///path``.
        conn_id: The connection; the usual one of the scheme when not given.
        options: Further arguments, as `tradewind.systems.s3.airflow.s3_store` and its like
            take them.

    Returns:
        The store, and the key in it.

    Raises:
        InputError: The URI is wrong.
        SetupError: The connection is missing or wrong.
    """
    uri, told = canonical_uri(uri)
    scheme = scheme_of(uri)
    if scheme not in DEFAULT_CONNECTIONS:
        raise InputError(
            f"{shown_uri(uri)!r} is no URI of an object store. Begin it with s3://, gs://, az:// or file://."
        )
    conn_id = conn_id or DEFAULT_CONNECTIONS[scheme]
    # Not urlsplit's path: keys may hold '?' and '#'.
    bucket, _, key = uri[len(scheme) + 3 :].partition("/")
    if scheme == "file":
        from tradewind.systems.files.store import FileStore

        store: Store
        store, key = FileStore.from_uri(uri)
        return store, key
    if not bucket or not key:
        raise InputError(f"{shown_uri(uri)!r} names no object. Write {scheme}://bucket/key.")
    refuse_signed(uri)
    if scheme == "s3":
        from tradewind.systems.s3.airflow import s3_store

        return s3_store(bucket, conn_id, **options), key
    if scheme == "gs":
        from tradewind.systems.gcs.airflow import gcs_store

        return gcs_store(bucket, conn_id, **options), key
    from tradewind.systems.azure.airflow import azure_store

    store = azure_store(bucket, conn_id, **options)
    if store.account and told.get("account", store.account) != store.account:
        raise InputError(
            f"{shown_uri(uri)!r} is in the storage account {told['account']}, and the connection "
            f"{conn_id} leads to {store.account}. Name the connection of that account."
        )
    return store, key
