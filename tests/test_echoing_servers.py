"""Servers that repeat what they are sent, as proxies and frameworks in debug mode do.

The errors of client libraries hold what a server says, and at times what the client sent. No secret
of a connection may come to light by them: not in our error, not in those that it was raised from,
not in logs, at whatever level.
"""

from __future__ import annotations

import io
import json
import logging
import ssl
import traceback
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from certificates import Authority
from echoing import (
    MARK,
    OF_HTTP,
    OF_THEIR_OWN,
    WAYS,
    Echo,
    Secret,
    as_headers,
    as_page,
    as_text,
    decoded,
    http_headers,
    livy,
    marks,
    yarn,
)
from tradewind.errors import TradewindError
from tradewind.redaction import redacted
from tradewind.systems.docker.engine import Engine, RegistryLogin

_ODD = st.text(alphabet="/?#[]@:% äß漢😀ab1&=+'\"\\<>;,{}$~\n\t.-_", max_size=5)
_TAIL = "abcdefgh/12=" * 30
SECRETS = st.builds(
    lambda a, b, c, tail: Secret(f"{a}{MARK}{b}{tail}{MARK}{c}"),
    *(_ODD, _ODD, _ODD, st.sampled_from(["", "", "", _TAIL])),
)
#: What each library spells in a way of its own; a short one, and a long one with all of them.
PLAIN = Secret(f"{MARK}/w+K=x 9vT{MARK}")
ODD = Secret(f"{MARK}\"'\\\n漢😀&<{MARK}{_TAIL}{MARK}")


@contextmanager
def all_logs() -> Iterator[io.StringIO]:
    """Hear what all loggers say, those of libraries too, with tracebacks."""
    text = io.StringIO()
    handler, root = logging.StreamHandler(text), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield text
    finally:
        root.setLevel(level)
        root.removeHandler(handler)


def said(client: Callable[[int, Secret], None], port: int, secret: Secret) -> str:
    """All that is said of a client that fails."""
    with all_logs() as logs:
        try:
            client(port, secret)
        except TradewindError as error:
            return "".join(traceback.format_exception(error)) + logs.getvalue()
    raise AssertionError("it was taken for an answer")


def check(client: Callable[[int, Secret], None], echo: Echo, secret: Secret) -> None:
    told = said(client, echo.port, secret)
    for mark in marks():
        at = told.find(mark)
        if at >= 0:
            pytest.fail(
                f"{client.__name__}, {echo.say.__name__}: {told[max(0, at - 600) : at + 300]}"
            )


@contextmanager
def echoing(**given: Any) -> Iterator[Echo]:
    echo = Echo("400", **given)
    try:
        yield echo
    finally:
        echo.close()


@pytest.mark.parametrize("client", OF_THEIR_OWN)
def test_no_secret_comes_back_from_what_repeats_bytes(client: Callable[[int, Secret], None]):
    with echoing() as echo:
        check(client, echo, ODD)


@pytest.mark.parametrize("client", OF_HTTP)
def test_no_secret_comes_back_by_an_error(client: Callable[[int, Secret], None]):
    with echoing() as echo:
        for secret, say in ((PLAIN, as_page), (ODD, as_headers), (ODD, decoded)):
            echo.say = say
            check(client, echo, secret)


@pytest.mark.parametrize("client", [http_headers, livy, yarn])
def test_a_secret_that_looks_like_a_tag_or_has_a_line_s_end(
    client: Callable[[int, Secret], None],
):
    with echoing(say=as_text) as echo:
        for text in (f"-<{MARK}>{MARK}1[", f"/{MARK}\n{MARK}"):
            check(client, echo, Secret(text))


def test_an_engine_behind_tls_is_no_exception(tmp_path: Path):
    authority = Authority(tmp_path, "authority")
    own = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    own.load_cert_chain(*authority.certificate("engine", "127.0.0.1"))
    trusted = ssl.create_default_context(cafile=str(authority.file))

    def docker_over_tls(port: int, secret: Secret) -> None:
        uri = f"https://who:{secret.quoted}@127.0.0.1:{port}"
        login = RegistryLogin("127.0.0.1", "who", secret.text)
        with closing(Engine(uri, tls=trusted)) as engine:
            list(engine.pull("image", login, platform=None))

    with echoing(tls=own) as echo:
        for secret, say in ((PLAIN, as_headers), (ODD, decoded)):
            echo.say = say
            check(docker_over_tls, echo, secret)


@settings(max_examples=40, deadline=None)
@given(SECRETS, st.sampled_from(WAYS))
def test_whatever_a_server_makes_of_a_secret(secret: Secret, say: Callable[..., tuple[str, str]]):
    coded = b64encode(f"who:{secret.text}".encode()).decode()
    for request in (
        f"GET /a?key={secret.quoted}&n=1 HTTP/1.1  Host: h  Authorization: Basic {coded}  ",
        f"GET /a?key={quote_plus(secret.text)} HTTP/1.1  X-Own: {secret.line}  Host: h  ",
        f"POST /a HTTP/1.1  Host: h    {json.dumps({'own': secret.text})}",
        f"POST /a HTTP/1.1  X-Registry-Auth: {secret.key}  Host: h    {secret.text}",
    ):
        # A library that repeats an answer once more: in an error of its own, say.
        for told in (say(request)[0], repr(say(request)[0])):
            shown = redacted(told, secrets=[secret.text, secret.line])
            assert not [mark for mark in marks() if mark in shown], shown


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("client", [*OF_THEIR_OWN, *OF_HTTP])
def test_generated_secrets(client: Callable[[int, Secret], None]):
    with echoing() as echo:

        @settings(max_examples=30, deadline=None)
        @given(SECRETS, st.sampled_from(WAYS), st.sampled_from(["400", "401", "403", "404"]))
        def of_one(secret: Secret, say: Callable[[str], tuple[str, str]], status: str) -> None:
            echo.say, echo.status = say, status
            check(client, echo, secret)

        of_one()


def test_a_short_secret_is_hidden_where_it_stands_alone():
    text = "who:ab@host \"ab\" 'ab' ?a=ab&b=1 about abb"
    assert redacted(text, secrets=["ab"]) == "who:***@host \"***\" '***' ?a=***&b=1 about abb"
