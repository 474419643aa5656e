"""Jobs of the local SageMaker, which really trains.

The work here is a request, not a shell script, so the shared suite is passed in its own words.
"""

from __future__ import annotations

import json
import threading
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import numpy as np
import pytest

from sagemaker_service import KMEANS, ROLE
from tradewind.errors import InputError, SetupError
from tradewind.local import Systems
from tradewind.owner import Owner
from tradewind.run.backend import AlreadyStartedError, JobState, LogLine, WorkFailedError
from tradewind.run.supervise import claim, supervise
from tradewind.systems.sagemaker import recordio
from tradewind.systems.sagemaker.backend import TRANSFORM, TUNING, SageMakerBackend
from tradewind.testing.conformance.backend import until_ended

Memory = type("Memory", (dict,), {"set": dict.__setitem__})


@pytest.fixture(scope="module")
def session(local_sagemaker: Systems) -> boto3.Session:
    environment = local_sagemaker.environment
    patch = pytest.MonkeyPatch()
    for name, value in environment.items():
        patch.setenv(name, value)
    yield boto3.Session()
    patch.undo()


@pytest.fixture(scope="module")
def bucket(session: boto3.Session) -> str:
    name = f"run-{uuid.uuid4().hex[:8]}"
    s3 = session.client("s3")
    s3.create_bucket(
        Bucket=name, CreateBucketConfiguration={"LocationConstraint": session.region_name}
    )
    rows = np.random.default_rng(1).random((200, 4), dtype=np.float32)
    body = b"".join(bytes(chunk) for chunk in recordio.encode([(rows, None)]))
    s3.put_object(Bucket=name, Key="train/data.pbr", Body=body)
    return name


@pytest.fixture
def backend(session: boto3.Session) -> SageMakerBackend:
    return SageMakerBackend(session)


@pytest.fixture
def owner() -> Owner:
    return Owner("sagemaker", uuid.uuid4().hex, "train")


