"""The processes that answer large requests."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import psutil
import pytest
from botocore.exceptions import ClientError

from sagemaker_local.hosting.workers import WorkerError, Workers
from sagemaker_local.invocation import Invocation
from sagemaker_service import (
    SageMakerProcess,
    create_config,
    create_model,
    kmeans_artifact,
    make_client,
    wait_status,
)
from tradewind.local import Systems
from waiting import until


def run(work: Callable[[Workers], Awaitable[None]]) -> None:
    async def main() -> None:
        workers = Workers(most=1)
        try:
            await work(workers)
        finally:
            await workers.close()

    asyncio.run(main())


def children() -> list[psutil.Process]:
    return [
        child
        for child in psutil.Process().children()
        if "sagemaker_local.model_worker" in child.cmdline()
    ]


def ask(body: bytes = b"0,0", kind: str = "text/csv") -> Invocation:
    return Invocation("endpoint", body, kind, "application/json")


def test_requests_are_answered_and_refused_as_by_the_model(tmp_path: Path) -> None:
    artifact = tmp_path / "model.tar.gz"

    async def work(workers: Workers) -> None:
        artifact.write_bytes(kmeans_artifact([[3, 4]]))
        answer = await workers.invoke("kmeans", artifact, ask(b"0,0\n" * 100_000))
        assert answer.status == 200
        assert answer.content_type == "application/json"
        predictions = json.loads(answer.body)["predictions"]
        assert len(predictions) == 100_000
        assert predictions[-1]["distance_to_cluster"] == 5.0
        refused = await workers.invoke("kmeans", artifact, ask(b"0,0,0"))
        assert refused.status == 400
        assert refused.body
        # Another artefact at the same path is another model.
        artifact.unlink()
        artifact.write_bytes(kmeans_artifact([[5, 12]]))
        answer = await workers.invoke("kmeans", artifact, ask())
        assert json.loads(answer.body)["predictions"][0]["distance_to_cluster"] == 13.0
        artifact.unlink()
        assert (await workers.invoke("kmeans", artifact, ask())).status == 500
        assert len(children()) == 1

    run(work)
    assert children() == []


def test_a_process_that_ends_fails_its_request_and_no_other(tmp_path: Path) -> None:
    artifact = tmp_path / "model.tar.gz"
    artifact.write_bytes(kmeans_artifact([[3, 4]]))

    async def work(workers: Workers) -> None:
        await workers.invoke("kmeans", artifact, ask())
        [child] = children()
        os.kill(child.pid, signal.SIGSTOP)
        request = asyncio.create_task(workers.invoke("kmeans", artifact, ask()))
        await asyncio.sleep(0)
        os.kill(child.pid, signal.SIGKILL)
        with pytest.raises(WorkerError, match="ended before it had answered"):
            await request
        assert (await workers.invoke("kmeans", artifact, ask())).status == 200
        # A request that is given up takes its process with it, not the next one's answer.
        [child] = children()
        os.kill(child.pid, signal.SIGSTOP)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await workers.invoke("kmeans", artifact, ask())
        assert (await workers.invoke("kmeans", artifact, ask())).status == 200
        assert [c.pid for c in children()] != [child.pid]

    run(work)


def test_a_killed_service_leaves_no_process_behind(local_s3: Systems, data: Path) -> None:
    s3 = make_client("s3", local_s3["s3"].endpoint, local_s3.environment)
    s3.create_bucket(Bucket="workers-of-a-service")
    s3.put_object(Bucket="workers-of-a-service", Key="m.tar.gz", Body=kmeans_artifact([[3, 4]]))
    with SageMakerProcess(local_s3, data) as process:
        sagemaker, runtime = process.client("sagemaker"), process.client("sagemaker-runtime")
        create_model(sagemaker, "near", "s3://workers-of-a-service/m.tar.gz")
        create_config(sagemaker, "near", near=1.0)
        sagemaker.create_endpoint(EndpointName="large", EndpointConfigName="near")
        wait_status(sagemaker, "large", "InService")
        body = b"0,0\n" * 50_000
        arguments = {"EndpointName": "large", "ContentType": "text/csv", "Body": body}
        runtime.invoke_endpoint(**arguments)
        with pytest.raises(ClientError) as error:
            runtime.invoke_endpoint(**(arguments | {"Body": body + b"1,2,3\n"}))
        assert error.value.response["OriginalStatusCode"] == 400
        [worker] = psutil.Process(process.pid).children()
        process.restart()
        until(lambda: not worker.is_running())
