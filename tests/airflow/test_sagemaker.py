"""The operators of SageMaker's jobs against the local SageMaker, in real Airflow."""

from __future__ import annotations

import copy
import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_runs import Runs, runs
from sagemaker_service import KMEANS, ROLE, make_client, sagemaker_data, wait_status
from tradewind.errors import InputError, SetupError
from tradewind.local import Systems

pytestmark = [pytest.mark.airflow, pytest.mark.xdist_group("airflow-sagemaker")]

DAGS = Path(__file__).parent / "sagemaker_dags"
PAGE = Path(__file__).parents[2] / "docs" / "airflow-sagemaker.md"


@pytest.fixture(scope="module")
def bucket(local_sagemaker: Systems) -> str:
    return sagemaker_data(local_sagemaker, f"operators-{uuid.uuid4().hex[:8]}")


@pytest.fixture(scope="module")
def sagemaker(local_sagemaker: Systems) -> Any:
    system = local_sagemaker["sagemaker"]
    return make_client("sagemaker", system.endpoint, local_sagemaker.environment)


@pytest.fixture(scope="module")
def job_runs(
    airflow_home: Path,
    local_sagemaker: Systems,
    bucket: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Runs]:
    dags = tmp_path_factory.mktemp("sagemaker-dags")
    for path in DAGS.glob("*.py"):
        (dags / path.name).write_text(path.read_text())
    for number, block in enumerate(blocks()):
        (dags / f"example_{number}.py").write_text(block)
    environment = {
        name: value
        for name, value in local_sagemaker.environment.items()
        if name.startswith("AIRFLOW_CONN_")
    }
    (dags / "rows.csv").write_text("0,0\n0,10\n10,0\n" * 20)
    environment |= {"TRADEWIND_TEST_BUCKET": bucket, "TRADEWIND_TEST_FOLDER": str(dags)}
    with runs(airflow_home, dags, environment) as one:
        yield one


def blocks() -> list[str]:
    return re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)


def test_the_documentation(job_runs: Runs, local_sagemaker: Systems):
    sagemaker_data(local_sagemaker, "docs-sagemaker")
    dags = {dag for block in blocks() for dag in re.findall(r'DAG\("(\w+)"', block)}
    assert dags == {"docs_sagemaker_jobs", "docs_sagemaker_endpoint"}
    told = job_runs.run("docs_sagemaker_jobs")
    assert told["state"] == "success", told["log"][-6000:]
    trained = told["xcoms"]["train"]["Training"]["TrainingJobName"]
    assert trained == "points-2026-01-01"
    told = job_runs.run("docs_sagemaker_endpoint")
    assert told["state"] == "success", told["log"][-6000:]
    assert told["xcoms"]["deploy"]["Endpoint"]["EndpointName"] == "points"


def test_the_official_example(job_runs: Runs):
    told = job_runs.run("example_sagemaker")
    assert told["state"] == "success", told["log"][-6000:]


def test_jobs(job_runs: Runs, sagemaker: Any):
    told = job_runs.run("sagemaker_jobs")
    assert set(told["tasks"].values()) == {"success"}, told["log"][-6000:]
    found = told["xcoms"]
    trained = found["train"]["Training"]
    assert trained["TrainingJobName"] == "jobs-20260101"
    assert trained["ModelArtifacts"]["S3ModelArtifacts"].endswith(
        f"/{trained['TrainingJobName']}/output/model.tar.gz"
    )
    assert trained["RoleArn"] == "arn:aws:iam::123456789012:role/sagemaker"
    assert trained["ResourceConfig"]["VolumeSizeInGB"] == 10
    assert trained["Environment"]["DAY"] == "2026-01-01"
    assert trained["Environment"]["TRADEWIND_OWNER"].partition("@")[0].endswith("/train")
    assert trained["Environment"]["DB_PASSWORD"] == "***"
    assert "swordfish" not in told["log"]
    assert "swordfish" not in str(told["rendered"])
    started = found["started"]["Training"]["TrainingJobName"]
    assert re.fullmatch(r"jobs-20260101-[0-9a-f]{12}-1", started)
    assert found["deferred"]["Training"]["TrainingJobStatus"] == "Completed"
    assert told["log"].count("#quality_metric: host=algo-1, train msd") == 2
    batch = found["batch"]
    assert batch["Transform"]["TransformJobStatus"] == "Completed"
    assert batch["Model"]["ModelName"] == batch["Transform"]["ModelName"]
    assert batch["Model"]["ModelName"] == batch["Transform"]["TransformJobName"] == "jobs"
    deferred = found["batch_deferred"]
    assert deferred["Model"]["ModelName"] == batch["Model"]["ModelName"]
    # What a job has made that succeeded stays.
    assert sagemaker.describe_model(ModelName=batch["Model"]["ModelName"])


