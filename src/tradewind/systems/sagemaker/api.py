"""SageMaker's API as jobs and deployments use it: clients, errors in words, names, tags.

Protocol: https://docs.aws.amazon.com/sagemaker/latest/APIReference/.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from tradewind.concealing import concealing, keep_secrets_out_of_logs
from tradewind.errors import InputError, MissingExtraError, RetryError, SetupError
from tradewind.owner import Owner
from tradewind.redaction import without_user
from tradewind.spellings import remember_fields

__all__ = [
    "KEEP",
    "NAME",
    "NAME_LIMIT",
    "NUMBER",
    "OWNER",
    "TITLE",
    "SageMakerAPI",
    "as_json",
    "ensure_model",
    "remove_model",
    "remove_models",
    "spelled",
    "tags_of",
    "with_end",
]

OWNER, NUMBER, TITLE = "tradewind:owner", "tradewind:number", "tradewind:title"
KEEP = "tradewind:keep"
"""On what is to stay, whoever uses it."""
_CONTENT = "tradewind:content"
NAME = re.compile(r"-([0-9a-f]{12})-(\d+)$")
"""How a name of ours ends: the owner's digest, and which job of its work it is."""
NAME_LIMIT = 63
_LIBRARIES = ("boto3", "botocore", "urllib3")
#: Of botocore's credentials, those that are renewed and those that are not.
_FIELDS = ("token", "_token", "secret_key", "_secret_key")
_THROTTLED = (
    "ThrottlingException",
    "Throttling",
    "TooManyRequestsException",
    "RequestLimitExceeded",
)


