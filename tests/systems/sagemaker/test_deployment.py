"""Deployments on the local SageMaker, which really loads models and serves them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from deployments import Memory, Place, deploy, make_artifacts
from sagemaker_service import make_client, wait_status
from tradewind.errors import InputError, SetupError, TradewindError
from tradewind.local import Systems
from tradewind.owner import Owner
from tradewind.run.backend import JobState, WorkFailedError
from tradewind.run.supervise import Decision, LeftError, StoppedError, end
from tradewind.systems.sagemaker.deployment import DeploymentBackend

pytestmark = pytest.mark.xdist_group("deployment")


@pytest.fixture(scope="module")
def clients(local_sagemaker: Systems) -> dict[str, Any]:
    endpoint, environment = local_sagemaker["sagemaker"].endpoint, local_sagemaker.environment
    names = ("sagemaker", "logs", "sagemaker-runtime")
    return {name: make_client(name, endpoint, environment) for name in names}


@pytest.fixture(scope="module")
def sagemaker(clients: dict[str, Any]) -> Any:
    return clients["sagemaker"]


@pytest.fixture(scope="module")
def artifacts(local_sagemaker: Systems) -> dict[str, str]:
    return make_artifacts(local_sagemaker)


@pytest.fixture
def place(clients: dict[str, Any], artifacts: dict[str, str]) -> Iterator[Place]:
    place = Place(clients, artifacts)
    yield place
    if place.serving():
        wait_status(place.sagemaker, place.endpoint, "InService", "Failed")
        place.sagemaker.delete_endpoint(EndpointName=place.endpoint)


def test_an_endpoint_is_made_then_updated_and_what_was_replaced_goes(place: Place):
    first, second = place.owner(), place.owner()
    outcome = deploy(place.backend(), first, place.work())
    told = json.loads(outcome.result)
    assert told["Endpoint"]["EndpointStatus"] == "InService"
    assert told["EndpointConfig"]["EndpointConfigName"] == outcome.name == place.serving()
    assert place.models() == place.configs() == [place.backend().name_of(first, 1)]

    outcome = deploy(place.backend(), second, place.work())
    assert place.serving() == outcome.name
    assert place.models() == place.configs() == [outcome.name]
    # A retry that nobody told of it finds it, and does nothing.
    again = deploy(place.backend(), second, place.work())
    assert (again.name, again.reattached) == (outcome.name, True)
    runtime = place.clients["sagemaker-runtime"]
    answer = runtime.invoke_endpoint(
        EndpointName=place.endpoint, ContentType="text/csv", Body="0.9,0.9"
    )
    assert json.loads(answer["Body"].read())["predictions"][0]["closest_cluster"] == 1.0


def test_what_is_replaced_may_be_kept(place: Place):
    names = [
        deploy(place.backend(keep_superseded=True), place.owner(), place.work()).name
        for _ in range(2)
    ]
    assert place.configs() == sorted(names)
    # Nor does a later one that does not keep remove what was to be kept.
    last = deploy(place.backend(), place.owner(), place.work()).name
    assert place.configs() == sorted([*names, last])


def test_what_somebody_else_has_made_stays(place: Place):
    sagemaker, work = place.sagemaker, place.work()
    sagemaker.create_model(**work["Model"])
    sagemaker.create_endpoint_config(**work["EndpointConfig"])
    sagemaker.create_endpoint(EndpointName=place.endpoint, EndpointConfigName=place.endpoint)
    name = deploy(place.backend(), place.owner(), place.work()).name
    assert place.serving() == name
    assert place.configs() == place.models() == sorted([place.endpoint, name])


def test_an_endpoint_that_does_not_come_up_is_rolled_back(place: Place):
    owner, memory = place.owner(), Memory()
    with pytest.raises(WorkFailedError, match=f"the endpoint {place.endpoint} failed: .*model"):
        deploy(place.backend(), owner, place.work("broken"), memory)
    assert (place.models(), place.configs()) == ([], [])
    # The next attempt begins while SageMaker is still deleting.
    outcome = deploy(place.backend(), owner, place.work(), memory)
    assert outcome.name == place.backend().name_of(owner, 2) == place.serving()


def test_an_update_that_fails_leaves_the_former_in_service(place: Place):
    first = deploy(place.backend(), place.owner(), place.work()).name
    with pytest.raises(WorkFailedError, match=f"took .* back, {first} is in service again"):
        deploy(place.backend(), place.owner(), place.work("broken"))
    assert place.serving() == first
    assert place.models() == place.configs() == [first]


def test_what_is_refused_leaves_nothing(place: Place):
    work = place.work()
    work["EndpointConfig"]["ProductionVariants"][0].pop("InstanceType")
    with pytest.raises(InputError, match="Correct the deployment's configuration"):
        deploy(place.backend(), place.owner(), work)
    assert (place.models(), place.configs(), place.serving()) == ([], [], None)
    options = {"DeploymentConfig": {"BlueGreenUpdatePolicy": "all at once"}}
    with pytest.raises(InputError):
        deploy(place.backend(options=options), place.owner(), place.work())
    assert (place.models(), place.configs(), place.serving()) == ([], [], None)


def test_a_failed_endpoint_of_somebody_else_is_told(place: Place):
    sagemaker, work = place.sagemaker, place.work("broken")
    sagemaker.create_model(**work["Model"])
    sagemaker.create_endpoint_config(**work["EndpointConfig"])
    sagemaker.create_endpoint(EndpointName=place.endpoint, EndpointConfigName=place.endpoint)
    wait_status(sagemaker, place.endpoint, "Failed")
    with pytest.raises(SetupError, match=r"Tradewind has not made it\. Delete it"):
        deploy(place.backend(), place.owner(), place.work())
    assert place.configs() == [place.endpoint]


def test_two_deployments_take_turns(place: Place):
    first, second = place.backend(), place.backend()
    one, other = place.owner(), place.owner()
    first.submit(one, 1, place.work(), variables={})
    second.submit(other, 1, place.work(), variables={})
    outcome = deploy(second, other, place.work())
    assert outcome.reattached
    assert place.serving() == outcome.name
    # The first one was in service, and was replaced before anybody asked: it is deployed anew.
    again = deploy(first, one, place.work())
    assert again.name == first.name_of(one, 2) == place.serving()
    assert place.configs() == [again.name]


def test_a_newer_one_may_stay_in_service(place: Place):
    first = deploy(place.backend(), place.owner(), place.work()).name
    shown: list[Any] = []

    def refuse(endpoint: Any) -> bool:
        shown.append(endpoint["EndpointConfigName"])
        return False

    outcome = deploy(place.backend(may_replace=refuse), place.owner(), place.work())
    assert shown == [first]
    assert place.serving() == first
    assert place.configs() == sorted([first, outcome.name])
    # It waits to be used: nothing removes it.
    last = deploy(place.backend(), place.owner(), place.work()).name
    assert place.configs() == sorted([outcome.name, last])


def test_a_configuration_that_is_there_is_moved_to(place: Place):
    sagemaker, work = place.sagemaker, place.work()
    sagemaker.create_model(**work["Model"])
    for name in ("a", "b"):
        sagemaker.create_endpoint_config(
            EndpointConfigName=f"{place.endpoint}-{name}",
            ProductionVariants=work["EndpointConfig"]["ProductionVariants"],
        )
    for name in ("a", "b", "b"):
        backend = place.backend(config=f"{place.endpoint}-{name}")
        told = json.loads(deploy(backend, place.owner(), {}).result)
        assert told["Endpoint"]["EndpointConfigName"] == f"{place.endpoint}-{name}"
    broken = place.work("broken")["Model"]
    sagemaker.create_model(**{**broken, "ModelName": f"{place.endpoint}-broken"})
    variant = {**work["EndpointConfig"]["ProductionVariants"][0]}
    sagemaker.create_endpoint_config(
        EndpointConfigName=f"{place.endpoint}-c",
        ProductionVariants=[{**variant, "ModelName": f"{place.endpoint}-broken"}],
    )
    owner, memory = place.owner(), Memory()
    for _ in range(2):
        with pytest.raises(WorkFailedError, match=r"-c back, .*-b is in service again"):
            deploy(place.backend(config=f"{place.endpoint}-c"), owner, {}, memory)
    # Nothing of it stays with the endpoint but who has made it.
    arn = sagemaker.describe_endpoint(EndpointName=place.endpoint)["EndpointArn"]
    keys = {tag["Key"] for tag in sagemaker.list_tags(ResourceArn=arn)["Tags"]}
    assert keys == {"tradewind:owner", "tradewind:number"}
    assert len(place.configs()) == 3
    with pytest.raises(InputError, match="nowhere"):
        deploy(place.backend(config="nowhere"), place.owner(), {})


@pytest.mark.parametrize("exists", [False, True])
def test_a_person_cancels(place: Place, exists: bool):
    former = deploy(place.backend(), place.owner(), place.work()).name if exists else None
    owner = place.owner()
    with pytest.raises(StoppedError):
        deploy(place.backend(), owner, place.work(), decide=lambda: Decision.CANCEL)
    # Where SageMaker was in the middle of it, the next one cleans up.
    last = deploy(place.backend(), place.owner(), place.work()).name
    assert place.serving() == last
    assert place.configs() == place.models() == [last], former


def test_who_cancels_before_it_has_begun_leaves_nothing(place: Place):
    backend, owner = place.backend(), place.owner()
    backend._claim(backend.name_of(owner, 1), owner, 1, place.work())
    assert backend.status(backend.name_of(owner, 1)).state is JobState.PENDING
    end(backend, backend.name_of(owner, 1))
    assert (place.models(), place.configs()) == ([], [])


def test_a_worker_that_goes_away_leaves_it(place: Place):
    owner = place.owner()
    with pytest.raises(LeftError):
        deploy(place.backend(), owner, place.work(), decide=lambda: Decision.LEAVE)
    outcome = deploy(place.backend(), owner, place.work())
    assert outcome.reattached
    assert place.configs() == [outcome.name]


class DiedError(Exception):
    """The attempt ends here, as by SIGKILL: nothing of ours catches it."""


class Dying:
    """A client whose attempt dies before or after one of its calls that change something."""

    def __init__(self, client: Any, at: int, *, after: bool) -> None:
        self._client, self._at, self._after = client, at, after
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._client, name)
        if not name.startswith(("create_", "update_", "delete_", "add_")):
            return found
        return lambda **request: self._call(name, found, request)

    def _call(self, name: str, call: Callable[..., Any], request: dict[str, Any]) -> Any:
        self.calls.append(name)
        dies = len(self.calls) == self._at
        if dies and not self._after:
            raise DiedError
        answer = call(**request)
        if dies:
            raise DiedError
        return answer


def attempt(place: Place, owner: Owner, work: Any, memory: Any, at: int, after: bool) -> bool:
    """One attempt; tells whether it died."""
    client = Dying(place.sagemaker, at, after=after)
    backend = DeploymentBackend(
        place.endpoint, clients={**place.clients, "sagemaker": client}, prefix=place.endpoint
    )
    try:
        deploy(backend, owner, work, memory)
    except DiedError:
        return True
    except TradewindError:
        return False
    return False


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("exists", [False, True])
def test_an_attempt_dies_at_every_change(place: Place, exists: bool, after: bool):
    if exists:
        deploy(place.backend(), place.owner(), place.work())
    for at in range(1, 20):
        owner, memory = place.owner(), Memory()
        died = attempt(place, owner, place.work(), memory, at, after)
        outcome = deploy(place.backend(), owner, place.work(), memory)
        assert place.serving() == outcome.name, at
        assert place.configs() == place.models() == [outcome.name], at
        if not died:
            break
        if not exists:
            place.sagemaker.delete_endpoint(EndpointName=place.endpoint)
            wait_status(place.sagemaker, place.endpoint, "gone")
            place.sagemaker.delete_endpoint_config(EndpointConfigName=outcome.name)
            place.sagemaker.delete_model(ModelName=outcome.name)
    assert at > 4


@pytest.mark.parametrize("at", [2, 3])
def test_what_a_deleted_run_has_begun_goes_with_the_run_made_again(place: Place, at: int):
    former = replace(place.owner(), deployment="here", generation="g1")
    assert attempt(place, former, place.work(), Memory(), at, after=True)
    outcome = deploy(place.backend(), replace(former, generation="g2"), place.work())
    assert place.serving() == outcome.name
    assert place.models() == place.configs() == [outcome.name]


@pytest.mark.parametrize("after", [False, True])
def test_a_rollback_dies_at_every_change(place: Place, after: bool):
    first = deploy(place.backend(), place.owner(), place.work()).name
    for at in range(5, 20):
        owner, memory = place.owner(), Memory()
        died = attempt(place, owner, place.work("broken"), memory, at, after)
        with pytest.raises(WorkFailedError):
            deploy(place.backend(), owner, place.work("broken"), memory)
        assert place.serving() == first, at
        assert place.configs() == place.models() == [first], at
        if not died:
            break
    assert at > 6
