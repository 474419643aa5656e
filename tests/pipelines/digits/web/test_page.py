"""The page as a file: whole in itself, and allowed to run nothing else."""

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest

from digits.web.page import FILE

PAGE = FILE.read_text()


class Elements(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))


@pytest.fixture(scope="module")
def elements():
    parser = Elements()
    parser.feed(PAGE)
    return parser.found


def test_nothing_comes_from_outside(elements):
    for tag, attributes in elements:
        for name in ("src", "href", "srcset", "action", "poster", "data"):
            address = attributes.get(name)
            assert address is None or address.startswith("data:"), (tag, name)
    assert not re.search(r"@import|url\(", PAGE)
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", PAGE)


def test_no_style_or_handler_stands_in_an_element(elements):
    # The policy would not let it work.
    for tag, attributes in elements:
        assert not [name for name in attributes if name == "style" or name.startswith("on")], tag


def test_the_policy_allows_exactly_the_pages_own_script_and_style(app):
    answer = app({}).get("/")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = dict(
        part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; ")
    )
    assert policy["default-src"] == "'none'"
    assert policy["connect-src"] == "'self'"
    for tag, directive in (("script", "script-src"), ("style", "style-src")):
        [body] = re.findall(rf"<{tag}>(.*?)</{tag}>", answer.text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
        assert policy[directive] == f"'sha256-{digest}'"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_the_page_is_compressed_and_not_sent_twice(app):
    client = app({})
    first = client.get("/", headers={"Accept-Encoding": "gzip"})
    assert first.headers["content-encoding"] == "gzip"
    assert first.text == PAGE
    again = client.get("/", headers={"If-None-Match": f'W/"other", W/{first.headers["etag"]}'})
    assert again.status_code == 304
    assert not again.content
    assert client.get("/", headers={"If-None-Match": '"other"'}).status_code == 200


def test_buttons_and_inputs_have_names(elements):
    names = [attributes for tag, attributes in elements if tag in ("input", "canvas", "img")]
    assert all(one.get("aria-label") or "alt" in one for one in names)
