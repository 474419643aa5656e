import contextlib
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from digits.prepare import BlankPictureError, prepare
from digits.web.pictures import PictureTooLargeError, decode, find_ink, read_ink
from handwriting import drawn, encoded, paper
from tradewind.errors import InputError


def seen(body):
    return prepare(read_ink(body))


@pytest.fixture(scope="module")
def five():
    """What the model should see of a 5, whatever it is drawn on."""
    return prepare(drawn(5))


def alike(one, other):
    """How much two prepared pictures have in common, 1 being all (cosine of the angle).

    The best of the nine places one pixel around counts: digits are moved by whole pixels, so a
    centre of mass between two pixels may be rounded to either.
    """
    one, other = one.reshape(28, 28), other.reshape(28, 28)
    moved = [np.roll(one, (row, column), (0, 1)) for row in (-1, 0, 1) for column in (-1, 0, 1)]
    scale = np.linalg.norm(one) * np.linalg.norm(other)
    return max(float((place * other).sum()) for place in moved) / scale


def shaded(ink, *, top=0.9, bottom=0.45, noise=0.02):
    """A photograph: paper in a falling light, grey ink, a camera's noise."""
    light = np.linspace(top, bottom, ink.shape[0])[:, None] * np.linspace(1, 0.8, ink.shape[1])
    grain = np.random.default_rng(0).normal(0, noise, ink.shape)
    return light * (1 - 0.7 * ink) + grain


def coloured(ink, ground, colour):
    ground, colour = np.array(ground) / 255, np.array(colour) / 255
    return ground + (colour - ground) * ink[:, :, None]


def transparent(ink, colour):
    pixels = np.empty((*ink.shape, 4), np.float32)
    pixels[:, :, :3] = np.array(colour) / 255
    pixels[:, :, 3] = ink
    return pixels


INK = drawn(5)
PICTURES = {
    "black on white": encoded(1 - INK),
    "white on black": encoded(INK),
    "jpeg": encoded(1 - INK, "JPEG", quality=90),
    "poor jpeg": encoded(1 - INK, "JPEG", quality=15),
    "photograph": encoded(shaded(INK), "JPEG", quality=70),
    "dark photograph": encoded(shaded(INK, top=0.5, bottom=0.2), "JPEG", quality=80),
    "chalk on a board": encoded(shaded(1 - INK, top=0.7, bottom=0.5)),
    "faint pencil": encoded(0.92 - 0.2 * INK),
    "blue ink on yellow paper": encoded(coloured(INK, (250, 235, 150), (30, 40, 160))),
    "yellow on white": encoded(coloured(INK, (255, 255, 255), (250, 240, 40)), "JPEG"),
    "red on black": encoded(coloured(INK, (0, 0, 0), (200, 20, 20))),
    "black on blue": encoded(coloured(INK, (30, 40, 220), (0, 0, 0))),
    "black, transparent": encoded(transparent(INK, (0, 0, 0))),
    "white, transparent": encoded(transparent(INK, (255, 255, 255))),
    "orange, transparent": encoded(transparent(INK, (250, 120, 0))),
    "opaque with alpha": encoded(np.dstack([1 - INK] * 3 + [np.ones_like(INK)])),
    "grey with alpha": encoded(Image.merge("LA", [Image.new("L", INK.shape, 0),
                                                   Image.fromarray((INK * 255).astype(np.uint8))])),
    "16 bits": encoded(Image.fromarray(((1 - INK) * 65535).astype(np.uint16))),
    "1 bit": encoded(Image.fromarray((1 - INK) > 0.5)),
    "palette": encoded(Image.fromarray(((1 - INK) * 255).astype(np.uint8)).convert("P")),
    "cmyk": encoded(Image.fromarray(((1 - INK) * 255).astype(np.uint8)).convert("CMYK"), "JPEG"),
    "turned by EXIF": encoded(
        Image.fromarray(((1 - INK) * 255).astype(np.uint8)).transpose(Image.Transpose.ROTATE_90),
        "JPEG",
        exif=(lambda exif: exif.__setitem__(0x0112, 6) or exif)(Image.Exif()),
    ),
    "small": encoded(1 - drawn(5, side=32)),
    "large": encoded(1 - drawn(5, side=1500)),
    "in a corner of a large sheet": encoded(1 - np.pad(INK, ((0, 1200), (900, 0)))),
    "wide": encoded(1 - np.pad(INK, ((0, 0), (500, 300)))),
}  # fmt: skip


