"""The two tasks that are this project's own, against a real S3 and the local SageMaker."""

import io
import json
import uuid

import numpy as np
import pytest
from PIL import Image
from sklearn.cluster import KMeans

from digits import tasks
from digits.layout import model_name
from digits.sample import bundled_digits, write_dataset
from digits.settings import Run
from digits_helpers import (
    IMAGE,
    ROLE,
    Hook,
    artifact,
    client,
    make_bucket,
    put_report,
    trained,
)
from tradewind.errors import InputError, SetupError
from tradewind.systems.sagemaker import recordio

DATE = "2026-01-01"


@pytest.fixture(scope="module")
def parts():
    return bundled_digits()


@pytest.fixture(scope="module")
def s3(local_sagemaker):
    return client(local_sagemaker, "s3")


@pytest.fixture(scope="module")
def sagemaker(local_sagemaker):
    return client(local_sagemaker, "sagemaker")


@pytest.fixture(scope="module")
def hook(s3):
    return Hook(s3)


@pytest.fixture(scope="module")
def centroids(parts):
    return KMeans(100, n_init=1, random_state=0).fit(parts[0].images).cluster_centers_


@pytest.fixture
def run(s3):
    """A run in a bucket and with an endpoint of its own."""
    name = f"tasks-{uuid.uuid4().hex[:12]}"
    make_bucket(s3, name)
    params = {
        "bucket": name,
        "prefix": "digits",
        "endpoint": name,
        "min_accuracy": 0.9,
        "max_drop": 0.02,
    }
    return Run(params, DATE)


@pytest.fixture
def model(s3, run, centroids):
    """A trained model of the run's date."""
    name = model_name(run.endpoint, run.date)
    s3.put_object(
        Bucket=run.layout.bucket, Key=run.layout.artifact_key(name), Body=artifact(centroids)
    )
    return name


def put_dataset(s3, run, content):
    s3.put_object(Bucket=run.layout.bucket, Key=run.source_key, Body=content)


def extracted(s3, run, hook, parts):
    file = io.BytesIO()
    write_dataset(file, parts)
    put_dataset(s3, run, file.getvalue())
    return tasks.extract(run, hook)


def test_the_channels_have_every_picture_with_its_label(s3, run, hook, parts):
    made = extracted(s3, run, hook, parts)
    for channel, part in (("train", parts[0]), ("test", parts[2])):
        body = s3.get_object(Bucket=run.layout.bucket, Key=run.layout.channel_key(DATE, channel))[
            "Body"
        ]
        batches = list(recordio.read(body))
        assert np.array_equal(np.concatenate([batch.features for batch in batches]), part.images)
        assert np.array_equal(np.concatenate([batch.labels for batch in batches]), part.labels)
        assert made[channel]["rows"] == len(part)
        assert made[channel]["bytes"] == len(part) * 3184


def test_again_is_the_same(s3, run, hook, parts):
    assert extracted(s3, run, hook, parts) == extracted(s3, run, hook, parts)
    assert len(hook.keys(run.layout.bucket)) == 3


def test_a_hostile_data_set_leaves_nothing(s3, run, hook):
    import gzip

    put_dataset(s3, run, gzip.compress(b"cos\nsystem\n(S'true'\ntR."))
    with pytest.raises(InputError, match=r"os\.system"):
        tasks.extract(run, hook)
    assert hook.keys(run.layout.bucket) == [run.source_key]


def test_a_missing_data_set_is_named(run, hook):
    with pytest.raises(SetupError, match="run the task download_mnist of this date first"):
        tasks.extract(run, hook)


