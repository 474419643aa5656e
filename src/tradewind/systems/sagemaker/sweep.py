"""What deployments have left on SageMaker: configurations, models, endpoints that nobody uses.

Only what carries Tradewind's tags is seen. What an endpoint serves, or is about to, is none; nor is
what was to be kept: by ``keep_superseded``, or as the model of a transform job that has succeeded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import partial
from typing import Any

from tradewind.sweep.leftover import Leftover
from tradewind.sweep.work import leftovers_of_work
from tradewind.systems.sagemaker.api import (
    KEEP,
    NAME,
    NUMBER,
    OWNER,
    TITLE,
    SageMakerAPI,
    remove_model,
)
from tradewind.systems.sagemaker.deployment_record import (
    BUSY,
    CANCELLED,
    DONE,
    ENDPOINT,
    STATE,
    remove_config,
)

__all__ = ["leftovers", "leftovers_of_deployments"]

_KINDS = ("TRAINING", "TRANSFORM", "PROCESSING", "TUNING")


def leftovers(place: str) -> Iterator[tuple[str, Iterator[Leftover]]]:
    """List jobs in progress, and what deployments have left.

    Args:
        place: An AWS connection of Airflow, or ``boto3`` for its own chain of credentials.
    """
    conn_id = place.removeprefix("connection:")
    for kind in _KINDS:
        system = f"sagemaker {conn_id} {kind.lower()}"
        yield system, _jobs(system, conn_id, kind)
    yield f"sagemaker {conn_id} deployments", _deployments(conn_id)


def _jobs(system: str, conn_id: str, kind: str) -> Iterator[Leftover]:
    from tradewind.systems.sagemaker import backend as sagemaker

    if conn_id != "boto3":
        from tradewind.systems.sagemaker.airflow import open_sagemaker

        backend: Any = open_sagemaker(kind, conn_id)
    else:
        backend = sagemaker.SageMakerBackend(kind=getattr(sagemaker, kind))
    yield from leftovers_of_work(system, backend, confirm=backend.confirm)


def _deployments(conn_id: str) -> Iterator[Leftover]:
    clients = None
    if conn_id != "boto3":
        from tradewind.systems.sagemaker.airflow import AWS

        clients = AWS(conn_id).clients()
    yield from leftovers_of_deployments(f"sagemaker {conn_id} deployments", clients=clients)


def leftovers_of_deployments(
    system: str, session: Any = None, *, clients: Mapping[str, Any] | None = None
) -> Iterator[Leftover]:
    """List what deployments have left, whoever they belong to.

    Args:
        system: What the account is called.
        session: A boto3 session.
        clients: The clients ``sagemaker`` and ``logs`` themselves, instead of a session.

    Raises:
        TradewindError: SageMaker cannot be asked.
    """
    yield from _Account(system, SageMakerAPI(session, noun="deployment", clients=clients)).left()


class _Account:
    """What there is of deployments in an account and region."""

    def __init__(self, system: str, api: SageMakerAPI) -> None:
        self._system, self._api = system, api

    def left(self) -> Iterator[Leftover]:
        endpoints = list(self._endpoints())
        configs = list(self._ours("list_endpoint_configs", "EndpointConfig"))
        used = _used(endpoints)
        tags_of = {name: tags for name, _, tags in configs}
        for told in endpoints:
            config = str(told["EndpointConfigName"])
            tags = tags_of.get(config, {})
            if told["EndpointStatus"] not in BUSY and self._is_dead(told, tags):
                yield self._endpoint(told, tags)
        for name, since, tags in configs:
            if name in used or KEEP in tags:
                continue
            what = "configuration that was replaced" if tags.get(STATE) == DONE else "configuration"
            yield Leftover(
                system=self._system,
                what=f"endpoint {what} {name}",
                owner=tags[OWNER],
                title=tags.get(TITLE, ""),
                since=since,
                remove=partial(self._remove_config, name, tags[OWNER]),
            )
        served = {model for name in tags_of for model in self._models_of(name)}
        for name, since, tags in list(self._ours("list_models", "Model")):
            if name in served or KEEP in tags:
                continue
            yield Leftover(
                system=self._system,
                what=f"model {name}",
                owner=tags[OWNER],
                title=tags.get(TITLE, ""),
                since=since,
                remove=partial(remove_model, self._api, name, tags[OWNER]),
            )

    def _endpoints(self) -> Iterator[Mapping[str, Any]]:
        for one in self._api.pages("its endpoints", "list_endpoints", "Endpoints"):
            name = one["EndpointName"]
            told = self._api.find(name, "describe_endpoint", EndpointName=name)
            if told is not None:
                yield told

    def _ours(
        self, operation: str, word: str
    ) -> Iterator[tuple[str, datetime | None, dict[str, str]]]:
        for one in self._api.pages(f"its {word}s", operation, f"{word}s"):
            name = one[f"{word}Name"]
            match = NAME.search(name)
            if match is None and word != "Model":
                continue
            # A model of a transform job may have the very name that its user gives it.
            tags = self._api.tags(one[f"{word}Arn"])
            if OWNER in tags and (match is None or word == "Model" or tags[OWNER] == match[1]):
                yield name, one.get("CreationTime"), tags

    def _is_dead(self, told: Mapping[str, Any], tags: Mapping[str, str]) -> bool:
        """Whether an endpoint never came up, or came up for a deployment that was cancelled."""
        made = self._api.tags(told["EndpointArn"])
        same = all(made.get(key) == tags.get(key) for key in (OWNER, NUMBER))
        mine = OWNER in made and same and tags.get(ENDPOINT) == told["EndpointName"]
        return mine and (told["EndpointStatus"] == "Failed" or tags.get(STATE) == CANCELLED)

    def _endpoint(self, told: Mapping[str, Any], tags: Mapping[str, str]) -> Leftover:
        name, failed = told["EndpointName"], told["EndpointStatus"] == "Failed"
        why = "never came up" if failed else "came up for a deployment that was cancelled"
        return Leftover(
            system=self._system,
            what=f"endpoint {name}, which {why}",
            owner=tags[OWNER],
            title=tags.get(TITLE, ""),
            since=told.get("CreationTime"),
            remove=partial(self._remove_endpoint, name, told["EndpointConfigName"], tags[OWNER]),
        )

    def _remove_endpoint(self, name: str, config: str, digest: str) -> None:
        told = self._api.find(name, "describe_endpoint", EndpointName=name)
        if told is not None:
            if told["EndpointConfigName"] != config or told["EndpointStatus"] in BUSY:
                return  # somebody has taken it over since
            self._api.find(name, "delete_endpoint", EndpointName=name)
        remove_config(self._api, config, digest)

    def _remove_config(self, name: str, digest: str) -> None:
        # It may have been put into service since.
        if name not in _used(self._endpoints()):
            remove_config(self._api, name, digest)

    def _models_of(self, config: str) -> list[str]:
        told = self._api.find(config, "describe_endpoint_config", EndpointConfigName=config)
        return [one["ModelName"] for one in (told or {}).get("ProductionVariants", [])]


def _used(endpoints: Any) -> set[str]:
    found: set[str] = set()
    for told in endpoints:
        pending = (told.get("PendingDeploymentSummary") or {}).get("EndpointConfigName")
        found |= {told.get("EndpointConfigName"), pending} - {None}
    return found