@pytest.mark.parametrize("form", PICTURES)
def test_a_digit_is_found_in_every_form(form, five):
    assert alike(seen(PICTURES[form]), five) > 0.9


def test_a_clean_drawing_is_what_it_was(five):
    assert alike(seen(PICTURES["black on white"]), five) > 0.99


def test_the_prepared_picture_itself_may_be_sent(five):
    image = five.reshape(28, 28)
    assert alike(seen(encoded(image)), five) > 0.99
    assert alike(seen(encoded(1 - image)), five) > 0.99


def test_hairlines_are_thickened():
    thin, ordinary = seen(paper(5, pen=0.012)), seen(paper(5, pen=0.08))
    assert alike(thin, ordinary) > 0.9
    assert thin.sum() > 0.7 * ordinary.sum()


def test_specks_and_the_edge_of_the_sheet_are_no_ink(five):
    picture = 1 - INK
    picture[20:24, 20:23] = 0
    picture[250:253, 240:245] = 0.2
    assert alike(seen(encoded(picture)), five) > 0.97
    picture[:, :9] = 0.1  # the table beside the sheet
    assert alike(seen(encoded(picture)), five) > 0.97


def test_a_dot_and_a_line_across_the_picture_are_ink():
    dot = np.ones((100, 100))
    dot[40:48, 40:48] = 0
    assert seen(encoded(dot)).reshape(28, 28)[14, 14] == 1
    line = np.ones((60, 60))
    line[:, 28:33] = 0
    prepared = seen(encoded(line)).reshape(28, 28)
    assert prepared.any(axis=1).sum() == 20


@pytest.mark.parametrize(
    "picture",
    [
        np.ones((50, 50)),
        np.zeros((50, 50)),
        np.full((50, 50, 3), 0.5),
        np.zeros((50, 50, 4)),
        np.ones((1, 1)),
        np.ones((40, 2)),
        np.linspace(0.4, 0.9, 200)[:, None] * np.ones((1, 300)),
        0.8 + np.random.default_rng(0).normal(0, 0.02, (200, 200)),
    ],
    ids=["white", "black", "grey", "transparent", "pixel", "sliver", "gradient", "noise"],
)
def test_nothing_drawn_is_told_as_such(picture):
    with pytest.raises(BlankPictureError, match="blank"):
        read_ink(encoded(picture))


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_a_damaged_file_is_told_as_such(form):
    whole = encoded(1 - INK, form)
    for end in (9, 40, len(whole) // 2, len(whole) * 3 // 4):
        with pytest.raises(InputError, match=r"damaged|neither"):
            read_ink(whole[:end])


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(["black on white", "jpeg", "palette", "16 bits"]), st.data())
def test_no_damage_breaks_out_of_the_errors(form, data):
    body = bytearray(PICTURES[form])
    for _ in range(data.draw(st.integers(1, 8))):
        body[data.draw(st.integers(0, min(len(body), 800) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(InputError):
        read_ink(bytes(body), max_pixels=10**6)


@pytest.mark.parametrize("body", [b"", b"hello", b"GIF89a" + bytes(50), bytes(1000)])
def test_other_files_are_refused(body):
    with pytest.raises(InputError, match="neither JPEG nor PNG"):
        decode(body)


def bomb(width, height):
    """A PNG whose header promises a huge picture."""

    def chunk(kind, content):
        crc = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", crc)

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(1 << 16)))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("side", [8_000, 10_000, 30_000, 2**31 - 1])
def test_a_bomb_is_refused_before_it_is_decoded(side):
    with pytest.raises(PictureTooLargeError, match="scale it down"):
        decode(bomb(side, side))


def test_most_pixels_are_a_setting():
    with pytest.raises(PictureTooLargeError, match="280 x 280"):
        decode(encoded(1 - INK), max_pixels=1000)


def test_ink_is_zero_where_there_is_none():
    ink = find_ink(1 - INK[:, :, None])
    assert ink.min() == 0
    assert ink.max() == 1
    assert (ink[:20] == 0).all()
