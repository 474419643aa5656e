"""A container engine, spoken to over its HTTP API: Docker, or podman's service for it.

Protocol: the Docker Engine API, https://docs.docker.com/reference/api/engine/version/v1.41/, which
podman serves too. No version is asked for unless one is given: what is used is the same in all.

Not by the package docker: what is used are a dozen requests, and httpx makes those of all other
HTTP systems too. The local SageMaker has a small client of its own, asynchronous as it is, since it
is a distribution that knows nothing of this one.
"""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from tradewind.backoff import Backoff
from tradewind.concealing import concealing, keep_addresses_out_of_logs
from tradewind.errors import InputError, MissingExtraError, RetryError, SetupError
from tradewind.redaction import redacted, scheme_of, shown_uri, split_uri
from tradewind.run.backend import UnreachableError
from tradewind.systems.docker.tail import Connection, Tail
from tradewind.systems.docker.tls import OWN, TRUST
from tradewind.tls import refusal

if TYPE_CHECKING:
    import httpx

__all__ = [
    "Engine",
    "EngineRefusedError",
    "RegistryLogin",
    "as_environment",
    "host_config",
    "size_of",
]


_TRIES = 3
_MESSAGE_LENGTH = 2_000
#: Of one log file: a thousand terabytes.
_NO_LIMIT = "1000t"


