"""The whole DAG, run by Airflow on the local systems: several dates at once, and dates again."""

import contextlib
import gzip
import io
import json
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
                    date = model_date(name if kind != "config" else name.rsplit("-", 1)[0])
                    found.setdefault(date, []).append(f"{kind} {self._plain(name)}")
        return {date: sorted(names) for date, names in found.items()}

    def _plain(self, name):
        """Without what differs between two runs of a date: the seconds after a second job."""
        parts = []
        for part in name.split("/"):
            words = part.split("-")
            parts.append("-".join(w for w in words if not (w.isdigit() and len(w) == 10)))
        plain = "/".join(parts)
        # A configuration is called after its model and a checksum of it.
        return plain.rsplit("-", 1)[0] if self.name in plain and _is_config(plain) else plain

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


def _is_config(name):
    end = name.rsplit("-", 1)[-1]
    return len(end) == 6 and all(c in "0123456789abcdef" for c in end)


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
    """Has a model of that date that no endpoint can load; returns its name."""
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
    return model


def test_a_model_that_does_not_come_up(place, start):
    airflow = start(place.environment)
    broken = _break(place, "2025-12-31")
    airflow.send(date="2025-12-31", only="sagemaker_deploy_model")
    assert airflow.receive()["state"] == "failed"
    endpoint = place.sagemaker.describe_endpoint(EndpointName=place.name)
    assert endpoint["EndpointStatus"] == "Failed"

    # The endpoint that never came up is made anew, for the next model.
    succeeded(airflow, airflow.run("2026-01-01"))
    good = model_name(place.name, "2026-01-01")
    assert place.in_service() == good

    # Where there is something to go back to, SageMaker goes back, and the task says so.
    broken = _break(place, "2026-01-02")
    airflow.send(date="2026-01-02", only="sagemaker_deploy_model")
    assert airflow.receive()["state"] == "failed"
    assert place.in_service() == good
    assert f"SageMaker took {config_of(place, broken)} back" in airflow.log
    assert place.recognised()[0] == good


def config_of(place, model):
    (config,) = place.sagemaker.list_endpoint_configs(NameContains=model)["EndpointConfigs"]
    return config["EndpointConfigName"]


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
    assert "SageMaker resource failed because ClientError" in airflow.log

    airflow.send(date="2026-01-02", conf={"epochs": 1000})
    _when_training(place.sagemaker, model_name(place.name, "2026-01-02"))
    place.sagemaker.stop_training_job(TrainingJobName=model_name(place.name, "2026-01-02"))
    result = airflow.receive()
    assert result["tasks"]["sagemaker_train_model"] == "failed"
    assert "is Stopped (Stopped), not Completed: its model is not used" in airflow.log
    assert place.in_service() is None


def _when_training(sagemaker, job):
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        with contextlib.suppress(sagemaker.exceptions.ClientError):
            if (
                sagemaker.describe_training_job(TrainingJobName=job)["SecondaryStatus"]
                == "Training"
            ):
                return
        time.sleep(0.05)
    raise AssertionError(f"{job} does not begin to train")
