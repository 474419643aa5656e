"""Model artefacts on this machine: fetched from S3 once, kept while they serve."""

from __future__ import annotations

import asyncio
import os
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from obstore.store import S3Store

from tradewind.local.sagemaker.hosting.servers import LoadError

if TYPE_CHECKING:
    from tradewind.local.sagemaker.service import Service

__all__ = ["fetch"]


async def fetch(service: Service, url: str, path: Path) -> Path:
    """Bring a model artefact to this machine, unless it is there already.

    A kept copy serves on when the object in S3 is gone, as an instance on AWS does.

    Args:
        service: The service.
        url: The artefact, `s3://bucket/key`.
        path: Where it is kept.

    Returns:
        The path.

    Raises:
        LoadError: There is no such object, or S3 cannot be reached; in AWS's words.
    """
    if not path.exists():
        await asyncio.to_thread(_download, service.settings.s3_endpoint, url, path)
    return path


def _download(endpoint: str, url: str, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        bucket, _, key = url.removeprefix("s3://").partition("/")
        store = S3Store(
            bucket,
            endpoint=endpoint,
            virtual_hosted_style_request=False,
            client_options={"allow_http": True},
        )
        with partial.open("wb") as file:
            for chunk in store.get(key).stream():
                file.write(chunk)
        os.replace(partial, path)
    except Exception as error:
        raise LoadError(
            f'Failed to download model data from URL: "{url}". Please ensure that there is an '
            "object located at the URL and that the role passed to CreateModel has permissions "
            f"to download the object. ({error})"
        ) from error
    finally:
        partial.unlink(missing_ok=True)
