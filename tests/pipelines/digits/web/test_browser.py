"""The page in a real Chromium, with a hand that draws."""

import io
import re

import numpy as np
import pytest
from PIL import Image

from chromium import browser, draw, touch
from digits_service import MODEL
from handwriting import drawn, paper
from sagemaker_service import wait_status
from web_server import served

pytestmark = pytest.mark.browser

SECONDS = 30_000  # milliseconds an answer may take on a busy machine


@pytest.fixture(scope="module")
def chromium():
    with browser() as running:
        yield running


@pytest.fixture
def opened(chromium):
    """Opens an address in a window of its own; fails on any error in the page."""
    contexts, troubles = [], []

    def open_page(url, **options):
        context = chromium.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(SECONDS)
        page.on("pageerror", lambda error: troubles.append(str(error)))
        # A refused request is written to the console by the browser itself: that is no fault here.
        page.on(
            "console",
            lambda line: (
                line.type == "error"
                and "Failed to load resource" not in line.text
                and troubles.append(line.text)
            ),
        )
        requests = page.requests = []
        page.on("request", lambda request: requests.append(request.url))
        page.goto(url)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not troubles


def answer(page, digit):
    """Waits until the finished drawing is answered by this digit."""
    page.wait_for_function(
        """(digit) => document.body.dataset.settled === "true"
            && document.body.dataset.state === "answer"
            && document.querySelector("#digit").textContent === digit""",
        arg=str(digit),
    )


def state(page, wanted):
    page.wait_for_function("(state) => document.body.dataset.state === state", arg=wanted)


@pytest.mark.parametrize("digit", [0, 1, 2, 3, 5])
def test_a_digit_drawn_with_the_mouse_is_read(url, opened, digit):
    page = opened(url)
    assert page.text_content("#digit") == "?"
    draw(page, digit)
    answer(page, digit)
    assert str(digit) in page.text_content("#headline")


def test_the_answer_is_explained(url, opened):
    page = opened(url)
    draw(page, 5)
    answer(page, 5)
    assert MODEL.removeprefix("digits-web-") in page.text_content("#chip")
    values = [float(text) for text in page.locator("#bars .value").all_text_contents()]
    assert len(values) == 10
    assert int(np.argmin(values)) == 5
    assert page.locator("#bars li.first .name").text_content() == "5"
    lengths = page.eval_on_selector_all(
        "#bars .fill",
        "fills => fills.map((fill) => Number(/scaleX\\(([^)]*)\\)/.exec(fill.style.transform)[1]))",
    )
    assert lengths == pytest.approx([value / max(values) for value in values], abs=1e-2)
    for picture in ("#seen", "#centroid"):
        assert page.eval_on_selector(picture, "image => image.naturalWidth") == 28
    assert page.locator("#bars img").count() == 10


def test_the_answer_comes_while_drawing(url, opened):
    page = opened(url)
    box = page.locator("#canvas").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 60)
    page.mouse.down()
    for step in range(1, 31):
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 60 + 10 * step)
    state(page, "answer")
    page.mouse.up()
    answer(page, 1)


def test_a_digit_drawn_with_a_finger_is_read(url, opened):
    page = opened(
        url,
        viewport={"width": 390, "height": 844},
        device_scale_factor=2,
        has_touch=True,
        is_mobile=True,
    )
    before = page.locator("#canvas").bounding_box()
    touch(page, 2)
    answer(page, 2)
    # What the answer says beside it must not move the paper under the finger.
    assert page.locator("#canvas").bounding_box() == before
    # Drawing did not move the page, and nothing of it is wider than the telephone.
    assert page.evaluate("[scrollX, scrollY]") == [0, 0]
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_clear_and_undo(url, opened):
    page = opened(url)
    assert page.is_disabled("#clear")
    draw(page, 5)  # two strokes
    answer(page, 5)
    page.click("#undo")
    state(page, "answer")
    page.keyboard.press("Control+z")
    state(page, "idle")
    assert page.text_content("#digit") == "?"
    assert page.is_disabled("#undo")
    draw(page, 1)
    answer(page, 1)
    page.click("#clear")
    state(page, "idle")
    assert page.locator("#bars .value").all_text_contents() == ["\N{EN DASH}"] * 10
    draw(page, 0)
    answer(page, 0)
    page.keyboard.press("c")
    state(page, "idle")


