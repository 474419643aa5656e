"""Requests to an HTTP API that runs jobs: retried where that is safe, errors explained."""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tradewind.backoff import Backoff
from tradewind.concealing import concealing
from tradewind.errors import InputError, RetryError, SetupError
from tradewind.redaction import (
    HIDDEN,
    is_secret_name,
    redacted,
    scheme_of,
    shown_uri,
    split_uri,
)
from tradewind.systems.http.client import PASSING, load_httpx, open_client, seconds_asked
from tradewind.systems.http.tls import OWN, TRUST
from tradewind.tls import refusal

if TYPE_CHECKING:
    import httpx

__all__ = ["JobServer", "LostAnswerError", "RestConnection"]

_SECRET_LENGTH, _MESSAGE_LENGTH, _LOOKED_AT = 6, 1_000, 10_000
_MESSAGES = ("message", "msg", "error", "detail", "reason", "title")


class LostAnswerError(RetryError):
    """The connection broke when the request was sent: nobody knows whether it took effect."""


@dataclass(frozen=True)
class RestConnection:
    """How to reach an HTTP API.

    Args:
        base_url: Where paths begin, prefix included.
        headers: Sent with each request.
        auth: User and password, or any `httpx.Auth`.
        verify: Whether, or by the certificates of which file, to check the server's certificate.
        cert: File of a client certificate, or that and the file of its key.
        proxy: Address of a proxy; the environment's when not given.
        connect_timeout: Seconds until a connection stands.
        read_timeout: Seconds that an answer may take.
        attempts: How often a request is made at most, where it may be repeated.
        backoff: The most seconds before the second; see `tradewind.backoff`.
        longest: The longest wait in seconds; a server that asks for more is not asked again.
    """

    base_url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    auth: tuple[str, str] | httpx.Auth | None = field(default=None, repr=False)
    verify: bool | str | ssl.SSLContext = True
    cert: str | tuple[str, str] | None = None
    proxy: str | None = field(default=None, repr=False)
    connect_timeout: float = 10.0
    read_timeout: float = 60.0
    attempts: int = 4
    backoff: float = 0.5
    longest: float = 30.0

    def conceal(self, text: str) -> str:
        """Remove what is known to be secret from a text: any header may be."""
        return redacted(text, uris=self.secret_uris(), secrets=self.secrets())

    def secret_uris(self) -> list[str]:
        """Addresses that may hold a password."""
        return [self.base_url, *([self.proxy] if self.proxy else [])]

    def secrets(self) -> list[str]:
        """Give the values of all headers, but of short words, and the password."""
        secrets = [
            value
            for name, value in self.headers.items()
            if len(value) >= _SECRET_LENGTH or is_secret_name(name)
        ]
        if isinstance(self.auth, tuple):
            secrets.append(self.auth[1])
        return secrets


