"""A container engine with the tests' image, and a SageMaker service that uses it."""

from __future__ import annotations

import importlib.util
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from container_engine import Engine, docker_engine, python_root
from sagemaker_service import SageMakerProcess, make_client
from tradewind.local import Systems

IMAGE = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/own/model:1"


def _programs() -> dict[str, str]:
    path = Path(__file__).with_name("programs.py")
    spec = importlib.util.spec_from_file_location("container_programs", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return {"serve": module.SERVE, "train": module.TRAIN}


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    with docker_engine() as engine:
        name, _, tag = IMAGE.rpartition(":")
        engine.import_image(name, tag, python_root(_programs()))
        yield engine


@pytest.fixture(scope="session")
def image(engine: Engine) -> str:
    return IMAGE


@pytest.fixture(scope="module")
def service(
    engine: Engine, local_s3: Systems, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SageMakerProcess]:
    data = tmp_path_factory.mktemp("sagemaker")
    with SageMakerProcess(local_s3, data, engine.address) as process:
        yield process
    assert engine.containers() == []


@pytest.fixture(scope="module")
def s3(local_s3: Systems) -> Any:
    return make_client("s3", local_s3["s3"].endpoint, local_s3.environment)


@pytest.fixture(scope="module")
def bucket(s3: Any) -> str:
    name = f"containers-{uuid.uuid4().hex[:8]}"
    s3.create_bucket(Bucket=name)
    return name
