import asyncio
import json

import numpy as np
import pytest
from starlette.requests import Request

from digits.web.bodies import MAX_ARRAY, read_body, read_pixels
from digits.web.problems import Problem
from handwriting import drawn, encoded


def test_rows_of_any_size_are_read():
    np.testing.assert_array_equal(read_pixels(b"[[0, 255, 51]]"), np.float32([[0, 1, 0.2]]))
    np.testing.assert_array_equal(read_pixels(b"[[0], [0.5], [1]]"), np.float32([[0], [0.5], [1]]))


def test_scale_is_to_255_when_a_number_is_above_1():
    assert read_pixels(b"[[0, 1, 1]]").max() == 1
    assert read_pixels(b"[[0, 1, 2.5]]").max() == pytest.approx(2.5 / 255)


def test_a_flat_array_is_a_picture_of_28_by_28():
    flat = [0] * 784
    flat[30] = 255
    ink = read_pixels(json.dumps(flat).encode())
    assert ink.shape == (28, 28)
    assert np.argwhere(ink).tolist() == [[1, 2]]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "not JSON"),
        (b"pixels", "not JSON"),
        (b"[[0, NaN]]", "not JSON"),
        (b"[[0, Infinity]]", "not JSON"),
        (b"[[0, -Infinity]]", "not JSON"),
        (b"\xff\xfe[", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[[" + b"9" * 5000 + b"]]", "not JSON"),
        (b"{}", "array"),
        (b"7", "array"),
        (b"[]", "array"),
        (b"[[]]", "rows"),
        (b"[[1, 2], [3]]", "rows"),
        (b"[[1, 2], 3]", "rows"),
        (b"[1, 2, 3]", "784"),
        (json.dumps([0] * 783).encode(), "784"),
        (json.dumps(["0"] * 784).encode(), "number"),
        (b'[["0", 1]]', "number"),
        (b"[[true, false]]", "number"),
        (b"[[null, 1]]", "number"),
        (b"[[[1], [2]]]", "number"),
        (b"[[0, 256]]", "between"),
        (b"[[0, -1]]", "between"),
        (b"[[0, 1e999]]", "between"),
    ],
)
def test_what_is_no_array_of_pixels_is_refused(body, message):
    with pytest.raises(Problem, match=message) as problem:
        read_pixels(body)
    assert problem.value.status == 400


def test_a_huge_array_is_refused():
    row = [0] * 1024
    with pytest.raises(Problem, match="pixels") as problem:
        read_pixels(json.dumps([row] * (MAX_ARRAY // 1024 + 1)).encode())
    assert problem.value.status == 413


# --- requests


def request(content_type, *chunks, length=None):
    """A request whose body comes in these chunks; fails when more is read than needed."""
    headers = [(b"content-type", content_type.encode())] if content_type else []
    if length is not None:
        headers.append((b"content-length", str(length).encode()))
    waiting = list(chunks)

    async def receive():
        chunk = waiting.pop(0)
        return {"type": "http.request", "body": chunk, "more_body": bool(waiting)}

    made = Request({"type": "http", "method": "POST", "path": "/", "headers": headers}, receive)
    made.state.waiting = waiting
    return made


def body_of(content_type, *chunks, limit=100_000, **options):
    return asyncio.run(read_body(request(content_type, *chunks, **options), max_bytes=limit))


PNG = encoded(1 - drawn(5, side=60))
JPEG = encoded(1 - drawn(5, side=60), "JPEG")
PIXELS = json.dumps([[0, 255], [255, 0]]).encode()
FORM = b"--xx\r\nContent-Disposition: form-data; name=%s\r\n%s\r\n%s\r\n--xx--\r\n"


@pytest.mark.parametrize(
    ("content_type", "content"),
    [
        ("image/png", PNG),
        ("image/jpeg", JPEG),
        ("image/jpg", JPEG),
        ("image/png", JPEG),
        ("Image/PNG; charset=binary", PNG),
        ("application/octet-stream", PNG),
        ("application/octet-stream", JPEG),
        ("application/x-www-form-urlencoded", PNG),
        ("", PNG),
        ("application/json", PIXELS),
        ("application/json; charset=utf-8", PIXELS),
        ("application/x-www-form-urlencoded", PIXELS),
        ("", b"\n " + PIXELS),
    ],
)
def test_the_body_is_understood(content_type, content):
    ink = body_of(content_type, content[:5], content[5:]).ink(max_pixels=10**6)
    assert ink.ndim == 2
    assert ink.max() == 1


@pytest.mark.parametrize("content_type", ["image/png", "application/octet-stream", "image/x-any"])
def test_a_file_in_a_form_is_understood(content_type):
    part = FORM % (
        b'file; filename="five.png"',
        b"Content-Type: " + content_type.encode() + b"\r\n",
        PNG,
    )
    body = body_of('multipart/form-data; boundary="xx"', part)
    assert body.content == PNG
    assert body.ink(max_pixels=10**6).max() == 1


@pytest.mark.parametrize(
    ("content_type", "content", "status"),
    [
        ("image/png", b"", 400),
        ("image/gif", b"GIF89a" + bytes(20), 415),
        ("image/png", b"hello", 415),
        ("application/octet-stream", bytes(100), 415),
        ("text/plain", PNG, 415),
        ("application/pdf", b"%PDF-1.7", 415),
        ("image/png", PNG[:100], 400),
        ("application/json", PNG, 400),
        ("multipart/form-data; boundary=xx", FORM % (b"digit", b"", b"5"), 415),
        ("multipart/form-data; boundary=xx", b"--xx\r\nbroken", 415),
        ("multipart/form-data; boundary=xx", b"no boundary at all", 400),
        ("multipart/form-data", FORM % (b'file; filename="a"', b"", PNG), 400),
        ("image/png", encoded(np.ones((20, 20))), 422),
    ],
)
def test_what_is_not_understood_is_refused(content_type, content, status):
    with pytest.raises(Problem) as problem:
        body_of(content_type, content).ink(max_pixels=10**6)
    assert problem.value.status == status
    assert "Traceback" not in problem.value.message


def test_a_large_body_is_refused_by_its_length_before_it_is_read():
    large = request("image/png", b"", length=101)
    with pytest.raises(Problem, match="100 bytes") as problem:
        asyncio.run(read_body(large, max_bytes=100))
    assert problem.value.status == 413
    assert len(large.state.waiting) == 1


def test_a_large_body_without_length_is_refused_when_it_is_too_much():
    large = request("image/png", *[bytes(60)] * 50)
    with pytest.raises(Problem) as problem:
        asyncio.run(read_body(large, max_bytes=100))
    assert problem.value.status == 413
    assert len(large.state.waiting) == 48


def test_a_picture_of_too_many_pixels_is_refused():
    with pytest.raises(Problem) as problem:
        body_of("image/png", PNG).ink(max_pixels=100)
    assert problem.value.status == 413
