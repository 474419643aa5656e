"""Names of systems: one table for all who read a URI."""

from __future__ import annotations

import pytest

from tradewind.airflow.connections import stores
from tradewind.errors import InputError
from tradewind.move.objects.uris import store_of
from tradewind.move.registry import SOURCES, aliases, canonical_uri, load, plain_scheme

KEY = "a b/c?d#e%20+.csv"


@pytest.mark.parametrize(
    ("uri", "plain", "account"),
    [
        (f"s3a://b/{KEY}", f"s3://b/{KEY}", None),
        (f"s3n://b/{KEY}", f"s3://b/{KEY}", None),
        (f"gcs://b/{KEY}", f"gs://b/{KEY}", None),
        (f"wasb://c/{KEY}", f"az://c/{KEY}", None),
        (f"wasbs://c@acc.blob.core.windows.net/{KEY}", f"az://c/{KEY}", "acc"),
        (f"abfs://c@acc.dfs.core.windows.net/{KEY}", f"az://c/{KEY}", "acc"),
        (f"ABFSS://c@acc.dfs.core.chinacloudapi.cn/{KEY}", f"az://c/{KEY}", "acc"),
        (f"S3://b/{KEY}", f"s3://b/{KEY}", None),
        ("postgres://h/d", "postgres://h/d", None),
        ("/a/b://c", "/a/b://c", None),
    ],
)
def test_a_uri_by_another_name_is_the_same(uri: str, plain: str, account: str | None):
    assert canonical_uri(uri) == (plain, {} if account is None else {"account": account})


@pytest.mark.parametrize("alias", sorted(aliases()))
def test_every_other_name_is_known_everywhere(alias: str):
    assert plain_scheme(alias) in SOURCES
    assert plain_scheme(f"{alias}+driver") == plain_scheme(alias)


@pytest.mark.parametrize("scheme", ["gcs", "s3a", "wasb", "abfss"])
def test_a_store_is_made_of_each(scheme: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT", "acc")
    monkeypatch.setenv("AZURE_STORAGE_KEY", "a2V5")
    plain = {"gcs": "gs", "s3a": "s3"}.get(scheme, "az")
    store, key = store_of(f"{scheme}://place/k", {})
    assert (store.uri(key), key) == (f"{plain}://place/k", "k")


def test_what_nobody_offers_is_told_with_all_there_are():
    with pytest.raises(InputError, match=r"gs, http.*also written abfs.*postgres"):
        load(SOURCES, "redis", what="source")
    with pytest.raises(InputError, match="no URI of an object store"):
        stores.store_of("redis://b/k")
