"""Pages of the AWS console: https://docs.aws.amazon.com/general/latest/gr/console-service.html."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

__all__ = ["console_page"]

#: The console's and the services' domains, by what boto3 calls the partition.
_DOMAINS = {
    "aws": ("console.aws.amazon.com", "amazonaws.com"),
    "aws-cn": ("console.amazonaws.cn", "amazonaws.com.cn"),
    "aws-us-gov": ("console.amazonaws-us-gov.com", "amazonaws.com"),
}


def console_page(meta: Any, path: str) -> str | None:
    """Name a page of the console.

    Args:
        meta: ``client.meta`` of a boto3 client: region, partition, and which server it speaks to.
        path: Of the page, with what follows ``#`` where it has that.

    Returns:
        Its address; None where the server is not AWS.
    """
    console, services = _DOMAINS.get(meta.partition, ("", ""))
    host = urlsplit(meta.endpoint_url).hostname or ""
    if not console or not host.endswith(f".{services}"):
        return None
    page, hash_sign, fragment = path.partition("#")
    mark = "&" if "?" in page else "?"
    return f"https://{console}/{page}{mark}region={meta.region_name}{hash_sign}{fragment}"
