"""Whether an S3 server keeps conditions on what is written (``If-Match``).

Amazon S3 has them since 2024. Of other servers some answer that they do not have them (501), and
some take such a request as one without, which nothing tells but trying: so a write whose condition
cannot hold is sent once for each server, for a put and for the completion of an upload in parts,
under a name that readers pass over.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tradewind.redaction import shown_host
from tradewind.systems.s3.errors import code_of
from tradewind.systems.s3.records import probe_prefix

if TYPE_CHECKING:
    from tradewind.systems.s3.bucket import Bucket

__all__ = ["keeps_conditions"]

_log = logging.getLogger(__name__)
_lock = threading.Lock()
_known: dict[str, bool] = {}
_REFUSED = ("PreconditionFailed", "412", "NoSuchKey", "404", "ConditionalRequestConflict", "409")


def keeps_conditions(store: Bucket, key: str, owner: str = "") -> bool:
    """Find out whether the server refuses what is written under a condition that does not hold.

    Args:
        store: The bucket. Nothing is left in it. What an attempt leaves that is killed meanwhile,
            the owner's next one removes when it asks.
        key: An object that is to be written.
        owner: The digest of whose it is to be.

    Returns:
        Whether it does; known for Amazon S3, asked once in each process for any other server.
    """
    endpoint = str(store.client.meta.endpoint_url)
    host = urlsplit(endpoint).hostname or ""
    if host.endswith((".amazonaws.com", ".amazonaws.com.cn")):
        return True
    with _lock:
        if endpoint not in _known:
            _known[endpoint] = _asked(store, key, owner)
            if not _known[endpoint]:
                _log.warning(
                    "The S3 server %s does not keep conditions on writes. Uploads are begun before "
                    "anything is read, so that a retry can abort them; of two writers that are no "
                    "attempts of one task run the later wins where both write within one request.",
                    shown_host(endpoint),
                )
        return _known[endpoint]


def _asked(store: Bucket, key: str, owner: str) -> bool:
    folder, slash, _ = key.rpartition("/")
    name = probe_prefix(owner)
    if owner:
        for left in store.unfinished(f"{folder}{slash}{name}"):
            store.discard(left)
    where = {"Bucket": store.bucket, "Key": f"{folder}{slash}{name}{secrets.token_hex(8)}"}
    condition = {"IfMatch": '"tradewind-none"'}
    client = store.client

    def put() -> None:
        client.put_object(**where, Body=b"", **condition)

    doubtful = False

    def complete() -> None:
        nonlocal doubtful
        # An answer may be lost, by a restart of the server: then botocore begins another upload.
        doubtful = True
        begun = client.create_multipart_upload(**where)
        doubtful = bool(begun["ResponseMetadata"].get("RetryAttempts"))
        upload = begun["UploadId"]
        try:
            part = client.upload_part(**where, UploadId=upload, PartNumber=1, Body=b"x")
            parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
            client.complete_multipart_upload(
                **where, UploadId=upload, MultipartUpload=parts, **condition
            )
        except BaseException:
            try:
                client.abort_multipart_upload(**where, UploadId=upload)
            except Exception:
                doubtful = True
            raise

    kept = all(_refused(store, where, write) for write in (put, complete))
    if doubtful:
        for left in store.unfinished(where["Key"]):
            store.discard(left)
    if owner and not kept:
        # Here a probe becomes an object, and an attempt may have been killed before it removed it.
        store.delete([found.key for found in store.list(f"{folder}{slash}{name}")])
    return kept


def _refused(store: Bucket, where: dict[str, str], write: Any) -> bool:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        write()
    except ClientError as error:
        # Also where the probe may not be written: then nothing is known, and nothing relied upon.
        return code_of(error) in _REFUSED
    except BotoCoreError:
        return False
    with contextlib.suppress(ClientError, BotoCoreError):
        store.client.delete_object(**where)
    return False
