"""Prepares pictures of digits the way MNIST was made, for training and for serving alike.

A model recognises only what looks like the pictures it was trained on, so both sides call this one
module. What MNIST did (Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits"):
a digit was scaled, keeping its aspect ratio, to fit a box of 20x20 pixels, antialiased, and the box
was placed into a field of 28x28 so that the centre of mass of its pixels is the field's centre.

Measured on the database itself: the longer side of a digit is 20 pixels (rarely 19), the centre of
mass lies within half a pixel of pixel (14, 14) counted from 0, so digits were moved by whole
pixels, and the brightest pixel is 254 or 255 of 255. That is what this module reproduces; a picture
which already is in that form comes back unchanged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from tradewind.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

__all__ = ["BOX", "CENTRE", "PIXELS", "SIDE", "BlankPictureError", "prepare", "prepare_batch"]

SIDE = 28
"""Side of the prepared field, in pixels."""
BOX = 20
"""Longer side of a prepared digit, in pixels."""
CENTRE = 14
"""Row and column, from 0, at which the centre of mass is put."""
PIXELS = SIDE * SIDE
"""Numbers in a prepared picture."""

LEVELS = 255  # grey levels of an MNIST pixel


class BlankPictureError(InputError):
    """There is no ink in the picture, so there is nothing to recognise."""


def prepare(image: Any) -> NDArray[np.float32]:
    """Prepares one picture of a digit as MNIST was.

    Args:
        image: Ink of shape (h, w), any size, 0 the background and larger numbers more ink. The unit
            is free (0..1, 0..16, 0..255): the darkest ink becomes 1.

    Returns:
        float32 of shape (784,), row by row, in [0, 1] in steps of 1/255, background 0.

    Raises:
        BlankPictureError: No number is above 0.
        InputError: The shape is not (h, w), or a number is negative, infinite or not a number.
    """
    ink = _checked(image)
    if ink.ndim != 2 or not ink.size:
        raise InputError(
            f"A picture must have the shape (height, width), this one has {ink.shape}: "
            "pass one picture's ink as a two-dimensional array (prepare_batch takes several)."
        )
    return _prepare(ink)


def prepare_batch(images: Any) -> NDArray[np.float32]:
    """Prepares several pictures of digits as MNIST was.

    Args:
        images: Ink of shape (n, h, w), or an iterable of (h, w) arrays of any sizes; see `prepare`.

    Returns:
        float32 of shape (n, 784).

    Raises:
        BlankPictureError: A picture, which the message names, has no ink.
        InputError: As for `prepare`.
    """
    pictures: Iterable[Any] = images
    if isinstance(images, np.ndarray):
        if images.ndim != 3:
            raise InputError(
                f"Pictures must have the shape (n, height, width), these have {images.shape}: "
                "reshape them first, for example .reshape(-1, 8, 8)."
            )
        pictures = _checked(images)
    rows = []
    for index, picture in enumerate(pictures):
        try:
            rows.append(prepare(picture))
        except InputError as error:
            raise type(error)(f"Picture {index} (counted from 0): {error}") from None
    return np.stack(rows) if rows else np.empty((0, PIXELS), np.float32)


def _checked(image: Any) -> NDArray[np.float32]:
    """Takes numbers in any numeric type as float32, and nothing that is not a plain number."""
    array = np.asarray(image)
    if array.dtype.kind not in "buif":
        raise InputError(
            f"Pixels must be numbers, these are of numpy type {array.dtype}: "
            "pass integers or floating point numbers."
        )
    if array.size:
        low, high = array.min(), array.max()
        # NaN is passed on by min and max, so these two comparisons see it as well.
        if not (low >= 0 and high <= np.finfo(np.float32).max):
            raise InputError(
                f"Pixels must be finite and at least 0, these range from {low} to {high}: "
                "0 is the background, larger is more ink."
            )
    return array.astype(np.float32, copy=False)


def _prepare(ink: NDArray[np.float32]) -> NDArray[np.float32]:
    top = float(ink.max())
    if top <= 0:
        raise BlankPictureError("The picture is blank: draw a digit in it.")
    ink = ink / np.float32(top)
    # Less than half a grey level is no ink: it would widen the box and vanish when rounded.
    mask = ink > 0.5 / LEVELS
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    box = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    height, width = box.shape
    longer = max(height, width)
    # 19 happens in MNIST, where rounding lost a faint edge: such a digit is not scaled again.
    if longer not in (BOX - 1, BOX):
        size = (max(1, round(width * BOX / longer)), max(1, round(height * BOX / longer)))
        box = _scaled(box, size)
        box /= box.max()
    return _placed(np.round(box * LEVELS) / np.float32(LEVELS))


def _scaled(box: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """Scales to (width, height); Pillow widens the filter when it shrinks: antialiasing."""
    picture = Image.fromarray(np.ascontiguousarray(box))
    scaled = np.asarray(picture.resize(size, Image.Resampling.BICUBIC), np.float32)
    return np.clip(scaled, 0.0, 1.0)


def _placed(box: NDArray[np.float32]) -> NDArray[np.float32]:
    """Moves the box by whole pixels until its centre of mass is nearest the field's centre."""
    field = np.zeros((SIDE, SIDE), np.float32)
    mass = box.sum(dtype=np.float64)
    origin = []
    for axis, length in enumerate(box.shape):
        weights = box.sum(axis=1 - axis, dtype=np.float64)
        middle = float(weights @ np.arange(length)) / mass
        # A very lopsided digit (a long tail) must not leave the field.
        origin.append(min(max(round(CENTRE - middle), 0), SIDE - length))
    row, column = origin
    field[row : row + box.shape[0], column : column + box.shape[1]] = box
    return field.reshape(PIXELS)
