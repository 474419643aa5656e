"""What a run is told, and what follows."""

from datetime import UTC, datetime, timedelta, timezone
from types import SimpleNamespace

import pytest

from digits.settings import Run, kmeans_image
from tradewind.errors import SetupError

PARAMS = {"bucket": "b", "prefix": "p", "endpoint": "digits", "source_bucket": "s", "image": "i"}


def run_of(logical_date, run_after=datetime(2026, 3, 4, 5, tzinfo=UTC)):
    return Run.of(PARAMS, SimpleNamespace(logical_date=logical_date, run_after=run_after))


def test_the_date_is_that_of_the_logical_date():
    assert run_of(datetime(2026, 1, 1, tzinfo=UTC)).date == "2026-01-01"


def test_the_day_is_that_in_utc():
    evening = datetime(2026, 1, 1, 23, tzinfo=timezone(timedelta(hours=-5)))
    assert run_of(evening).date == "2026-01-02"


def test_a_run_without_a_logical_date_belongs_to_the_day_it_was_triggered_for():
    assert run_of(None).date == "2026-03-04"


def test_names_and_addresses_follow():
    run = run_of(datetime(2026, 1, 1, tzinfo=UTC))
    assert run.job == "digits-2026-01-01"
    assert run.models_uri == "s3://b/p/2026-01-01/models"
    assert run.channel_uri("train") == "s3://b/p/2026-01-01/train/"
    assert run.source_key == "p/2026-01-01/mnist.pkl.gz"
    assert run.source_bucket == "s"
    assert run.image == "i"


def test_another_store_than_s3_has_no_public_samples():
    params = {**PARAMS, "store": "gs"}
    assert Run(params, "2026-01-01").source_bucket == "s"
    with pytest.raises(SetupError, match="in the parameter source_bucket"):
        _ = Run({**params, "source_bucket": None}, "2026-01-01").source_bucket


def test_the_image_is_that_of_the_region():
    assert kmeans_image("eu-west-1") == "438346466558.dkr.ecr.eu-west-1.amazonaws.com/kmeans:1"
    assert kmeans_image("us-east-1") == "382416733822.dkr.ecr.us-east-1.amazonaws.com/kmeans:1"
    assert kmeans_image("cn-north-1").endswith(".amazonaws.com.cn/kmeans:1")
    with pytest.raises(SetupError, match=r"'mars-1'.*parameter image"):
        kmeans_image("mars-1")
