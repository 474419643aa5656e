"""What is seen of an endpoint, and what is written down of a deployment, as tags.

A deployment's own endpoint configuration carries its tags; where the endpoint is moved to somebody
else's, the endpoint does, with the owner's digest in each key.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tradewind.errors import InputError
from tradewind.owner import Owner
from tradewind.systems.sagemaker.api import (
    NAME,
    NUMBER,
    OWNER,
    TITLE,
    SageMakerAPI,
    remove_models,
)

__all__ = [
    "BEGUN",
    "BUSY",
    "CANCELLED",
    "DONE",
    "ENDED",
    "ENDPOINT",
    "FORMER",
    "NUMBER_KEY",
    "STATE",
    "WAITING",
    "Record",
    "Seen",
    "end_of",
    "is_of_earlier_run",
    "prefix_of",
    "remove_config",
]

BUSY = ("Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting")
"""States in which SageMaker refuses to change an endpoint."""
ENDPOINT, STATE = "tradewind:endpoint", "tradewind:state"
FORMER, ENDED = "tradewind:former", "tradewind:ended"
BEGUN, WAITING, DONE, CANCELLED = "begun", "waiting", "done", "cancelled"
NUMBER_KEY = re.compile(r"tradewind:([0-9a-f]{12}):number")


@dataclass(frozen=True)
class Seen:
    """The endpoint as it is now; `told` is None where there is none."""

    told: Mapping[str, Any] | None

    @property
    def status(self) -> str | None:
        """The endpoint's status, if there is an endpoint."""
        return None if self.told is None else str(self.told["EndpointStatus"])

    @property
    def config(self) -> str | None:
        """The configuration that the endpoint serves."""
        return None if self.told is None else str(self.told.get("EndpointConfigName"))

    @property
    def pending(self) -> str | None:
        """The configuration that the endpoint is moving to."""
        found: str | None = ((self.told or {}).get("PendingDeploymentSummary") or {}).get(
            "EndpointConfigName"
        )
        return found

    @property
    def reason(self) -> str:
        """Why the endpoint failed, as the service says it."""
        reason = (self.told or {}).get("FailureReason")
        return str(reason or "no reason was given; see the endpoint's log")


@dataclass(frozen=True)
class Record:
    """What is written down of a deployment, and the ARN that carries it."""

    arn: str
    tags: Mapping[str, str]
    made: datetime | None = None
    prefix: str | None = None
    """What its keys begin with where the endpoint carries it; None on a configuration."""

    @property
    def state(self) -> str:
        """How far the deployment is, by its tag."""
        return self.tags.get(STATE, "")

    def spell(self, tags: Mapping[str, str]) -> dict[str, str]:
        """Write tags as this record has them, on what may carry several."""
        if self.prefix is None:
            return dict(tags)
        tags = {NUMBER: self.tags[NUMBER], **tags}
        return {key.replace("tradewind:", self.prefix): value for key, value in tags.items()}


def remove_config(api: SageMakerAPI, name: str, digest: str) -> None:
    """Delete an endpoint configuration with those of its models that are the owner's.

    Args:
        api: Where.
        name: The configuration's name.
        digest: `Owner.digest` of whose models go with it.
    """
    # Last of all the configuration: it says what there is.
    remove_models(api, name, digest)
    api.find(name, "delete_endpoint_config", EndpointConfigName=name)


def end_of(name: str) -> tuple[str, int]:
    """Return owner's digest and number at the end of a name."""
    match = NAME.search(name)
    if match is None:
        raise InputError(f"SageMaker: {name} is no deployment of Tradewind's.")
    return match[1], int(match[2])


def prefix_of(digest: str) -> str:
    """Return how all tags of one owner begin."""
    return f"tradewind:{digest}:"


def is_of_earlier_run(other: Mapping[str, str], tags: Mapping[str, str]) -> bool:
    """Tell whether another deployment is the same task's, before its run was made again.

    Args:
        other: The tags of its configuration.
        tags: Those of the configuration that is deployed now.
    """
    owners = [Owner.of_title(one.get(TITLE, ""), one.get(OWNER, "")) for one in (other, tags)]
    former, now = owners
    return former is not None and now is not None and former.is_superseded_by(now)
