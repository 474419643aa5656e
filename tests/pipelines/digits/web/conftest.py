"""A trained model in service, and the page that uses it."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import httpx
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

from digits.layout import Layout
from digits.web.app import create_app
from digits_service import MODEL, DigitsService
from tradewind.local import Systems
from web_server import served


@pytest.fixture(scope="session")
def service(local_sagemaker: Systems) -> DigitsService:
    """A model of scikit-learn's digits, really trained, in service at the endpoint digits-web."""
    service = DigitsService(local_sagemaker, Layout("digits-web", "digits"), "digits-web")
    service.deploy(MODEL, service.train(MODEL))
    return service


@pytest.fixture(scope="session")
def url(service: DigitsService) -> Iterator[str]:
    """Address of the page, served by uvicorn on a port of its own."""
    with served(service.environment) as (address, _):
        yield address


class Client:
    """Calls an ASGI application in this process, as httpx calls a server."""

    def __init__(self, application: Any, portal: BlockingPortal) -> None:
        transport = httpx.ASGITransport(application, raise_app_exceptions=False)
        self._client = httpx.AsyncClient(transport=transport, base_url="http://digits.test")
        self._portal = portal

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self._portal.call(partial(self._client.get, path, **options))

    def post(self, path: str, **options: Any) -> httpx.Response:
        return self._portal.call(partial(self._client.post, path, **options))


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Client]]:
    """Makes the application in this process, in an environment that the test gives."""
    with start_blocking_portal() as portal:

        def make(environment: dict[str, str], **more: str) -> Client:
            for name, value in (environment | more).items():
                monkeypatch.setenv(name, value)
            return Client(create_app(), portal)

        yield make


@pytest.fixture
def unused_port() -> Iterator[int]:
    """A port on which nothing answers: bound, so that nobody takes it, but not listened on."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]
