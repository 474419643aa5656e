"""The whole DAG, run by Airflow on the local systems: several dates at once, and dates again."""

import contextlib
import gzip
import io
import json
import re
import shutil
import subprocess
import sys
import time
import uuid

import numpy as np
import pytest

from digits.layout import SAMPLE_KEY, Layout, model_date, model_name
from digits.sample import bundled_digits, write_dataset
from digits_airflow import airflow_environment, driver
from digits_helpers import IMAGE, Hook, client, make_bucket

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(600)]

DATES = ["2026-01-01", "2026-01-02", "2026-01-03"]
MADE = [("list_models", "Models"), ("list_endpoint_configs", "EndpointConfigs")]


class Place:
    """A bucket, an endpoint and what is in them."""

    def __init__(self, systems, name):
        self.s3 = client(systems, "s3")
        self.sagemaker = client(systems, "sagemaker")
        self.runtime = client(systems, "sagemaker-runtime")
        self.name = name
        self.layout = Layout(make_bucket(self.s3, name), "digits")
        self.source = make_bucket(self.s3, f"{name}-source")
        self.parts = bundled_digits()
        file = io.BytesIO()
        write_dataset(file, self.parts)
        self.s3.put_object(Bucket=self.source, Key=SAMPLE_KEY, Body=file.getvalue())
        self.environment = {
            **systems.environment,
            "TRADEWIND_DIGITS_BUCKET": name,
            "TRADEWIND_DIGITS_SOURCE_BUCKET": self.source,
            "TRADEWIND_DIGITS_ENDPOINT": name,
            "TRADEWIND_DIGITS_CHECK_SECONDS": "1",
            "TRADEWIND_DIGITS_KEEP": "5",
            # Enough to be good, and quicker than the default.
            "TRADEWIND_DIGITS_K": "150",
            "TRADEWIND_DIGITS_EPOCHS": "3",
        }

    def state(self):
        """What there is of each date, by names that are the same in every run of it."""
        found = {}
        for key in Hook(self.s3).keys(self.name):
            _, date, rest = key.split("/", 2)
            found.setdefault(date, []).append(self._plain(rest))
        for kind, operation, member, attribute in (
            ("model", "list_models", "Models", "ModelName"),
            ("config", "list_endpoint_configs", "EndpointConfigs", "EndpointConfigName"),
            ("job", "list_training_jobs", "TrainingJobSummaries", "TrainingJobName"),
        ):
            pages = self.sagemaker.get_paginator(operation).paginate(NameContains=self.name)
            for page in pages:
                for each in page[member]:
                    name = each[attribute]
                    date = model_date(name)
                    found.setdefault(date, []).append(f"{kind} {self._plain(name)}")
        return {date: sorted(names) for date, names in found.items()}

    def _plain(self, name):
        """Without what makes a name a task run's own."""
        return re.sub(r"-[0-9a-f]{12}-\d+", "", name)

    def in_service(self):
        with contextlib.suppress(self.sagemaker.exceptions.ClientError):
            described = self.sagemaker.describe_endpoint(EndpointName=self.name)
            assert described["EndpointStatus"] == "InService"
            return described["ProductionVariants"][0]["VariantName"]
        return None

    def report(self, date):
        return json.loads(Hook(self.s3).read_key(self.layout.report_key(date), self.name))

    def recognised(self):
        """Share of the test pictures that the endpoint and the labels of its model recognise."""
        _, _, test = self.parts
        body = "\n".join(",".join(f"{pixel:g}" for pixel in row) for row in test.images)
        answer = self.runtime.invoke_endpoint(
            EndpointName=self.name, ContentType="text/csv", Accept="application/json", Body=body
        )
        clusters = [
            int(each["closest_cluster"])
            for each in json.loads(answer["Body"].read())["predictions"]
        ]
        variant = answer["InvokedProductionVariant"]
        key = self.layout.model_report_key(variant)
        labels = np.array(json.loads(Hook(self.s3).read_key(key, self.name))["labels"])
        return variant, float((labels[clusters] == test.labels).mean())


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    """An empty metadata database."""
    home = tmp_path_factory.mktemp("airflow")
    subprocess.run(
        [sys.executable, "-m", "airflow", "db", "migrate"],
        env=airflow_environment(home, {}),
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return home / "airflow.db"


@pytest.fixture
def start(database, tmp_path):
    """Starts an Airflow of its own, as often as wanted."""
    with contextlib.ExitStack() as stack:

        def start(environment, name="airflow"):
            home = tmp_path / name
            home.mkdir()
            shutil.copy(database, home)
            return stack.enter_context(driver(home, environment, tmp_path / f"{name}.log"))

        yield start


@pytest.fixture
def place(local_sagemaker):
    return Place(local_sagemaker, f"runs-{uuid.uuid4().hex[:8]}")


def succeeded(airflow, result):
    assert result["state"] == "success", f"{result}\n{airflow.log[-6000:]}"
    assert set(result["tasks"].values()) == {"success"}


def test_dates_at_once_and_dates_again(place, start):
    # Three Airflows, so that nothing but the systems themselves keeps them apart; newest first.
    airflows = [start(place.environment, date) for date in DATES]
    for airflow, date in reversed(list(zip(airflows, DATES, strict=True))):
        airflow.send(date=date)
    for airflow in airflows:
        succeeded(airflow, airflow.receive())
    first = place.state()
    assert sorted(first) == DATES
    for date in DATES:
        model = model_name(place.name, date)
        assert first[date] == sorted(
            [
                "mnist.pkl.gz",
                "train/data.pbr",
                "test/data.pbr",
                "report.json",
                "report.png",
                f"models/{model}/output/model.tar.gz",
                f"models/{model}/report.json",
                f"models/{model}/report.png",
                f"model {model}",
                f"config {model}",
                f"job {model}",
            ]
        )
        assert place.report(date)["accuracy"] >= 0.93
        assert place.report(date)["verdict"]["passed"]
    # Whichever came first, the newest date serves.
    assert model_date(place.in_service()) == "2026-01-03"
    variant, share = place.recognised()
    assert variant == place.in_service()
    assert share == pytest.approx(place.report("2026-01-03")["accuracy"])

    airflow = airflows[0]
    # The date in service again: a new model replaces the one of before, of which nothing stays.
    before = place.in_service()
    succeeded(airflow, airflow.run("2026-01-03"))
    assert place.state() == first
    assert place.in_service() != before
    assert model_date(place.in_service()) == "2026-01-03"
    variant, share = place.recognised()
    assert share == pytest.approx(place.report("2026-01-03")["accuracy"])

    # An older date again: its model is replaced, the newer one stays in service.
    serving = place.in_service()
    succeeded(airflow, airflow.run("2026-01-01"))
    assert place.state() == first
    assert place.in_service() == serving

    # A model that is not good enough is not deployed, and the task says why at once.
    result = airflow.run("2026-01-04", min_accuracy=0.999)
    assert result["state"] == "failed"
    assert result["tasks"]["evaluate_model"] == "failed"
    assert result["tasks"]["sagemaker_deploy_model"] == "upstream_failed"
    assert "is below 0.9990, the least asked for" in airflow.log
    assert not place.report("2026-01-04")["verdict"]["passed"]
    assert place.in_service() == serving

    # A day later, with less to be kept.
    succeeded(airflow, airflow.run("2026-01-05", keep=2))
    assert model_date(place.in_service()) == "2026-01-05"
    dates = {
        kind: sorted(
            date
            for date, names in place.state().items()
            for name in names
            if name.startswith(f"{kind} ")
        )
        for kind in ("model", "config", "job")
    }
    assert dates["model"] == dates["config"] == ["2026-01-03", "2026-01-05"]
    assert dates["job"] == ["2026-01-03", "2026-01-04", "2026-01-05"]


def _break(place, date):
    """Has a model of that date that no endpoint can load."""
    model = model_name(place.name, date)
    key = place.layout.artifact_key(model)
    place.s3.put_object(Bucket=place.name, Key=key, Body=b"not a model")
    report = {
        "model": model,
        "image": IMAGE,
        "artifact": place.layout.uri(key),
        "verdict": {"passed": True},
    }
    key = place.layout.report_key(date)
    place.s3.put_object(Bucket=place.name, Key=key, Body=json.dumps(report).encode())


def test_a_model_that_does_not_come_up(place, start):
    airflow = start(place.environment)
    _break(place, "2025-12-31")
    airflow.send(date="2025-12-31", only="sagemaker_deploy_model")
    assert airflow.receive()["state"] == "failed"
    assert f"the endpoint {place.name} failed" in airflow.log
    # Nothing of it is left, but perhaps the endpoint that is being deleted.
    for operation, member in MADE:
        assert getattr(place.sagemaker, operation)(NameContains=place.name)[member] == []

    succeeded(airflow, airflow.run("2026-01-01"))
    good = place.in_service()
    assert model_date(good) == "2026-01-01"

    # Where there is something to go back to, SageMaker goes back, and the task says so.
    _break(place, "2026-01-02")
    airflow.send(date="2026-01-02", only="sagemaker_deploy_model")
    assert airflow.receive()["state"] == "failed"
    assert place.in_service() == good
    assert re.search(rf"SageMaker took {place.name}-2026-01-02-\S+ back", airflow.log)
    assert place.recognised()[0] == good
    for operation, member in MADE:
        assert len(getattr(place.sagemaker, operation)(NameContains=place.name)[member]) == 1


def test_what_no_retry_can_help_fails_at_once_and_says_why(place, start):
    airflow = start(place.environment)
    good = place.s3.get_object(Bucket=place.source, Key=SAMPLE_KEY)["Body"].read()
    hostile = gzip.compress(b"cos\nsystem\n(S'true'\ntR.")
    place.s3.put_object(Bucket=place.source, Key=SAMPLE_KEY, Body=hostile)
    # No logical date: the run belongs to the day it is triggered for.
    result = airflow.run(None)
    assert result["state"] == "failed"
    assert result["tasks"]["extract_mnist_data"] == "failed"
    assert "asks for os.system" in airflow.log
    (date,) = place.state()
    assert place.state()[date] == ["mnist.pkl.gz"]

    place.s3.put_object(Bucket=place.source, Key=SAMPLE_KEY, Body=good)
    # More clusters than pictures: SageMaker's word for it is in the task's log.
    result = airflow.run("2026-01-01", k=5000)
    assert result["tasks"]["sagemaker_train_model"] == "failed"
    assert re.search(r"sagemaker: \S+: ClientError: ", airflow.log)

    airflow.send(date="2026-01-02", conf={"epochs": 1000})
    job = _when_training(place.sagemaker, model_name(place.name, "2026-01-02"))
    place.sagemaker.stop_training_job(TrainingJobName=job)
    result = airflow.receive()
    assert result["tasks"]["sagemaker_train_model"] == "failed"
    assert f"sagemaker: {job}: it was stopped" in airflow.log
    assert place.in_service() is None


def _when_training(sagemaker, prefix):
    """Waits until a job trains; returns its name."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        for job in sagemaker.list_training_jobs(NameContains=prefix)["TrainingJobSummaries"]:
            name = job["TrainingJobName"]
            if (
                sagemaker.describe_training_job(TrainingJobName=name)["SecondaryStatus"]
                == "Training"
            ):
                return name
        time.sleep(0.05)
    raise AssertionError(f"{prefix} does not begin to train")
