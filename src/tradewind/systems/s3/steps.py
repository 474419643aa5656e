"""Whether an S3 server keeps keys with empty steps (``a//b``, ``/a``) as they are.

Amazon S3 does: a key is a text. Servers that keep objects as files (Versity's gateway) take it for
a path and drop such steps, so that another object is written, read and replaced. Nothing tells but
trying, so that is done once for each server, and only where a key has such a step.
"""

from __future__ import annotations

import threading
from typing import Any
from urllib.parse import urlsplit

from tradewind.errors import InputError, RetryError
from tradewind.systems.s3.errors import translated

__all__ = ["check_steps"]

_PROBE = ".tradewind-probe-steps"
"""The same for all, so that whoever asks next replaces what a killed process has left."""
_ATTEMPTS = 20
_lock = threading.Lock()
_known: dict[str, bool] = {}


def check_steps(client: Any, bucket: str, key: str, where: str) -> None:
    """Refuse a key with an empty step where the server makes another key of it.

    Args:
        client: Of S3.
        bucket: The bucket. Nothing is left in it.
        key: What is to be written.
        where: It in words.

    Raises:
        InputError: The object would stand under another key.
        RetryError: The server cannot be asked, or others ask it at the same time.
    """
    *folders, _ = key.split("/")
    if "" not in folders:
        return
    endpoint = str(client.meta.endpoint_url)
    host = urlsplit(endpoint).hostname or ""
    if host.endswith((".amazonaws.com", ".amazonaws.com.cn")):
        return
    with _lock:
        if endpoint not in _known:
            with translated(where, "find out how the server keeps such a key"):
                _known[endpoint] = _kept(client, bucket, "/".join([*folders, _PROBE]), where)
        kept = _known[endpoint]
    if not kept:
        raise InputError(
            f"{where}: the key has an empty step (// or a / at its beginning), and this server "
            "keeps what is written there under a key without it, which may be another object. "
            "Write the key without it."
        )


def _kept(client: Any, bucket: str, probe: str, where: str) -> bool:
    other = "/".join(filter(None, probe.split("/")))
    for _ in range(_ATTEMPTS):
        client.put_object(Bucket=bucket, Key=probe, Body=b"")
        found = [_listed(client, bucket, key) for key in (probe, other)]
        client.delete_object(Bucket=bucket, Key=probe)
        # Another process that asks may have removed it meanwhile.
        if any(found):
            return found[0]
    raise RetryError(f"{where}: the server lists no object of such a key. Try again.")


def _listed(client: Any, bucket: str, key: str) -> bool:
    answer = client.list_objects_v2(Bucket=bucket, Prefix=key, MaxKeys=1)
    return any(entry["Key"] == key for entry in answer.get("Contents", ()))
