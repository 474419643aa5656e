"""What `tradewind up` prints leads every client to the right system, unchanged."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tradewind.local import Systems

ROOT = Path(__file__).parents[2]


def run(command: list[str], environment: dict[str, str]) -> str:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    return done.stdout


# Each makes a call of every service; what comes back only the local systems can have said.
BOTO3 = """
import boto3, json
s3 = boto3.client("s3")
s3.create_bucket(Bucket="by-boto3", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
runtime = boto3.client("sagemaker-runtime")
try:
    runtime.invoke_endpoint(EndpointName="none", Body=b"1")
    said = None
except runtime.exceptions.ClientError as error:
    said = error.response["Error"]["Message"]
print(json.dumps({
    "buckets": [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]],
    "account": boto3.client("sts").get_caller_identity()["Account"],
    "jobs": boto3.client("sagemaker").list_training_jobs(
        NameContains="nobodys")["TrainingJobSummaries"],
    "role": boto3.client("iam").get_role(RoleName="any")["Role"]["Arn"],
    "groups": boto3.client("logs").describe_log_groups(logGroupNamePrefix="none")["logGroups"],
    "endpoints": sorted({client.meta.endpoint_url for client in
        [s3, runtime, *map(boto3.client, ("sagemaker", "sts", "iam", "logs"))]}),
    "said": said,
}))
"""

AIRFLOW = """
import json
from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook
from airflow.providers.amazon.aws.hooks.logs import AwsLogsHook
from airflow.providers.amazon.aws.hooks.s3 import S3Hook
from airflow.providers.amazon.aws.hooks.sagemaker import SageMakerHook
from airflow.providers.amazon.aws.hooks.sts import StsHook
s3, sagemaker, logs = S3Hook(), SageMakerHook(aws_conn_id="aws_default"), AwsLogsHook()
s3.create_bucket("by-airflow")
s3.load_string("content", "key", "by-airflow")
sagemaker.s3_hook.copy_object("key", "copy", "by-airflow", "by-airflow")
sagemaker.check_s3_url("s3://by-airflow/copy")
runtime = AwsBaseHook(client_type="sagemaker-runtime").get_conn()
try:
    runtime.invoke_endpoint(EndpointName="none", Body=b"1")
    said = None
except runtime.exceptions.ClientError as error:
    said = error.response["Error"]["Message"]
