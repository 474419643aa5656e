"""HTTP APIs from an Airflow connection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tradewind.airflow.connections import find_connection
from tradewind.errors import InputError

if TYPE_CHECKING:
    from airflow.sdk import Connection

    from tradewind.systems.http.connection import HttpConnection

__all__ = ["as_cert", "as_verify", "connection_of", "http_connection"]


def connection_of(
    connection: Connection, hook_params: Mapping[str, Any] | None = None
) -> HttpConnection:
    """Read a connection as ``HttpHook`` does.

    Args:
        connection: Of type ``http``.
        hook_params: Arguments of `http_connection`, like ``{"headers": {...}}``.
    """
    return http_connection(connection.conn_id, **(hook_params or {}))


def http_connection(
    conn_id: str,
    *,
    headers: Mapping[str, str] | None = None,
    extra_options: Mapping[str, Any] | None = None,
    auth_type: Any = None,
    **options: Any,
) -> HttpConnection:
    """Read a connection as ``HttpHook`` does: what is in its extra are headers.

    Args:
        conn_id: Its id.
        headers: Beside those of the connection.
        extra_options: Of the hook: ``verify``, ``cert``, ``proxies``, ``timeout``,
            ``max_redirects``, ``allow_redirects``.
        auth_type: Like `requests.auth.HTTPBasicAuth`, or the httpx kind: called with login and
            password, or without where the connection has no login.
        options: Further arguments of `HttpConnection`.

    Returns:
        The connection.

    Raises:
        InputError: An option has no meaning here.
        SetupError: The connection is missing or wrong.
    """
    from tradewind.systems.http.connection import HttpConnection

    connection = find_connection(conn_id)
    extra = dict(connection.extra_dejson)
    asked = {name: extra.pop(name) for name in _OPTIONS if name in extra}
    asked.update(extra_options or {})
    check_extra_options(asked)
    if asked.get("srv_lookup"):
        raise InputError(f"{conn_id}: srv_lookup is not supported. Name host and port instead.")
    timeout = asked.get("timeout")
    if timeout is not None:
        connect, read = timeout if isinstance(timeout, list | tuple) else (timeout, timeout)
        options.setdefault("connect_timeout", float(connect))
        options.setdefault("read_timeout", float(read))
    verify = asked.get("verify", asked.get("verify_ssl"))
    if verify is not None:
        options["verify"] = as_verify(verify)
    if (cert := as_cert(asked.get("cert"))) is not None:
        options["cert"] = cert
    redirects = asked.get("max_redirects")
    if asked.get("allow_redirects") is False:
        redirects = 0
    if redirects is not None:
        options["redirects"] = int(redirects)
    base = _base_url(connection)
    proxies = asked.get("proxies", asked.get("proxy"))
    if isinstance(proxies, Mapping):
        proxies = proxies.get(urlsplit(base).scheme)
    if proxies:
        options["proxy"] = proxies
    return HttpConnection(
        base,
        headers={**{name: str(value) for name, value in extra.items()}, **(headers or {})},
        auth=_auth(connection.login, connection.password, auth_type),
        **options,
    )


_IGNORED = {"stream", "trust_env", "check_response", "srv_lookup"}
_OPTIONS = _IGNORED | {
    "allow_redirects",
    "cert",
    "max_redirects",
    "proxies",
    "proxy",
    "timeout",
    "verify",
    "verify_ssl",
}


def check_extra_options(given: Mapping[str, Any]) -> None:
    """Refuse what has no meaning here.

    Args:
        given: As ``HttpHook`` has them.

    Raises:
        InputError: One has none, or would let an error page pass for data.
    """
    unknown = sorted(set(given) - _OPTIONS)
    if unknown:
        raise InputError(
            f"extra_options: {unknown[0]!r} has no meaning here. Choose from: "
            f"{', '.join(sorted(_OPTIONS - _IGNORED))}."
        )
    if given.get("check_response") is False:
        raise InputError(
            "extra_options: check_response=False would store an error page as data. Leave it out."
        )


def as_verify(verify: Any) -> bool | str:
    """Read a ``verify`` of an extra, where ``"false"`` is a word as often as it is a value."""
    if isinstance(verify, str) and verify.strip().lower() in ("true", "false"):
        return verify.strip().lower() == "true"
    return verify if isinstance(verify, str) else bool(verify)


def as_cert(cert: Any) -> str | tuple[str, str] | None:
    """Read a ``cert`` of an extra: a file, or a list of that and the file of the key."""
    if not cert:
        return None
    if isinstance(cert, str):
        return cert
    files = tuple(map(str, cert))
    if len(files) != 2:
        raise InputError(
            f"cert names {len(files)} files. Give one with certificate and key, or a list of both."
        )
    return files[0], files[1]


def _base_url(connection: Any) -> str:
    host = connection.host or ""
    base = host if "://" in host else f"{connection.schema or 'http'}://{host}"
    return f"{base}:{connection.port}" if connection.port else base


def _auth(login: str | None, password: str | None, auth_type: Any) -> Any:
    name = getattr(auth_type, "__name__", None)
    if auth_type is None or name == "HTTPBasicAuth":
        return (login, password or "") if login else None
    import httpx

    if name == "HTTPDigestAuth":
        return httpx.DigestAuth(login or "", password or "")
    made = auth_type(login, password) if login else auth_type()
    return requests_auth(made)


def requests_auth(auth: Any) -> Any:
    """Let an auth of `requests` serve httpx.

    Args:
        auth: One of `requests`, which changes a request's headers; one of httpx is given back.
    """
    import httpx

    if type(auth).__name__ == "HTTPDigestAuth":
        return httpx.DigestAuth(auth.username, auth.password)
    if isinstance(auth, httpx.Auth) or not callable(auth):
        return auth
    return _RequestsAuth.of(auth)


class _RequestsAuth:
    """Lets an auth of `requests`, which changes a request's headers, serve httpx."""

    @staticmethod
    def of(requests_auth: Any) -> Any:
        import httpx

        class Adapted(httpx.Auth):
            def auth_flow(self, request: Any) -> Any:
                prepared = _Prepared(request)
                requests_auth(prepared)
                yield request

        return Adapted()


class _Prepared:
    """What auths of `requests` look at and change: headers, method, URL and body."""

    def __init__(self, request: Any) -> None:
        self.headers = request.headers
        self.method = request.method
        self.url = str(request.url)
        self.body = request.content if request.method != "GET" else None

    def register_hook(self, event: str, hook: Any) -> None:
        raise InputError(
            "This auth_type answers challenges of the server, which is not supported. Use "
            "HTTPDigestAuth, a subclass of httpx.Auth, or a header."
        )