def test_what_goes_wrong(job_runs: Runs, sagemaker: Any):
    sagemaker.create_training_job(TrainingJobName="taken", **_whole())
    told = job_runs.run("sagemaker_fails")
    assert set(told["tasks"].values()) == {"failed"}, told["tasks"]
    for says in (
        "StoppingCondition.MaxRuntimeInSeconds of config is no number: 'long'",
        "Correct the job's configuration",
        "/nowhere/, which the job is to read. Upload the data",
        "no-such-bucket-here",
        "there is a job called taken, which is not this task run's. Call this one otherwise",
        "ran longer than the 1 s that it may, and was stopped and removed",
    ):
        assert says in told["log"], told["log"][-8000:]
    assert re.search(r"sagemaker: x(-[0-9a-f]{12}-1)?: ClientError: .*feature_dim", told["log"])
    # What no retry would mend is tried once.
    for task in ("number", "invalid", "no_data", "no_bucket", "features", "taken"):
        assert told["tries"][task] == 1, task
    assert sagemaker.list_models(NameContains="left")["Models"] == []
    for name in ("late", "timeout"):
        (job,) = sagemaker.list_training_jobs(NameContains=name)["TrainingJobSummaries"]
        assert job["TrainingJobStatus"] in ("Stopping", "Stopped")


def test_endpoints(job_runs: Runs, sagemaker: Any, bucket: str):
    name = f"endpoints-{bucket}"
    container = {"Image": KMEANS, "ModelDataUrl": f"s3://{bucket}/good.tar.gz"}
    by_hand = f"{name}-by-hand"
    sagemaker.create_model(ModelName=by_hand, PrimaryContainer=container, ExecutionRoleArn=ROLE)
    variant = {"VariantName": "v", "ModelName": by_hand, "InitialInstanceCount": 1}
    sagemaker.create_endpoint_config(
        EndpointConfigName=by_hand,
        ProductionVariants=[{**variant, "InstanceType": "ml.t2.medium"}],
    )
    told = job_runs.run("endpoint_life")
    states = dict.fromkeys(told["tasks"], "success") | {"taken_back": "failed"}
    assert told["tasks"] == states, told["log"][-6000:]
    found = told["xcoms"]
    for task, config in (("created", f"{name}-1-"), ("updated", f"{name}-2-")):
        assert found[task]["Endpoint"]["EndpointStatus"] == "InService"
        assert found[task]["Endpoint"]["EndpointConfigName"].startswith(config)
        (one,) = found[task]["EndpointConfig"]["ProductionVariants"]
        assert one["ModelName"] == found[task]["Endpoint"]["EndpointConfigName"]
        assert one["InitialInstanceCount"] == 1
    second = found["updated"]["Endpoint"]["EndpointConfigName"]
    assert f"back, {second} is in service again" in told["log"]
    for task in ("moved", "moved_deferred"):
        assert found[task]["Endpoint"]["EndpointConfigName"] == by_hand
    assert found["started"]["Endpoint"]["EndpointStatus"] in ("Updating", "InService")
    last = wait_status(sagemaker, name, "InService")["EndpointConfigName"]
    assert last.startswith(f"{name}-4-")
    # The first two were replaced and removed; the third was rolled back.
    configs = sagemaker.list_endpoint_configs(NameContains=name)["EndpointConfigs"]
    assert {one["EndpointConfigName"] for one in configs} == {by_hand, last}
    models = sagemaker.list_models(NameContains=name)["Models"]
    assert {one["ModelName"] for one in models} == {by_hand, last}


