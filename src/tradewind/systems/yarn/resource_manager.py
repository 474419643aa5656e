"""The ResourceManagers of one YARN, asked in turn until the one that is active answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tradewind.errors import InputError, RetryError, SetupError
from tradewind.systems.http.job_server import JobServer, RestConnection

if TYPE_CHECKING:
    import httpx

__all__ = ["ResourceManagers"]

# A ResourceManager that stands by points to the active one, by a status or by a page that says so.
_ELSEWHERE = (301, 302, 303, 307, 308)
_STANDBY = "This is standby RM"


class ResourceManagers:
    """A client of them all. May be used from several threads.

    Args:
        connections: Where they are.
        user: Sent as ``user.name``, which an unsecured cluster believes.
    """

    def __init__(self, connections: Sequence[RestConnection], *, user: str | None) -> None:
        if not connections:
            raise InputError("YARN: no ResourceManager is named. Give its address.")
        self._servers = [JobServer(one, "YARN") for one in connections]
        self._active = 0
        self._params = {"user.name": user} if user else {}
        self.where = self._servers[0].where

    @property
    def address(self) -> str:
        """Where the one is that answered last."""
        return self._servers[self._active].address

    def close(self) -> None:
        """Close the connections."""
        for server in self._servers:
            server.close()

    def get(self, path: str, *, what: str, params: Mapping[str, str]) -> dict[str, Any]:
        """Ask for something that is there."""
        server, response = self._ask("GET", path, what=what, params={**params, **self._params})
        return dict(server.json(response, what))

    def find(self, path: str, *, what: str) -> dict[str, Any] | None:
        """Ask for something that may not be there."""
        server, response = self._ask("GET", path, what=what, params=self._params, fine=(404,))
        return None if response.status_code == 404 else dict(server.json(response, what))

    def put(self, path: str, body: Mapping[str, Any], *, what: str) -> None:
        """Ask for a change, which may be made again."""
        self._ask("PUT", path, what=what, params=self._params, json=body, fine=(404,))

    def _ask(
        self, method: str, path: str, *, fine: tuple[int, ...] = (), **request: Any
    ) -> tuple[JobServer, httpx.Response]:
        return self._in_turn(
            lambda server: server.ask(method, path, fine=(*_ELSEWHERE, *fine), **request)
        )

    def _in_turn(
        self, ask: Callable[[JobServer], httpx.Response]
    ) -> tuple[JobServer, httpx.Response]:
        trouble: Exception = RetryError(f"{self.where}: no ResourceManager is active.")
        for step in range(len(self._servers)):
            number = (self._active + step) % len(self._servers)
            server = self._servers[number]
            try:
                response = ask(server)
            except (RetryError, SetupError) as error:
                if len(self._servers) == 1:
                    raise
                trouble = error
                continue
            standby = response.status_code in _ELSEWHERE or _STANDBY in response.text[:200]
            if not standby:
                self._active = number
                return server, response
            if len(self._servers) == 1:
                raise server.error(response, "its state, which is standby")
        raise trouble