class SageMakerAPI:
    """Clients of SageMaker and CloudWatch Logs, and what their errors mean.

    Args:
        session: A boto3 session; its credentials are refreshed as it goes.
        noun: What is configured, for messages, like ``job``.
        client_options: What ``session.client`` takes besides: ``region_name``, ``endpoint_url``,
            ``verify``, ``config``.
        clients: The clients ``sagemaker`` and ``logs`` themselves, instead of a session.
    """

    def __init__(
        self,
        session: Any = None,
        *,
        noun: str,
        client_options: Mapping[str, Any] | None = None,
        clients: Mapping[str, Any] | None = None,
    ) -> None:
        try:
            import boto3
            import botocore.exceptions
        except ImportError as error:
            raise MissingExtraError("boto3", extra="s3", purpose="SageMaker") from error
        self.errors = botocore.exceptions
        self.noun = noun
        if clients is None:
            session = session or boto3.Session()
            options = dict(client_options or {})
            keep_secrets_out_of_logs(*_LIBRARIES)
            if options.get("endpoint_url"):
                options["endpoint_url"] = without_user(
                    str(options["endpoint_url"]), "SageMaker", "https://host:port"
                )
            client = session.client("sagemaker", **options)
            # An endpoint that is given is SageMaker's; the log's comes from the session's settings.
            options.pop("endpoint_url", None)
            clients = {"sagemaker": client, "logs": session.client("logs", **options)}
        self.client, self.logs = clients["sagemaker"], clients["logs"]
        signer = getattr(self.client, "_request_signer", None)
        if signer is not None:
            remember_fields(getattr(signer, "_credentials", None) or signer, *_FIELDS)
        keep_secrets_out_of_logs(*_LIBRARIES)
        self.where = f"SageMaker in {self.client.meta.region_name}"

    def find(self, what: str, operation: str, **request: Any) -> dict[str, Any] | None:
        """Call an operation on something that may be missing.

        Args:
            what: It, for messages.
            operation: boto3's method, like ``describe_model``.
            request: What that takes.

        Returns:
            The answer without its metadata; None where there is no such thing.
        """
        with self.named(what):
            try:
                told: dict[str, Any] = getattr(self.client, operation)(**request)
            except self.errors.ClientError as error:
                if is_missing(error):
                    return None
                raise
        told.pop("ResponseMetadata", None)
        return told

    def pages(self, what: str, operation: str, member: str, **request: Any) -> Iterator[Any]:
        """Call a List operation until it has told all.

        Args:
            what: What is listed, for messages.
            operation: boto3's method, like ``list_models``.
            member: Where in an answer the things are.
            request: What it takes.

        Yields:
            Each thing.
        """
        request = {**request, "MaxResults": 100}
        while True:
            with self.named(what):
                told = getattr(self.client, operation)(**request)
            yield from told[member]
            if not told.get("NextToken"):
                return
            request["NextToken"] = told["NextToken"]

    def tags(self, arn: str) -> dict[str, str]:
        """Read the tags of a resource; none where it is gone."""
        told = self.find(arn, "list_tags", ResourceArn=arn, MaxResults=50) or {"Tags": []}
        return {tag["Key"]: tag["Value"] for tag in told["Tags"]}

    def add_tags(self, arn: str, tags: Mapping[str, str]) -> None:
        """Tag a resource, unless it is gone."""
        self.find(arn, "add_tags", ResourceArn=arn, Tags=as_tags(tags))

    @contextmanager
    def named(self, what: str) -> Iterator[None]:
        """Turn boto3's errors into ours, which tell no secret.

        Args:
            what: The object that is worked on.
        """
        with concealing(), self._translated(what):
            yield

    @contextmanager
    def _translated(self, what: str) -> Iterator[None]:
        errors, correct = self.errors, f"Correct the {self.noun}'s configuration."
        try:
            yield
        except errors.ClientError as error:
            said = error.response.get("Error", {})
            code, message = said.get("Code", ""), str(said.get("Message", error)).rstrip(".")
            text = f"{self.where}: {what}: {message} ({code})."
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 400)
            if code in _THROTTLED or status >= 500:
                raise RetryError(text) from error
            if code == "ResourceLimitExceeded":
                raise SetupError(
                    f"{text} Ask for a higher quota, or use another instance type."
                ) from error
            if code in ("ValidationException", "ValidationError", "InvalidParameterException"):
                raise InputError(f"{text} {correct}") from error
            raise SetupError(f"{text} Check credentials, region and permissions.") from error
        except (errors.ParamValidationError, errors.ValidationError) as error:
            raise InputError(f"{self.where}: {what}: {error}. {correct}") from error
        except (errors.NoCredentialsError, errors.PartialCredentialsError) as error:
            raise SetupError(
                f"{self.where}: there are no AWS credentials. Give the connection some, or a "
                "profile or role."
            ) from error
        except (errors.EndpointConnectionError, errors.NoRegionError) as error:
            raise SetupError(
                f"{self.where}: it cannot be reached ({error}). Check region and endpoint."
            ) from error
        except errors.BotoCoreError as error:
            raise RetryError(f"{self.where}: {what}: {error}.") from error


def is_missing(error: Any) -> bool:
    """Tell whether a ``ClientError`` says that there is no such thing."""
    said = error.response["Error"]
    missing = ("not found", "could not find", "does not exist")
    return said["Code"] == "ResourceNotFound" or (
        said["Code"] == "ValidationException"
        and any(word in said.get("Message", "").lower() for word in missing)
    )


def is_taken(error: Any) -> bool:
    """Tell whether a ``ClientError`` says that the name is given already."""
    said = error.response["Error"]
    return said["Code"] == "ResourceInUse" or "already exist" in said.get("Message", "").lower()


def spelled(prefix: str, owner: Owner, number: int, *, limit: int = NAME_LIMIT) -> str:
    """Spell the name of an owner's job.

    Args:
        prefix: What the user calls it; empty for DAG, task and run.
        owner: Whose it is.
        number: Which job.
        limit: The most characters.

    Returns:
        As much of the prefix as fits, the owner's digest and the number.
    """
    if not prefix:
        end = f"-{number}"
        return owner.name(limit=limit - len(end)) + end
    return with_end(prefix, owner.digest, number, limit=limit)