def test_what_goes_wrong_with_endpoints(job_runs: Runs):
    told = job_runs.run("endpoint_fails")
    assert set(told["tasks"].values()) == {"failed"}, told["tasks"]
    assert set(told["tries"].values()) == {1}, told["tries"]
    for says in (
        "the Model that is made is called y, and the EndpointConfig's variants serve x",
        "the endpoint is to serve y, and the EndpointConfig that is made is called x",
        "config names no EndpointName of an Endpoint",
        "Could not find endpoint configuration",
    ):
        assert says in told["log"], told["log"][-6000:]


def operator(**more: Any) -> Any:
    from tradewind.airflow import SageMakerTrainingOperator

    config = {
        "TrainingJobName": "x",
        "RoleArn": "a-role",
        "ResourceConfig": {"InstanceCount": "2"},
        "InputDataConfig": [],
    }
    return SageMakerTrainingOperator(**{"task_id": "t", "config": config, **more})


class Clients:
    """IAM of an account that the local SageMaker cannot play: by botocore's stub."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        import boto3
        from botocore.stub import Stubber

        options = {
            "region_name": "eu-west-1",
            "aws_access_key_id": "x",
            "aws_secret_access_key": "x",
        }
        self.clients = {
            name: boto3.client(name, **options) for name in ("iam", "sagemaker", "logs")
        }
        self.stubs = {name: Stubber(client) for name, client in self.clients.items()}
        for stub in self.stubs.values():
            stub.activate()
        from tradewind.systems.sagemaker.airflow import AWS

        monkeypatch.setattr(AWS, "__init__", lambda *_: None)
        monkeypatch.setattr(AWS, "client", lambda _, service: self.clients[service])


@pytest.fixture
def stubbed(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    return Clients(monkeypatch).stubs


def test_a_role_that_is_not_there_is_told(stubbed: dict[str, Any]):
    # Here every role exists: the local IAM keeps none.
    message = "The role with name a-role cannot be found."
    stubbed["iam"].add_client_error("get_role", "NoSuchEntity", message, 404)
    with pytest.raises(InputError, match=r"the role 'a-role': .* Create it, or name another"):
        operator().prepare()


def test_a_role_that_may_not_be_looked_up_is_told(stubbed: dict[str, Any]):
    stubbed["iam"].add_client_error("get_role", "AccessDenied", "no", 403)
    with pytest.raises(SetupError, match="Check credentials and permissions"):
        operator().prepare()


def test_the_configuration_is_not_changed(stubbed: dict[str, Any]):
    role = {"Path": "/", "RoleName": "a-role", "RoleId": "A" * 16, "CreateDate": 0}
    role["Arn"] = "arn:aws:iam::123456789012:role/a-role"
    stubbed["iam"].add_response("get_role", {"Role": role})
    one = operator()
    before = copy.deepcopy(one.config)
    prepared = one.prepare()
    assert one.config == before
    assert prepared["RoleArn"] == role["Arn"]
    assert prepared["ResourceConfig"] == {"InstanceCount": 2}


def test_a_quota_is_told(stubbed: dict[str, Any]):
    from tradewind.owner import Owner

    # No quota is ever reached on one's own machine.
    message = "The account-level service limit 'ml.p4d' is 0 Instances."
    stubbed["sagemaker"].add_client_error(
        "create_training_job", "ResourceLimitExceeded", message, 400
    )
    backend = operator(config={}).open_backend()
    with pytest.raises(SetupError, match=r"ml.p4d.* Ask for a higher quota"):
        backend.submit(Owner("d", "r", "t"), 1, _whole(), variables={})


def _whole() -> dict[str, Any]:
    return {
        "AlgorithmSpecification": {"TrainingImage": "i", "TrainingInputMode": "File"},
        "RoleArn": "arn:aws:iam::123456789012:role/a-role",
        "OutputDataConfig": {"S3OutputPath": "s3://b/models"},
        "ResourceConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1},
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
    }


def test_arguments_are_checked():
    with pytest.raises(
        InputError, match=r"'replace' is not known\. Choose from: 'timestamp', 'fail'"
    ):
        operator(action_if_job_exists="replace")


def tuning(stubbed: dict[str, Any], **more: Any) -> Any:
    """A tuning operator whose SageMaker is botocore's stub: the local one tunes nothing."""
    from tradewind.airflow import SageMakerTuningOperator

    definition = {
        "RoleArn": "arn:aws:iam::123456789012:role/a-role",
        "ResourceConfig": {"InstanceCount": "1"},
    }
    limits = {"MaxNumberOfTrainingJobs": "4", "MaxParallelTrainingJobs": "2"}
    config = {
        "HyperParameterTuningJobName": "tune",
        "HyperParameterTuningJobConfig": {"Strategy": "Bayesian", "ResourceLimits": limits},
        "TrainingJobDefinition": definition,
    }
    return SageMakerTuningOperator(task_id="t", config=config, **more)


