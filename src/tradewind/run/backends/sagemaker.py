"""Jobs of SageMaker: training, batch transform, processing, tuning.

The claim is the job's name, which is unique in an account and region for ever: a name that was
given once is refused with ``ResourceInUse``. Jobs cannot be deleted, so what is left of one is its
history and its log, as SageMaker means it; models and endpoints are another matter
(`tradewind.run.deployment`).

Protocol: https://docs.aws.amazon.com/sagemaker/latest/APIReference/ and CloudWatch Logs'
``GetLogEvents``, whose forward token gives what came after it, for a day.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tradewind.errors import InputError, MissingExtraError, RetryError, SetupError
from tradewind.owner import Owner
from tradewind.run.backend import AlreadyStartedError, Backend, LogLine, Piece, Sight, Status

__all__ = ["PROCESSING", "TRAINING", "TRANSFORM", "TUNING", "JobKind", "SageMakerBackend"]

_OWNER, _NUMBER, _TITLE = "tradewind:owner", "tradewind:number", "tradewind:title"
_NAME = re.compile(r"-([0-9a-f]{12})-(\d+)$")
_POLL_SECONDS = 0.5
_THROTTLED = (
    "ThrottlingException",
    "Throttling",
    "TooManyRequestsException",
    "RequestLimitExceeded",
)


@dataclass(frozen=True)
class JobKind:
    """How SageMaker calls one kind of job.

    Args:
        word: What stands in the names of its operations, like ``TrainingJob``.
        log_group: Where its log is; None where it has none of its own.
        name_limit: The most characters of a name.
        environment: Whether its request has an ``Environment``.
    """

    word: str
    log_group: str | None
    name_limit: int = 63
    environment: bool = True

    def operation(self, verb: str) -> str:
        """Name boto3's method, like ``create_training_job``."""
        snake = re.sub(r"(?<!^)(?=[A-Z])", "_", self.word).lower()
        return f"{verb}_{snake}{'s' if verb == 'list' else ''}"

    @property
    def summaries(self) -> str:
        """Name the list in a listing's answer."""
        return f"{self.word}Summaries"


TRAINING = JobKind("TrainingJob", "/aws/sagemaker/TrainingJobs")
TRANSFORM = JobKind("TransformJob", "/aws/sagemaker/TransformJobs")
PROCESSING = JobKind("ProcessingJob", "/aws/sagemaker/ProcessingJobs")
TUNING = JobKind("HyperParameterTuningJob", None, name_limit=32, environment=False)