def with_end(prefix: str, digest: str, number: int, *, limit: int = NAME_LIMIT) -> str:
    """Put an owner's digest and a number behind as much of a prefix as there is room for."""
    end = f"-{digest}-{number}"
    return prefix[: limit - len(end)].rstrip("-") + end


def tags_of(owner: Owner, number: int) -> dict[str, str]:
    """Say in tags whose a thing is. A tag holds 256 letters, digits, spaces and ``_.:/=+-@``."""
    title = re.sub(r"[^\w .:/=+\-@]", "_", str(owner))[:256]
    return {OWNER: owner.digest, NUMBER: str(number), TITLE: title}


def as_tags(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Write tags as the API has them."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def as_json(told: Any) -> bytes:
    """Write an answer of the API as JSON, with times in ISO 8601."""
    return json.dumps(told, default=_as_text).encode()


def _as_text(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


# ------------------------------------------------------------------------------------------ models


def ensure_model(
    api: SageMakerAPI,
    request: Mapping[str, Any],
    owner: Owner,
    number: int,
    *,
    rename: bool | None = None,
    keep: bool = False,
) -> str:
    """Make a model, or find the very same one that an earlier attempt has made.

    Args:
        api: Where.
        request: As ``CreateModel`` has it.
        owner: Whose it is.
        number: For which job of its work.
        rename: Whether it may be called otherwise than in the request where that name is somebody
            else's; None calls it otherwise anyway.
        keep: Whether it is to stay, whatever becomes of the work.

    Returns:
        The model's name.

    Raises:
        InputError: The name is somebody else's.
    """
    called = request.get("ModelName", "")
    own = spelled(called, owner, number)
    names = [own] if rename is None or not called else [called, own] if rename else [called]
    content = hashlib.sha256(json.dumps(request, sort_keys=True, default=str).encode()).hexdigest()
    tags = {**tags_of(owner, number), _CONTENT: content[:12], **({KEEP: "yes"} if keep else {})}
    for name in names:
        create = {**request, "ModelName": name, "Tags": [*request.get("Tags", []), *as_tags(tags)]}
        for _ in range(2):
            with api.named(f"model {name}"):
                try:
                    api.client.create_model(**create)
                    return name
                except api.errors.ClientError as error:
                    if not is_taken(error):
                        raise
            found = api.find(f"model {name}", "describe_model", ModelName=name)
            there = api.tags(found["ModelArn"]) if found else {}
            if there.get(OWNER) != owner.digest:
                break
            if there.get(_CONTENT) == content[:12] and there.get(NUMBER) == str(number):
                return name
            # Of an earlier job, or of an attempt that died before anything used it.
            remove_model(api, name, owner.digest)
    raise InputError(
        f"{api.where}: there is a model called {names[-1]}, which is not this task run's. Call "
        "this one otherwise."
    )


def remove_models(api: SageMakerAPI, config: str, digest: str) -> None:
    """Delete the models of an endpoint configuration that are the owner's.

    Args:
        api: Where.
        config: The configuration's name.
        digest: `Owner.digest` of whose they must be.
    """
    told = api.find(config, "describe_endpoint_config", EndpointConfigName=config)
    for variant in (told or {}).get("ProductionVariants", []):
        if variant.get("ModelName"):
            remove_model(api, variant["ModelName"], digest)


def remove_model(api: SageMakerAPI, name: str, digest: str) -> None:
    """Delete a model, if it is the owner's; may be repeated.

    Args:
        api: Where.
        name: The model's name.
        digest: `Owner.digest` of whose it must be.
    """
    found = api.find(f"model {name}", "describe_model", ModelName=name)
    if found and api.tags(found["ModelArn"]).get(OWNER) == digest:
        api.find(f"model {name}", "delete_model", ModelName=name)
