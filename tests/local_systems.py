"""S3 and SageMaker for the tests of all distributions here, each started once a test process.

A plugin, named in pyproject.toml: two conftest files would start each system twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tradewind.local import Systems, up

# A busy machine takes seconds to draw the first text; how long anything takes is no test's matter.
settings.register_profile("tradewind", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tradewind")

LONGEST_ID = 60  # characters of a parameter in a test's name


def pytest_make_parametrize_id(val: Any) -> str | None:
    """Cut long parameters short in the names of tests.

    A running test's name stands in the environment, which each process that it starts inherits,
    and the system refuses to start one with a variable of more than 128 KiB.
    """
    if isinstance(val, str | bytes) and len(val) > LONGEST_ID:
        start = val[:LONGEST_ID]
        start = start if isinstance(start, str) else start.decode("ascii", "backslashreplace")
        return f"{start.encode('unicode_escape').decode()[:LONGEST_ID]}...{len(val)}"
    return None


@pytest.fixture(scope="session")
def local_s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Systems]:
    """A running S3 server: ``local_s3["s3"].endpoint``, ``local_s3.environment``."""
    with up(["s3"], data=tmp_path_factory.mktemp("local-s3")) as systems:
        yield systems


@pytest.fixture(scope="session")
def local_sagemaker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Systems]:
    """A running SageMaker and the S3 server it works on, as ``tradewind up sagemaker`` starts."""
    with up(["sagemaker"], data=tmp_path_factory.mktemp("local-sagemaker")) as systems:
        yield systems


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """An empty data folder for a test that starts systems of its own."""
    return tmp_path / "data"
