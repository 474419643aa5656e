"""How SageMaker calls each kind of job: training, batch transform, processing, tuning."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from tradewind.systems.sagemaker.api import NAME_LIMIT

__all__ = ["PROCESSING", "TRAINING", "TRANSFORM", "TUNING", "JobKind"]


@dataclass(frozen=True)
class JobKind:
    """How SageMaker calls one kind of job.

    Args:
        word: What stands in the names of its operations, like ``TrainingJob``.
        log_group: Where its log is; None where it has none, or it is not to be read.
        name_limit: The most characters of a name.
        variables: The most variables that its ``Environment`` takes; 0 where it has none.
        variable_length: The most characters of one's value.
        page: What the console calls such jobs in its addresses.
    """

    word: str
    log_group: str | None
    name_limit: int = NAME_LIMIT
    variables: int = 0
    variable_length: int = 256
    page: str = "jobs"

    def operation(self, verb: str) -> str:
        """Name boto3's method, like ``create_training_job``."""
        snake = re.sub(r"(?<!^)(?=[A-Z])", "_", self.word).lower()
        return f"{verb}_{snake}{'s' if verb == 'list' else ''}"

    @property
    def summaries(self) -> str:
        """Name the list in a listing's answer."""
        return f"{self.word}Summaries"

    def without_log(self) -> JobKind:
        """Make the same kind, whose log is not read."""
        return replace(self, log_group=None)


TRAINING = JobKind("TrainingJob", "/aws/sagemaker/TrainingJobs", variables=100, variable_length=512)
TRANSFORM = JobKind(
    "TransformJob",
    "/aws/sagemaker/TransformJobs",
    variables=16,
    variable_length=10240,
    page="transform-jobs",
)
PROCESSING = JobKind(
    "ProcessingJob", "/aws/sagemaker/ProcessingJobs", variables=100, page="processing-jobs"
)
TUNING = JobKind("HyperParameterTuningJob", None, name_limit=32, page="hyper-tuning-jobs")
