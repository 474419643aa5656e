"""Draws a model's judgement: what it confuses, and what its centroids look like."""

from __future__ import annotations

import io
import math

import numpy as np
from numpy.typing import NDArray

from digits.evaluate import Figures

__all__ = ["draw"]

INK = "#16324f"


def draw(figures: Figures, centroids: NDArray[np.float32], title: str) -> bytes:
    """Draws the confusion matrix and the centroids, side by side.

    Args:
        figures: The judgement.
        centroids: Shape (k, 784).
        title: What stands above.

    Returns:
        A PNG of 1680x840 pixels.
    """
    # The Figure itself, not pyplot, which keeps figures in a global list and picks a display.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(14, 7), dpi=120, facecolor="white")
    figure.set_layout_engine("constrained", h_pad=0.12, w_pad=0.12)
    figure.suptitle(title, color=INK, fontsize=15, fontweight="bold")
    left, right = figure.subplots(1, 2)
    _matrix(left, figures)
    _mosaic(right, figures, centroids)
    file = io.BytesIO()
    # Without the library's version and the time, the same judgement is the same file.
    figure.savefig(file, format="png", metadata={"Software": None})
    return file.getvalue()


def _matrix(axes, figures: Figures) -> None:  # type: ignore[no-untyped-def]
    counts = figures.confusion
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for digit in range(len(counts)):
        for answer, count in enumerate(counts[digit]):
            if count:
                color = "white" if shares[digit, answer] > 0.5 else INK
                axes.text(answer, digit, str(count), ha="center", va="center", color=color)
    axes.set_xticks(range(10))
    axes.set_yticks(range(10))
    axes.tick_params(length=0)
    axes.set_xlabel("recognised as")
    axes.set_ylabel("digit in the picture")
    axes.set_title(f"{figures.rows['test']:,} test pictures", color=INK)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _mosaic(axes, figures: Figures, centroids: NDArray[np.float32]) -> None:  # type: ignore[no-untyped-def]
    side = math.isqrt(centroids.shape[1])
    # By digit, the largest clusters first, so that alike ones stand together.
    order = np.lexsort((-figures.members, figures.labels))
    across = math.ceil(math.sqrt(len(order)))
    down = math.ceil(len(order) / across)
    cell = side + 2
    sheet = np.full((down * cell, across * cell, 3), 1.0)
    for place, cluster in enumerate(order):
        top, left = (place // across) * cell, (place % across) * cell
        ink = np.clip(centroids[cluster, : side * side].reshape(side, side, 1), 0, 1)
        tint = np.array(_TINTS[int(figures.labels[cluster])])
        # Ink from white to the tint of its digit: neighbours of another digit are told apart.
        sheet[top + 1 : top + 1 + side, left + 1 : left + 1 + side] = 1 - ink * (1 - tint)
    axes.imshow(sheet, interpolation="nearest")
    axes.set_axis_off()
    empty = int((figures.members == 0).sum())
    axes.set_title(
        f"{len(order)} centroids in the colour of their digit"
        + (f"; {empty} without a training picture" if empty else ""),
        color=INK,
    )
    for digit, color in enumerate(_TINTS):
        axes.text(
            (digit + 0.5) / 10,
            -0.02,
            str(digit),
            transform=axes.transAxes,
            ha="center",
            va="top",
            color=color,
            fontsize=13,
            fontweight="bold",
        )


# Dark enough to be read on white, and neighbouring digits unlike each other.
_TINTS = [
    (0.12, 0.29, 0.49),
    (0.77, 0.30, 0.10),
    (0.13, 0.47, 0.25),
    (0.55, 0.14, 0.44),
    (0.45, 0.36, 0.05),
    (0.06, 0.47, 0.55),
    (0.72, 0.10, 0.20),
    (0.30, 0.28, 0.68),
    (0.24, 0.24, 0.24),
    (0.50, 0.30, 0.18),
]
