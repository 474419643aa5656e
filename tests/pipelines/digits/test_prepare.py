import gzip
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.datasets import load_digits

from digits.prepare import (
    BOX,
    CENTRE,
    PIXELS,
    SIDE,
    BlankPictureError,
    prepare,
    prepare_batch,
)
from tradewind.errors import InputError

ROOT = Path(__file__).resolve().parents[3]
MNIST = Path(os.environ.get("TRADEWIND_MNIST", ROOT.parent / "shared/data/mnist"))


def box_of(field):
    """Height and width of the ink, and its centre of mass, of a prepared picture."""
    field = field.reshape(SIDE, SIDE).astype(float)
    rows, columns = np.flatnonzero(field.any(1)), np.flatnonzero(field.any(0))
    index = np.arange(SIDE)
    centre = (
        (field.sum(1) @ index) / field.sum(),
        (field.sum(0) @ index) / field.sum(),
    )
    return (rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1), centre


def seven(height, width, thick):
    """A plain 7, drawn into a larger field away from its middle."""
    image = np.zeros((height, width), np.float32)
    image[:thick] = 1
    for row in range(height):
        column = round((width - thick) * (1 - row / height))
        image[row, column : column + thick] = 1
    return np.pad(image, ((7, 31), (50, 2)))


def test_digit_fits_the_box_and_keeps_its_aspect():
    for height, width, thick in [(200, 100, 18), (90, 180, 9), (30, 25, 4), (9, 7, 1)]:
        prepared = prepare(seven(height, width, thick))
        assert prepared.shape == (PIXELS,)
        assert prepared.dtype == np.float32
        size, centre = box_of(prepared)
        assert max(size) == BOX
        assert size[0] / size[1] == pytest.approx(height / width, rel=0.08)
        assert centre == pytest.approx((CENTRE, CENTRE), abs=0.51)
        assert prepared.max() == 1
        assert prepared.min() == 0


def test_unit_of_the_pixels_does_not_matter():
    image = seven(60, 40, 6)
    expected = prepare(image)
    for same in (image * 255, (image * 255).astype(np.uint8), image.astype(bool), image * 1e-3):
        np.testing.assert_array_equal(prepare(same), expected)


def test_size_and_place_hardly_matter():
    small, large = prepare(seven(60, 40, 6)), prepare(seven(600, 400, 60))
    assert np.abs(small - large).mean() < 0.02
    np.testing.assert_array_equal(prepare(np.pad(seven(60, 40, 6), 100)), small)


def test_batch_equals_one_by_one_and_takes_mixed_sizes():
    digits = load_digits().images[:20]
    batch = prepare_batch(digits)
    assert batch.shape == (20, PIXELS)
    assert batch.dtype == np.float32
    np.testing.assert_array_equal(batch, np.stack([prepare(one) for one in digits]))
    mixed = prepare_batch([digits[0], seven(60, 40, 6)])
    np.testing.assert_array_equal(mixed[1], prepare(seven(60, 40, 6)))
    assert prepare_batch([]).shape == (0, PIXELS)


def test_prepared_digits_stay_as_they_are():
    once = prepare_batch(load_digits().images)
    np.testing.assert_array_equal(prepare_batch(once.reshape(-1, SIDE, SIDE)), once)


@settings(max_examples=60, deadline=None)
@given(
    arrays(
        np.uint8,
        st.tuples(st.integers(1, 60), st.integers(1, 60)),
        elements=st.integers(0, 255),
        fill=st.just(0),
    )
)
def test_any_ink_gives_a_picture_of_mnist_form(image):
    if not image.any():
        with pytest.raises(BlankPictureError):
            prepare(image)
        return
    once = prepare(image)
    assert once.max() == 1
    assert once.min() >= 0
    levels = once * 255
    np.testing.assert_allclose(levels, np.round(levels), atol=1e-3)
    size, _ = box_of(once)
    assert max(size) <= BOX


def test_real_mnist_is_unchanged():
    path = MNIST / "images-idx3-ubyte.gz"
    if not path.exists():
        pytest.skip(f"{path} is absent: set TRADEWIND_MNIST to a folder of MNIST's IDX files")
    raw = np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8, offset=16)
    images = raw.reshape(-1, SIDE, SIDE)[:1000]
    expected = images.reshape(-1, PIXELS).astype(np.float32) / 255
    # One level: a digit whose brightest pixel is 254 is stretched to 255.
    assert np.abs(prepare_batch(images) - expected).max() <= 1.01 / 255


def test_blank_pictures_are_refused():
    with pytest.raises(BlankPictureError, match="blank"):
        prepare(np.zeros((28, 28)))
    with pytest.raises(BlankPictureError, match="Picture 1"):
        prepare_batch([np.ones((3, 3)), np.zeros((3, 3))])


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.ones(784), "shape"),
        (np.ones((2, 28, 28)), "shape"),
        (np.ones((0, 28)), "shape"),
        (np.array([["1", "2"]]), "numbers"),
        (np.array([[1.0, np.nan]]), "finite"),
        (np.array([[1.0, np.inf]]), "finite"),
        (np.array([[1.0, -1.0]]), "at least 0"),
    ],
)
def test_what_is_no_picture_is_refused(image, message):
    with pytest.raises(InputError, match=message):
        prepare(image)


def test_batch_of_the_wrong_shape_is_refused():
    with pytest.raises(InputError, match="reshape"):
        prepare_batch(np.ones((5, 64)))
