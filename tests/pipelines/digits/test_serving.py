"""What is replaced is removed, and nothing else, on the local SageMaker."""

import uuid

import numpy as np
import pytest

from digits import serving
from digits.layout import model_name
from digits.settings import Run
from digits_helpers import IMAGE, ROLE, Hook, artifact, client, make_bucket, put_report
from tradewind.errors import SetupError
from waiting import until


@pytest.fixture(scope="module")
def s3(local_sagemaker):
    return client(local_sagemaker, "s3")


@pytest.fixture(scope="module")
def sagemaker(local_sagemaker):
    return client(local_sagemaker, "sagemaker")


@pytest.fixture(scope="module")
def hook(s3):
    return Hook(s3)


class Account:
    """Models and endpoints of one pipeline, made without training."""

    def __init__(self, s3, sagemaker, name):
        self.s3, self.sagemaker, self.name = s3, sagemaker, name
        make_bucket(s3, name)

    def run(self, date):
        return Run({"bucket": self.name, "prefix": "p", "endpoint": self.name}, date)

    def model(self, date, suffix=""):
        name = model_name(self.name, date) + suffix
        layout = self.run(date).layout
        key = layout.artifact_key(name)
        self.s3.put_object(Bucket=self.name, Key=key, Body=artifact(np.zeros((2, 784), np.float32)))
        self.sagemaker.create_model(
            ModelName=name,
            PrimaryContainer={"Image": IMAGE, "ModelDataUrl": layout.uri(key)},
            ExecutionRoleArn=ROLE,
        )
        return name, self.config(name)

    def config(self, model):
        self.sagemaker.create_endpoint_config(
            EndpointConfigName=model,
            ProductionVariants=[
                {
                    "VariantName": model,
                    "ModelName": model,
                    "InitialInstanceCount": 1,
                    "InstanceType": "ml.m5.large",
                }
            ],
        )
        return model

    def serve(self, config):
        self.sagemaker.create_endpoint(EndpointName=self.name, EndpointConfigName=config)
        self.sagemaker.get_waiter("endpoint_in_service").wait(
            EndpointName=self.name, WaiterConfig={"Delay": 1, "MaxAttempts": 60}
        )

    def job(self, date, suffix=""):
        """A job that ends at once, as Failed: its channel has no data."""
        name = model_name(self.name, date) + suffix
        self.sagemaker.create_training_job(
            TrainingJobName=name,
            AlgorithmSpecification={"TrainingImage": IMAGE, "TrainingInputMode": "File"},
            RoleArn=ROLE,
            HyperParameters={"k": "10", "feature_dim": "784"},
            InputDataConfig=[
                {
                    "ChannelName": "train",
                    "DataSource": {
                        "S3DataSource": {
                            "S3DataType": "S3Prefix",
                            "S3Uri": f"s3://{self.name}/absent/",
                        }
                    },
                }
            ],
            OutputDataConfig={"S3OutputPath": f"s3://{self.name}/p/{date}/models"},
            ResourceConfig={
                "InstanceCount": 1,
                "InstanceType": "ml.m5.large",
                "VolumeSizeInGB": 1,
            },
            StoppingCondition={"MaxRuntimeInSeconds": 60},
        )
        describe = self.sagemaker.describe_training_job
        ended = ("Failed", "Completed")
        until(lambda: describe(TrainingJobName=name)["TrainingJobStatus"] in ended, seconds=60)
        return name

    def has(self):
        lists = (
            ("list_models", "Models", "ModelName"),
            ("list_endpoint_configs", "EndpointConfigs", "EndpointConfigName"),
            ("list_training_jobs", "TrainingJobSummaries", "TrainingJobName"),
        )
        return {
            name: sorted(
                each[key]
                for page in self.sagemaker.get_paginator(name).paginate(NameContains=self.name)
                for each in page[member]
            )
            for name, member, key in lists
        }


@pytest.fixture
def account(s3, sagemaker):
    return Account(s3, sagemaker, f"serving-{uuid.uuid4().hex[:12]}")


def test_an_absent_endpoint_is_none(sagemaker):
    assert serving.find_endpoint(sagemaker, "no-such-endpoint") is None