def training(bucket: str, **hyperparameters: str) -> dict[str, Any]:
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{bucket}/train/"}
    return {
        "AlgorithmSpecification": {"TrainingImage": KMEANS, "TrainingInputMode": "File"},
        "RoleArn": ROLE,
        "HyperParameters": {"k": "3", "feature_dim": "4", **hyperparameters},
        "InputDataConfig": [{"ChannelName": "train", "DataSource": {"S3DataSource": source}}],
        "OutputDataConfig": {"S3OutputPath": f"s3://{bucket}/models"},
        "ResourceConfig": {
            "InstanceCount": 1,
            "InstanceType": "ml.m5.large",
            "VolumeSizeInGB": 1,
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
    }


def run(backend: SageMakerBackend, owner: Owner, work: dict, lines: list[LogLine], memory=None):
    return supervise(
        backend,
        owner,
        work,
        log=lines.append,
        state_store=Memory() if memory is None else memory,
        variables={"TRADEWIND_OWNER": str(owner)},
        poll_seconds=0.2,
    )


def test_a_job_trains_and_its_description_is_the_result(backend, owner, bucket):
    lines: list[LogLine] = []
    outcome = run(backend, owner, training(bucket), lines)
    told = json.loads(outcome.result)
    assert told["TrainingJobName"] == backend.name_of(owner, 1)
    assert told["ModelArtifacts"]["S3ModelArtifacts"].startswith(f"s3://{bucket}/models/")
    texts = [line.text for line in lines]
    assert [text for text in texts if "#quality_metric" in text or "#progress_metric" in text]
    assert lines[0].time.tzinfo is not None


def test_a_retry_does_not_train_again(backend, owner, bucket):
    backend.submit(owner, 1, training(bucket), variables={})
    outcome = run(backend, owner, training(bucket), [])
    assert outcome.reattached
    again = run(backend, owner, training(bucket), [])
    assert again.name == outcome.name
    assert [job.number for job in backend.list(owner)] == [1]


def test_a_name_is_claimed_once_and_for_ever(backend, owner, bucket):
    backend.submit(owner, 1, training(bucket), variables={})
    with pytest.raises(AlreadyStartedError):
        backend.submit(owner, 1, training(bucket), variables={})
    until_ended(backend, backend.name_of(owner, 1))
    with pytest.raises(AlreadyStartedError):
        backend.submit(owner, 1, training(bucket), variables={})


def test_of_two_that_start_at_the_same_instant_one_does(backend, owner, bucket):
    together, names = threading.Barrier(2), []

    def attempt() -> None:
        together.wait()
        names.append(run(backend, owner, training(bucket), []).name)

    threads = [threading.Thread(target=attempt) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert names == [backend.name_of(owner, 1)] * 2


def test_a_failed_job_is_told_and_the_next_has_another_name(backend, owner, bucket):
    memory = Memory()
    # More features than the data have: found out by the algorithm, not by the request's check.
    wrong = training(bucket, feature_dim="5")
    with pytest.raises(WorkFailedError, match="feature_dim"):
        run(backend, owner, wrong, [], memory)
    assert run(backend, owner, training(bucket), [], memory).name == backend.name_of(owner, 2)


def test_a_log_goes_on_from_a_cursor(backend, owner, bucket):
    backend.submit(owner, 1, training(bucket), variables={})
    name = backend.name_of(owner, 1)
    until_ended(backend, name)
    lines = list(backend.logs(name, None, wait=0))
    middle = len(lines) // 2
    rest = list(backend.logs(name, lines[middle].cursor, wait=0))
    assert [line.text for line in rest] == [line.text for line in lines[middle + 1 :]]
    assert list(backend.logs(name, lines[-1].cursor, wait=0)) == []


def test_a_job_is_stopped(backend, owner, bucket):
    backend.submit(owner, 1, training(bucket, epochs="1000000"), variables={})
    name = backend.name_of(owner, 1)
    jobs = [job for job in backend.list() if job.name == name]
    confirmed = [backend.confirm(job) for job in jobs]
    assert [(job.owner, job.title) for job in confirmed] == [(owner.digest, str(owner))]
    backend.cancel(name)
    backend.cancel(name)
    status = until_ended(backend, name)
    assert (status.state, status.reason) == (JobState.FAILED, "it was stopped")
    backend.delete(name)


@pytest.mark.parametrize("name", ["", "the-user-s-name"])
def test_a_run_that_is_made_again_ends_what_the_deleted_one_has_left(session, owner, bucket, name):
    name = name and f"{name}-{uuid.uuid4().hex[:8]}"
    there = replace(owner, deployment="here", generation="g1")
    others, again = replace(there, deployment="there"), replace(there, generation="g2")
    started: list[str] = []
    backend = SageMakerBackend(session, called=name)
    work = training(bucket, epochs="1000000")
    for each in (there, others, again):
        claimed = claim(backend, each, work, state_store=Memory())
        assert claimed.started
        started.append(claimed.name)
    assert until_ended(backend, started[0]).reason == "it was stopped"
    assert [backend.status(each).state.ended for each in started] == [True, False, False]
    for each in started:
        backend.delete(each)


def test_what_is_not_there_is_absent(backend, owner):
    name = backend.name_of(owner, 1)
    assert backend.status(name).state is JobState.ABSENT
    backend.cancel(name)
    backend.delete(name)
    assert list(backend.logs(name, None, wait=0)) == []


@pytest.mark.parametrize("change", [{"ResourceConfig": {}}, {"HyperParameters": {"k": 3}}])
def test_a_wrong_request_is_refused_at_once(backend, owner, bucket, change):
    with pytest.raises(InputError, match=r"(?s)SageMaker in eu-west-1: .*Correct the job"):
        backend.submit(owner, 1, {**training(bucket), **change}, variables={})


def test_a_missing_role_or_bucket_is_told(backend, owner, bucket):
    work = training(bucket)
    work["OutputDataConfig"] = {"S3OutputPath": "s3://no-such-bucket-at-all/models"}
    with pytest.raises((InputError, WorkFailedError), match="no-such-bucket-at-all"):
        run(backend, owner, work, [])


def test_a_service_that_is_not_there_is_told(session, owner):
    options = {"endpoint_url": "http://127.0.0.1:9"}
    backend = SageMakerBackend(session, client_options=options)
    with pytest.raises(SetupError, match="cannot be reached"):
        backend.status("x")


def called(session: boto3.Session, name: str, **more: Any) -> SageMakerBackend:
    return SageMakerBackend(session, called=name, **more)


def test_a_job_has_the_name_it_is_given_where_that_is_free(session, bucket):
    name, one, other = uuid.uuid4().hex, Owner("d", "1", "t"), Owner("d", "2", "t")
    memory = Memory()
    first = run(called(session, name), one, training(bucket), [], memory)
    assert first.name == name
    # Somebody else's next: what makes it its own follows.
    second = run(called(session, name), other, training(bucket), [])
    assert second.name == f"{name}-{other.digest}-1"
    for owner, outcome in ((one, first), (other, second)):
        (job,) = called(session, name).list(owner)
        assert (job.name, job.number) == (outcome.name, 1)
        again = run(called(session, name), owner, training(bucket), [])
        assert (again.name, again.reattached) == (outcome.name, True)
    # A name that an attempt has chosen is that of the next ones, whatever they would call it.
    del memory[f"tradewind.{one.digest}.done"]
    assert run(called(session, f"{name}-2"), one, training(bucket), [], memory).name == name
    with pytest.raises(InputError, match=r"not this task run's\. Call this one"):
        run(called(session, name, rename=False), Owner("d", "3", "t"), training(bucket), [])


def test_work_of_a_deleted_run_of_the_same_id_is_not_attended(session, bucket):
    name, owner = uuid.uuid4().hex, Owner("d", uuid.uuid4().hex, "t")
    first = run(called(session, name), owner, training(bucket), [])
    later = datetime.now(UTC) + timedelta(seconds=60)
    memory = Memory()
    for _ in range(2):
        # The second time it is known to be this run's, though it is older than the run.
        found = claim(
            called(session, name), owner, training(bucket), state_store=memory, since=later
        )
        assert found.name == f"{name}-{owner.digest}-2" != first.name
    before = datetime.now(UTC) - timedelta(hours=1)
    found = claim(
        called(session, name), owner, training(bucket), state_store=Memory(), since=before
    )
    assert found.number == 2


def test_each_kind_of_job_is_called_as_boto3_calls_it(session):
    client = session.client("sagemaker")
    for kind in (TRANSFORM, TUNING):
        for verb in ("create", "describe", "stop", "list"):
            assert hasattr(client, kind.operation(verb))
    owner = Owner("a-dag-with-a-long-name", "scheduled__2026-01-01T00:00:00", "tune")
    assert len(SageMakerBackend(session, TUNING).name_of(owner, 1)) <= 32
