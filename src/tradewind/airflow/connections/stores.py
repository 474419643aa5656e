"""Object stores from Airflow's connections, by the scheme of the URI."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tradewind.errors import InputError
from tradewind.move.objects.uris import no_object
from tradewind.move.registry import canonical_uri
from tradewind.redaction import refuse_signed, scheme_of, shown_uri
from tradewind.registry import imported, system_of_scheme

if TYPE_CHECKING:
    from tradewind.move.store import Store

__all__ = ["store_of"]


def store_of(uri: str, conn_id: str | None = None, **options: Any) -> tuple[Store, str]:
    """Make the store of an object.

    Args:
        uri: ``s3://bucket/key``, ``gs://bucket/key``, ``az://container/key``,
            ``file:///path`` or ``sftp://host/path``, whose host may be left to the connection.
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
    system = system_of_scheme(scheme)
    if system is None or not system.store:
        raise no_object(uri)
    # Not urlsplit's path: keys may hold '?' and '#'.
    bucket, _, key = uri[len(scheme) + 3 :].partition("/")
    store: Store
    if system.connection is None:
        store, key = imported(system.store).from_uri(uri)
        return store, key
    if not key or not (bucket or system.host_in_connection):
        raise InputError(f"{shown_uri(uri)!r} names no object. Write {scheme}://bucket/key.")
    refuse_signed(uri)
    conn_id = conn_id or system.default_connection
    store = imported(system.connection)(bucket, conn_id, **options)
    account = getattr(store, "account", None)
    if account and told.get("account", account) != account:
        raise InputError(
            f"{shown_uri(uri)!r} is in the storage account {told['account']}, and the connection "
            f"{conn_id} leads to {account}. Name the connection of that account."
        )
    return store.within(key)