def test_the_endpoint_says_what_it_serves(account, sagemaker):
    model, config = account.model("2026-01-01", "-0123456789ab-1")
    account.serve(config)
    endpoint = serving.find_endpoint(sagemaker, account.name)
    assert (endpoint.status, endpoint.config, endpoint.model, endpoint.date) == (
        "InService",
        config,
        model,
        "2026-01-01",
    )


def test_an_endpoint_of_somebody_else_is_left_alone(account, sagemaker):
    other = Account(account.s3, sagemaker, f"{account.name}-b")
    _, config = other.model("2026-01-01")
    account.serve(config)
    with pytest.raises(SetupError, match="which this pipeline has not made: it is left alone"):
        serving.find_endpoint(sagemaker, account.name)


def test_the_newest_dates_stay_and_what_serves(account, sagemaker, hook):
    dates = [f"2026-01-0{day}" for day in range(1, 7)]
    made = {date: account.model(date) for date in dates}
    account.serve(made["2026-01-01"][1])  # the oldest: somebody turned the service back
    model, config = made["2026-01-06"]
    removed = serving.remove_older(
        sagemaker, hook, account.run("2026-01-06"), model=model, config=config, keep=3
    )
    stay = ["2026-01-01", "2026-01-04", "2026-01-05", "2026-01-06"]
    assert account.has()["list_models"] == [made[date][0] for date in stay]
    assert account.has()["list_endpoint_configs"] == sorted(made[date][1] for date in stay)
    assert len(removed) == 4
    # Objects of other dates are history, not rubbish.
    assert len(hook.keys(account.name)) == 6
    again = serving.remove_older(
        sagemaker, hook, account.run("2026-01-06"), model=model, config=config, keep=3
    )
    assert again == []


def test_former_models_of_the_same_date_go_with_their_objects(account, sagemaker, hook):
    account.model("2026-01-01")
    account.job("2026-01-01")
    other = account.model("2026-01-02")
    model, config = account.model("2026-01-01", "-0123456789ab-1")
    account.job("2026-01-01", "-0123456789ab-1")
    account.serve(config)
    serving.remove_older(
        sagemaker, hook, account.run("2026-01-01"), model=model, config=config, keep=3
    )
    assert account.has() == {
        "list_models": sorted([model, other[0]]),
        "list_endpoint_configs": sorted([config, other[1]]),
        "list_training_jobs": [model],
    }
    layout = account.run("2026-01-01").layout
    assert hook.keys(account.name) == sorted(
        [layout.artifact_key(model), layout.artifact_key(other[0])]
    )


def test_a_job_that_a_parallel_run_may_wait_for_stays(account, sagemaker, hook, s3):
    """Of an old date: until its model has been judged, some run may be about to look at it."""
    waited_for = account.job("2026-01-01")
    judged = account.job("2026-01-02")
    put_report(s3, account.run("2026-01-02").layout, judged, 0.9)
    model, config = account.model("2026-01-09")
    removed = serving.remove_older(
        sagemaker, hook, account.run("2026-01-09"), model=model, config=config, keep=1
    )
    assert removed == [f"training-job {judged}"]
    assert account.has()["list_training_jobs"] == [waited_for]


def test_a_date_whose_model_is_about_to_be_made_is_not_too_old(account, sagemaker, hook, s3):
    job = account.job("2026-01-01")
    put_report(s3, account.run("2026-01-01").layout, job, 0.9)
    model, config = account.model("2026-01-02")
    for keep in (2, 3):
        removed = serving.remove_older(
            sagemaker, hook, account.run("2026-01-02"), model=model, config=config, keep=keep
        )
        assert removed == []


def test_a_newer_job_of_the_same_date_stays(account, sagemaker, hook):
    model, config = account.model("2026-01-01")
    account.job("2026-01-01")
    newer = account.job("2026-01-01", "-0123456789ab-1")
    serving.remove_older(
        sagemaker, hook, account.run("2026-01-01"), model=model, config=config, keep=1
    )
    assert account.has()["list_training_jobs"] == sorted([model, newer])


def test_pipelines_with_alike_names_do_not_meet(account, sagemaker, hook):
    other = Account(account.s3, sagemaker, f"{account.name}-b")
    theirs = other.model("2025-01-01")
    model, config = account.model("2026-01-01")
    serving.remove_older(
        sagemaker, hook, account.run("2026-01-01"), model=model, config=config, keep=1
    )
    assert other.has()["list_models"] == [theirs[0]]
    assert other.has()["list_endpoint_configs"] == [theirs[1]]
