"""Free the space of parts whose object is no longer made of them.

Swift keeps the parts of a multipart upload to ``BUCKET`` as objects of a container of its own,
``BUCKET+segments``, named ``KEY/UPLOAD/NUMBER``, beside a marker ``KEY/UPLOAD`` until the upload is
completed or aborted. It removes them with the object, but not when another object takes its place
(`swift.common.middleware.s3api.controllers.multi_upload`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # Swift brings eventlet, which is not for a process that has its own event loop.
    from swift.common.internal_client import InternalClient

__all__ = ["orphaned", "sweep"]

_SUFFIX = "+segments"
_UPLOAD_ID = "x-object-sysmeta-s3api-upload-id"


def orphaned(names: Iterable[str], upload_of: dict[str, str]) -> list[str]:
    """Choose the parts that no object is made of and no upload is going to need.

    Args:
        names: All there is in a container of parts.
        upload_of: The upload that made each key's object, for keys whose object was uploaded so.

    Returns:
        Names of parts, out of `names`.
    """
    there = set(names)
    result = []
    for name in sorted(there):
        upload_name, _, number = name.rpartition("/")
        key, _, upload = upload_name.rpartition("/")
        is_part = number.isdigit() and bool(key)
        if is_part and upload_name not in there and upload_of.get(key) != upload:
            result.append(name)
    return result


def sweep(client: InternalClient, account: str) -> int:
    """Remove all orphaned parts. No object may be read or written meanwhile.

    Args:
        client: Swift's client from within.
        account: The account to look through.

    Returns:
        How many parts were removed.
    """
    removed = 0
    for container in [item["name"] for item in client.iter_containers(account)]:
        if not container.endswith(_SUFFIX):
            continue
        names = [item["name"] for item in client.iter_objects(account, container)]
        keys = {name.rsplit("/", 2)[0] for name in orphaned(names, {})}
        bucket = container.removesuffix(_SUFFIX)
        upload_of = {}
        for key in keys:
            about = client.get_object_metadata(
                account, bucket, key, acceptable_statuses=(2, 404), params={}
            )
            upload_of[key] = about.get(_UPLOAD_ID, "")
        for name in orphaned(names, upload_of):
            client.delete_object(account, container, name)
            removed += 1
    return removed
