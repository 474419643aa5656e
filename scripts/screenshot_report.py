"""Takes the picture of the listings' report for the documentation: docs/images/listings-report.png.

    make demo-listings ONCE=1 && python scripts/screenshot_report.py
    python scripts/screenshot_report.py --url http://...    # a report that is served already

Of a demo that has ended it starts the S3 server once more, on the data that the demo has left.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests")]

from chromium import browser  # noqa: E402
from demo_helpers import s3_client  # noqa: E402
from tradewind.local import up  # noqa: E402

BUCKET = "inside-airbnb"


@contextlib.contextmanager
def last_report(data: Path) -> Iterator[str]:
    """Give the address of the last month's report of a demo.

    Args:
        data: The demo's folder of data.
    """
    with up(["s3"], data=data) as systems, tempfile.TemporaryDirectory() as folder:
        s3 = s3_client(systems.full_environment())
        found = s3.list_objects_v2(Bucket=BUCKET, Prefix="reports/")["Contents"]
        key = max(each["Key"] for each in found)
        page = Path(folder) / "index.html"
        page.write_bytes(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read())
        yield page.as_uri()


def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", help="address of a report that is served already")
    parser.add_argument("--state", type=Path, default=ROOT / ".tradewind" / "listings-once")
    parser.add_argument("--out", type=Path, default=ROOT / "docs/images/listings-report.png")
    given = parser.parse_args()
    serving = contextlib.nullcontext(given.url) if given.url else last_report(given.state / "data")
    with serving as url, browser() as chromium:
        page = chromium.new_page(viewport={"width": 1160, "height": 900})
        page.goto(url)
        picture = Image.open(io.BytesIO(page.screenshot(full_page=True))).convert("RGB")
        # 64 colours are enough for it, and a third of the bytes.
        picture.quantize(64, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(
            given.out, optimize=True
        )
        print(f"{given.out}: {picture.width} x {picture.height}")


if __name__ == "__main__":
    main()
