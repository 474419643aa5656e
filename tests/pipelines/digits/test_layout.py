"""Names and keys: made by one run, understood by the next one and by the page."""

import re

import pytest

from digits.layout import (
    Layout,
    model_date,
    model_name,
    sample_bucket,
)

NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")  # SageMaker's own rule
LAYOUT = Layout("bucket", "some/prefix")


def test_everything_of_a_date_lies_under_it():
    model = model_name("digits", "2026-01-01")
    keys = [
        LAYOUT.source_key("2026-01-01"),
        LAYOUT.channel_key("2026-01-01", "train"),
        LAYOUT.channel_key("2026-01-01", "test"),
        LAYOUT.report_key("2026-01-01"),
        LAYOUT.picture_key("2026-01-01"),
        LAYOUT.artifact_key(model),
        LAYOUT.model_report_key(model),
        LAYOUT.model_picture_key(model),
    ]
    assert len(set(keys)) == len(keys)
    assert all(key.startswith("some/prefix/2026-01-01/") for key in keys)
    assert LAYOUT.uri(keys[0]) == "s3://bucket/some/prefix/2026-01-01/mnist.pkl.gz"


def test_a_channel_reads_its_own_objects_alone():
    assert LAYOUT.channel_key("2026-01-01", "train").startswith(
        LAYOUT.channel_prefix("2026-01-01", "train")
    )
    # A prefix without its slash would read train2/ as well.
    assert LAYOUT.channel_prefix("2026-01-01", "train").endswith("/train/")


@pytest.mark.parametrize("endpoint", ["digits", "my-digits-2", "e" * 32])
def test_names_are_understood_and_allowed(endpoint):
    for model in (
        model_name(endpoint, "2026-01-01"),
        f"{model_name(endpoint, '2026-01-01')}-0123456789ab-12",
    ):
        assert NAME.fullmatch(model)
        assert model_date(model) == "2026-01-01"
        assert model_date(model, endpoint=endpoint) == "2026-01-01"


def test_names_of_others_are_not_ours():
    assert model_date("digits") is None
    assert model_date("digits-v2") is None
    assert model_date("other-2026-01-01", endpoint="digits") is None
    assert model_date("more-digits-2026-01-01", endpoint="digits") is None
    with pytest.raises(ValueError, match="not a model of this pipeline"):
        LAYOUT.model_report_key("kmeans-2026")


def test_bucket_and_prefix_come_from_the_environment():
    assert Layout.from_environment({}) == Layout("tradewind-digits", "digits")
    environment = {"TRADEWIND_DIGITS_BUCKET": "b-1", "TRADEWIND_DIGITS_PREFIX": "/a/b/"}
    assert Layout.from_environment(environment) == Layout("b-1", "a/b")


def test_sample_bucket_is_that_of_the_region():
    assert sample_bucket("eu-west-1") == "sagemaker-sample-data-eu-west-1"