class SageMakerBackend(Backend[Mapping[str, Any]]):
    """Runs jobs of one kind; the work is the request that creates one, without its name.

    The result is the job's description as JSON. Memory: a page of the log (a megabyte at most).

    Args:
        session: A boto3 session; its credentials are refreshed as it goes.
        kind: Which kind of job.
        client_options: What ``session.client`` takes besides: ``region_name``, ``endpoint_url``,
            ``verify``, ``config``.
        clients: The clients ``sagemaker`` and ``logs`` themselves, instead of a session.
    """

    name = "sagemaker"

    def __init__(
        self,
        session: Any = None,
        kind: JobKind = TRAINING,
        *,
        client_options: Mapping[str, Any] | None = None,
        clients: Mapping[str, Any] | None = None,
    ) -> None:
        try:
            import boto3
            import botocore.exceptions
        except ImportError as error:
            raise MissingExtraError("boto3", extra="s3", purpose="SageMaker") from error
        self._errors = botocore.exceptions
        self.kind = kind
        if clients is None:
            session = session or boto3.Session()
            options = dict(client_options or {})
            client = session.client("sagemaker", **options)
            # An endpoint that is given is SageMaker's; the log's comes from the session's settings.
            options.pop("endpoint_url", None)
            clients = {"sagemaker": client, "logs": session.client("logs", **options)}
        self._client, self._logs = clients["sagemaker"], clients["logs"]
        self._where = f"SageMaker in {self._client.meta.region_name}"

    def name_of(self, owner: Owner, number: int) -> str:
        """Spell a name: letters, digits and hyphens."""
        end = f"-{number}"
        return owner.name(limit=self.kind.name_limit - len(end)) + end

    # ------------------------------------------------------------------------------- start, look

    def start(
        self, owner: Owner, number: int, work: Mapping[str, Any], *, tell: Mapping[str, str]
    ) -> None:
        """Create the job: its name is the claim."""
        name = self.name_of(owner, number)
        tags = {_OWNER: owner.digest, _NUMBER: str(number), _TITLE: _tag_text(str(owner))}
        request = {
            **work,
            f"{self.kind.word}Name": name,
            "Tags": [
                *work.get("Tags", []),
                *({"Key": key, "Value": value} for key, value in tags.items()),
            ],
        }
        if tell and self.kind.environment:
            request["Environment"] = {**tell, **work.get("Environment", {})}
        with self._named(name):
            try:
                getattr(self._client, self.kind.operation("create"))(**request)
            except self._client.exceptions.ResourceInUse as error:
                raise AlreadyStartedError(
                    f"{self._where}: the job {name} was created before."
                ) from error

    def look(self, name: str) -> Sight:
        """Describe the job."""
        told = self._describe(name)
        return Sight(Status.ABSENT) if told is None else self._sight(told)

    def _describe(self, name: str) -> dict[str, Any] | None:
        describe = getattr(self._client, self.kind.operation("describe"))
        with self._named(name):
            try:
                told: dict[str, Any] = describe(**{f"{self.kind.word}Name": name})
                return told
            except self._errors.ClientError as error:
                if _is_missing(error):
                    return None
                raise

    def _sight(self, told: Mapping[str, Any]) -> Sight:
        status = told[f"{self.kind.word}Status"]
        second = told.get("SecondaryStatus")
        if status == "Completed":
            return Sight(Status.SUCCEEDED)
        if status == "InProgress" and second in ("Starting", "Pending", "LaunchingMLInstances"):
            return Sight(Status.PENDING, f"it is {second}")
        if status in ("InProgress", "Stopping", "Deleting"):
            return Sight(Status.RUNNING)
        if status == "Stopped":
            late = second in ("MaxRuntimeExceeded", "MaxWaitTimeExceeded")
            why = f"it ran longer than it may ({second})" if late else "it was stopped"
            return Sight(Status.FAILED, why)
        return Sight(Status.FAILED, told.get("FailureReason") or "it failed without a reason")

    # -------------------------------------------------------------------------------------- logs

    def logs(self, name: str, after: str | None, *, wait: float) -> Iterator[LogLine]:
        """Read the log streams of the job's machines.

        A cursor is, for each stream, the token of the page that its last line was on, and how many
        lines of that page are known.
        """
        if self.kind.log_group is None:
            return
        at: dict[str, list[Any]] = json.loads(after) if after else {}
        end = time.monotonic() + wait
        while True:
            for stream in self._streams(name):
                yield from self._read(stream, at)
            if (left := end - time.monotonic()) <= 0:
                return
            time.sleep(min(_POLL_SECONDS, left))

    def _streams(self, name: str) -> list[str]:
        with self._named(name):
            try:
                told = self._logs.describe_log_streams(
                    logGroupName=self.kind.log_group, logStreamNamePrefix=f"{name}/"
                )
            except self._logs.exceptions.ResourceNotFoundException:
                return []  # nothing was ever logged there
        return [stream["logStreamName"] for stream in told["logStreams"]]

    def _read(self, stream: str, at: dict[str, list[Any]]) -> Iterator[LogLine]:
        while True:
            token, known = at.get(stream, [None, 0])
            request = {"logGroupName": self.kind.log_group, "logStreamName": stream}
            with self._named(stream):
                page = self._logs.get_log_events(
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
        """Describe the job."""
        told = self._describe(name) or {}
        told.pop("ResponseMetadata", None)
        text = json.dumps(told, default=_as_text).encode()
        if len(text) > limit:
            raise InputError(
                f"{self._where}: the description of {name} is larger than {limit:,} bytes."
            )
        return text

    def stop(self, name: str) -> None:
        """Ask SageMaker to stop it."""
        with self._named(name):
            try:
                getattr(self._client, self.kind.operation("stop"))(
                    **{f"{self.kind.word}Name": name}
                )
            except self._errors.ClientError as error:
                # It has ended already, or was never there.
                if error.response["Error"]["Code"] not in (
                    "ValidationException",
                    "ResourceNotFound",
                ):
                    raise

    def remove(self, name: str) -> None:
        """End what still runs; the job's history is SageMaker's."""
        if self.look(name).status in (Status.RUNNING, Status.PENDING):
            self.stop(name)

    def list(self, owner: Owner | None = None) -> Iterator[Piece]:
        """List an owner's jobs by their names, or all of ours that are in progress."""
        which = {"NameContains": owner.digest} if owner else {"StatusEquals": "InProgress"}
        request: dict[str, Any] = {**which, "MaxResults": 100}
        while True:
            with self._named("its jobs"):
                told = getattr(self._client, self.kind.operation("list"))(**request)
            for one in told[self.kind.summaries]:
                yield from self._piece(one, owner)
            if not told.get("NextToken"):
                return
            request["NextToken"] = told["NextToken"]

    def _piece(self, one: Mapping[str, Any], owner: Owner | None) -> Iterator[Piece]:
        name = one[f"{self.kind.word}Name"]
        match = _NAME.search(name)
        if match is None:
            return
        title = str(owner) if owner else ""
        if owner is None:
            # A name may look like ours by chance; a tag does not.
            with self._named(name):
                tags = self._client.list_tags(ResourceArn=one[f"{self.kind.word}Arn"])["Tags"]
            values = {tag["Key"]: tag["Value"] for tag in tags}
            if values.get(_OWNER) != match[1]:
                return
            title = values.get(_TITLE, "")
        sight = self.look(name)
        yield Piece(name, match[1], title, int(match[2]), sight, one.get("CreationTime"))

    # ------------------------------------------------------------------------------------- errors

    @contextmanager
    def _named(self, what: str) -> Iterator[None]:
        errors = self._errors
        try:
            yield
        except errors.ClientError as error:
            said = error.response.get("Error", {})
            code, message = said.get("Code", ""), said.get("Message", str(error)).rstrip(".")
            text = f"{self._where}: {what}: {message} ({code})."
            if code in _THROTTLED or error.response["ResponseMetadata"]["HTTPStatusCode"] >= 500:
                raise RetryError(text) from error
            if code == "ResourceLimitExceeded":
                raise SetupError(
                    f"{text} Ask for a higher quota, or use another instance type."
                ) from error
            if code in ("ValidationException", "ValidationError", "InvalidParameterException"):
                raise InputError(f"{text} Correct the job's configuration.") from error
            raise SetupError(f"{text} Check credentials, region and permissions.") from error
        except (errors.ParamValidationError, errors.ValidationError) as error:
            raise InputError(
                f"{self._where}: {what}: {error}. Correct the job's configuration."
            ) from error
        except (errors.NoCredentialsError, errors.PartialCredentialsError) as error:
            raise SetupError(
                f"{self._where}: there are no AWS credentials. Give the connection some, or a "
                "profile or role."
            ) from error
        except (errors.EndpointConnectionError, errors.NoRegionError) as error:
            raise SetupError(
                f"{self._where}: it cannot be reached ({error}). Check region and endpoint."
            ) from error
        except errors.BotoCoreError as error:
            raise RetryError(f"{self._where}: {what}: {error}.") from error


def _is_missing(error: Any) -> bool:
    said = error.response["Error"]
    missing = ("not found", "could not find", "does not exist")
    return said["Code"] == "ResourceNotFound" or (
        said["Code"] == "ValidationException"
        and any(word in said.get("Message", "").lower() for word in missing)
    )


def _tag_text(text: str) -> str:
    """Keep what a tag may hold: letters, digits, spaces and ``_.:/=+-@``, 256 of them."""
    return re.sub(r"[^\w .:/=+\-@]", "_", text)[:256]


def _as_text(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
