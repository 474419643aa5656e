"""Models from a real object store."""

import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from digits.layout import Layout
from digits.web.models import Models, data_uri
from digits.web.problems import Problem
from digits_service import client
from sagemaker_service import kmeans_artifact

LAYOUT = Layout("digits-models", "digits")


class Counting:
    """A client of S3 that counts what it reads."""

    def __init__(self, s3):
        self.s3 = s3
        self.read = []

    def get_object(self, **request):
        self.read.append(request["Key"])
        return self.s3.get_object(**request)


@pytest.fixture(scope="module")
def s3(local_s3):
    s3 = client(local_s3, "s3")
    s3.create_bucket(
        Bucket=LAYOUT.bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    return s3


def put(s3, model, *, labels=None, artifact=None, **more):
    centroids = np.random.default_rng(len(model)).random((4, 784), np.float32)
    key = LAYOUT.artifact_key(model)
    s3.put_object(Bucket=LAYOUT.bucket, Key=key, Body=artifact or kmeans_artifact(centroids))
    report = {"labels": [3, 1, 3, 7] if labels is None else labels, "artifact": LAYOUT.uri(key)}
    report |= more
    s3.put_object(
        Bucket=LAYOUT.bucket,
        Key=LAYOUT.model_report_key(model),
        Body=json.dumps(report).encode(),
    )
    return centroids


def test_a_model_is_explained(s3):
    centroids = put(s3, "digits-2026-03-01", accuracy=0.91)
    model = Models(s3, LAYOUT).get("digits-2026-03-01")
    assert (model.date, model.accuracy) == ("2026-03-01", 0.91)
    np.testing.assert_array_equal(model.centroids, centroids)
    distances = model.distances(centroids[2])
    assert distances[2] == 0
    assert model.nearest_of(3, distances) == 2
    assert model.nearest_of(7, distances) == 3
    assert model.nearest_of(5, distances) is None
    assert model.centroid(1) == data_uri(centroids[1])


def test_a_model_of_a_date_that_was_run_again(s3):
    put(s3, "digits-2026-03-02-0123456789ab-1")
    model = Models(s3, LAYOUT).get("digits-2026-03-02-0123456789ab-1")
    assert (model.date, model.accuracy) == ("2026-03-02", None)


def test_a_model_is_read_once_and_the_oldest_is_forgotten(s3):
    names = [f"digits-2026-04-0{day}" for day in (1, 2, 3)]
    for name in names:
        put(s3, name)
    counting = Counting(s3)
    models = Models(counting, LAYOUT, size=2)
    first = models.get(names[0])
    assert models.get(names[0]) is first
    assert len(counting.read) == 2
    models.get(names[1])
    models.get(names[0])
    models.get(names[2])  # in the place of the second, which was used longest ago
    assert models.get(names[0]) is first
    assert len(counting.read) == 6
    models.get(names[1])
    assert len(counting.read) == 8


def test_requests_at_the_same_time_read_it_once(s3):
    put(s3, "digits-2026-04-04")
    counting = Counting(s3)
    models = Models(counting, LAYOUT)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: models.get("digits-2026-04-04"), range(32)))
    assert len({id(model) for model in found}) == 1
    assert len(counting.read) == 2


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"labels": [1, 2]}, "does not fit"),
        ({"labels": [1, 2, 3, 10]}, "does not fit"),
        ({"labels": [1, 2, 3, -1]}, "does not fit"),
        ({"labels": [1, 2, 3, 4.5]}, "does not fit"),
        ({"labels": ["1", "2", "3", "4"]}, "does not fit"),
        ({"labels": [[1], [2, 3]]}, "names no clusters"),
        ({"labels": None, "artifact": b"no archive"}, "unreadable"),
    ],
)
def test_a_model_that_cannot_be_explained_is_refused(s3, wrong, message):
    put(s3, "digits-2026-05-01", **wrong)
    with pytest.raises(Problem, match=message) as problem:
        Models(s3, LAYOUT).get("digits-2026-05-01")
    assert problem.value.status == 503


@pytest.mark.parametrize("name", ["", "digits", "AllTraffic", "digits-2026-05"])
def test_names_of_others_are_refused(s3, name):
    with pytest.raises(Problem, match="not made by this pipeline"):
        Models(s3, LAYOUT).get(name)
