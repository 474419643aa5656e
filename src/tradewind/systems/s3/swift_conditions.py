"""Conditional writes for Swift's S3 API: ``If-Match`` and ``If-None-Match: *``, as S3 has them.

Swift's s3api refuses ``If-Match`` on a write, and looks for ``If-None-Match: *`` before it has the
body. S3 knows both for PutObject and CompleteMultipartUpload
(https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html). All of this Swift
is one process with one event loop, so a lock for each object makes looking and writing one step: of
two writers under the same condition, one is refused.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Callable
from typing import Any
from weakref import WeakValueDictionary

from eventlet.semaphore import Semaphore
from swift.common.middleware.s3api.controllers.multi_upload import UploadController
from swift.common.middleware.s3api.controllers.obj import ObjectController
from swift.common.middleware.s3api.exception import S3InputError
from swift.common.middleware.s3api.s3request import S3Request
from swift.common.middleware.s3api.s3response import NoSuchKey, PreconditionFailed

__all__ = ["add_conditions"]

_MATCH, _NONE_MATCH = "HTTP_IF_MATCH", "HTTP_IF_NONE_MATCH"
_PIECE = 1 << 20

_locks: WeakValueDictionary[tuple[str, str], Any] = WeakValueDictionary()


class _Body:
    """A body that was read already; what was wrong with it is raised where Swift expects that."""

    def __init__(self, data: bytes, error: BaseException | None) -> None:
        self._data = io.BytesIO(data)
        self._error = error

    def read(self, size: int = -1) -> bytes:
        """Give the next bytes."""
        data = self._data.read(size)
        if not data and self._error is not None:
            raise self._error
        return data

    def readline(self, size: int = -1) -> bytes:
        """Give the next line."""
        return self._data.readline(size)

    def close(self) -> None:
        """Let go of it."""


def add_conditions() -> None:
    """Let s3api take conditions on writes."""
    plain = S3Request._validate_headers

    @functools.wraps(plain)
    def validate(self: Any) -> None:
        match = self.environ.pop(_MATCH, None) if self.method == "PUT" else None
        try:
            plain(self)
        finally:
            if match is not None:
                # The signature is over it.
                self.environ[_MATCH] = match

    S3Request._validate_headers = validate
    ObjectController.PUT = _conditional(ObjectController.PUT)
    UploadController.POST = _conditional(UploadController.POST)


def _conditional(write: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(write)
    def conditional(self: Any, req: Any) -> Any:
        match, only_new = req.environ.pop(_MATCH, None), req.environ.get(_NONE_MATCH) == "*"
        if match is None and not only_new:
            return write(self, req)
        if only_new:
            del req.environ[_NONE_MATCH]
        # Before the lock is taken: a client may stop in the middle of its body.
        req.environ["wsgi.input"] = _read(req.environ["wsgi.input"])
        name = (req.container_name, req.object_name)
        lock = _locks.get(name)
        if lock is None:
            lock = _locks[name] = Semaphore(1)
        with lock:
            etag = _etag(self, req)
            if only_new and etag is not None:
                raise PreconditionFailed()
            if match is not None and etag is None:
                raise NoSuchKey(req.object_name)
            if match not in (None, "*") and etag not in _etags(match):
                raise PreconditionFailed()
            return write(self, req)

    return conditional


def _read(body: Any) -> _Body:
    data = bytearray()
    try:
        while piece := body.read(_PIECE):
            data += piece
    except S3InputError as error:
        return _Body(bytes(data), error)
    return _Body(bytes(data), None)


def _etag(controller: Any, req: Any) -> str | None:
    """Look up what stands there."""
    try:
        found = req.get_response(
            controller.app, "HEAD", req.container_name, req.object_name, query={}
        )
    except NoSuchKey:
        return None
    return str(found.etag)


def _etags(match: str) -> list[str]:
    return [one.strip().strip('"') for one in match.split(",")]
