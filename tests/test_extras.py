"""The documented line of installation brings all that the documented operators need."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tradewind.local import Systems

ROOT = Path(__file__).resolve().parent.parent

DAG = """
from airflow.sdk import DAG
from tradewind.airflow import SqlToS3Operator

with DAG("extras", schedule=None) as dag:
    SqlToS3Operator(
        task_id="move",
        query="SELECT 1 AS one",
        s3_bucket="extras",
        s3_key="one.csv",
        sql_conn_id="postgres_default",
        file_format="csv",
        pd_kwargs={"index": False},
    )

if __name__ == "__main__":
    run = dag.test()
    print("state:", run.state)
"""


@pytest.mark.long
@pytest.mark.timeout(600)
def test_the_documented_line_of_installation_is_enough(
    tmp_path: Path, local_postgres: Systems, local_s3: Systems
) -> None:
    documented = (ROOT / "docs/airflow-operators.md").read_text()
    found = re.search(r"pip install 'tradewind(\[[\w,-]+\])'", documented)
    assert found is not None
    assert found[1] == "[airflow,s3,postgres]"
    python = tmp_path / "venv/bin/python"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    uv = Path(sys.executable).with_name("uv")
    settings = subprocess.run(
        [sys.executable, "-c", "import environment, sys; print(__import__('json').dumps("
         "environment.uv_settings(sys.executable)))"],
        cwd=ROOT / "scripts", capture_output=True, text=True, check=True,
    )  # fmt: skip
    subprocess.run(
        [uv, "pip", "install", "--quiet", "--python", python, f"{ROOT}{found[1]}"],
        check=True,
        env={**os.environ, **json.loads(settings.stdout)},
    )
    import boto3

    environment = local_s3.environment
    client = boto3.client(
        "s3",
        endpoint_url=environment["AWS_ENDPOINT_URL_S3"],
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        region_name=environment["AWS_REGION"],
    )
    client.create_bucket(Bucket="extras")
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags/extras.py").write_text(DAG)
    clean = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "AIRFLOW_HOME": str(tmp_path / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(tmp_path / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        **local_postgres.environment,
        **environment,
    }
    subprocess.run(
        [python.with_name("airflow"), "db", "migrate"], check=True, env=clean, capture_output=True
    )
    ended = subprocess.run(
        [python, tmp_path / "dags/extras.py"], env=clean, capture_output=True, text=True
    )
    assert "state: success" in ended.stdout, ended.stdout[-3000:] + ended.stderr[-3000:]
    body = client.get_object(Bucket="extras", Key="one.csv")["Body"].read()
    assert body.split() == [b"one", b"1"]