ARN = "arn:aws:sagemaker:eu-west-1:123456789012:hyper-parameter-tuning-job/tune"


def described(status: str) -> dict[str, Any]:
    return {
        "HyperParameterTuningJobName": "tune",
        "HyperParameterTuningJobArn": ARN,
        "HyperParameterTuningJobConfig": {
            "Strategy": "Bayesian",
            "ResourceLimits": {"MaxParallelTrainingJobs": 2},
        },
        "HyperParameterTuningJobStatus": status,
        "CreationTime": 0,
        "TrainingJobStatusCounters": {},
        "ObjectiveStatusCounters": {},
    }


def test_a_tuning_job_is_attended_by_its_name(stubbed: dict[str, Any]):
    from botocore.stub import ANY

    from tradewind.owner import Owner
    from tradewind.run.backend import AlreadyStartedError
    from tradewind.run.supervise import supervise

    one, owner, stub = tuning(stubbed), Owner("d", "r", "t"), stubbed["sagemaker"]
    request = one.prepare()
    assert request["TrainingJobDefinition"]["ResourceConfig"] == {"InstanceCount": 1}
    limits = request["HyperParameterTuningJobConfig"]["ResourceLimits"]
    assert limits == {"MaxNumberOfTrainingJobs": 4, "MaxParallelTrainingJobs": 2}
    name = {"HyperParameterTuningJobName": "tune"}
    tags = {"tradewind:owner": owner.digest, "tradewind:number": "1"}
    listed = {"Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}
    # Started once; whoever comes second is told so.
    wanted = {
        "HyperParameterTuningJobName": "tune",
        "HyperParameterTuningJobConfig": ANY,
        "Tags": ANY,
    }
    backend = one.open_backend()
    work = {key: request[key] for key in ("HyperParameterTuningJobConfig",)}
    answer = {"HyperParameterTuningJobArn": ARN}
    stub.add_response("create_hyper_parameter_tuning_job", answer, wanted)
    backend.submit(owner, 1, work, variables={"TRADEWIND_OWNER": "x"})
    stub.add_client_error("create_hyper_parameter_tuning_job", "ResourceInUse", "taken", 400)
    stub.add_response("describe_hyper_parameter_tuning_job", described("InProgress"), name)
    stub.add_response("list_tags", listed)
    with pytest.raises(AlreadyStartedError):
        one.open_backend().submit(owner, 1, work, variables={})
    # A retry finds it by its name, and tells how it has ended.
    stub.add_response("describe_hyper_parameter_tuning_job", described("InProgress"), name)
    stub.add_response("list_tags", listed)
    stub.add_response("list_hyper_parameter_tuning_jobs", {"HyperParameterTuningJobSummaries": []})
    for _ in range(4):
        stub.add_response("describe_hyper_parameter_tuning_job", described("Completed"), name)
    memory = type("Memory", (dict,), {"set": dict.__setitem__})()
    outcome = supervise(one.open_backend(), owner, work, log=print, state_store=memory)
    assert (outcome.name, outcome.reattached) == ("tune", True)
    told = one.read_result(outcome)
    assert told["Tuning"]["HyperParameterTuningJobStatus"] == "Completed"


def test_a_tuning_job_is_stopped_by_its_name(stubbed: dict[str, Any]):
    stub = stubbed["sagemaker"]
    name = {"HyperParameterTuningJobName": "tune"}
    from tradewind.run.supervise import end

    stub.add_response("stop_hyper_parameter_tuning_job", {}, name)
    for _ in range(2):
        stub.add_response("describe_hyper_parameter_tuning_job", described("Stopped"), name)
    end(tuning(stubbed).open_backend(), "tune")
    stub.assert_no_pending_responses()
