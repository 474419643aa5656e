"""Systems and warm workers for the attacks."""

from __future__ import annotations

import uuid
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import attack_report
import attack_runners
import attack_state
import boto3
import pytest
from attack_places import SFTP, STORES, Tables, sftp_place
from attack_workers import Workers
from fault_systems import *  # noqa: F403

from emulators import Emulator
from run_systems import *  # noqa: F403

ACTIONS = Path(__file__).with_name("attack_moves.py")
SUPERVISORS = Path(__file__).with_name("attack_work.py")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what a former slice has brought to its end."""
    if attack_report.STATE:
        done = attack_state.load(Path(attack_report.STATE), attack_report.SEED)["done"]
        config.hook.pytest_deselected(items=[item for item in items if item.nodeid in done])
        items[:] = [item for item in items if item.nodeid not in done]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Keep that a test has come to its end, the attack having succeeded or not."""
    error = call.excinfo and call.excinfo.value
    ended = error is None or isinstance(error, attack_report.AttackSucceeded)
    if attack_report.STATE and call.when == "call" and ended:
        with attack_state.changed(Path(attack_report.STATE), attack_report.SEED) as state:
            state["done"].append(item.nodeid)
    return (yield)


@pytest.fixture(scope="module")
def workers(
    environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Workers]:
    """A warm process that forks movers."""
    with Workers(ACTIONS, tmp_path_factory.mktemp("told"), environment) as workers:
        yield workers


@pytest.fixture(scope="module")
def supervisors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workers]:
    """A warm process that forks supervisors of work."""
    with Workers(SUPERVISORS, tmp_path_factory.mktemp("told")) as workers:
        yield workers


@pytest.fixture
def runner(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[attack_runners.Runner]:
    """A system that runs work, by its name in `attack_runners.PLACES`."""
    with attack_runners.started(request.param, request, tmp_path) as runner:
        yield runner


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, dict[str, Any]]:
    """A store of `attack_places`, by its short name: what it is called, and where it is."""
    name: str = request.param
    found: dict[str, Any]
    if name == "files":
        (tmp_path / "lake").mkdir()
        found = {"store": "files", "folder": str(tmp_path / "lake")}
    elif name in ("gcs", "azure"):
        found = {"store": name, **request.getfixturevalue(name)[1]}
    elif name == "s3":
        systems = request.getfixturevalue("systems")
        found = {
            "store": "s3",
            "bucket": request.getfixturevalue("bucket"),
            "endpoint": systems["AWS_ENDPOINT_URL_S3"],
            "account": systems["AWS_ACCESS_KEY_ID"],
            "secret": systems["AWS_SECRET_ACCESS_KEY"],
        }
    elif name == "sftp":
        found = sftp_place(request.getfixturevalue("sftp_server"), str(tmp_path / "lake"))
    else:
        found = request.getfixturevalue("versity_place")
    return {**STORES, **SFTP}[name], found


@pytest.fixture
def tables(request: pytest.FixtureRequest) -> Tables:
    """A database, by its name: PostgreSQL or MariaDB."""
    if request.param == "PostgreSQL":
        postgres = request.getfixturevalue("postgres")
        return Tables(
            request.param,
            "postgres",
            postgres.execute,
            # Not prepared: a table may be another one next time.
            lambda query: postgres.execute(query, prepare=False).fetchall(),
        )
    mysql = request.getfixturevalue("mysql")

    def ask(query: str) -> list[Any]:
        with mysql.cursor() as cursor:
            cursor.execute(query)
            return list(cursor.fetchall())

    return Tables(request.param, "mysql", mysql.query, ask)


@pytest.fixture(scope="module")
def versity_place(versity: Emulator) -> dict[str, Any]:
    """A bucket of a second S3 server, which knows If-Match."""
    bucket = f"attack-{uuid.uuid4().hex[:8]}"
    session = boto3.Session(versity.account, versity.key, region_name="eu-west-1")
    session.client("s3", endpoint_url=versity.endpoint).create_bucket(Bucket=bucket)
    where = {"endpoint": versity.endpoint, "account": versity.account, "secret": versity.key}
    return {"store": "s3", "bucket": bucket, **where}
