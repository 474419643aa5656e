"""Chromium without a window, the one the system's packages install, and a hand that draws."""

from __future__ import annotations

import contextlib
import math
import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

ARGUMENTS = [
    "--no-sandbox",  # Chromium refuses its sandbox to root, which containers run as
    "--disable-gpu",
    "--disable-dev-shm-usage",  # /dev/shm is small in containers
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",
]

# Digits as people write them, each a list of strokes of points in the unit square.
STROKES = {
    0: [[(0.5, 0.15), (0.3, 0.3), (0.27, 0.6), (0.4, 0.83), (0.6, 0.83), (0.73, 0.6), (0.7, 0.3)]],
    1: [[(0.5, 0.15), (0.5, 0.85)]],
    2: [
        [(0.3, 0.3), (0.4, 0.17), (0.6, 0.17), (0.7, 0.32), (0.6, 0.5), (0.3, 0.82), (0.72, 0.82)],
    ],
    3: [
        [(0.32, 0.2), (0.5, 0.15), (0.66, 0.25), (0.6, 0.42), (0.47, 0.48)],
        [(0.47, 0.48), (0.64, 0.54), (0.7, 0.7), (0.55, 0.84), (0.32, 0.8)],
    ],
    4: [[(0.45, 0.15), (0.25, 0.6), (0.75, 0.6)], [(0.6, 0.4), (0.58, 0.88)]],
    5: [
        [(0.7, 0.16), (0.36, 0.16), (0.33, 0.46)],
        [(0.33, 0.46), (0.55, 0.42), (0.7, 0.58), (0.64, 0.78), (0.46, 0.85), (0.3, 0.78)],
    ],
    6: [
        [(0.62, 0.14), (0.42, 0.3), (0.32, 0.55), (0.36, 0.78), (0.52, 0.86), (0.68, 0.74)],
        [(0.68, 0.74), (0.66, 0.58), (0.5, 0.52), (0.34, 0.64)],
    ],
    7: [[(0.28, 0.18), (0.72, 0.18), (0.55, 0.5), (0.45, 0.85)]],
}
STROKES[0][0].append(STROKES[0][0][0])


@contextlib.contextmanager
def browser() -> Iterator[Any]:
    """A running Chromium (playwright's Browser); skips the test where none is installed."""
    program = os.environ.get("TRADEWIND_CHROMIUM") or shutil.which("chromium")
    if not program:
        pytest.skip("no Chromium: apt-get install chromium, or name it in TRADEWIND_CHROMIUM")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        try:
            yield launched
        finally:
            launched.close()


def points(
    stroke: list[tuple[float, float]], *, spacing: float = 0.04
) -> list[tuple[float, float]]:
    """A smooth line through a stroke's points (Catmull-Rom), as a hand would move."""
    padded = [stroke[0], *stroke, stroke[-1]]
    line = [stroke[0]]
    for before, start, end, after in zip(padded, padded[1:], padded[2:], padded[3:], strict=False):
        steps = max(1, math.ceil(math.dist(start, end) / spacing))
        for step in range(1, steps + 1):
            t = step / steps
            line.append(
                tuple(
                    0.5
                    * (
                        2 * b
                        + (c - a) * t
                        + (2 * a - 5 * b + 4 * c - d) * t**2
                        + (3 * b - a - 3 * c + d) * t**3
                    )
                    for a, b, c, d in zip(before, start, end, after, strict=True)
                )
            )
    return line


def draw(page: Any, digit: int, *, selector: str = "#canvas") -> None:
    """Draws a digit with the mouse."""
    box = page.locator(selector).bounding_box()
    for stroke in STROKES[digit]:
        places = [
            (box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points(stroke)
        ]
        page.mouse.move(*places[0])
        page.mouse.down()
        for place in places[1:]:
            page.mouse.move(*place)
        page.mouse.up()


def touch(page: Any, digit: int, *, selector: str = "#canvas") -> None:
    """Draws a digit with a finger: real touch events, through Chromium's debugging protocol."""
    box = page.locator(selector).bounding_box()
    session = page.context.new_cdp_session(page)
    for stroke in STROKES[digit]:
        places = [
            {"x": box["x"] + x * box["width"], "y": box["y"] + y * box["height"]}
            for x, y in points(stroke)
        ]
        for kind, place in [
            ("touchStart", places[0]),
            *(("touchMove", place) for place in places[1:]),
        ]:
            session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [place]})
        session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    session.detach()
