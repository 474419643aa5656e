"""A job of any HTTP API that runs once for a task run, however often workers die."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from tradewind.airflow.backends import BackendSpec
from tradewind.airflow.parse_checks import check_mapping
from tradewind.airflow.work import WorkOperator
from tradewind.errors import InputError

if TYPE_CHECKING:
    from airflow.sdk import Context

    from tradewind.run.backend import Backend
    from tradewind.systems.http.backend import JobApi, RestJob

__all__ = ["HttpJobOperator", "check_http", "spelled_auth"]


class HttpJobOperator(WorkOperator):
    """Run a job of an HTTP API: start it, follow its log, wait, take its result, remove it.

    The job's name is made from the task run, so a retry finds the job that an earlier attempt has
    started; `JobApi` says what the API must have for that. The result becomes the XCom.

    Args:
        http_conn_id: The HTTP connection. (templated)
        body: What is posted to start it; its name is put in. (templated)
        query: Query parameters of that request. (templated)
        headers: Beside those of the connection. (templated)
        api: What the API is like: a `JobApi`, or a dict of its fields.
        auth_type: Like ``requests.auth.HTTPBasicAuth``, or a class of ``httpx.Auth``.
        extra_options: As ``HttpHook`` has them: verify, cert, proxies, timeout.
        kwargs: Fields of `JobApi`, which override those of `api`; `WorkOperator`'s
            (``deferrable``, ``poll_interval``, ``result_limit``); `BaseOperator`'s.
    """

    template_fields: Sequence[str] = ("http_conn_id", "body", "query", "headers")
    template_fields_renderers: ClassVar[dict[str, str]] = {"body": "json", "headers": "json"}

    def __init__(
        self,
        *,
        http_conn_id: str = "http_default",
        body: dict[str, Any] | None = None,
        query: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
        api: JobApi | Mapping[str, Any] | None = None,
        auth_type: Any = None,
        extra_options: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        from tradewind.airflow.rest_backends import describe_api, read_api
        from tradewind.systems.http.job_api import JobApi

        fields = {name: kwargs.pop(name) for name in JobApi.__dataclass_fields__ if name in kwargs}
        super().__init__(**kwargs)
        self.http_conn_id = http_conn_id
        self.body = body or {}
        self.query = query or {}
        self.headers = headers or {}
        described = describe_api(api) if isinstance(api, JobApi) else dict(api or {})
        self.api = describe_api(read_api({**described, **fields}))
        self.auth_type = auth_type
        self.extra_options = extra_options or {}
        if self.deferrable and not read_api(self.api).named:
            raise InputError(
                f"{self.task_id}: this API has no names, so a triggerer cannot find its job. "
                "Declare name and listing, or set deferrable=False."
            )

    def check_arguments(self) -> None:
        """Refuse what is wrong whatever the data are; see `CheckedOperator.check_arguments`."""
        super().check_arguments()
        check_mapping(f"{self.task_id}: body", self.body)
        check_mapping(f"{self.task_id}: query", self.query)
        check_http(self, self.headers)

    def backend_spec(self) -> BackendSpec:
        """Say which API."""
        return BackendSpec(
            "tradewind.airflow.rest_backends:open_http_jobs",
            {
                "http_conn_id": self.http_conn_id,
                "api": self.api,
                "headers": self.headers,
                "extra_options": self.extra_options,
                "auth_name": spelled_auth(self),
            },
        )

    def open_backend(self) -> Backend[Any]:
        """Connect, by the very auth_type that was given."""
        return self.backend_spec().open(auth_type=self.auth_type)

    def make_work(self, context: Context) -> RestJob:
        """Describe the job."""
        from tradewind.systems.http.backend import RestJob

        if not isinstance(self.body, Mapping):
            raise InputError(f"{self.task_id}: body is no dict. Give what the API takes as JSON.")
        return RestJob(self.body, self.query)


def check_http(operator: Any, headers: Any) -> None:
    """Refuse what is wrong with how an API is reached, whatever the data are.

    Args:
        operator: Has ``extra_options``, ``auth_type`` and ``deferrable``.
        headers: Those that it sends.

    Raises:
        InputError: Something is. Templates are let be.
    """
    check_mapping(f"{operator.task_id}: headers", headers)
    check_mapping(f"{operator.task_id}: extra_options", operator.extra_options)
    if operator.extra_options:
        from tradewind.systems.http.airflow import check_extra_options

        # Answers of jobs are always checked.
        named = {k: v for k, v in operator.extra_options.items() if k != "check_response"}
        check_extra_options(named)
    spelled_auth(operator)


def spelled_auth(operator: Any) -> str | None:
    """Spell an operator's ``auth_type`` for the triggerer.

    Args:
        operator: Has ``auth_type`` and ``deferrable``.

    Raises:
        InputError: The triggerer could not find it.
    """
    if operator.auth_type is None:
        return None
    from tradewind.airflow.rest_backends import auth_type_name

    name = auth_type_name(operator.auth_type)
    if operator.deferrable and name is None:
        raise InputError(
            f"{operator.task_id}: auth_type is no class at the top of a module, so the triggerer "
            "cannot find it. Give such a class, or set deferrable=False."
        )
    return name
