"""A deployment on SageMaker: models, endpoint configuration and endpoint, as one job.

The claim is the endpoint configuration's name, which is the owner's: SageMaker refuses a second
one of that name. Models are made before it and are found again by the next attempt. Then the
endpoint is created or updated, whichever it needs, at most once for a configuration: that it is
about to be is written down as a tag of the configuration first. So wherever an attempt dies, the
next one knows where to go on.

A deployment that SageMaker takes back is rolled back: what was in service stays in service, and
models, configuration and an endpoint that never came up are removed. One that a person cancels is
too; where SageMaker is in the middle of it, which cannot be interrupted, by whoever comes next: the
next deployment of the endpoint, or `tradewind sweep`.

An endpoint may also be moved to a configuration that somebody else has made: then there is nothing
to claim, and the endpoint itself carries the tags. Moving it there twice has the effect of once.

Protocol: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_UpdateEndpoint.html and
``API_DescribeEndpoint.html``.

Over 400 lines: its states, their tags and the steps between them are read together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from tradewind.backoff import rest
from tradewind.errors import InputError, RetryError, SetupError, TradewindError
from tradewind.owner import Owner
from tradewind.run.backend import (
    AlreadyStartedError,
    Backend,
    History,
    Job,
    JobState,
    JobStatus,
    LogLine,
)
from tradewind.systems.sagemaker.api import (
    KEEP,
    NAME,
    NUMBER,
    OWNER,
    SageMakerAPI,
    as_json,
    as_tags,
    ensure_model,
    is_taken,
    remove_model,
    spelled,
    tags_of,
    with_end,
)
from tradewind.systems.sagemaker.deployment_record import (
    BEGUN,
    BUSY,
    CANCELLED,
    DONE,
    ENDED,
    ENDPOINT,
    FORMER,
    NUMBER_KEY,
    STATE,
    WAITING,
    Record,
    Seen,
    end_of,
    is_of_earlier_run,
    prefix_of,
    remove_config,
)

__all__ = ["Deployment", "DeploymentBackend"]

Deployment = Mapping[str, Any] | Callable[[], Mapping[str, Any]]
"""``{"Model": ..., "EndpointConfig": ...}`` as boto3 has them, or what makes it; without a
configuration, an empty one."""

_CREATE = ("DeploymentConfig",)
_UPDATE = (
    "DeploymentConfig",
    "ExcludeRetainedVariantProperties",
    "RetainAllVariantProperties",
    "RetainDeploymentConfig",
)


class DeploymentBackend(Backend[Deployment]):
    """Deploys to one endpoint.

    The result is ``{"EndpointConfig": ..., "Endpoint": ...}``, as SageMaker describes them.

    Args:
        endpoint: Its name.
        session: A boto3 session; its credentials are refreshed as it goes.
        client_options: What ``session.client`` takes besides.
        clients: The clients ``sagemaker`` and ``logs`` themselves, instead of a session.
        prefix: What names of configurations begin with; empty for DAG, task and run.
        config: A configuration that is there, to move the endpoint to; None to make one.
        options: What ``CreateEndpoint`` and ``UpdateEndpoint`` take besides, like ``Tags``.
        may_replace: Is shown ``DescribeEndpoint``'s answer for an endpoint in service; where it
            says no, that is left as it is, and the new configuration waits to be used.
        keep_superseded: Whether models and configurations that a deployment replaces stay. Only
            what Tradewind has made for this endpoint is ever removed.
    """

    name = "sagemaker"
    history = History()

    def __init__(
        self,
        endpoint: str,
        *,
        session: Any = None,
        client_options: Mapping[str, Any] | None = None,
        clients: Mapping[str, Any] | None = None,
        prefix: str = "",
        config: str | None = None,
        options: Mapping[str, Any] | None = None,
        may_replace: Callable[[Mapping[str, Any]], bool] = lambda _: True,
        keep_superseded: bool = False,
    ) -> None:
        self._api = SageMakerAPI(
            session, noun="deployment", client_options=client_options, clients=clients
        )
        self.endpoint = endpoint
        self._prefix, self._config = prefix, config
        self._options = dict(options or {})
        self._may_replace = may_replace
        self._keep_superseded = keep_superseded
        self._seen: dict[tuple[str, int], str] = {}

    def name_of(self, owner: Owner, number: int) -> str:
        """Spell the configuration's name."""
        there = self._seen.get((owner.digest, number))
        return there or spelled(self._config or self._prefix, owner, number)

    # ------------------------------------------------------------------------------- start, look

    def submit(
        self, owner: Owner, number: int, work: Deployment, *, variables: Mapping[str, str]
    ) -> None:
        """Make models and configuration, and begin to move the endpoint to it.

        `tell` has no effect: a model is not called for one task run.
        """
        name = self.name_of(owner, number)
        if self._config is None:
            made = dict(work() if callable(work) else work)
            if not self._claim(name, owner, number, made):
                self.resume(name)
                raise AlreadyStartedError(f"{self._api.where}: {name} was made before.")
        elif callable(work):
            work()
        self.resume(name)

    def _claim(self, name: str, owner: Owner, number: int, made: Mapping[str, Any]) -> bool:
        api, model, config = self._api, made.get("Model"), dict(made["EndpointConfig"])
        if model:
            given = model.get("ModelName")
            called = ensure_model(api, model, owner, number)
            config["ProductionVariants"] = [
                {**one, "ModelName": called} if one.get("ModelName") == given else one
                for one in config["ProductionVariants"]
            ]
        tags = {**tags_of(owner, number), ENDPOINT: self.endpoint}
        config["EndpointConfigName"] = name
        config["Tags"] = [*config.get("Tags", []), *as_tags(tags)]
        try:
            with api.named(f"endpoint configuration {name}"):
                try:
                    api.client.create_endpoint_config(**config)
                except api.errors.ClientError as error:
                    if is_taken(error):
                        return False
                    raise
        except (InputError, SetupError):
            if model:
                remove_model(api, called, owner.digest)
            raise
        return True

    def resume(self, name: str) -> None:
        """Move the endpoint to what was claimed, unless something else is under way there."""
        record = self._record(name)
        if record is None or record.state:
            return
        try:
            self._begin(name, record)
        except RetryError:
            raise
        except TradewindError:
            # Refused, and it would be again.
            self._undo(name, self._record(name) or record, self._see())
            raise

    def _begin(self, name: str, record: Record) -> None:
        seen, config = self._see(), self._config or name
        if seen.told is None:
            self._create(name, record, config)
        elif seen.status == "Failed":
            if OWNER not in self._api.tags(seen.told["EndpointArn"]):
                raise SetupError(
                    f"{self._api.where}: the endpoint {self.endpoint} has failed ({seen.reason}), "
                    "and Tradewind has not made it. Delete it: SageMaker allows nothing else."
                )
            self._delete_endpoint()
        elif seen.status in BUSY or seen.config == config:
            return
        elif not self._may_replace(seen.told):
            self._write(record, {STATE: WAITING})
        else:
            self._update(record, config, seen)

    def _create(self, name: str, record: Record, config: str) -> None:
        tags = list(self._options.get("Tags", []))
        if self._config is None:
            self._write(record, {STATE: BEGUN})
            tags += as_tags({key: record.tags[key] for key in (OWNER, NUMBER)})
        else:
            digest, number = end_of(name)
            tags += as_tags({OWNER: digest, NUMBER: str(number), **record.spell({STATE: BEGUN})})
        more = {key: self._options[key] for key in _CREATE if key in self._options}
        self._ask("create_endpoint", record, config, Tags=tags, **more)

    def _update(self, record: Record, config: str, seen: Seen) -> None:
        self._write(record, {STATE: BEGUN, FORMER: seen.config or ""})
        more = {key: self._options[key] for key in _UPDATE if key in self._options}
        self._ask("update_endpoint", record, config, **more)

    def _ask(self, operation: str, record: Record, config: str, **more: Any) -> None:
        api = self._api
        with api.named(f"endpoint {self.endpoint}"):
            try:
                getattr(api.client, operation)(
                    EndpointName=self.endpoint, EndpointConfigName=config, **more
                )
            except api.errors.ClientError as error:
                message = error.response["Error"]["Message"]
                if not is_taken(error) and "in-progress" not in message:
                    raise
                # Somebody else was quicker: it is their turn, and this one's when they are done.
                self._write(record, {STATE: ""})

    def status(self, name: str) -> JobStatus:
        """Describe the endpoint, as it concerns this deployment."""
        record = self._record(name)
        return (
            JobStatus(JobState.ABSENT)
            if record is None
            else self._job_status(name, record, self._see())
        )

    def _job_status(self, name: str, record: Record, seen: Seen) -> JobStatus:
        config, begun = self._config or name, record.state in (BEGUN, CANCELLED)
        if record.state in (DONE, WAITING):
            return JobStatus(JobState.SUCCEEDED)
        ours = seen.pending == config or (begun and seen.pending is None)
        if seen.status in BUSY and seen.status != "Deleting" and ours:
            return JobStatus(JobState.RUNNING)
        if seen.config == config:
            if seen.status == "Failed":
                return JobStatus(
                    JobState.FAILED, f"the endpoint {self.endpoint} failed: {seen.reason}"
                )
            if seen.status in BUSY and seen.pending in (None, config):
                return JobStatus(JobState.RUNNING)
            if seen.status != "Deleting":
                return JobStatus(JobState.SUCCEEDED)
        if not begun:
            status = seen.status or "not there"
            return JobStatus(JobState.PENDING, f"the endpoint {self.endpoint} is {status}")
        if seen.told is None:
            return JobStatus(JobState.FAILED, f"the endpoint {self.endpoint} is not there any more")
        return JobStatus(
            JobState.FAILED,
            f"SageMaker took {config} back, {seen.config} is in service again at "
            f"{self.endpoint}: {seen.reason}",
        )

    def logs(self, name: str, after: str | None, *, wait: float) -> Iterator[LogLine]:
        """Wait: a deployment has no log of its own."""
        rest(wait)
        return iter(())

    def result(self, name: str, *, limit: int) -> bytes | None:
        """Describe the endpoint and the configuration."""
        config = self._config or name
        text = as_json(
            {
                "EndpointConfig": self._api.find(
                    config, "describe_endpoint_config", EndpointConfigName=config
                ),
                "Endpoint": self._see().told,
            }
        )
        if len(text) > limit:
            raise InputError(
                f"{self._api.where}: the description of {self.endpoint} is larger than "
                f"{limit:,} bytes."
            )
        return text

    # ------------------------------------------------------------------------- stop, remove, list

    def cancel(self, name: str) -> None:
        """Write down that it is not wanted any more; `delete` rolls it back where that can be."""
        record = self._record(name)
        if record is not None and record.state not in (DONE, WAITING):
            self._write(record, {STATE: CANCELLED})

    def delete(self, name: str) -> None:
        """Finish what has succeeded, with what it supersedes; roll back what has not."""
        record = self._record(name)
        if record is None or record.state == DONE:
            return
        seen = self._see()
        status = self._job_status(name, record, seen)
        if record.state == CANCELLED or status.state is not JobState.SUCCEEDED:
            if status.state is not JobState.RUNNING:
                self._undo(name, record, seen)
            return
        if not self._keep_superseded:
            self._remove_superseded(name, record, seen)
        if self._config is not None:
            self._forget(record)
            return
        keep = self._keep_superseded or record.state == WAITING
        ended = {STATE: DONE, ENDED: datetime.now(UTC).isoformat(timespec="milliseconds")}
        self._write(record, {**ended, **({KEEP: "yes"} if keep else {})})

    def _undo(self, name: str, record: Record, seen: Seen) -> None:
        api, config = self._api, self._config or name
        digest, number = end_of(name)
        if seen.told is not None and seen.config == config and seen.status not in BUSY:
            tags = api.tags(seen.told["EndpointArn"])
            former = record.tags.get(FORMER)
            if (tags.get(OWNER), tags.get(NUMBER)) == (digest, str(number)) and not former:
                self._delete_endpoint()
            elif former and self._exists(former):
                # The configuration stays while it may serve; whoever deploys next removes it.
                with api.named(f"endpoint {self.endpoint}"):
                    api.client.update_endpoint(
                        EndpointName=self.endpoint, EndpointConfigName=former
                    )
                return
            else:
                return
        if self._config is None:
            remove_config(api, name, digest)
        else:
            self._forget(record)

    def _exists(self, config: str) -> bool:
        found = self._api.find(config, "describe_endpoint_config", EndpointConfigName=config)
        return found is not None

    def _delete_endpoint(self) -> None:
        self._api.find(self.endpoint, "delete_endpoint", EndpointName=self.endpoint)

    def _remove_superseded(self, name: str, record: Record, seen: Seen) -> None:
        for one in list(self._configs()):
            other = one["EndpointConfigName"]
            if other in (name, seen.config, seen.pending):
                continue
            tags = self._api.tags(one["EndpointConfigArn"])
            mine = tags.get(ENDPOINT) == self.endpoint and tags.get(OWNER) == end_of(other)[0]
            # What another task run has claimed and not moved the endpoint to yet is its own, but
            # nobody comes back for what a run has claimed that was deleted and made again.
            over = tags.get(STATE) in (DONE, CANCELLED) or is_of_earlier_run(tags, record.tags)
            if mine and KEEP not in tags and over:
                remove_config(self._api, other, tags[OWNER])

    def _configs(self, **which: Any) -> Iterator[Mapping[str, Any]]:
        listing = ("list_endpoint_configs", "EndpointConfigs")
        found = self._api.pages("its configurations", *listing, **which)
        return (one for one in found if NAME.search(one["EndpointConfigName"]))

    def list(self, owner: Owner | None = None) -> Iterator[Job]:
        """List an owner's deployments; or what is under way at the endpoint, by one call."""
        seen = self._see()
        if owner is None:
            under_way = seen.pending or seen.config
            if seen.status in BUSY and under_way:
                yield from self._under_way(under_way, seen)
            return
        if self._config is not None:
            if seen.told is not None:
                there = self._record_on(seen.told["EndpointArn"], owner.digest)
                if there.state:
                    number = int(there.tags[NUMBER])
                    name = self.name_of(owner, number)
                    status = self._job_status(name, there, seen)
                    yield Job(name, owner.digest, str(owner), number, status)
            return
        for one in self._configs(NameContains=owner.digest):
            name = one["EndpointConfigName"]
            digest, number = end_of(name)
            record = self._record(name)
            if record is None or record.tags.get(OWNER) != owner.digest:
                continue
            self._seen[digest, number] = name
            ended = record.tags.get(ENDED)
            yield Job(
                name,
                digest,
                str(owner),
                number,
                self._job_status(name, record, seen),
                record.made,
                datetime.fromisoformat(ended) if ended else None,
            )

    def _under_way(self, config: str, seen: Seen) -> Iterator[Job]:
        if self._config is None:
            if NAME.search(config):
                digest, number = end_of(config)
                yield Job(config, digest, "", number, JobStatus(JobState.RUNNING))
            return
        if self._config != config or seen.told is None:
            return
        # Whoever moves it there.
        for key, value in self._api.tags(seen.told["EndpointArn"]).items():
            if match := NUMBER_KEY.fullmatch(key):
                name = with_end(config, match[1], int(value))
                yield Job(name, match[1], "", int(value), JobStatus(JobState.RUNNING))

    # ------------------------------------------------------------------------------------ records

    def _see(self) -> Seen:
        what = f"endpoint {self.endpoint}"
        return Seen(self._api.find(what, "describe_endpoint", EndpointName=self.endpoint))

    def _record(self, name: str) -> Record | None:
        digest, number = end_of(name)
        if self._config is None:
            told = self._api.find(name, "describe_endpoint_config", EndpointConfigName=name)
            if told is None:
                return None
            arn = told["EndpointConfigArn"]
            return Record(arn, self._api.tags(arn), told.get("CreationTime"))
        seen = self._see()
        if seen.told is None:
            return Record("", {NUMBER: str(number)}, prefix=prefix_of(digest))
        record = self._record_on(seen.told["EndpointArn"], digest)
        if record.tags.get(NUMBER) == str(number):
            return record
        return Record(record.arn, {NUMBER: str(number)}, prefix=record.prefix)

    def _record_on(self, arn: str, digest: str) -> Record:
        prefix = prefix_of(digest)
        tags = {
            key.replace(prefix, "tradewind:"): value
            for key, value in self._api.tags(arn).items()
            if key.startswith(prefix)
        }
        return Record(arn, tags, prefix=prefix)

    def _write(self, record: Record, tags: Mapping[str, str]) -> None:
        if record.arn:
            self._api.add_tags(record.arn, record.spell(tags))

    def _forget(self, record: Record) -> None:
        if record.arn:
            keys = list(record.spell({STATE: "", FORMER: "", NUMBER: ""}))
            self._api.find(record.arn, "delete_tags", ResourceArn=record.arn, TagKeys=keys)