hooks = [s3, sagemaker, sagemaker.s3_hook, sagemaker.logs_hook, logs, StsHook()]
print(json.dumps({
    "content": s3.read_key("copy", "by-airflow"),
    "account": StsHook().get_account_number(),
    "tested": AwsBaseHook(aws_conn_id="aws_default", client_type="s3").test_connection()[0],
    "jobs": sagemaker.list_training_jobs(name_contains="nobodys"),
    "role": sagemaker.expand_role("any"),
    "groups": logs.conn.describe_log_groups(logGroupNamePrefix="none")["logGroups"],
    "endpoints": sorted({hook.get_conn().meta.endpoint_url for hook in hooks}),
    "said": said,
}))
"""


def test_boto3_by_the_environment(local_sagemaker: Systems) -> None:
    environment = local_sagemaker.full_environment()
    said = json.loads(run([sys.executable, "-c", BOTO3], environment))
    assert said == {
        "buckets": said["buckets"],
        "account": "123456789012",
        "jobs": [],
        "role": "arn:aws:iam::123456789012:role/any",
        "groups": [],
        "endpoints": sorted(system.endpoint for system in local_sagemaker.values()),
        "said": "Endpoint none of account 123456789012 not found.",
    }
    assert "by-boto3" in said["buckets"]


@pytest.mark.airflow
def test_airflow_hooks_by_the_connection(local_sagemaker: Systems, tmp_path: Path) -> None:
    everything = local_sagemaker.full_environment()
    # The connection alone, nothing that boto3 reads by itself.
    environment = {key: value for key, value in everything.items() if not key.startswith("AWS_")}
    environment |= {"AIRFLOW_HOME": str(tmp_path), "AIRFLOW__CORE__UNIT_TEST_MODE": "True"}
    environment |= {"AIRFLOW__CORE__TEST_CONNECTION": "Enabled", "AWS_CONFIG_FILE": "/dev/null"}
    said = json.loads(run([sys.executable, "-c", AIRFLOW], environment).splitlines()[-1])
    assert said == {
        "content": "content",
        "account": "123456789012",
        "tested": True,
        "jobs": [],
        "role": "arn:aws:iam::123456789012:role/any",
        "groups": [],
        "endpoints": sorted(system.endpoint for system in local_sagemaker.values()),
        "said": "Endpoint none of account 123456789012 not found.",
    }


@pytest.fixture(scope="module")
def aws(local_sagemaker: Systems):
    """The AWS CLI of the environment of foreign clients."""
    default = ROOT / ".venv-clients" / "bin" / "python"
    program = Path(os.environ.get("TRADEWIND_CLIENTS_PYTHON", default)).with_name("aws")
    if not program.exists():
        pytest.skip(f"{program} is not there: run make test, which builds it")
    environment = local_sagemaker.full_environment()

    def call(*arguments: str) -> str:
        return run([str(program), *arguments], environment)

    return call


@pytest.mark.clients
def test_aws_cli_copies_and_lists(aws, tmp_path: Path) -> None:
    content = os.urandom(20 << 20)
    (tmp_path / "big").write_bytes(content)
    aws("s3", "mb", "s3://by-aws-cli")
    aws("s3", "cp", "--quiet", str(tmp_path / "big"), "s3://by-aws-cli/a/big")
    assert aws("s3", "ls", "s3://by-aws-cli/a/").endswith(f"{len(content)} big\n")
    aws("s3", "cp", "--quiet", "s3://by-aws-cli/a/big", str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == content
    aws("s3", "sync", "--quiet", "s3://by-aws-cli/a", str(tmp_path / "synced"))
    assert (tmp_path / "synced" / "big").read_bytes() == content
    aws("s3", "rb", "--force", "s3://by-aws-cli")
    assert "by-aws-cli" not in aws("s3", "ls")


@pytest.mark.clients
def test_aws_cli_reaches_every_service(aws) -> None:
    assert json.loads(aws("sts", "get-caller-identity"))["Account"] == "123456789012"
    assert "TrainingJobSummaries" in json.loads(aws("sagemaker", "list-training-jobs"))
    assert "logGroups" in json.loads(aws("logs", "describe-log-groups"))
    assert json.loads(aws("iam", "get-role", "--role-name", "any"))["Role"]["RoleName"] == "any"


DATABASES = """
import json, sys
from airflow.providers.mongo.hooks.mongo import MongoHook
from airflow.providers.mysql.hooks.mysql import MySqlHook
from airflow.providers.postgres.hooks.postgres import PostgresHook
said = {}
with MongoHook() as hook:
    said["mongodb"] = hook.get_conn().get_default_database().command("ping")["ok"]
said["postgres"] = PostgresHook().get_first("SELECT current_user")[0]
query = "SELECT current_user(), @@character_set_client"
said["mysql"] = MySqlHook(local_infile=True).get_first(query)
print(json.dumps(said))
"""


@pytest.mark.airflow
def test_airflow_hooks_of_databases(
    local_postgres: Systems, local_mongodb: Systems, local_mariadb: Systems, tmp_path: Path
) -> None:
    environment = {"AIRFLOW_HOME": str(tmp_path), "AIRFLOW__CORE__UNIT_TEST_MODE": "True"}
    for systems in (local_postgres, local_mongodb, local_mariadb):
        offered = systems.environment
        environment |= {name: offered[name] for name in offered if name.startswith("AIRFLOW_")}
    environment |= {"PATH": os.environ["PATH"]}
    said = json.loads(run([sys.executable, "-c", DATABASES], environment).splitlines()[-1])
    assert said == {
        "mongodb": 1.0,
        "mysql": ["tradewind@%", "utf8mb4"],
        "postgres": "tradewind",
    }
