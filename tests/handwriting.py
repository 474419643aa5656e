"""Pictures of digits in all the forms in which people send them."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from chromium import STROKES, points


def drawn(digit: int, *, side: int = 280, pen: float = 0.09) -> np.ndarray:
    """Ink of shape (side, side) in [0, 1]: a digit drawn with a round pen, as wide as that part."""
    fine = side * 2
    sheet = Image.new("L", (fine, fine))
    brush = ImageDraw.Draw(sheet)
    for stroke in STROKES[digit]:
        line = [(x * fine, y * fine) for x, y in points(stroke, spacing=0.01)]
        width = pen * fine
        brush.line(line, fill=255, width=round(width))
        for x, y in line:
            half = width / 2
            brush.ellipse([x - half, y - half, x + half, y + half], fill=255)
    return np.asarray(sheet.resize((side, side), Image.Resampling.BOX), np.float32) / 255


def encoded(picture: Any, form: str = "PNG", **options: Any) -> bytes:
    """A picture, or greys in [0, 1] of shape (h, w) or (h, w, channels), as a file."""
    if isinstance(picture, np.ndarray):
        picture = Image.fromarray((picture.clip(0, 1) * 255).round().astype(np.uint8))
    file = io.BytesIO()
    picture.save(file, form, **options)
    return file.getvalue()


def paper(digit: int, **options: Any) -> bytes:
    """A PNG of a digit in black on white."""
    return encoded(1 - drawn(digit, **options))
