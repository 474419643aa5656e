"""Finds the ink in a picture: a drawing, a scan or a photograph, of any size and on any ground.

The steps, and why each is needed:

1. decode, guarded: the header is judged before a pixel is decoded;
2. lay transparent pictures on a ground that shows them (black strokes on white, white on black);
3. model the background of each colour channel as a smooth surface, so that a shadow across the
   paper or coloured paper is no ink;
4. see whether the ink is darker or lighter than that background, and stretch its contrast;
5. thicken hairlines: a ballpoint on a whole sheet is thinner than MNIST's pens were;
6. drop specks of dust and the sheet's edges.

The result is ink on a background of 0, which `digits.prepare.prepare` brings into MNIST's form.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from scipy import ndimage

from digits.prepare import BOX, BlankPictureError
from tradewind.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["FORMATS", "MAX_PIXELS", "PictureTooLargeError", "decode", "find_ink", "read_ink"]

FORMATS = ("PNG", "JPEG")
MAX_PIXELS = 50_000_000
"""Most pixels a picture may have: what a telephone's camera of 50 megapixels takes."""

WORKING_SIDE = 256  # pixels: a digit filling a tenth of the picture still has 25
SURFACE_SIDE = 48  # pixels: enough for a surface with six parameters
MIN_CONTRAST = 0.08  # of full scale: fainter than this is paper, not pencil
HAIRLINE = 2.5  # pixels in the box of 20: MNIST's strokes are two to four wide


class PictureTooLargeError(InputError):
    """The picture has more pixels than are decoded here."""


def read_ink(body: bytes, *, max_pixels: int = MAX_PIXELS) -> NDArray[np.float32]:
    """Reads a JPEG or PNG file and finds its ink.

    Args:
        body: The file.
        max_pixels: Refuse larger pictures before anything is decoded.

    Returns:
        Ink of shape (h, w) in [0, 1], at most 256 pixels a side, 0 where there is none.

    Raises:
        InputError: This is no JPEG or PNG, or it is damaged.
        PictureTooLargeError: It has more than `max_pixels`.
        BlankPictureError: Nothing is drawn in it.
    """
    return find_ink(decode(body, max_pixels=max_pixels))


def decode(body: bytes, *, max_pixels: int = MAX_PIXELS) -> NDArray[np.float32]:
    """Decodes a JPEG or PNG file at working size.

    Args:
        body: The file.
        max_pixels: Refuse larger pictures before anything is decoded.

    Returns:
        Colours of shape (h, w, 3), or (h, w, 1) when all is grey, in [0, 1], transparency
        resolved, turned as EXIF says, at most 256 pixels a side.

    Raises:
        InputError: This is no JPEG or PNG, or it is damaged.
        PictureTooLargeError: It has more than `max_pixels`.
    """
    try:
        with Image.open(io.BytesIO(body), formats=FORMATS) as image:
            if image.width * image.height > max_pixels:
                raise _too_large(f"{image.width} x {image.height}", max_pixels)
            # JPEG only: the decoder itself halves the picture while it is larger than needed.
            image.draft("RGB", (WORKING_SIDE, WORKING_SIDE))
            image.load()
            turned = ImageOps.exif_transpose(image)
            return _on_ground(_small(turned))
    except UnidentifiedImageError as error:
        raise InputError("The picture is neither JPEG nor PNG: send one of the two.") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_large("far more than it", max_pixels) from error
    except (OSError, SyntaxError, ValueError, EOFError, IndexError) as error:
        # All of these Pillow raises for damaged files, depending on where the damage is.
        raise InputError(
            "The picture is damaged and cannot be decoded: send it again, or save it anew."
        ) from error


def _too_large(size: str, max_pixels: int) -> PictureTooLargeError:
    return PictureTooLargeError(
        f"The picture has {size} pixels; at most {max_pixels:,} are decoded here: scale it down."
    )


