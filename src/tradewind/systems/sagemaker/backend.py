"""Jobs of SageMaker: training, batch transform, processing, tuning.

The claim is the job's name, which is unique in an account and region for ever: a name that was
given once is refused with ``ResourceInUse``. Its tags, which are given with it, say whose it is. So
a job may have the very name that its user gives it, where that is free; where it is somebody
else's, or an earlier job's, the owner's digest and the number of the job follow. What is left
of a job is its history and its log, as SageMaker means it; models and endpoints are another matter
(`tradewind.systems.sagemaker.deployment`).

Protocol: https://docs.aws.amazon.com/sagemaker/latest/APIReference/ and CloudWatch Logs'
``GetLogEvents``, whose forward token gives what came after it, for a day.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from tradewind.backoff import rest
from tradewind.errors import InputError
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
from tradewind.systems.s3.console import console_page
from tradewind.systems.sagemaker.api import (
    KEEP,
    NAME,
    NUMBER,
    OWNER,
    TITLE,
    SageMakerAPI,
    as_json,
    as_tags,
    ensure_model,
    remove_model,
    spelled,
    tags_of,
)
from tradewind.systems.sagemaker.job_kinds import PROCESSING, TRAINING, TRANSFORM, TUNING, JobKind

__all__ = ["PROCESSING", "TRAINING", "TRANSFORM", "TUNING", "JobKind", "SageMakerBackend", "Work"]

Work = Mapping[str, Any] | Callable[[], Mapping[str, Any]]
"""The request that creates a job, or what makes it: that is only called where a job is started."""

_POLL_SECONDS = 0.5
_BEGINNING = ("Starting", "Pending", "LaunchingMLInstances")


class _Called(History):
    """What the job is called: a template that tells the time would call it otherwise."""

    def __init__(self, backend: SageMakerBackend) -> None:
        self._backend = backend

    def note(self) -> str:
        return self._backend.called

    def recall(self, note: str) -> None:
        self._backend.called = note


class SageMakerBackend(Backend[Work]):
    """Runs jobs of one kind; the work is the request that creates one, without its name.

    A transform job's request may be ``{"Model": ..., "Transform": ...}``: then the model is made
    first, and is removed with a job that has not succeeded.

    The result is the job's description as JSON; of such a transform job that of both. Memory: a
    page of the log (a megabyte at most).

    Args:
        session: A boto3 session; its credentials are refreshed as it goes.
        kind: Which kind of job.
        client_options: What ``session.client`` takes besides: ``region_name``, ``endpoint_url``,
            ``verify``, ``config``.
        clients: The clients ``sagemaker`` and ``logs`` themselves, instead of a session.
        called: What the user calls the job; empty for DAG, task and run.
        rename: Whether a job may be called otherwise where that name is somebody else's.
        rename_model: The same of the model of a transform job.
        keep_model: Whether that stays, whatever becomes of the job: where nobody waits for it.
    """

    name = "sagemaker"

    def __init__(
        self,
        session: Any = None,
        kind: JobKind = TRAINING,
        *,
        client_options: Mapping[str, Any] | None = None,
        clients: Mapping[str, Any] | None = None,
        called: str = "",
        rename: bool = True,
        rename_model: bool = True,
        keep_model: bool = False,
    ) -> None:
        self._api = SageMakerAPI(
            session, noun="job", client_options=client_options, clients=clients
        )
        self.kind = kind
        self.called = called
        self.history = _Called(self)
        self._rename = rename
        self._model = {"rename": rename_model, "keep": keep_model}
        self._seen: dict[tuple[str, int], str] = {}

    def name_of(self, owner: Owner, number: int) -> str:
        """Spell a name: letters, digits and hyphens."""
        there = self._seen.get((owner.digest, number))
        return there or spelled(self.called, owner, number, limit=self.kind.name_limit)

    def about(self, work: Work) -> str:
        """Name kind and region."""
        return f"a {self.kind.word} of {self._api.where}"

    def page(self, name: str) -> str | None:
        """Name the console's page of the job; a local SageMaker has none."""
        return console_page(self._api.client.meta, f"sagemaker/home#/{self.kind.page}/{name}")

    # ------------------------------------------------------------------------------- start, look

    def submit(
        self, owner: Owner, number: int, work: Work, *, variables: Mapping[str, str]
    ) -> None:
        """Create the job: its name is the claim."""
        api, kind = self._api, self.kind
        request = dict(work() if callable(work) else work)
        if "Transform" in request:
            model = request.get("Model")
            request = dict(request["Transform"])
            if model:
                request["ModelName"] = ensure_model(api, model, owner, number, **self._model)
        request["Tags"] = [*request.get("Tags", []), *as_tags(tags_of(owner, number))]
        given = request.get("Environment", {})
        room = max(0, kind.variables - len(given))
        if told := {
            name: text[: kind.variable_length] for name, text in [*variables.items()][:room]
        }:
            request["Environment"] = {**told, **given}
        name = self.name_of(owner, number)
        if self.called and number == 1 and self._create(self.called, request, owner, number):
            return
        if not self._create(name, request, owner, number):
            raise AlreadyStartedError(f"{api.where}: the job {name} was created before.")

    def _create(self, name: str, request: dict[str, Any], owner: Owner, number: int) -> bool:
        """Create the job of that name; False where the name is taken."""
        api, word = self._api, self.kind.word
        create = getattr(api.client, self.kind.operation("create"))
        with api.named(name):
            try:
                create(**{**request, f"{word}Name": name})
            except api.client.exceptions.ResourceInUse as error:
                tags = self._tags(name)
                if (tags.get(OWNER), tags.get(NUMBER)) == (owner.digest, str(number)):
                    self._seen[owner.digest, number] = name
                    raise AlreadyStartedError(
                        f"{api.where}: the job {name} was created before."
                    ) from error
                if not self._rename:
                    raise InputError(
                        f"{api.where}: there is a job called {name}, which is not this task run's. "
                        "Call this one otherwise."
                    ) from error
                return False
        self._seen[owner.digest, number] = name
        return True

    def _tags(self, name: str) -> dict[str, str]:
        told = self._describe(name)
        return self._api.tags(told[f"{self.kind.word}Arn"]) if told else {}

    def status(self, name: str) -> JobStatus:
        """Describe the job."""
        told = self._describe(name)
        return JobStatus(JobState.ABSENT) if told is None else self._job_status(told)

    def _describe(self, name: str) -> dict[str, Any] | None:
        return self._api.find(
            name, self.kind.operation("describe"), **{f"{self.kind.word}Name": name}
        )

    def _job_status(self, told: Mapping[str, Any]) -> JobStatus:
        status = told[f"{self.kind.word}Status"]
        second = told.get("SecondaryStatus")
        if status == "Completed":
            return JobStatus(JobState.SUCCEEDED)
        if status == "InProgress" and second in _BEGINNING:
            return JobStatus(JobState.PENDING, f"it is {second}")
        if status in ("InProgress", "Stopping", "Deleting"):
            return JobStatus(JobState.RUNNING)
        if status == "Stopped":
            late = second in ("MaxRuntimeExceeded", "MaxWaitTimeExceeded")
            why = f"it ran longer than it may ({second})" if late else "it was stopped"
            # Waiting for spare capacity may take less time the next time; nothing else does.
            return JobStatus(JobState.FAILED, why, final=second != "MaxWaitTimeExceeded")
        reason = told.get("FailureReason") or "it failed without a reason"
        # SageMaker's word for wrong data, parameters or permissions.
        return JobStatus(JobState.FAILED, reason, final=reason.startswith("ClientError"))

    # -------------------------------------------------------------------------------------- logs

    def logs(self, name: str, after: str | None, *, wait: float) -> Iterator[LogLine]:
        """Read the log streams of the job's machines.

        A cursor is, for each stream, the token of the page that its last line was on, and how many
        lines of that page are known.
        """
        if self.kind.log_group is None:
            rest(wait)
            return
        at: dict[str, list[Any]] = json.loads(after) if after else {}
        end = time.monotonic() + wait
        while True:
            for stream in self._streams(name):
                yield from self._read(stream, at)
            if (left := end - time.monotonic()) <= 0:
                return
            rest(min(_POLL_SECONDS, left))

    def _streams(self, name: str) -> list[str]:
        found: list[str] = []
        request = {"logGroupName": self.kind.log_group, "logStreamNamePrefix": f"{name}/"}
        while True:
            with self._api.named(name):
                try:
                    told = self._api.logs.describe_log_streams(**request)
                except self._api.logs.exceptions.ResourceNotFoundException:
                    return []  # nothing was ever logged there
            found += [stream["logStreamName"] for stream in told["logStreams"]]
            if not told.get("nextToken"):
                return found
            request["nextToken"] = told["nextToken"]

    def _read(self, stream: str, at: dict[str, list[Any]]) -> Iterator[LogLine]:
        while True:
            token, known = at.get(stream, [None, 0])
            request = {"logGroupName": self.kind.log_group, "logStreamName": stream}
            with self._api.named(stream):
                page = self._api.logs.get_log_events(
                    **request, startFromHead=True, **({"nextToken": token} if token else {})
                )
            for number, event in enumerate(page["events"], 1):
                if number > known:
                    at[stream] = [token, number]
                    moment = datetime.fromtimestamp(event["timestamp"] / 1000, UTC)
                    yield LogLine(event["message"], json.dumps(at), moment)
            following = page["nextForwardToken"]
            if following == token or not page["events"]:
                return
            at[stream] = [following, 0]

    # ------------------------------------------------------------------ result, stop, remove, list

    def result(self, name: str, *, limit: int) -> bytes | None:
        """Describe the job, and the model that a transform job uses."""
        told: dict[str, Any] = self._describe(name) or {}
        if self.kind.word == TRANSFORM.word and told:
            model = self._api.find(name, "describe_model", ModelName=told["ModelName"])
            told = {"Model": model, "Transform": told}
        text = as_json(told)
        if len(text) > limit:
            raise InputError(
                f"{self._api.where}: the description of {name} is larger than {limit:,} bytes."
            )
        return text

    def cancel(self, name: str) -> None:
        """Ask SageMaker to stop it."""
        stop, errors = getattr(self._api.client, self.kind.operation("stop")), self._api.errors
        with self._api.named(name):
            try:
                stop(**{f"{self.kind.word}Name": name})
            except errors.ClientError as error:
                # It has ended already, or was never there.
                if error.response["Error"]["Code"] not in (
                    "ValidationException",
                    "ResourceNotFound",
                ):
                    raise

    def delete(self, name: str) -> None:
        """End what still runs; the job's history is SageMaker's."""
        told = self._describe(name)
        if told is None:
            return
        status = self._job_status(told).state
        if status in (JobState.RUNNING, JobState.PENDING):
            self.cancel(name)
        if self.kind.word == TRANSFORM.word:
            self._end_model(told, keep=status is JobState.SUCCEEDED)

    def _end_model(self, told: Mapping[str, Any], *, keep: bool) -> None:
        """Keep or remove the model that was made for a transform job."""
        name, owner = told["ModelName"], self._api.tags(told[f"{self.kind.word}Arn"]).get(OWNER)
        model = self._api.find(f"model {name}", "describe_model", ModelName=name)
        tags = self._api.tags(model["ModelArn"]) if model else {}
        if model is None or owner is None or tags.get(OWNER) != owner or KEEP in tags:
            return
        if keep:
            self._api.add_tags(model["ModelArn"], {KEEP: "yes"})
        else:
            remove_model(self._api, name, owner)

    def list(self, owner: Owner | None = None) -> Iterator[Job]:
        """List an owner's jobs; or all that are in progress, whoever they belong to."""
        operation, word = self.kind.operation("list"), self.kind.word
        if owner is None:
            which = {"StatusEquals": "InProgress"}
            for one in self._api.pages("its jobs", operation, self.kind.summaries, **which):
                match = NAME.search(one[f"{word}Name"])
                digest, number = (match[1], int(match[2])) if match else ("", 0)
                yield self._job(one, digest, "", number)
            return
        if self.called and (told := self._describe(self.called)) is not None:
            tags = self._api.tags(told[f"{word}Arn"])
            if tags.get(OWNER) == owner.digest:
                yield self._own(told, owner, int(tags[NUMBER]))
        which = {"NameContains": owner.digest}
        for one in self._api.pages("its jobs", operation, self.kind.summaries, **which):
            match = NAME.search(one[f"{word}Name"])
            if match and match[1] == owner.digest and one[f"{word}Name"] != self.called:
                yield self._own(one, owner, int(match[2]))

    def former(self, owner: Owner) -> Iterator[Job]:
        """List what is in progress under names that begin as this owner's do; tags say whose."""
        which = {"StatusEquals": "InProgress"}
        begin = self.called or self.name_of(owner, 1).rpartition(owner.digest)[0]
        if begin:
            which["NameContains"] = begin[: self.kind.name_limit]
        pages = self._api.pages(
            "its jobs", self.kind.operation("list"), self.kind.summaries, **which
        )
        for one in list(pages):
            job = self.confirm(self._job(one, "", "", 0))
            if job is not None:
                yield job

    def _own(self, one: Mapping[str, Any], owner: Owner, number: int) -> Job:
        self._seen[owner.digest, number] = one[f"{self.kind.word}Name"]
        return self._job(one, owner.digest, str(owner), number)

    def _job(self, one: Mapping[str, Any], digest: str, title: str, number: int) -> Job:
        word = self.kind.word
        # Nothing keeps a job from ending that is being stopped: the next one need not wait for it.
        stopping = one[f"{word}Status"] == "Stopping"
        return Job(
            one[f"{word}Name"],
            digest,
            title,
            number,
            JobStatus(JobState.FAILED, "it is being stopped")
            if stopping
            else self._job_status(one),
            one.get("CreationTime"),
            one.get(f"{word.removesuffix('Job')}EndTime") or one.get("LastModifiedTime"),
        )

    def confirm(self, job: Job) -> Job | None:
        """Read whose a job is from its tags."""
        tags = self._tags(job.name)
        if OWNER not in tags:
            return None
        number = int(tags.get(NUMBER, job.number))
        return replace(job, owner=tags[OWNER], title=tags.get(TITLE, ""), number=number)