class EngineRefusedError(InputError):
    """The engine said no.

    Args:
        message: What it said, with system, object and remedy.
        status: Its HTTP status.
        headers: Of its answer.
    """

    def __init__(
        self, message: str, *, status: int, headers: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers


@dataclass(frozen=True)
class RegistryLogin:
    """Who pulls an image from a registry.

    Args:
        registry: Its address; the engine's usual one when empty.
        username: Login.
        password: Secret.
        email: For registries that want one.
    """

    registry: str = ""
    username: str = ""
    password: str = field(default="", repr=False)
    email: str = ""

    def header(self) -> str:
        """Spell it as the header ``X-Registry-Auth``."""
        told = {
            "username": self.username,
            "password": self.password,
            "email": self.email,
            "serveraddress": self.registry,
        }
        return base64.urlsafe_b64encode(json.dumps(told).encode()).decode()


class Engine:
    """A client of one container engine. May be used from several threads.

    Args:
        url: ``unix:///var/run/docker.sock``, ``tcp://host:2375`` or ``https://host:2376``.
        tls: For TLS, what `ssl.create_default_context` gives, with the client's certificate.
        api_version: Like ``1.41``; the engine's own when not given.
        timeout: How long an answer may take, in seconds.
        server_name: The name that the engine's certificate must have, instead of the host's.
    """

    def __init__(
        self,
        url: str = "unix:///var/run/docker.sock",
        *,
        tls: ssl.SSLContext | None = None,
        api_version: str | None = None,
        timeout: float = 60.0,
        server_name: str | None = None,
    ) -> None:
        try:
            import httpx
        except ImportError as error:
            raise MissingExtraError("httpx", extra="docker", purpose="Docker") from error
        keep_addresses_out_of_logs()
        self._httpx = httpx
        self._backoff = Backoff(first=0.4)
        self._logging: tuple[str, frozenset[str]] | None = None
        self._given = url
        self.url = shown_uri(url)
        """The engine's address, for messages."""
        self.is_podman = False
        """Whether its last answer was podman's."""
        if scheme_of(url) not in ("unix", "tcp", "http", "https"):
            raise SetupError(
                f"Docker: {self.url!r} is no address of an engine. Use "
                "unix:///path/to/docker.sock, tcp://host:port or https://host:port."
            )
        self._parts = parts = split_uri(url, "Docker", "unix:///path/to/docker.sock")
        prefix = f"/v{api_version.removeprefix('v')}" if api_version not in (None, "auto") else ""
        self._prefix = prefix
        transport = None
        if tls is None and parts.scheme == "https":
            tls = ssl.create_default_context()
        self._tls = tls
        self._extensions = {"sni_hostname": server_name} if server_name and tls else {}
        if parts.scheme == "unix":
            transport = httpx.HTTPTransport(uds=parts.path, retries=1)
            base = f"http://engine{prefix}"
        else:
            scheme = "https" if tls is not None or parts.scheme == "https" else "http"
            base = f"{scheme}://{parts.netloc}{prefix}"
        self._client = httpx.Client(
            base_url=base,
            transport=transport,
            verify=tls if tls is not None else True,
            timeout=httpx.Timeout(timeout, connect=10.0),
            trust_env=False,
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
        fine: tuple[int, ...] = (),
        timeout: float | None = None,
        **request: Any,
    ) -> httpx.Response:
        """Send a request.

        Args:
            method: HTTP's.
            path: Under the API's root.
            what: What it is about, for messages, like ``the image 'x'``.
            fine: Statuses from 300 on that are no error.
            timeout: Seconds that this answer may take instead.
            request: What httpx takes: ``params``, ``json``, ``content``, ``headers``.

        Raises:
            EngineRefusedError: It said no (400 to 499).
            RetryError: It failed (500 to 599) or cannot be reached just now.
            UnreachableError: Nobody answers there.
            SetupError: It may not be used by this account.
        """
        if timeout is not None:
            request["timeout"] = timeout
        # podman fails to tell of a container that is just ending, and to unpack what is copied into
        # one when it has much to do. What changes nothing when it is repeated is asked again.
        tries = _TRIES if method in ("GET", "PUT") else 1
        for attempt in range(1, tries + 1):
            with self._named(what):
                response = self._client.request(
                    method, path, extensions=self._extensions, **request
                )
            if response.status_code < 500 or attempt == tries:
                break
            self._backoff.rest(attempt)
        self.is_podman = response.headers.get("server", "").startswith("Libpod/")
        if response.status_code >= 300 and response.status_code not in fine:
            self._raise(response.status_code, response.content, what)
        return response

    @contextmanager
    def stream(
        self, method: str, path: str, *, what: str, **request: Any
    ) -> Iterator[httpx.Response]:
        """Send a request whose answer is read in pieces; see `ask`."""
        with (
            self._named(what),
            self._client.stream(method, path, extensions=self._extensions, **request) as response,
        ):
            if response.status_code >= 300:
                self._raise(response.status_code, response.read(), what, response.headers)
            yield response

    def tail(self, path: str, *, what: str, params: Mapping[str, str]) -> Tail:
        """Ask for an answer in many small pieces that may go on for hours, as a log is.

        Args:
            path: Under the API's root.
            what: What it is about, for messages.
            params: Of the query.
        """
        parts = self._parts
        connection = Connection(
            parts.hostname or "engine",
            parts.port,
            unix=parts.path if parts.scheme == "unix" else None,
            tls=self._tls,
            server_name=self._extensions.get("sni_hostname"),
        )

        def refuse(status: int, body: bytes) -> None:
            self._raise(status, body, what)

        return Tail(connection, f"{self._prefix}{path}?{urlencode(params)}", self.url, what, refuse)

    def local_log(self) -> dict[str, Any]:
        """Spell that a container's log is kept by the driver ``local``, which is read faster.

        An engine that hands its logs to somebody else (journald, syslog, a collector) goes on doing
        that. The driver rotates at 20 MB unless it is told a size, and forgets what is older: so it
        is told one that no disk has. "No limit" cannot be said in all versions.

        Source: https://docs.docker.com/engine/logging/drivers/local/

        Returns:
            For the host config of a container; empty where the engine is not set up for JSON files,
            or does not know the driver, as podman.
        """
        if self._logging is None:
            told = self.ask("GET", "/info", what="how it keeps logs").json()
            drivers = (told.get("Plugins") or {}).get("Log") or ()
            self._logging = (str(told.get("LoggingDriver")), frozenset(drivers))
        usual, known = self._logging
        if usual != "json-file" or "local" not in known:
            return {}
        whole = {"max-size": _NO_LIMIT, "max-file": "1", "compress": "false"}
        return {"LogConfig": {"Type": "local", "Config": whole}}

    def pull(
        self, image: str, login: RegistryLogin | None, *, platform: str | None
    ) -> Iterator[str]:
        """Pull an image, telling what the engine says on the way.

        Args:
            image: Name, with tag or digest; ``latest`` when it has none.
            login: Who pulls.
            platform: Like ``linux/arm64``; the engine's own when not given.

        Yields:
            What it is at, a line for each change of a layer's state.

        Raises:
            InputError: The registry has no such image, or refuses the login.
        """
        last = image.rpartition("/")[2]
        params = {"fromImage": image if ":" in last or "@" in last else f"{image}:latest"}
        if platform:
            params["platform"] = platform
        headers = {"X-Registry-Auth": login.header()} if login else {}
        what = f"the image {image!r}"
        told: dict[str, str] = {}
        secrets = [login.password, headers["X-Registry-Auth"]] if login else []
        with (
            concealing(secrets=lambda: secrets),
            self.stream(
                "POST", "/images/create", what=what, params=params, headers=headers, timeout=None
            ) as response,
        ):
            for line in response.iter_lines():
                if not line.strip():
                    continue
                news = json.loads(line)
                if "error" in news:
                    raise InputError(
                        f"Docker at {self.url}: {what} cannot be pulled: {news['error']}. "
                        "Check its name and tag, and the login of its registry."
                    )
                state, layer = news.get("status", ""), news.get("id", "")
                if told.get(layer) != state:
                    told[layer] = state
                    yield f"{layer}: {state}" if layer else state

    @contextmanager
    def _named(self, what: str) -> Iterator[None]:
        with concealing(uris=lambda: [self._given]), self._translated(what):
            yield

    @contextmanager
    def _translated(self, what: str) -> Iterator[None]:
        httpx = self._httpx
        try:
            yield
        except httpx.ConnectError as error:
            self._refuse_tls(error, what)
            raise UnreachableError(
                f"Docker at {self.url}: it cannot be reached for {what} ({error}). Start the "
                "engine, check the address, and let this account use its socket."
            ) from error
        except httpx.HTTPError as error:
            # An engine that wants a certificate of the client says so when it is asked.
            self._refuse_tls(error, what)
            raise RetryError(
                f"Docker at {self.url}: the connection broke at {what} "
                f"({type(error).__name__}: {error})."
            ) from error

    def _refuse_tls(self, error: Exception, what: str) -> None:
        if (text := refusal(error, trust=TRUST, own=OWN)) is not None:
            raise SetupError(f"Docker at {self.url}: TLS failed for {what}: {text}.") from error

    def _raise(
        self,
        status: int,
        body: bytes,
        what: str,
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        try:
            said = json.loads(body)
            message = str(said.get("message") or said.get("cause") or said)
        except ValueError:
            message = body.decode(errors="replace")
        # A proxy before it may repeat the request.
        message = redacted(message, uris=[self._given])[:_MESSAGE_LENGTH]
        text = f"Docker at {self.url}: {what}: {message.rstrip('.')} (status {status})."
        if status in (401, 403):
            raise SetupError(f"{text} Check who may use the engine.")
        # podman answers 500 to a name that is none.
        if status >= 500 and "invalid reference format" not in message:
            raise RetryError(text)
        raise EngineRefusedError(text, status=status, headers=headers)


def host_config(
    *,
    network_mode: str | None,
    mem_limit: str | int | None,
    cpus: float | None,
    shm_size: str | int | None,
) -> dict[str, Any]:
    """Spell limits as the API does.

    Args:
        network_mode: ``host``, ``bridge``, ``none``, a network's name.
        mem_limit: Bytes, or like ``512m``.
        cpus: Cores, may be a fraction.
        shm_size: As `mem_limit`.
    """
    config: dict[str, Any] = {}
    if network_mode:
        config["NetworkMode"] = network_mode
    if mem_limit is not None:
        config["Memory"] = size_of(mem_limit)
    if cpus is not None:
        config["NanoCpus"] = int(cpus * 1e9)
    if shm_size is not None:
        config["ShmSize"] = size_of(shm_size)
    return config


def size_of(text: str | int) -> int:
    """Read a size as ``docker run`` takes it: ``b``, ``k``, ``m``, ``g``, powers of 1024."""
    if isinstance(text, int):
        return text
    number = text.strip().lower().removesuffix("b") or "0"
    power = {"k": 1, "m": 2, "g": 3, "t": 4}.get(number[-1:], 0)
    try:
        return int(float(number[:-1] if power else number) * 1024**power)
    except ValueError:
        raise InputError(f"Docker: {text!r} is no size. Write it like 512m or 2g.") from None


def as_environment(variables: Mapping[str, str]) -> list[str]:
    """Spell variables as the API does."""
    return [f"{name}={value}" for name, value in variables.items()]
