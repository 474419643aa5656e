"""S3 over HTTPS, with an authority of the tests' own."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

import boto3
import pytest
from botocore.config import Config

from emulators import Emulator
from tls_cases import Files, Pki, check_tls
from tls_front import reach
from tradewind.errors import SetupError
from tradewind.systems.s3.airflow import s3_store
from tradewind.systems.s3.store import S3Store

REGION = "eu-west-1"


@pytest.fixture(scope="module")
def bucket(versity: Emulator) -> str:
    session = boto3.Session(versity.account, versity.key, region_name=REGION)
    client = session.client("s3", endpoint_url=versity.endpoint)
    name = f"tls-{uuid.uuid4().hex}"
    client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    client.put_object(Bucket=name, Key="there", Body=b"x")
    return name


def listed(store: S3Store) -> bool:
    return [one.key for one in store.list("")] == ["there"]


def own_files(own: Files | None) -> dict[str, object]:
    return {} if own is None else {"client_cert": (str(own[0]), str(own[1]))}


def test_a_store(pki: Pki, versity: Emulator, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def by_arguments(host: str, port: int, authority: Path, own: Files | None) -> object:
        options = {
            "endpoint_url": f"https://{host}:{port}",
            "verify": str(authority),
            "config": Config(**own_files(own)),
        }
        session = boto3.Session(versity.account, versity.key, region_name=REGION)
        return listed(S3Store(bucket, session=session, client_options=options))

    def by_airflow(host: str, port: int, authority: Path, own: Files | None) -> object:
        extra = {
            "region_name": REGION,
            "verify": str(authority),
            "endpoint_url": f"https://{host}:{port}",
            "config_kwargs": own_files(own),
        }
        given = {"conn_type": "aws", "login": versity.account, "password": versity.key}
        monkeypatch.setenv("AIRFLOW_CONN_OVER_TLS", json.dumps({**given, "extra": extra}))
        return listed(s3_store(bucket, "over_tls"))

    trust = "authority's certificate as verify"
    for use in (by_arguments, by_airflow):
        check_tls(pki, reach(versity.port), use, trust=trust)


def test_a_uri_takes_its_files_from_the_environment(
    pki: Pki, versity: Emulator, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tls_front import TlsFront

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", versity.account)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", versity.key)
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    with TlsFront(reach(versity.port), pki.server) as front:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"https://127.0.0.1:{front.port}")
        monkeypatch.setenv("AWS_CA_BUNDLE", str(pki.trusted))
        assert listed(S3Store.from_uri(f"s3://{bucket}/there")[0])
        front.heard = b""
        for authority, said in (
            (pki.stranger, "authority's certificate as verify .AWS_CA_BUNDLE"),
            (Path("/there/is/none"), "/there/is/none"),
        ):
            monkeypatch.setenv("AWS_CA_BUNDLE", str(authority))
            with pytest.raises(SetupError, match=said):
                listed(S3Store.from_uri(f"s3://{bucket}/there")[0])
        assert front.heard == b""
