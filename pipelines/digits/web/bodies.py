"""Reads what a request sends, a picture or pixels, and no more of it than is allowed."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from digits.prepare import PIXELS, SIDE, BlankPictureError
from digits.web import problems
from digits.web.pictures import PictureTooLargeError, read_ink
from tradewind.errors import InputError

__all__ = ["MAX_ARRAY", "Body", "read_body", "read_pixels"]

MAX_ARRAY = 1024 * 1024
"""Most pixels of a JSON array."""

MAGIC = {b"\x89PNG\r\n\x1a\n": "PNG", b"\xff\xd8\xff": "JPEG"}

# Types that say nothing of the content, or are what clients send when they are not told:
# then its first bytes decide.
SNIFFED = ("", "application/octet-stream", "application/x-www-form-urlencoded")


class Body:
    """A request's body and what it is.

    Args:
        content: The bytes.
        content_type: The media type without its parameters, in lower case, "" when not given.
    """

    def __init__(self, content: bytes, content_type: str) -> None:
        self.content = content
        self.content_type = content_type

    def ink(self, *, max_pixels: int) -> NDArray[np.float32]:
        """Decodes the body. Blocks: call it in a thread.

        Args:
            max_pixels: Most pixels of a picture.

        Returns:
            Ink of shape (h, w), 0 the background.

        Raises:
            Problem: It is not a picture or array of pixels, it is blank, damaged or too large.
        """
        if not self.content:
            raise problems.not_json("The request has no body: send a JPEG, a PNG or a JSON array.")
        kind = self.content_type
        picture = any(self.content.startswith(magic) for magic in MAGIC)
        if kind == "application/json" or kind.endswith("+json"):
            return read_pixels(self.content)
        if picture and (kind in SNIFFED or kind.startswith("image/")):
            return _read_picture(self.content, max_pixels)
        if kind in SNIFFED and self.content.lstrip()[:1] == b"[":
            return read_pixels(self.content)
        if kind in SNIFFED or kind.startswith("image/"):
            raise problems.unsupported("This is neither a JPEG nor a PNG: send one of the two.")
        raise problems.unsupported(
            f"A body of the type {kind[:80]!r} is not understood: send image/jpeg, image/png, a "
            "form with such a file, or application/json."
        )


def _read_picture(content: bytes, max_pixels: int) -> NDArray[np.float32]:
    try:
        return read_ink(content, max_pixels=max_pixels)
    except BlankPictureError:
        raise problems.blank() from None
    except PictureTooLargeError as error:
        raise problems.too_large(str(error)) from None
    except InputError as error:
        raise problems.unreadable(str(error)) from None


async def read_body(request: Request, *, max_bytes: int) -> Body:
    """Reads a request's body, stopping as soon as it is larger than allowed.

    Args:
        request: Any request; of a form (multipart/form-data) the first file is taken.
        max_bytes: Most bytes of the whole body.

    Raises:
        Problem: It is too large, or a form without a file.
    """
    limit = problems.too_large(
        f"The request has more than {max_bytes:,} bytes: send a smaller picture."
    )
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > max_bytes:
        raise limit
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > max_bytes:
            raise limit
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        return await _file_of_form(request, bytes(content))
    return Body(bytes(content), kind)


async def _file_of_form(request: Request, content: bytes) -> Body:
    async def stream() -> AsyncGenerator[bytes, None]:
        yield content

    try:
        form = await MultiPartParser(request.headers, stream(), max_files=1, max_fields=10).parse()
    except (MultiPartException, KeyError, UnicodeDecodeError) as error:
        raise problems.unreadable("The form is damaged, or holds more than one file.") from error
    try:
        for value in form.values():
            if not isinstance(value, str):
                kind = (value.content_type or "").partition(";")[0].strip().lower()
                return Body(await value.read(), kind)
    finally:
        await form.close()
    raise problems.unsupported("The form holds no file: send one, a JPEG or a PNG.")


def read_pixels(content: bytes) -> NDArray[np.float32]:
    """Reads a JSON array of pixels.

    Args:
        content: Rows of equal length, ``[[0, 12, ...], ...]``, of any size, or 784 numbers, row by
            row, of a picture of 28x28. 0 is the background and the largest number the darkest ink.
            When a number is above 1 the scale is 0 to 255, otherwise it is 0 to 1.

    Returns:
        Ink of shape (h, w) in [0, 1].

    Raises:
        Problem: It is not that.
    """
    try:
        value = json.loads(content, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        # Also bytes that are not UTF-8, and numbers of thousands of digits.
        raise problems.not_json(
            "The body is not JSON: send an array of numbers, without NaN or Infinity."
        ) from None
    if not isinstance(value, list) or not value:
        raise problems.not_json("The JSON must be an array of pixels, not empty.")
    rows: list[Any] = value
    if not isinstance(value[0], list):
        if len(value) != PIXELS:
            raise problems.not_json(
                f"A flat array must have {PIXELS} numbers ({SIDE} x {SIDE}), this one has "
                f"{len(value)}: send other sizes as an array of rows."
            )
        rows = [value[start : start + SIDE] for start in range(0, PIXELS, SIDE)]
    if not all(isinstance(row, list) and row and len(row) == len(rows[0]) for row in rows):
        raise problems.not_json("All rows must be arrays of the same length, not empty.")
    if len(rows) * len(rows[0]) > MAX_ARRAY:
        raise problems.too_large(f"An array may have {MAX_ARRAY:,} pixels: send a picture instead.")
    if not all(type(pixel) in (int, float) for row in rows for pixel in row):
        raise problems.not_json("Every pixel must be a number.")
    low = min(min(row) for row in rows)
    high = max(max(row) for row in rows)
    if low < 0 or high > 255:
        raise problems.not_json("Every pixel must be between 0 and 255, or between 0 and 1.")
    ink = np.array(rows, np.float32)
    return ink / np.float32(255) if high > 1 else ink


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)
