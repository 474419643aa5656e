"""`HttpToS3Operator`: the answer of an HTTP API as an object in S3."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlencode

from tradewind.airflow.base import Move, MoveOperator
from tradewind.airflow.descriptions import Http
from tradewind.airflow.lineage import Lineage
from tradewind.errors import InputError

if TYPE_CHECKING:
    from airflow.sdk import Context

    from tradewind.move.source import Source

__all__ = ["HttpToS3Operator"]


class HttpToS3Operator(MoveOperator):
    """Stream an answer to S3 as it is; or, with `pagination`, the records of all pages.

    Args:
        endpoint: Path below the connection's address. (templated)
        method: HTTP's.
        data: Query parameters of a ``GET``, and otherwise the body: a string as it is, a dict as a
            form; with `pagination` as JSON. (templated)
        headers: Beside those of the connection. (templated)
        extra_options: As ``HttpHook`` has them: verify, cert, proxies, timeout, max_redirects.
        http_conn_id: The HTTP connection. (templated)
        log_response: Refused: an answer that is streamed is never whole.
        auth_type: Like ``requests.auth.HTTPBasicAuth``, or a class of ``httpx.Auth``.
        tcp_keep_alive: No effect: a connection that is silent for long is given up and made anew.
        tcp_keep_alive_idle: No effect.
        tcp_keep_alive_count: No effect.
        tcp_keep_alive_interval: No effect.
        s3_bucket: The bucket, left out where `s3_key` is a whole URI. (templated)
        s3_key: The key, or ``s3://bucket/key``. (templated)
        replace: Whether to replace an object that exists. When not, the task refuses before it
            asks anything; its own earlier attempt does not count.
        encrypt: Whether S3 encrypts the object with its own key (AES256).
        acl_policy: A canned ACL of the object.
        aws_conn_id: The AWS connection; None for boto3's own chain. (templated)
        verify: Whether to check S3's certificate, or the file with those to trust.
        pagination: How to come to the next page, see `tradewind.systems.http.source`: then the
            records of all pages are written as JSON lines. Not in the official operator.
        records: JSON path of the records in a page, with `pagination`.
        options: Further arguments of `tradewind.systems.http.source.RestSource`, with `pagination`,
            like ``{"error_objects": "record"}``.
        kwargs: Of `BaseOperator`.
    """

    template_fields: Sequence[str] = (
        "http_conn_id",
        "endpoint",
        "data",
        "headers",
        "s3_bucket",
        "s3_key",
        "aws_conn_id",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"headers": "json", "data": "py"}
    template_ext: Sequence[str] = ()
    ui_color = "#f4a460"

    def __init__(
        self,
        *,
        endpoint: str | None = None,
        method: str = "GET",
        data: Any = None,
        headers: dict[str, str] | None = None,
        extra_options: dict[str, Any] | None = None,
        http_conn_id: str = "http_default",
        log_response: bool = False,
        auth_type: Any = None,
        tcp_keep_alive: bool = True,
        tcp_keep_alive_idle: int = 120,
        tcp_keep_alive_count: int = 20,
        tcp_keep_alive_interval: int = 30,
        s3_bucket: str | None = None,
        s3_key: str,
        replace: bool = False,
        encrypt: bool = False,
        acl_policy: str | None = None,
        aws_conn_id: str | None = "aws_default",
        verify: str | bool | None = None,
        pagination: Any = None,
        records: str | None = None,
        options: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.http_conn_id = http_conn_id
        self.method = method
        self.endpoint = endpoint
        self.headers = headers or {}
        self.data = data or {}
        self.extra_options = extra_options or {}
        self.log_response = log_response
        self.auth_type = auth_type
        self.tcp_keep_alive = tcp_keep_alive
        self.tcp_keep_alive_idle = tcp_keep_alive_idle
        self.tcp_keep_alive_count = tcp_keep_alive_count
        self.tcp_keep_alive_interval = tcp_keep_alive_interval
        self.s3_bucket = s3_bucket
        self.s3_key = s3_key
        self.replace = replace
        self.encrypt = encrypt
        self.acl_policy = acl_policy
        self.aws_conn_id = aws_conn_id
        self.verify = verify
        self.pagination = pagination
        self.records = records
        self.options = options

    def check_arguments(self) -> None:
        """Refuse what is wrong whatever the data are; see `CheckedOperator.check_arguments`."""
        super().check_arguments()
        if self.log_response:
            raise InputError(
                "log_response=True: the answer is streamed and never whole. Leave it out; rows and "
                "bytes are in the log, the data in S3."
            )
        Http(
            self.http_conn_id,
            extra_options=self.extra_options,
            pagination=self.pagination,
            records=self.records,
            options=self.options or {},
        ).check()

    def plan_move(self, context: Context) -> Move:
        """Read the answer into one object."""
        from tradewind.move.formats.jsonl import JsonLinesFormat
        from tradewind.move.objects.target import ObjectTarget
        from tradewind.systems.s3.airflow import s3_store, split_s3

        bucket, key = split_s3(
            self.s3_bucket,
            self.s3_key,
            conn_id=self.aws_conn_id,
            bucket_argument="s3_bucket",
            key_argument="s3_key",
        )
        upload = self._upload_options()
        options: dict[str, Any] = {"extra_args": upload} if upload else {}
        store = s3_store(bucket, self.aws_conn_id, verify=self.verify, **options)
        # An answer is passed on as it is; its type, if it has one, is told by the key's ending.
        target = ObjectTarget(
            store,
            key,
            format=JsonLinesFormat(),
            compression="none",
            replace=self.replace,
            content_type=None if self.pagination is not None else _content_type(key),
        )
        described = Http(self.http_conn_id, self.endpoint or "", extra_options=self.extra_options)
        return Move(self._source(), target, lineage=Lineage(described.datasets()))

    def _source(self) -> Source:
        from tradewind.systems.http.airflow import http_connection
        from tradewind.systems.http.body import HttpBodySource
        from tradewind.systems.http.source import RestSource

        method = self.method.upper()
        sends = bool(self.data) and method not in ("GET", "HEAD")
        content = None
        headers = {name: value for name, value in self.headers.items() if value is not None}
        if sends and self.pagination is None:
            content, kind = _body(self.data)
            if kind and not any(name.lower() == "content-type" for name in headers):
                headers["Content-Type"] = kind
        # As the connection's own, headers stay with its origin when a redirect leads elsewhere.
        connection = http_connection(
            self.http_conn_id,
            headers=headers,
            extra_options=self.extra_options,
            auth_type=self.auth_type,
        )
        path = self.endpoint or ""
        if method == "GET" and self.data:
            path += ("&" if "?" in path else "?") + _parameters(self.data)
        if self.pagination is None:
            return HttpBodySource(connection, path, method=method, content=content)
        return RestSource(
            connection,
            path,
            method=method,
            body=self._json() if sends else None,
            pagination=self.pagination,
            records=self.records,
            **(self.options or {}),
        )

    def _json(self) -> Any:
        if not isinstance(self.data, str | bytes):
            return self.data
        try:
            return json.loads(self.data)
        except ValueError as error:
            raise InputError(
                f"data is sent as JSON where there is pagination, and is none: {error}. Give a "
                "dict, or a text that is JSON."
            ) from error

    def _upload_options(self) -> dict[str, str]:
        options = {}
        if self.encrypt:
            options["ServerSideEncryption"] = "AES256"
        if self.acl_policy:
            options["ACL"] = self.acl_policy
        return options


def _parameters(data: Any) -> str:
    """Spell the parameters of a GET as `requests` does: a text as it is, None not at all."""
    if isinstance(data, str | bytes):
        return data if isinstance(data, str) else data.decode()
    return _form(data)


def _body(data: Any) -> tuple[bytes, str | None]:
    """Write the body as `requests` does: a form of a dict, anything else as it is."""
    if isinstance(data, bytes):
        return data, None
    if isinstance(data, str):
        return data.encode(), None
    return _form(data).encode(), "application/x-www-form-urlencoded"


def _form(data: Any) -> str:
    if not isinstance(data, Mapping | list | tuple):
        raise InputError(f"data is a {type(data).__name__}: give a dict, a string or bytes.")
    pairs = data.items() if isinstance(data, Mapping) else data
    return urlencode(
        [
            (name, one)
            for name, value in pairs
            for one in (value if isinstance(value, list | tuple | set) else [value])
            if one is not None
        ]
    )


def _content_type(key: str) -> str:
    import mimetypes

    return mimetypes.guess_type(key)[0] or "application/octet-stream"