def _small(image: Image.Image) -> Image.Image:
    """Brings a picture to a plain mode and to working size."""
    if image.mode.startswith(("I", "F")):
        # 16 bits of grey, which Pillow's own conversion would clip at 255.
        grey = np.asarray(image, np.float32)
        image = Image.fromarray((grey / 65535.0 * 255.0).clip(0, 255).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        if image.getchannel("A").getextrema() == (255, 255):
            image = image.convert("RGB")
    elif image.mode not in ("L", "RGB"):
        image = image.convert("RGB")
    if max(image.size) > WORKING_SIDE:
        image.thumbnail((WORKING_SIDE, WORKING_SIDE), Image.Resampling.BOX, reducing_gap=None)
    return image


def _on_ground(image: Image.Image) -> NDArray[np.float32]:
    pixels = np.asarray(image, np.float32) / np.float32(255)
    if pixels.ndim == 2:
        return pixels[:, :, None]
    if pixels.shape[2] == 3:
        # Many a grey picture comes in colours: a third of the work then.
        grey = (np.ptp(pixels, axis=2) == 0).all()
        return pixels[:, :, :1] if grey else pixels
    colours, alpha = pixels[:, :, :3], pixels[:, :, 3:]
    seen = colours[alpha[:, :, 0] > 0.5]
    if not len(seen):
        return np.ones_like(colours)
    luminance = (seen * np.array([0.299, 0.587, 0.114], np.float32)).sum(axis=1)
    low, high = np.percentile(luminance, [2, 98])
    if high - low > 0.35:
        # The opaque part has paper and ink of its own: continue its paper.
        ground = np.median(seen, axis=0)
    else:
        ground = np.full(3, 0.0 if luminance.mean() > 0.5 else 1.0)
    return np.asarray(colours * alpha + ground * (1 - alpha), np.float32)


def find_ink(colours: NDArray[np.float32]) -> NDArray[np.float32]:
    """Finds what is drawn, dark on light or light on dark.

    Args:
        colours: Shape (h, w, channels) in [0, 1].

    Returns:
        Ink of shape (h, w) in [0, 1], exactly 0 where there is none.

    Raises:
        BlankPictureError: Nothing stands out from the background.
    """
    difference, noise = _difference(colours)
    # A robust maximum: a handful of stray pixels must not set the scale.
    stray = min(difference.size - 1, max(4, difference.size // 2000))
    levels = np.bincount((difference.ravel() * 255).astype(np.intp), minlength=256)
    top = float(np.flatnonzero(levels[::-1].cumsum()[::-1] > stray)[-1]) / 255
    if top < max(MIN_CONTRAST, 5 * noise):
        raise BlankPictureError("The picture is blank: nothing in it stands out from its ground.")
    low, high = max(4 * noise, 0.15 * top), 0.85 * top
    ink = ((difference - low) / (high - low)).clip(0, 1)
    ink = _without_specks(ink)
    return _thickened(ink)


def _difference(colours: NDArray[np.float32]) -> tuple[NDArray[np.float32], float]:
    """How much each pixel differs from the background in the ink's direction, and the noise."""
    height, width, channels = colours.shape
    step = max(1, max(height, width) // SURFACE_SIDE)
    sample = colours[::step, ::step]
    rows, columns = np.meshgrid(
        np.linspace(-1, 1, sample.shape[0]), np.linspace(-1, 1, sample.shape[1]), indexing="ij"
    )
    terms = _terms(rows, columns).reshape(-1, 6)
    values = sample.reshape(-1, channels).astype(np.float64)
    edge = (np.maximum(np.abs(rows), np.abs(columns)) > 0.85).ravel()

    # Begin with the level of the rim, where a digit seldom is, and let the surface grow inwards
    # over all that is near it; ink is far from it and stays out.
    level = np.median(values[edge], axis=0)
    residual = values - level
    spread = 1.4826 * float(np.median(np.abs(residual[edge])))
    weights = np.zeros((6, channels))
    weights[0] = level
    for degree_terms in (3, 6, 6, 6):
        near = (np.abs(residual) < min(max(4 * spread, 0.08), 0.2)).all(axis=1)
        if near.sum() < max(12, 0.2 * len(values)):
            break
        weights = np.zeros((6, channels))
        weights[:degree_terms] = _fitted(terms[near, :degree_terms], values[near])
        residual = values - np.einsum("nt,tc->nc", terms, weights)
        spread = 1.4826 * float(np.median(np.abs(residual[near])))

    down, across = np.linspace(-1, 1, height)[:, None, None], np.linspace(-1, 1, width)[:, None]
    one, row, column, both, row2, column2 = weights
    surface = one + row * down + row2 * down**2 + (column * across + column2 * across**2)
    surface = (surface + both * (down * across)).clip(0, 1).astype(np.float32)
    signed = colours - surface
    # The third power lets the far pixels, the ink, outvote the many near ones.
    sign = np.float32(1 if float((signed * signed * signed).sum(dtype=np.float64)) > 0 else -1)
    if sign < 0:
        # Ink takes away a part of the light that falls on the paper: where that is dim, the ink is
        # as black as elsewhere, though the difference is smaller.
        light = np.maximum(surface, np.float32(0.15))
        signed /= light
        spread /= float(light.mean())
    return (signed * sign).max(axis=2).clip(0, 1), spread


def _terms(rows: NDArray[np.float64], columns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Terms of a surface of the second degree, on the last axis; the first three are a plane."""
    return np.stack([np.ones_like(rows), rows, columns, rows * columns, rows**2, columns**2], -1)


def _fitted(terms: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Least squares by the normal equations.

    The terms are few and of the same size, so that is exact enough; and einsum, unlike a product of
    matrices, does not wake a pool of threads, which on a busy machine takes far longer than this.
    """
    square = np.einsum("ni,nj->ij", terms, terms)
    # A little on the diagonal: a picture of one column has terms that depend on each other.
    square[np.diag_indices_from(square)] += 1e-9 * len(terms)
    weights: NDArray[np.float64] = np.linalg.solve(square, np.einsum("ni,nc->ic", terms, values))
    return weights


def _without_specks(ink: NDArray[np.float32]) -> NDArray[np.float32]:
    """Keeps what can belong to a digit: no dust, and no long edge of a sheet along the rim."""
    labels, count = ndimage.label(ink > 0.3, structure=np.ones((3, 3)))
    if count == 0:
        raise BlankPictureError("The picture is blank: nothing in it stands out from its ground.")
    mass = np.asarray(ndimage.sum_labels(ink, labels, np.arange(count + 1)))
    mass[0] = 0
    for rim in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
        contact = np.bincount(rim, minlength=count + 1)
        edges = contact > 0.3 * len(rim)
        if mass[~edges].any():
            mass[edges] = 0
    keep = mass >= 0.05 * mass.max()
    keep[0] = False
    # One pixel around what is kept: the soft rim of the strokes.
    kept = ndimage.binary_dilation(keep[labels], structure=np.ones((3, 3)))
    return np.where(kept, ink, np.float32(0))


def _thickened(ink: NDArray[np.float32]) -> NDArray[np.float32]:
    """Widens strokes that would be hairlines in the box of 20 pixels."""
    mask = ink > 0.5
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return ink
    side = max(rows[-1] - rows[0], columns[-1] - columns[0]) + 1
    # A stroke of length l and width w has an area of l w and a rim of 2 l.
    inner = ndimage.binary_erosion(mask)
    rim = int(mask.sum()) - int(inner.sum())
    width = 2 * float(mask.sum()) / max(rim, 1)
    missing = HAIRLINE * side / BOX - width
    if missing < 1:
        return ink
    radius = missing / 2
    padded = np.pad(ink, int(np.ceil(radius)) + 1)
    reach = np.asarray(ndimage.distance_transform_edt(padded <= 0.5), np.float32)
    widened: NDArray[np.float32] = np.maximum(padded, (radius + 0.5 - reach).clip(0, 1))
    return widened