class JobServer:
    """A client of one API. May be used from several threads.

    Args:
        connection: Where it is.
        system: What it is called in messages.
    """

    def __init__(self, connection: RestConnection, system: str) -> None:
        self._httpx = load_httpx("Jobs of HTTP APIs")
        self._settings = connection
        known = scheme_of(connection.base_url) in ("http", "https")
        if not known or not split_uri(connection.base_url, system, "https://host:port").hostname:
            raise SetupError(
                f"{system}: {_plain(connection.base_url)!r} is not the address of an HTTP API. "
                "Write it like https://host:port/path."
            )
        self.address = _plain(connection.base_url).rstrip("/")
        self.where = f"{system} at {_plain(connection.base_url)}"
        self._reached = False
        self._backoff = Backoff(first=connection.backoff, longest=connection.longest)
        self._client = open_client(
            connection, self.where, headers=dict(connection.headers), auth=connection.auth
        )

    def close(self) -> None:
        """Close its connections."""
        self._client.close()

    def ask(
        self,
        method: str,
        path: str,
        *,
        what: str,
        fine: Collection[int] = (),
        repeat: bool = True,
        repeated_lost: Callable[[], None] = lambda: None,
        limit: int | None = None,
        **request: Any,
    ) -> httpx.Response:
        """Make a request.

        Args:
            method: HTTP's.
            path: Below the connection's address.
            what: What it is about, for messages, like ``the job x``.
            fine: Statuses from 300 on that are no error.
            repeat: Whether it may be made again when its fate is not known.
            repeated_lost: Is called when it is made again after its answer was lost.
            limit: The most bytes of the answer.
            request: What httpx takes: ``params``, ``json``, ``headers``.

        Raises:
            InputError: The server says that the request is wrong, or its answer is too large.
            SetupError: It is not there, or refuses the credentials.
            RetryError: It is in trouble.
            LostAnswerError: The answer was lost, and the request may not be repeated.
        """
        attempt = 1
        while True:
            asked: float | None = None
            untouched = False
            try:
                response = self._send(method, path, what, limit, request)
                if response.status_code < 300 or response.status_code in fine:
                    self._reached = True
                    return response
                error = self.error(response, what)
                asked = seconds_asked(response)
                # Too many requests: that one was not even looked at.
                untouched = response.status_code == 429
            except LostAnswerError as lost:
                error = lost
                if repeat:
                    repeated_lost()
            except RetryError as refused:
                error = refused
            if (
                not isinstance(error, RetryError)
                or not (repeat or untouched)
                or attempt >= self._settings.attempts
                or (asked or 0) > self._settings.longest
            ):
                raise error
            self._backoff.rest(attempt, asked)
            attempt += 1

    def json(self, response: httpx.Response, what: str) -> Any:
        """Read the JSON of an answer.

        Args:
            response: The answer.
            what: What it is about.

        Raises:
            SetupError: It is none.
        """
        try:
            return response.json()
        except ValueError as error:
            begin = self._settings.conceal(response.text[:_LOOKED_AT])[:80]
            raise SetupError(
                f"{self.where}: {what}: the answer is no JSON but begins with {begin!r}. Check "
                "address and prefix: another service, or a login page, may answer there."
            ) from error

    def _send(
        self, method: str, path: str, what: str, limit: int | None, request: Mapping[str, Any]
    ) -> httpx.Response:
        with (
            self._in_words(what),
            self._client.stream(method, self._url(path), **request) as response,
        ):
            content = b""
            for chunk in response.iter_bytes(1 << 16):
                content += chunk
                if limit is not None and len(content) > limit:
                    raise InputError(
                        f"{self.where}: {what} is larger than {limit:,} bytes. Write it to a "
                        "store, and hand back where it stands."
                    )
        headers = [
            (name, value)
            for name, value in response.headers.multi_items()
            if name.lower() not in ("content-encoding", "content-length", "transfer-encoding")
        ]
        read: httpx.Response = self._httpx.Response(
            response.status_code, headers=headers, content=content
        )
        return read

    def _url(self, path: str) -> str:
        return f"{self._settings.base_url.rstrip('/')}/{path.lstrip('/')}"

    @contextmanager
    def _in_words(self, what: str) -> Iterator[None]:
        with concealing(uris=self._settings.secret_uris, secrets=self._settings.secrets):
            yield from self._translated(what)

    def _translated(self, what: str) -> Iterator[None]:
        httpx = self._httpx
        try:
            yield
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError) as error:
            self._refuse_tls(error, what)
            text = f"{self.where}: it cannot be reached for {what} ({error or 'no answer'})."
            if self._reached:
                # It was there a moment ago: it is being started anew, say.
                raise RetryError(text) from error
            raise SetupError(
                f"{text} Start it, and check host, port, scheme and TLS of the connection."
            ) from error
        except httpx.HTTPError as error:
            # A server that wants a certificate of the client says so when it is asked.
            self._refuse_tls(error, what)
            raise LostAnswerError(
                f"{self.where}: the connection broke at {what} ({type(error).__name__}: {error})."
            ) from error
        except httpx.InvalidURL as error:
            # Without its text: it repeats the address.
            raise SetupError(
                f"{self.where}: {what}: it is no HTTP address ({type(error).__name__}). Correct it."
            ) from None

    def _refuse_tls(self, error: Exception, what: str) -> None:
        if (text := refusal(error, trust=TRUST, own=OWN)) is not None:
            raise SetupError(f"{self.where}: TLS failed for {what}: {text}.") from error

    @contextmanager
    def stream(
        self, path: str, *, what: str, params: Mapping[str, str]
    ) -> Iterator[tuple[int, str | None, Iterator[bytes]]]:
        """Make a GET whose answer may be large, once.

        Args:
            path: Below the connection's address.
            what: What it is about, for messages.
            params: Query parameters.

        Yields:
            The status, which may be a redirection or 404, where it leads to, and the body, decoded.

        Raises:
            TradewindError: As `ask`.
        """
        url = self._url(path)
        with self._in_words(what), self._client.stream("GET", url, params=params) as response:
            status = response.status_code
            if status >= 400 and status != 404:
                response.read()
                raise self.error(response, what)
            self._reached = True
            yield status, response.headers.get("location"), response.iter_bytes(1 << 16)

    def error(self, response: httpx.Response, what: str) -> Exception:
        """Say in words what an answer refuses, as the error that it is.

        Args:
            response: The answer.
            what: What it is about.
        """
        status = response.status_code
        said = self._settings.conceal(_message(response, self._settings.conceal))
        said = said[:_MESSAGE_LENGTH].rstrip(".")
        text = f"{self.where}: {what}: {said} (status {status})."
        if status in (401, 403):
            return SetupError(
                f"{text} Check login, password, token and rights of the connection, and its "
                "auth_type."
            )
        if status in PASSING or status >= 500:
            return RetryError(text)
        if status < 400:
            location = _plain(response.headers.get("location", "another place"))
            return SetupError(f"{text} It points to {location}: use that address, if it is right.")
        if status in (404, 405):
            return SetupError(f"{text} Check address, prefix and path.")
        return InputError(f"{text} Correct what is asked for.")


def _message(response: httpx.Response, conceal: Callable[[str], str]) -> str:
    try:
        said = json.loads(response.content)
    except ValueError:
        # A page for people: its words, without tags.
        text = conceal(response.text)  # before: a secret may look like a tag
        words = re.sub(r"<(style|script).*?</\1>|<[^>]*>", " ", text, flags=re.DOTALL)
        return " ".join(words.split()) or response.reason_phrase or "it refuses"
    if isinstance(said, dict):
        found = next((said[name] for name in _MESSAGES if said.get(name)), said)
        said = found.get("message", found) if isinstance(found, dict) else found
    return " ".join((said if isinstance(said, str) else json.dumps(said)).split())


def _plain(url: str) -> str:
    """Show a URL without user, password and query."""
    return shown_uri(url).partition("?")[0].replace(f"{HIDDEN}@", "")
