"""The example of an own image, run as it stands; only the image is made without a registry."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from container_engine import Engine, python_root
from sagemaker_service import SageMakerProcess
from tradewind.local import Systems

pytestmark = [pytest.mark.container, pytest.mark.xdist_group("container-engine")]

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "own-image"


def test_the_own_image(engine: Engine, service: SageMakerProcess, local_s3: Systems) -> None:
    programs = {name: (EXAMPLE / name).read_text() for name in ("train", "serve")}
    engine.import_image("own/nearest-mean", "1", python_root(programs))
    done = subprocess.run(
        [sys.executable, EXAMPLE / "run.py", "own/nearest-mean:1"],
        env=os.environ
        | {key: local_s3.environment[key] for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
        | {
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": service.endpoint,
            "AWS_ENDPOINT_URL_S3": local_s3["s3"].endpoint,
        },
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr + service.log
    assert done.stdout.splitlines() == [
        "trained on 4 rows",
        "endpoint: ['low', 'high']",
        "batch: ['low', 'high', 'low']",
    ]