def test_a_good_model_is_reported(s3, run, hook, sagemaker, parts, model):
    extracted(s3, run, hook, parts)
    result = tasks.evaluate(run, hook, sagemaker, trained(run.layout, model))
    assert result["accuracy"] > 0.93
    assert result["model"] == model
    report = json.loads(hook.read_key(run.layout.report_key(DATE), run.layout.bucket))
    assert hook.read_key(run.layout.model_report_key(model), run.layout.bucket) == hook.read_key(
        run.layout.report_key(DATE), run.layout.bucket
    )
    assert report["accuracy"] == result["accuracy"]
    assert report["model"] == model
    assert report["date"] == DATE
    assert report["k"] == len(report["labels"]) == len(report["members"]) == 100
    assert set(report["labels"]) == set(range(10))
    assert sum(report["members"]) == report["data"]["train"]["rows"] == len(parts[0])
    assert np.trace(report["confusion"]) / len(parts[2]) == pytest.approx(report["accuracy"])
    assert report["verdict"]["passed"] is True
    assert len(report["data"]["train"]["sha256"]) == 64
    picture = s3.get_object(Bucket=run.layout.bucket, Key=run.layout.picture_key(DATE))["Body"]
    with Image.open(io.BytesIO(picture.read())) as image:
        assert image.format == "PNG"


def test_a_bad_model_is_rejected_with_figures_and_a_report(s3, run, hook, sagemaker, parts, model):
    extracted(s3, run, hook, parts)
    noise = np.random.default_rng(0).random((20, 784), dtype=np.float32)
    s3.put_object(
        Bucket=run.layout.bucket, Key=run.layout.artifact_key(model), Body=artifact(noise)
    )
    with pytest.raises(
        tasks.RejectedError, match=r"is not deployed: accuracy 0\.\d+ is below 0\.9"
    ):
        tasks.evaluate(run, hook, sagemaker, trained(run.layout, model))
    report = json.loads(hook.read_key(run.layout.report_key(DATE), run.layout.bucket))
    assert report["verdict"]["passed"] is False


def put_in_service(s3, sagemaker, run, date, centroids):
    """Has the endpoint serve a model of another date."""
    name = model_name(run.endpoint, date)
    config = name
    key = run.layout.artifact_key(name)
    s3.put_object(Bucket=run.layout.bucket, Key=key, Body=artifact(centroids))
    sagemaker.create_model(
        ModelName=name,
        PrimaryContainer={"Image": IMAGE, "ModelDataUrl": run.layout.uri(key)},
        ExecutionRoleArn=ROLE,
    )
    sagemaker.create_endpoint_config(
        EndpointConfigName=config,
        ProductionVariants=[
            {
                "VariantName": name,
                "ModelName": name,
                "InitialInstanceCount": 1,
                "InstanceType": "ml.m5.large",
            }
        ],
    )
    sagemaker.create_endpoint(EndpointName=run.endpoint, EndpointConfigName=config)
    sagemaker.get_waiter("endpoint_in_service").wait(
        EndpointName=run.endpoint, WaiterConfig={"Delay": 1, "MaxAttempts": 60}
    )
    return name


def test_a_model_much_worse_than_that_in_service_is_rejected(
    s3, run, hook, sagemaker, parts, model, centroids
):
    extracted(s3, run, hook, parts)
    other = put_in_service(s3, sagemaker, run, "2025-12-31", centroids)
    job = trained(run.layout, model)
    # Without a report there is nothing to compare with.
    good = tasks.evaluate(run, hook, sagemaker, job)
    put_report(s3, run.layout, other, good["accuracy"] + 0.019)
    tasks.evaluate(run, hook, sagemaker, job)
    put_report(s3, run.layout, other, good["accuracy"] + 0.021)
    with pytest.raises(tasks.RejectedError, match=rf"of {other}, the model in service.*max_drop"):
        tasks.evaluate(run, hook, sagemaker, job)
    report = json.loads(hook.read_key(run.layout.report_key(DATE), run.layout.bucket))
    assert report["verdict"]["in_service"] == other


def test_a_missing_job_is_named(run, hook, sagemaker):
    with pytest.raises(SetupError, match="run the task sagemaker_train_model of this date first"):
        tasks.evaluate(run, hook, sagemaker, None)


def test_a_missing_artefact_is_named(run, hook, sagemaker):
    job = trained(run.layout, model_name(run.endpoint, DATE))
    with pytest.raises(SetupError, match=r"model\.tar\.gz is not there"):
        tasks.evaluate(run, hook, sagemaker, job)
