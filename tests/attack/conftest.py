"""Systems and warm workers for the attacks."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from attack_workers import Workers
from fault_systems import *  # noqa: F403

from emulators import Emulator

ACTIONS = Path(__file__).with_name("attack_moves.py")

pytest.register_assert_rewrite("attack_report")


@pytest.fixture(scope="module")
def workers(
    environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Workers]:
    """A warm process that forks movers."""
    with Workers(ACTIONS, tmp_path_factory.mktemp("told"), environment) as workers:
        yield workers


@pytest.fixture(scope="module")
def versity_place(versity: Emulator) -> dict[str, Any]:
    """A bucket of a second S3 server, which knows If-Match."""
    bucket = f"attack-{uuid.uuid4().hex[:8]}"
    session = boto3.Session(versity.account, versity.key, region_name="eu-west-1")
    session.client("s3", endpoint_url=versity.endpoint).create_bucket(Bucket=bucket)
    where = {"endpoint": versity.endpoint, "account": versity.account, "secret": versity.key}
    return {"store": "s3", "bucket": bucket, **where}
