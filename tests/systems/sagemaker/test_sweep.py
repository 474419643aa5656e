"""What deployments leave on SageMaker, and what is none of it."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from deployments import Place, deploy, make_artifacts
from sagemaker_service import make_client, wait_status
from tradewind.local import Systems
from tradewind.systems.sagemaker.api import SageMakerAPI, ensure_model
from tradewind.systems.sagemaker.backend import TRANSFORM, SageMakerBackend
from tradewind.systems.sagemaker.sweep import leftovers_of_deployments
from waiting import until

pytestmark = pytest.mark.xdist_group("deployment")


@pytest.fixture(scope="module")
def clients(local_sagemaker: Systems) -> dict[str, Any]:
    endpoint, environment = local_sagemaker["sagemaker"].endpoint, local_sagemaker.environment
    return {name: make_client(name, endpoint, environment) for name in ("sagemaker", "logs")}


@pytest.fixture(scope="module")
def artifacts(local_sagemaker: Systems) -> dict[str, str]:
    return make_artifacts(local_sagemaker)


@pytest.fixture
def place(clients: dict[str, Any], artifacts: dict[str, str]) -> Place:
    return Place(clients, artifacts)


def left(place: Place) -> dict[str, Any]:
    found = leftovers_of_deployments("here", clients=place.clients)
    return {one.what: one for one in found if place.endpoint in one.what}


def test_what_serves_or_is_kept_is_none(place: Place):
    for keep in (True, False):
        deploy(place.backend(keep_superseded=keep), place.owner(), place.work())
    by_hand = place.work()
    place.sagemaker.create_model(**by_hand["Model"])
    place.sagemaker.create_endpoint_config(**by_hand["EndpointConfig"])
    assert left(place) == {}


def test_what_a_dead_worker_has_left(place: Place):
    owner, other = place.owner(), place.owner()
    api = SageMakerAPI(noun="deployment", clients=place.clients)
    # Died after the model, and after the configuration.
    model = ensure_model(api, place.work()["Model"], owner, 1)
    backend = place.backend()
    config = backend.name_of(other, 1)
    backend._claim(config, other, 1, place.work())
    found = left(place)
    assert set(found) == {f"model {model}", f"endpoint configuration {config}"}
    one = found[f"endpoint configuration {config}"]
    assert (one.owner, one.title, one.since is None) == (other.digest, str(other), False)
    for each in found.values():
        each.remove()
        each.remove()
    assert (left(place), place.models(), place.configs()) == ({}, [], [])


def test_an_endpoint_that_never_came_up(place: Place):
    backend, owner = place.backend(), place.owner()
    backend.submit(owner, 1, place.work("broken"), variables={})
    assert left(place) == {} or place.serving()
    wait_status(place.sagemaker, place.endpoint, "Failed")
    (one,) = left(place).values()
    assert one.what == f"endpoint {place.endpoint}, which never came up"
    one.remove()
    until(lambda: place.serving() is None)
    assert (left(place), place.models(), place.configs()) == ({}, [], [])


def test_an_endpoint_that_came_up_for_a_cancelled_deployment(place: Place):
    backend, owner = place.backend(), place.owner()
    backend.submit(owner, 1, place.work(), variables={})
    backend.cancel(backend.name_of(owner, 1))
    wait_status(place.sagemaker, place.endpoint, "InService")
    (one,) = left(place).values()
    assert one.what.endswith("which came up for a deployment that was cancelled")
    # What has been taken over since stays.
    last = deploy(place.backend(), place.owner(), place.work())
    one.remove()
    assert place.serving() == last.name
    assert left(place) == {}


def test_the_model_of_a_transform_job_is_what_it_has_made(place: Place, local_sagemaker: Systems):
    owner = place.owner()
    backend = SageMakerBackend(kind=TRANSFORM, clients=place.clients)
    bucket = place.artifacts["good"].split("/")[2]
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{bucket}/nothing-{uuid.uuid4().hex}/"}
    request = {
        "ModelName": place.endpoint,
        "TransformInput": {"DataSource": {"S3DataSource": source}, "ContentType": "text/csv"},
        "TransformOutput": {"S3OutputPath": f"s3://{bucket}/out"},
        "TransformResources": {"InstanceCount": 1, "InstanceType": "ml.m5.large"},
    }
    work = {"Model": place.work()["Model"], "Transform": request}
    backend.submit(owner, 1, work, variables={})
    name = backend.name_of(owner, 1)
    until(lambda: backend.status(name).state.ended)
    # It has failed, for want of data: then its model goes with it.
    assert set(left(place)) == {f"model {place.endpoint}"}
    backend.delete(name)
    assert place.models() == []
    request["TransformInput"]["ContentType"] = "application/json"
    source["S3Uri"] = f"s3://{bucket}/row.json"
    s3 = make_client("s3", local_sagemaker["s3"].endpoint, local_sagemaker.environment)
    body = b'{"instances": [{"features": [1.0, 1.0]}]}'
    s3.put_object(Bucket=bucket, Key="row.json", Body=body)
    backend.submit(owner, 2, work, variables={})
    name = backend.name_of(owner, 2)
    until(lambda: backend.status(name).state.ended)
    backend.delete(name)
    assert (left(place), place.models()) == ({}, [place.endpoint])
