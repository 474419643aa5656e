"""Airflow: scheduler, DAG processor, triggerer and API server with the UI, on one machine.

Started one by one and not by ``airflow standalone``, which leaves children behind when only its
parent is ended, and serves task logs on all interfaces.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tradewind.errors import SetupError
from tradewind.local.processes import free_port
from tradewind.local.system import Context, Offer, System, find_program

__all__ = ["SYSTEM", "Airflow"]

_REMEDY = "Install it with: pip install 'tradewind[airflow]'"
_USER = "admin"
_PARTS = ("metadatabase", "scheduler", "triggerer", "dag_processor")


class Airflow(System):
    """A whole Airflow that sees the other systems: SQLite, LocalExecutor, a generated login."""

    name = "airflow"
    summary = "Airflow with UI, scheduler and triggerer; AIRFLOW__CORE__DAGS_FOLDER or ./dags"
    default_port = 8080
    role = "airflow"
    last = True
    start_timeout = 180.0

    def check(self) -> None:
        """Look for the program."""
        self._program()

    def start(self, context: Context) -> Offer:
        """Bring the metadata database up to date, start all parts, wait until each is healthy."""
        home = context.folder / "home"
        home.mkdir(exist_ok=True)
        # Airflow wants its own address in its configuration, before it listens.
        port = context.port or free_port()
        url = f"http://{context.host}:{port}"
        password = _password(home)
        environment = _environment(home, url)
        surroundings = {**context.environment, **environment}
        program = self._program()
        migrate = context.children.start(
            [program, "db", "migrate"], name="migrate", environment=surroundings
        )
        if migrate.process.wait(context.start_timeout):
            raise SetupError(
                f"{self.name}: its database in {home} could not be brought up to date. The log is "
                f"{migrate.log} and ends with:\n{migrate.tail()}"
            )
        context.children.all.remove(migrate)
        server = context.children.start(
            [program, "api-server", f"--host={context.host}", f"--port={port}", "--workers=1"],
            name="api-server",
            environment=surroundings,
        )
        # Without their log servers: the API server reads the files itself.
        for part, *quiet in (
            ("dag-processor",),
            ("triggerer", "--skip-serve-logs"),
            ("scheduler", "--skip-serve-logs"),
        ):
            if part == "scheduler":
                # Each task that finds no API server costs one of its attempts: an Airflow that was
                # ended in the middle has tasks to run at once.
                server.wait_ready(
                    lambda: context.children.ended() is not None or _health(url) is not None,
                    seconds=context.start_timeout,
                )
            context.children.start(
                [program, part, *quiet],
                name=part,
                environment=surroundings,
                # The triggerer waits ten seconds for its own child, which mostly does not hear it.
                # Its triggers are in the database; they go on with the next one.
                grace=2.0 if part == "triggerer" else 10.0,
            )
        server.wait_ready(
            lambda: context.children.ended() is not None or _healthy(url),
            seconds=context.start_timeout,
        )
        if child := context.children.ended():
            child.wait_ready(lambda: False, seconds=0)
        return Offer(
            endpoint=url,
            environment=environment,
            notes={"login": _USER, "password": password},
        )

    def _program(self) -> str:
        return find_program("airflow", system=self.name, remedy=_REMEDY)


def _environment(home: Path, url: str) -> dict[str, str]:
    """Airflow's settings; what the surroundings already say of DAGs and parallelism stays."""
    keys = _keys(home)
    settings = {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__API__PORT": str(urlsplit(url).port),
        "AIRFLOW__API__SECRET_KEY": keys["api"],
        "AIRFLOW__API_AUTH__JWT_SECRET": keys["jwt"],
        "AIRFLOW__CORE__AUTH_MANAGER": (
            "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager"
        ),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{_USER}:admin",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home / "passwords.json"),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(Path("dags").absolute()),
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}?timeout=60",
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    }
    kept = (
        "AIRFLOW__CORE__DAGS_FOLDER",
        "AIRFLOW__CORE__PARALLELISM",
        "AIRFLOW__CORE__LOAD_EXAMPLES",
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME",
    )
    return {**settings, **{key: os.environ[key] for key in kept if key in os.environ}}


def _keys(home: Path) -> dict[str, str]:
    """The keys that its parts trust each other by; made once."""
    file = home / "keys.json"
    with contextlib.suppress(FileNotFoundError):
        return dict(json.loads(file.read_text()))
    keys = {"api": secrets.token_urlsafe(32), "jwt": secrets.token_urlsafe(48)}
    _write_private(file, keys)
    return keys


def _password(home: Path) -> str:
    """The password of the one user; made once."""
    file = home / "passwords.json"
    with contextlib.suppress(FileNotFoundError):
        return str(json.loads(file.read_text())[_USER])
    password = secrets.token_urlsafe(9)
    _write_private(file, {_USER: password})
    return password


def _write_private(file: Path, content: dict[str, str]) -> None:
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        json.dump(content, out)


def _healthy(url: str) -> bool:
    health = _health(url) or {}
    return all((health.get(part) or {}).get("status") == "healthy" for part in _PARTS)


def _health(url: str) -> dict[str, Any] | None:
    """Ask the API server how all parts are; None while it does not answer."""
    # A plain opener: a proxy of the surroundings is not for loopback.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{url}/api/v2/monitor/health", timeout=2) as answer:
            return dict(json.load(answer))
    except (OSError, urllib.error.URLError, ValueError):
        return None


SYSTEM = Airflow()
