"""Serves the page: one file with everything in it, allowed to run nothing but what is in it."""

from __future__ import annotations

import base64
import functools
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

__all__ = ["page_response"]

FILE = Path(__file__).with_name("page.html")


@dataclass(frozen=True)
class _Page:
    content: bytes
    etag: str
    policy: str


@functools.cache
def _page() -> _Page:
    """The page and its content security policy (https://www.w3.org/TR/CSP3/).

    The policy names the page's own style and script by their hashes, so that nothing that might be
    smuggled into it would run, and lets it speak to this server only.
    """
    content = FILE.read_bytes()
    text = content.decode()
    policy = [
        "default-src 'none'",
        f"script-src {_hashes(text, 'script')}",
        f"style-src {_hashes(text, 'style')}",
        "img-src data: blob:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]
    digest = hashlib.sha256(content).hexdigest()[:32]
    return _Page(content, f'"{digest}"', "; ".join(policy))


def _hashes(text: str, tag: str) -> str:
    bodies = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
    digests = (hashlib.sha256(body.encode()).digest() for body in bodies)
    return " ".join(f"'sha256-{base64.b64encode(one).decode()}'" for one in digests)


async def page_response(request: Request) -> Response:
    """Answers the page; 304 when the browser has it already."""
    page = _page()
    headers = {
        "ETag": page.etag,
        "Cache-Control": "no-cache",
        "Content-Security-Policy": page.policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
    }
    # A compressing middleware or proxy may have made the tag a weak one.
    known = {
        tag.strip().removeprefix("W/")
        for tag in request.headers.get("if-none-match", "").split(",")
    }
    if page.etag in known:
        return Response(status_code=304, headers=headers)
    return Response(page.content, media_type="text/html", headers=headers)
