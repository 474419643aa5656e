"""Requests over HTTP that are made again, paced, redirected without secrets, and checked."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar
from urllib.parse import unquote_plus, urlencode

from tradewind.backoff import Backoff, rest
from tradewind.concealing import concealing
from tradewind.errors import InputError, RetryError, SetupError, TradewindError
from tradewind.move.interface import further_option
from tradewind.systems.http.calls import Answer, Call, Streamed, TryAgainError
from tradewind.systems.http.client import (
    PASSING,
    check_headers,
    load_httpx,
    open_client,
    remaining,
    seconds_asked,
)
from tradewind.systems.http.connection import (
    BearerAuth,
    HeaderAuth,
    HttpConnection,
    masked,
    origin,
)
from tradewind.systems.http.content import part_of
from tradewind.systems.http.redirects import redirected
from tradewind.systems.http.tls import OWN, TRUST
from tradewind.tls import refusal

if TYPE_CHECKING:
    import httpx

__all__ = ["HttpSession"]

_Result = TypeVar("_Result")

_SAFE = {"GET", "HEAD", "OPTIONS", "PUT", "DELETE"}
_EXCERPT = 200


class HttpSession:
    """Requests of one connection.

    Args:
        connection: Where to.
        stop: Ends a wait between two requests once it is set.
    """

    def __init__(self, connection: HttpConnection, *, stop: threading.Event | None = None) -> None:
        httpx = load_httpx()
        self.connection = connection
        self._httpx = httpx
        self._next = 0.0
        self._stop = stop
        retries = connection.retries
        self._backoff = Backoff(first=retries.backoff, longest=retries.longest, stop=stop)
        self._client = open_client(
            connection,
            f"HTTP API at {masked(connection.base_url)}",
            headers={"User-Agent": "tradewind"},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._client.close()

    def read(
        self,
        call: Call,
        *,
        limit: int,
        check: Callable[[Answer], _Result],
        streams: Callable[[httpx.Response], bool] = lambda response: False,
    ) -> _Result | Streamed:
        """Read an answer, whole or in a stream.

        Args:
            call: The request.
            limit: The most bytes that a body may have that is read whole, uncompressed.
            check: Makes the result of a whole answer; may raise `TryAgainError`.
            streams: Looks at status and headers: whether to read it in a stream. Such a request is
                made again only until its first bytes are there.

        Returns:
            What `check` made, or the stream.

        Raises:
            RetryError: All attempts failed.
            InputError: The server refuses the request; the body is longer than `limit`.
            SetupError: Credentials are refused; TLS failed.
        """

        def read(response: httpx.Response) -> _Result | Streamed:
            if streams(response):
                chunks = response.iter_bytes(1 << 16)
                first = next(chunks, b"")
                return Streamed(self.answer(response, b""), self._rest(response, first, chunks))
            pieces: list[bytes] = []
            size = 0
            for piece in response.iter_bytes():
                pieces.append(piece)
                size += len(piece)
                if size > limit:
                    raise InputError(
                        f"{self.named(response)}: the answer is longer than {limit:,} bytes. Ask "
                        f"for smaller pages, or give {further_option('page_bytes', 4 * limit)}."
                    )
            return check(self.answer(response, b"".join(pieces)))

        with self._concealing():
            return self._retried(call, read)

    def _concealing(self) -> AbstractContextManager[None]:
        return concealing(uris=self.connection.secret_uris, secrets=self.connection.secrets)

    def fetch(self, call: Call, *, limit: int, check: Callable[[Answer], _Result]) -> _Result:
        """Read a whole answer; see `read`."""
        result = self.read(call, limit=limit, check=check)
        assert not isinstance(result, Streamed)  # noqa: S101
        return result

    def stream(self, call: Call) -> Iterator[bytes]:
        """Read an answer in a stream; see `read`."""
        result = self.read(
            call, limit=0, check=lambda answer: answer, streams=lambda response: True
        )
        assert isinstance(result, Streamed)  # noqa: S101
        yield from result.chunks

    def _rest(
        self, response: httpx.Response, piece: bytes, pieces: Iterator[bytes]
    ) -> Iterator[bytes]:
        with self._concealing():
            yield from self._pieces(response, piece, pieces)

    def _pieces(
        self, response: httpx.Response, piece: bytes, pieces: Iterator[bytes]
    ) -> Iterator[bytes]:
        size = 0
        try:
            while piece:
                size += len(piece)
                yield piece
                try:
                    piece = next(pieces, b"")
                except self._httpx.DecodingError as error:
                    raise RetryError(
                        f"{self.named(response)}: the compressed body is not whole, after "
                        f"{size:,} bytes ({_reason(error)}). Nothing of it was published; try "
                        "again."
                    ) from error
                except self._httpx.HTTPError as error:
                    raise RetryError(
                        f"{self.named(response)}: the connection broke after {size:,} bytes "
                        f"({_reason(error)}). Nothing of it was published; try again."
                    ) from error
        finally:
            response.close()

    def named(self, response: httpx.Response) -> str:
        """Name the API and the request in a message."""
        return f"HTTP API at {masked(str(response.url))}"

    def answer(self, response: httpx.Response, body: bytes) -> Answer:
        """Give what is known of a response whose body was read."""
        return Answer(
            response.status_code,
            str(response.url),
            {name.lower(): value for name, value in response.headers.items()},
            body,
            response.charset_encoding,
        )

    def _retried(self, call: Call, use: Callable[[httpx.Response], _Result]) -> _Result:
        retries = self.connection.retries
        again = retries.any_method or call.method.upper() in _SAFE
        attempt = 0
        while True:
            attempt += 1
            self._pace()
            try:
                return self._attempt(call, use)
            except TryAgainError as error:
                where = f"HTTP API at {masked(call.url)}"
                too_long = error.wait is not None and error.wait > retries.longest
                if attempt >= retries.attempts or too_long or not (again or error.unsent):
                    why = (
                        f"it asks to wait {error.wait:.0f} s"
                        if too_long
                        else f"after {attempt} attempt" + "s" * (attempt > 1)
                    )
                    hint = (
                        ""
                        if again
                        else (
                            f" A {call.method} is not made again by itself; if it changes nothing, "
                            "allow it with Retries(any_method=True)."
                        )
                    )
                    raise RetryError(f"{where}: {error} ({why}). Try again later.{hint}") from error
                self._backoff.rest(attempt, error.wait)

    def _pace(self) -> None:
        if self.connection.rate is None:
            return
        now = time.monotonic()
        if self._next > now:
            rest(self._next - now, self._stop)
        self._next = max(now, self._next) + 1 / self.connection.rate

    def _attempt(self, call: Call, use: Callable[[httpx.Response], _Result]) -> _Result:
        errors = self._httpx
        response: httpx.Response | None = None
        done = False
        try:
            response = self._send(call)
            self._check(response, call)
            result = use(response)
            done = True  # read to its end, or a stream's to close
            return result
        except (errors.ConnectError, errors.ConnectTimeout, errors.PoolTimeout) as error:
            self._refuse_tls(call, error)
            raise TryAgainError(f"it cannot be reached ({_reason(error)})", unsent=True) from error
        except (errors.UnsupportedProtocol, errors.InvalidURL) as error:
            # Without its text: it repeats the address.
            raise InputError(
                f"{masked(call.url)!r} is not an HTTP address ({type(error).__name__}). Correct it."
            ) from None
        except errors.DecodingError as error:
            raise TryAgainError(f"the compressed body is not whole ({_reason(error)})") from None
        except errors.HTTPError as error:
            # A server that wants a certificate of the client says so when it is asked.
            self._refuse_tls(call, error)
            # Without its cause: the library repeats headers that it cannot send.
            reason = self.connection.conceal(_reason(error))
            raise TryAgainError(f"the connection broke ({reason})") from None
        finally:
            if response is not None and not done:
                response.close()

    def _refuse_tls(self, call: Call, error: Exception) -> None:
        if (text := refusal(error, trust=TRUST, own=OWN)) is not None:
            raise SetupError(f"HTTP API at {masked(call.url)}: TLS failed: {text}.") from error

    def _send(self, call: Call) -> httpx.Response:
        """Send a request and follow redirects by hand: httpx would take headers elsewhere."""
        errors = self._httpx
        for number in range(self.connection.redirects + 1):
            request, auth = self._request(call)
            try:
                response: httpx.Response = self._client.send(request, auth=auth, stream=True)
            except (errors.ConnectError, errors.ConnectTimeout, errors.PoolTimeout) as error:
                self._refuse_tls(call, error)
                if not number:
                    raise
                # Not unsent: the request has reached the server that redirects.
                raise TryAgainError(
                    f"{masked(call.url)}, to which it redirects, cannot be reached "
                    f"({_reason(error)})"
                ) from error
            if response.status_code not in (301, 302, 303, 307, 308):
                return response
            response.close()
            location = response.headers.get("location")
            if location is None:
                return response
            call = redirected(call, response, location, self.connection.origin)
        raise InputError(
            f"HTTP API at {masked(call.url)}: more than {self.connection.redirects} redirects. "
            "Correct the address."
        )

    def _request(self, call: Call) -> tuple[httpx.Request, Any]:
        httpx, connection = self._httpx, self.connection
        url = httpx.URL(call.url)
        added = dict(call.params)
        headers: dict[str, str] = {}
        auth: Any = None
        if origin(call.url) == connection.origin:
            for name, value in connection.params.items():
                if name not in added and name not in url.params:
                    added[name] = value
            headers = {**connection.headers, **call.headers}
            if isinstance(connection.auth, BearerAuth):
                headers["Authorization"] = f"Bearer {connection.auth.token}"
            elif isinstance(connection.auth, HeaderAuth):
                headers[connection.auth.name] = connection.auth.value
            else:
                auth = connection.auth
        check_headers(headers, f"HTTP API at {masked(call.url)}")
        if added:
            url = url.copy_with(query=_query(url.query.decode("ascii"), added).encode("ascii"))
        request = self._client.build_request(
            call.method.upper(), url, headers=headers, json=call.body, content=call.content
        )
        if origin(call.url) != connection.origin:
            request.headers.pop("cookie", None)
        return request, auth

    def _check(self, response: httpx.Response, call: Call) -> None:
        status = response.status_code
        if response.is_success or status in call.ends:
            asked = "range" in response.request.headers
            if (part := part_of(status, response.headers)) is not None and not asked:
                raise InputError(
                    f"{self.named(response)}: it answers 206 with a part that nobody asked for "
                    f"({part!r}). Have it, or the cache before it, send the whole; a part that "
                    "is wanted is asked for by a header Range."
                )
            return
        said = self._said(response)
        if status == 403 and _is_limited(response, said):
            raise TryAgainError(
                f"its rate limit is reached: it answered 403 {response.reason_phrase}{said}",
                wait=seconds_asked(response),
            )
        if status in PASSING:
            raise TryAgainError(
                f"it answered {status} {response.reason_phrase}{said}", wait=seconds_asked(response)
            )
        where = f"{self.named(response)}: it answered {status} {response.reason_phrase}{said}"
        error: TradewindError
        if status in (401, 403, 407):
            error = SetupError(f"{where}. Correct the credentials of the connection.")
        elif status == 404:
            error = InputError(f"{where}. Correct the path.")
        else:
            error = InputError(f"{where}. Correct the request.")
        raise error

    def _said(self, response: httpx.Response) -> str:
        body = b""
        try:
            for piece in response.iter_bytes():
                body += piece
                if len(body) >= 4 * _EXCERPT:
                    break
        except (self._httpx.HTTPError, InputError):
            pass  # the status matters, and what could be read
        text = self.excerpt(body)
        return f": {text}" if text else ""

    def excerpt(self, body: bytes) -> str:
        """Give the first characters of a body in one line, without known secrets."""
        text = self.connection.conceal(body[: 4 * _EXCERPT].decode("utf-8", "replace"))
        text = " ".join(text.split())
        text = "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text)
        return repr(text[:_EXCERPT])[1:-1] + ("..." if len(text) > _EXCERPT else "")


def _query(own: str, params: Mapping[str, Any]) -> str:
    """Put parameters into a query in place of those of the same names; the rest stays as it is.

    Args:
        own: The query as it stands in the URL, which may be spelled in a way that matters: signed,
            without values, with ``%20`` or ``+``.
        params: Values, or lists of them; None is left out.
    """
    kept = [part for part in own.split("&") if unquote_plus(part.partition("=")[0]) not in params]
    pairs = [
        (name, str(one).lower() if isinstance(one, bool) else one)
        for name, value in params.items()
        for one in (value if isinstance(value, list | tuple) else [value])
        if one is not None
    ]
    return "&".join(part for part in (*kept, urlencode(pairs)) if part)


def _is_limited(response: httpx.Response, said: str) -> bool:
    """Tell a rate limit that is answered with 403 from a lack of permission, as GitHub does.

    See https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api.
    """
    headers = response.headers
    return (
        "retry-after" in headers
        or remaining(response) == "0"
        or "rate limit" in said.lower().replace("-", " ")
    )


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__
