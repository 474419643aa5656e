"""Reading one answer of an HTTP API as it is."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from tradewind.errors import InputError
from tradewind.move.batches import Batches
from tradewind.move.format import Format
from tradewind.move.source import Encoded, Source
from tradewind.systems.http.calls import Answer, Call
from tradewind.systems.http.connection import HttpConnection, masked
from tradewind.systems.http.session import HttpSession

if TYPE_CHECKING:
    import httpx

__all__ = ["HttpBodySource"]


class HttpBodySource(Source):
    """One answer of an HTTP API, passed through as it is (uncompressed), in a stream.

    Memory: pieces of 64 KB, gathered to 4 MB; with `check` the whole body, `check_bytes` at most.

    Args:
        connection: The API.
        path: Path below the connection's address, or a whole URL.
        method: HTTP's.
        params: Query parameters.
        body: What to send as JSON.
        content: What to send as it is, instead of `body`.
        headers: Beside those of the connection.
        check: Is handed the response, whole, and says whether it is right; None takes any that
            HTTP calls a success.
        check_bytes: The most bytes of a body that is handed to `check`.
        format: What the bytes are, so that they can be read as batches too.
    """

    def __init__(
        self,
        connection: HttpConnection,
        path: str,
        *,
        method: str = "GET",
        params: Mapping[str, Any] | None = None,
        body: Any = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        check: Callable[[httpx.Response], bool] | None = None,
        check_bytes: int = 64 << 20,
        format: Format | None = None,
    ) -> None:
        self.connection = connection
        self.path = path
        self.method = method
        self.params = params
        self.body = body
        self.content = content
        self.headers = headers
        self.check = check
        self.check_bytes = check_bytes
        self.format = format

    @property
    def own_format(self) -> Format | None:
        """The format of the body, with its options."""
        return self.format

    def describe(self) -> str:
        """Name the API and the path."""
        return f"HTTP API at {masked(self.connection.url(self.path))}"

    def batches(self) -> Batches:
        """Read the answer in the format that it was said to have."""
        if self.format is None:
            raise InputError(
                f"{self.describe()}: nobody said what the answer is. Name its format, or publish "
                "it as it is."
            )
        return self.format.decode(self._chunks())

    def encoded(self, format: Format) -> Encoded:
        """Pass the answer through, whatever it is; `format` says nothing about it."""
        return Encoded(self._chunks())

    def _call(self) -> Call:
        return Call(
            self.method,
            self.connection.url(self.path),
            params=self.params or {},
            body=self.body,
            content=self.content,
            headers=self.headers or {},
        )

    def _chunks(self) -> Iterator[bytes]:
        with HttpSession(self.connection, stop=self.stop) as http:
            pieces = http.stream(self._call()) if self.check is None else self._checked(http)
            try:
                gathered: list[bytes] = []
                size = 0
                for piece in pieces:
                    gathered.append(piece)
                    size += len(piece)
                    if size >= 4 << 20:
                        yield b"".join(gathered)
                        gathered, size = [], 0
                if gathered:
                    yield b"".join(gathered)
            finally:
                if isinstance(pieces, Generator):
                    pieces.close()

    def _checked(self, http: HttpSession) -> Iterator[bytes]:
        import httpx

        def check(answer: Answer) -> bytes:
            # As it was before the transport took compression and chunks away.
            headers = {
                name: value
                for name, value in answer.headers.items()
                if name not in ("content-encoding", "content-length", "transfer-encoding")
            }
            request = httpx.Request(self.method, answer.url)
            response = httpx.Response(
                answer.status, headers=headers, content=answer.body, request=request
            )
            if self.check is not None and not self.check(response):
                raise InputError(
                    f"{self.describe()}: the check of the response says that it is wrong (status "
                    f"{answer.status}, {len(answer.body):,} bytes). It begins with: "
                    f"{http.excerpt(answer.body)}. Correct the request or the check."
                )
            return answer.body

        yield http.fetch(self._call(), limit=self.check_bytes, check=check)
