"""Model artefacts on this machine: fetched from S3 once, kept while they serve."""

from __future__ import annotations

import asyncio
import os
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from sagemaker_local.errors import SageMakerLocalError
from sagemaker_local.hosting.servers import LoadError
from sagemaker_local.objects import Objects, S3Uri

if TYPE_CHECKING:
    from sagemaker_local.context import Context

__all__ = ["fetch"]


async def fetch(context: Context, url: str, path: Path) -> Path:
    """Bring a model artefact to this machine, unless it is there already.

    A kept copy serves on when the object in S3 is gone, as an instance on AWS does.

    Args:
        context: What the parts of the service share.
        url: The artefact, `s3://bucket/key`.
        path: Where it is kept.

    Returns:
        The path.

    Raises:
        LoadError: There is no such object, or S3 cannot be reached; in AWS's words.
    """
    if not path.exists():
        settings = context.settings
        objects = Objects(endpoint=settings.s3_endpoint, region=settings.region)
        await asyncio.to_thread(_download, objects, url, path)
    return path


def _download(objects: Objects, url: str, path: Path) -> None:
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            for chunk in objects.stream(S3Uri.parse(url)):
                file.write(chunk)
        os.replace(partial, path)
    except (SageMakerLocalError, OSError) as error:
        raise LoadError(
            f'Failed to download model data from URL: "{url}". Please ensure that there is an '
            "object located at the URL and that the role passed to CreateModel has permissions "
            f"to download the object. ({error})"
        ) from error
    finally:
        partial.unlink(missing_ok=True)
