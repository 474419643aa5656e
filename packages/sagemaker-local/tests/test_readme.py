"""The README's example runs as it stands, against a service started as the README says."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

from sagemaker_service import SageMakerProcess
from tradewind.local import Systems

README = (Path(__file__).resolve().parents[1] / "README.md").read_text()


def test_the_example(local_s3: Systems, tmp_path: Path) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    file = tmp_path / "points.py"
    file.write_text(example)
    with SageMakerProcess(local_s3, tmp_path / "data") as service:
        inherited = {key: os.environ[key] for key in ("PATH", "PYTHONPATH") if key in os.environ}
        credentials = {
            key: local_s3.environment[key] for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
        }
        done = subprocess.run(
            [sys.executable, file],
            env=inherited
            | credentials
            | {
                "HOME": str(tmp_path),
                "AWS_DEFAULT_REGION": "us-east-1",
                "AWS_ENDPOINT_URL": service.endpoint,
                "AWS_ENDPOINT_URL_S3": local_s3["s3"].endpoint,
            },
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert done.returncode == 0, done.stderr + service.log
    first, second = ast.literal_eval(done.stdout)["predictions"]
    assert first["closest_cluster"] != second["closest_cluster"]
    assert max(first["distance_to_cluster"], second["distance_to_cluster"]) < 1


def test_the_variables_it_names_are_those_of_the_help() -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "sagemaker_local", "serve", "--help"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout
    named = set(re.findall(r"AWS_ENDPOINT_URL\w+", shown))
    assert len(named) == 6
    for variable in named:
        assert f"`{variable}`" in README or f"export {variable}=" in README
    assert "examples:" in shown