def test_a_digit_drawn_with_the_keyboard_is_read(url, opened):
    page = opened(url)
    page.focus("#canvas")
    page.keyboard.press("Space")
    for _ in range(11):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Space")
    answer(page, 1)


def test_a_picture_is_opened(url, opened, tmp_path):
    page = opened(url)
    file = tmp_path / "five.png"
    file.write_bytes(paper(5))
    page.set_input_files("#file", file)
    answer(page, 5)
    assert page.is_visible("#picture")
    # Another format, which the service does not take: the browser converts it.
    grey = Image.fromarray(((1 - drawn(1)) * 255).astype(np.uint8))
    target = io.BytesIO()
    grey.save(target, "WEBP")
    other = {"name": "one.webp", "mimeType": "image/webp", "buffer": target.getvalue()}
    page.set_input_files("#file", other)
    answer(page, 1)
    # A stroke begins a drawing in the picture's place.
    draw(page, 0)
    answer(page, 0)
    assert not page.is_visible("#picture")


def test_a_picture_is_dropped(url, opened):
    page = opened(url)
    dropped = page.evaluate_handle(
        """(bytes) => {
            const data = new DataTransfer();
            data.items.add(new File([new Uint8Array(bytes)], "three.png", { type: "image/png" }));
            return data;
        }""",
        list(paper(3)),
    )
    page.dispatch_event("#board", "drop", {"dataTransfer": dropped})
    answer(page, 3)


def test_what_cannot_be_read_is_told(url, opened):
    page = opened(url)
    page.set_input_files(
        "#file", {"name": "cut.png", "mimeType": "image/png", "buffer": paper(5)[:300]}
    )
    state(page, "error")
    assert "damaged" in page.text_content("#trouble")
    page.set_input_files("#file", {"name": "a.txt", "mimeType": "text/plain", "buffer": b"hello"})
    state(page, "error")
    page.wait_for_function(
        "() => document.querySelector('#trouble').textContent.includes('not a pic')"
    )
    draw(page, 1)
    answer(page, 1)
    assert page.is_hidden("#trouble")


def test_an_endpoint_that_is_away_is_told_and_asked_again(service, opened):
    """It is created while the page waits: the drawing that was kept is answered by itself."""
    environment = service.environment | {"TRADEWIND_DIGITS_ENDPOINT": "digits-web-late"}
    with served(environment) as (url, _):
        page = opened(url)
        page.wait_for_function("() => document.querySelector('#chip').dataset.state === 'away'")
        draw(page, 5)
        state(page, "error")
        assert "digits-web-late" in page.text_content("#trouble")
        assert re.search("kept", page.text_content("#detail"))
        artifact = service.layout.uri(service.layout.artifact_key(MODEL))
        service.report("digits-web-2026-02-01", artifact)
        service.deploy("digits-web-2026-02-01", artifact, endpoint="digits-web-late")
        answer(page, 5)
        assert page.is_hidden("#trouble")
    wait_status(service.sagemaker, "digits-web-late", "InService")


def test_a_server_that_is_away_is_told(service, opened):
    with served(service.environment) as (url, process):
        page = opened(url)
        draw(page, 1)
        answer(page, 1)
        process.terminate()
        process.wait(30)
        draw(page, 1)
        state(page, "error")
        assert "does not answer" in page.text_content("#trouble")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_calls_nobody_else(url, opened, scheme):
    page = opened(url, color_scheme=scheme)
    draw(page, 1)
    answer(page, 1)
    assert page.requests
    assert all(one.startswith((url, "data:", "blob:")) for one in page.requests)
