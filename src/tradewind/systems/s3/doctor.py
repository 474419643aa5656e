"""What ``tradewind doctor`` asks S3, and servers like it."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from tradewind.doctor import Check, clock, failed, is_local, reach, tls
from tradewind.errors import TradewindError
from tradewind.systems.s3.connecting import connected
from tradewind.systems.s3.errors import code_of, told

if TYPE_CHECKING:
    from tradewind.systems.s3.store import S3Store

__all__ = ["checks"]

_SKEW = 900.0
"""Seconds: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html,
RequestTimeTooSkewed."""
_NOBODY = "no-bucket-named"
_REFUSED = {"AccessDenied", "AllAccessDisabled", "403"}


def checks(make: Callable[[str], S3Store], named: str, timeout: float) -> Iterator[Check]:
    """Look at a bucket: reach, TLS, credentials, clock, permissions.

    Args:
        make: Makes the store of a bucket.
        named: The bucket; empty for the list of all.
        timeout: Seconds that an answer may take.
    """
    try:
        store = make(named or _NOBODY)
        client = _client(store, timeout)
    except TradewindError as error:
        yield failed("settings", error)
        return
    parts = urlsplit(client.meta.endpoint_url)
    host, secure = parts.hostname or "", parts.scheme == "https"
    if _is_direct(client, parts.scheme, host):
        reached = reach(host, parts.port or (443 if secure else 80), timeout)
        yield reached
        if reached.status == "fail":
            return
        if secure:
            yield tls(host, parts.port or 443, timeout, _trusted(store))
    if not secure and not is_local(host):
        yield Check(
            "warn",
            "TLS",
            "none: who is in between can read and change the data",
            "Give an endpoint_url that begins with https://.",
        )
    if named:
        yield from _bucket(client, named)
    else:
        yield from _all_buckets(client)


def _client(store: S3Store, timeout: float) -> Any:
    from botocore.config import Config

    options = dict(store._client_options)
    quick = Config(
        connect_timeout=timeout,
        read_timeout=timeout,
        retries={"total_max_attempts": 1, "mode": "standard"},
    )
    options["config"] = options["config"].merge(quick) if options.get("config") else quick
    return connected(store.bucket, store._session, options, 1)


def _is_direct(client: Any, scheme: str, host: str) -> bool:
    if client.meta.config.proxies:
        return False
    return scheme not in getproxies() or bool(proxy_bypass(host))


def _trusted(store: S3Store) -> ssl.SSLContext:
    """Trust what botocore's client does."""
    import os

    from botocore.httpsession import get_cert_path

    verify = store._client_options.get("verify")
    if verify is None:
        verify = os.environ.get("AWS_CA_BUNDLE") or True
    if verify is not False:
        return ssl.create_default_context(cafile=get_cert_path(verify))
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _date(answer: Any) -> str | None:
    headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    return str(headers["date"]) if "date" in headers else None


def _asked(where: str, call: Callable[[], Any]) -> tuple[Any, Exception | None, list[Check]]:
    """Make the first request: its answer, its error, and what both tell of the clock."""
    from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

    try:
        answer = call()
    except (BotoCoreError, ClientError, HTTPClientError, OSError) as error:
        response = getattr(error, "response", None)
        return None, error, list(clock(_date(response or {}), most=_SKEW))
    return answer, None, list(clock(_date(answer), most=_SKEW))


def _bucket(client: Any, bucket: str) -> Iterator[Check]:
    where = f"s3://{bucket}"
    answer, error, clocks = _asked(where, lambda: client.list_objects_v2(Bucket=bucket, MaxKeys=1))
    code = "" if error is None else code_of(error)
    if error is None or code in _REFUSED:
        yield Check("ok", "credentials", "accepted" if error is None else "known to the server")
    yield from clocks
    if error is not None:
        what = "credentials"
        if code in _REFUSED:
            what = "permissions"
        elif code == "NoSuchBucket":
            what = "bucket"
        yield failed(what, told(error, where, "list the bucket"))
        return
    yield from _rights(client, bucket, [one["Key"] for one in answer.get("Contents", ())])


def _rights(client: Any, bucket: str, keys: list[str]) -> Iterator[Check]:
    from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

    has, lacking = ["s3:ListBucket"], []
    asked: list[tuple[str, Callable[[], Any]]] = [
        (
            "s3:ListBucketMultipartUploads",
            lambda: client.list_multipart_uploads(Bucket=bucket, MaxUploads=1),
        )
    ]
    if keys:
        asked.append(("s3:GetObject", lambda: client.head_object(Bucket=bucket, Key=keys[0])))
    for right, call in asked:
        try:
            call()
        except ClientError as error:
            if code_of(error) in _REFUSED:
                lacking.append(right)
        except (BotoCoreError, HTTPClientError, OSError) as error:
            yield failed("permissions", told(error, f"s3://{bucket}", "ask for permissions"))
            return
        else:
            has.append(right)
    said = f"{', '.join(has)}; writing was not tried"
    if lacking:
        # Some only read, some only write: which of the two is meant is not known here.
        meant = {"s3:GetObject": "to read", "s3:ListBucketMultipartUploads": "to write"}
        wanted = " and ".join(f"{right} ({meant[right]})" for right in lacking)
        yield Check(
            "warn",
            "permissions",
            f"{said}; lacking: {', '.join(lacking)}",
            f"Grant {wanted} on {bucket}, if that is what you want.",
        )
    else:
        yield Check("ok", "permissions", said)


def _all_buckets(client: Any) -> Iterator[Check]:
    answer, error, clocks = _asked("S3", lambda: client.list_buckets())
    if error is None:
        count = len(answer.get("Buckets", ()))
        yield Check("ok", "credentials", f"accepted; {count} buckets are listed")
    elif code_of(error) in _REFUSED:
        yield Check("ok", "credentials", "known to the server; not allowed to list all buckets")
    yield from clocks
    if error is not None and code_of(error) not in _REFUSED:
        yield failed("credentials", told(error, "S3", "list the buckets"))
        return
    yield Check(
        "warn",
        "permissions",
        "no bucket was named, so its permissions were not asked for",
        "Name one as --connection ID=BUCKET.",
    )
