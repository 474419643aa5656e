"""Requests are validated as AWS validates them, in its words."""

from __future__ import annotations

from typing import Any

import pytest

from sagemaker_local import shapes
from sagemaker_local.api_errors import ApiError, SerializationException, ValidationException

JOB: dict[str, Any] = {
    "TrainingJobName": "job",
    "AlgorithmSpecification": {"TrainingImage": "image", "TrainingInputMode": "File"},
    "RoleArn": "arn:aws:iam::123456789012:role/sagemaker",
    "OutputDataConfig": {"S3OutputPath": "s3://bucket/out"},
    "HyperParameters": {"k": "10", "_private": "kept"},
}


def refusal(change: dict[str, Any], operation: str = "CreateTrainingJob") -> str:
    base = JOB if operation == "CreateTrainingJob" else {}
    with pytest.raises(ValidationException) as caught:
        shapes.parse("sagemaker", operation, base | change)
    return caught.value.message


def test_a_good_request_passes_and_unknown_members_are_left_out() -> None:
    assert shapes.parse("sagemaker", "CreateTrainingJob", JOB | {"Nonsense": 1}) == JOB


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"TrainingJobName": "a_b"},
            "1 validation error detected: Value 'a_b' at 'trainingJobName' failed to satisfy "
            "constraint: Member must satisfy regular expression pattern: "
            "[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}",
        ),
        (
            {"TrainingJobName": "a" * 64},
            f"Value '{'a' * 64}' at 'trainingJobName' failed to satisfy constraint: "
            "Member must have length less than or equal to 63",
        ),
        (
            {"RoleArn": None},
            "Value null at 'roleArn' failed to satisfy constraint: Member must not be null",
        ),
        (
            {"AlgorithmSpecification": {"TrainingInputMode": "Tape"}},
            "Value 'Tape' at 'algorithmSpecification.trainingInputMode' failed to satisfy "
            "constraint: Member must satisfy enum value set: [Pipe, File, FastFile]",
        ),
        (
            {"ResourceConfig": {"InstanceCount": -1}},
            "Value '-1' at 'resourceConfig.instanceCount' failed to satisfy constraint: "
            "Member must have value greater than or equal to 0",
        ),
        (
            {"InputDataConfig": [{"DataSource": {}}]},
            "Value null at 'inputDataConfig.1.member.channelName' failed to satisfy constraint: "
            "Member must not be null",
        ),
        (
            {"HyperParameters": {"k": "x" * 2501}},
            "failed to satisfy constraint: Map value must satisfy constraint: "
            "[Member must have length less than or equal to 2500]",
        ),
        (
            {"TrainingJobName": "a_b", "RoleArn": None},
            "2 validation errors detected: Value 'a_b' at 'trainingJobName'",
        ),
    ],
)
def test_constraints_are_told_in_aws_words(change: dict[str, Any], message: str) -> None:
    assert message in refusal(change)


def test_a_number_out_of_range() -> None:
    assert "Member must have value less than or equal to 100" in refusal(
        {"MaxResults": 101}, "ListTrainingJobs"
    )


@pytest.mark.parametrize(
    "change",
    [
        {"TrainingJobName": 7},
        {"HyperParameters": ["k"]},
        {"HyperParameters": {"k": 10}},
        {"InputDataConfig": {}},
        {"EnableNetworkIsolation": "yes"},
        {"ResourceConfig": {"InstanceCount": 1.5}},
        {"ResourceConfig": {"InstanceCount": True}},
        {"OutputDataConfig": "s3://bucket"},
    ],
)
def test_a_wrong_type_is_no_validation_error(change: dict[str, Any]) -> None:
    with pytest.raises(SerializationException):
        shapes.parse("sagemaker", "CreateTrainingJob", JOB | change)


def test_the_body_must_be_a_structure() -> None:
    with pytest.raises(SerializationException):
        shapes.parse("sagemaker", "ListTrainingJobs", ["a"])


def test_logs_have_their_own_code() -> None:
    with pytest.raises(ApiError) as caught:
        shapes.parse("logs", "GetLogEvents", {"logStreamName": "a:b"})
    assert caught.value.code == "InvalidParameterException"


def test_tags_may_be_written_in_any_script() -> None:
    arn = "arn:aws:sagemaker:eu-west-1:123456789012:model/m"
    good = {"ResourceArn": arn, "Tags": [{"Key": "größe/日本:a-b", "Value": "ü x"}]}
    assert shapes.parse("sagemaker", "AddTags", good) == good
    bad = {"ResourceArn": arn, "Tags": [{"Key": "a;b", "Value": ""}]}
    with pytest.raises(ValidationException):
        shapes.parse("sagemaker", "AddTags", bad)


def test_check_finds_what_is_wrong_with_a_response() -> None:
    good = {"TrainingJobSummaries": []}
    assert shapes.check("sagemaker", "ListTrainingJobs", good) == []
    summary = {
        "TrainingJobName": "job",
        "TrainingJobArn": "arn:aws:sagemaker:eu-west-1:123456789012:training-job/job",
        "CreationTime": "yesterday",
        "TrainingJobStatus": "Idle",
        "Extra": 1,
    }
    faults = shapes.check("sagemaker", "ListTrainingJobs", {"TrainingJobSummaries": [summary]})
    assert len(faults) == 3
    assert shapes.check("sagemaker", "ListTrainingJobs", {}) != []
    assert shapes.check("sagemaker", "StopTrainingJob", {"A": 1}) != []


def test_pick_cuts_to_a_shape() -> None:
    body = {"ModelName": "m", "_private": 1, "Tags": [], "CreationTime": 1.0, "ModelArn": None}
    assert shapes.pick("sagemaker", "DescribeModelOutput", body) == {
        "ModelName": "m",
        "CreationTime": 1.0,
    }
