"""How well digits are recognised that come as pictures, and how long preparing them takes.

    python bench/bench_digits_prepare.py [--rows 200]

A model (k-means, k=256) is fitted to three quarters of scikit-learn's digits. Those held out are
drawn as shapes and put into pictures of many kinds: other sizes, thicker and thinner strokes, poor
JPEGs, shadows, chalk. Each picture is prepared as the page does it, and the name of its nearest
centroid is compared with the digit. "as they are" is the share without any picture in between: what
the others fall short of it is lost on the way. Prints a table, then one line of JSON.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy import ndimage
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "pipelines"))

from digits.prepare import prepare, prepare_batch
from digits.web.pictures import read_ink
from tradewind.errors import InputError

K = 256


def picture(
    digit: np.ndarray,
    *,
    size: int = 200,
    thicker: float = 0.0,
    paper: float = 1.0,
    ink: float = 0.0,
    noise: float = 0.0,
    shadow: float = 0.0,
    quality: int | None = None,
) -> bytes:
    """A digit of 8x8 drawn as a shape with a sharp rim; `thicker` in parts of its size."""
    smooth = Image.fromarray(np.pad(digit / 16, 1).astype(np.float32))
    shape = np.asarray(smooth.resize((size, size), Image.Resampling.BICUBIC)) > 0.5
    outside = ndimage.distance_transform_edt(~shape) - ndimage.distance_transform_edt(shape)
    drawn = (thicker * size - outside + 0.5).clip(0, 1)
    drawn = np.pad(drawn, ((size // 4, size // 4), (size // 8, 3 * size // 8)))
    grey = paper + (ink - paper) * drawn
    rows, columns = np.linspace(0, 1, len(grey))[:, None], np.linspace(0.3, 1, grey.shape[1])
    grey = grey * (1 - shadow * rows * columns)
    grey = grey + np.random.default_rng(0).normal(0, noise, grey.shape)
    file = io.BytesIO()
    image = Image.fromarray((grey.clip(0, 1) * 255).astype(np.uint8))
    image.save(file, "PNG") if quality is None else image.save(file, "JPEG", quality=quality)
    return file.getvalue()


FORMS: dict[str, dict[str, Any]] = {
    "40 pixels": {"size": 40},
    "100 pixels": {"size": 100},
    "200 pixels": {},
    "600 pixels": {"size": 600},
    "thicker by 3 %": {"thicker": 0.03},
    "thinner by 3 %": {"thicker": -0.03},
    "hairlines": {"thicker": -0.05},
    "light on dark": {"paper": 0.0, "ink": 1.0},
    "faint pencil": {"paper": 0.9, "ink": 0.7, "noise": 0.02, "quality": 85},
    "JPEG of quality 20": {"quality": 20},
    "shadow, noise": {"paper": 0.85, "ink": 0.2, "noise": 0.03, "shadow": 0.5, "quality": 70},
}


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=200, help="digits drawn in each form")
    rows = parser.parse_args().rows
    bundle = load_digits()
    order = np.random.RandomState(0).permutation(len(bundle.target))
    images, labels = bundle.images[order], bundle.target[order]
    cut = len(images) * 3 // 4

    began = time.perf_counter()
    prepared = prepare_batch(images)
    each = (time.perf_counter() - began) / len(images)
    model = KMeans(K, n_init=1, random_state=0).fit(prepared[:cut])
    names = np.array(
        [np.bincount(labels[:cut][model.labels_ == c], minlength=10).argmax() for c in range(K)]
    )
    truth = labels[cut : cut + rows]

    def share(pictures: np.ndarray) -> float:
        return float((names[model.predict(pictures)] == truth).mean())

    found = {"as they are": {"recognised": share(prepared[cut : cut + rows]), "ms": each * 1e3}}
    for form, options in FORMS.items():
        bodies = [picture(image, **options) for image in images[cut : cut + rows]]
        seen = np.zeros((len(bodies), prepared.shape[1]), np.float32)
        began = time.perf_counter()
        for index, body in enumerate(bodies):
            try:
                seen[index] = prepare(read_ink(body))
            except InputError as error:
                print(f"{form}: {error}", file=sys.stderr)
        seconds = time.perf_counter() - began
        found[form] = {"recognised": share(seen), "ms": seconds / len(bodies) * 1e3}

    print(f"{'form':<22}{'recognised':>11}{'ms each':>9}")
    for form, figures in found.items():
        print(f"{form:<22}{figures['recognised']:>11.1%}{figures['ms']:>9.2f}")
    print(json.dumps({"bench": "digits_prepare", "rows": rows, "k": K, "forms": found}))


if __name__ == "__main__":
    main()
