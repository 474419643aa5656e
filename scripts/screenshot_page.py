"""Takes the pictures of the page that the documentation shows: docs/images/page*.png.

    python scripts/screenshot_page.py                    # trains a model first, on local systems
    python scripts/screenshot_page.py --url http://...   # a page that is served already

It draws by the same hand as the tests do, in the Chromium of the system's packages.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "pipelines"), str(ROOT / "tests")]

from chromium import browser, draw, touch  # noqa: E402
from digits.layout import Layout  # noqa: E402
from digits_service import DigitsService  # noqa: E402
from tradewind.local import up  # noqa: E402
from web_server import served  # noqa: E402

MODEL = "digits-2026-01-01"

# Name, window, how it is drawn, digit.
PICTURES: list[tuple[str, dict[str, Any], Any, int]] = [
    ("page", {"viewport": {"width": 1200, "height": 745}}, draw, 5),
    ("page-dark", {"viewport": {"width": 1200, "height": 745}, "color_scheme": "dark"}, draw, 3),
    (
        "page-phone",
        {
            "viewport": {"width": 390, "height": 844},
            "device_scale_factor": 2,
            "has_touch": True,
            "is_mobile": True,
        },
        touch,
        2,
    ),
]


@contextlib.contextmanager
def page_of_a_trained_model() -> Iterator[str]:
    """Trains, deploys and serves a model of scikit-learn's digits; the page's address."""
    with tempfile.TemporaryDirectory() as data, up(["sagemaker"], data=Path(data)) as systems:
        service = DigitsService(systems, Layout(), "digits")
        service.deploy(MODEL, service.train(MODEL, k=256))
        with served(service.environment) as (url, _):
            yield url


def take(chromium: Any, url: str, options: dict[str, Any], hand: Any, digit: int) -> Image.Image:
    """Draws a digit on the page and takes its picture when it is answered."""
    context = chromium.new_context(reduced_motion="reduce", **options)
    try:
        page = context.new_page()
        page.goto(url)
        hand(page, digit)
        page.wait_for_function(
            """(digit) => document.body.dataset.settled === "true"
            && document.body.dataset.state === "answer"
                && document.querySelector("#digit").textContent === digit""",
            arg=str(digit),
        )
        return Image.open(io.BytesIO(page.screenshot()))
    finally:
        context.close()


def main() -> None:
    """Writes the pictures."""
    parser = argparse.ArgumentParser(description="Takes the pictures of the digits page.")
    parser.add_argument("--url", help="address of a page that is served already")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "images")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    serving = contextlib.nullcontext(options.url) if options.url else page_of_a_trained_model()
    with serving as url, browser() as chromium:
        for name, window, hand, digit in PICTURES:
            picture = take(chromium, url, window, hand, digit).convert("RGB")
            file = options.out / f"{name}.png"
            # 256 colours are enough for it, and a third of the bytes.
            picture.quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(
                file, optimize=True
            )
            print(f"{file}: {picture.width} x {picture.height}, {file.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
