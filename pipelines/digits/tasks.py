"""What the tasks of the pipeline do that no official operator does: convert, and judge."""

from __future__ import annotations

import itertools
import json
import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from digits import dataset, serving, storage
from digits.evaluate import Verdict, judge, measure
from digits.model import read_artifact
from digits.settings import Run
from tradewind.errors import SetupError
from tradewind.systems.sagemaker import recordio

if TYPE_CHECKING:
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook

__all__ = ["RejectedError", "evaluate", "extract"]

log = logging.getLogger(__name__)


class RejectedError(Exception):
    """A model is not good enough to serve; the message has the figures."""


def extract(run: Run, hook: S3Hook) -> dict[str, dict[str, Any]]:
    """Converts the date's data set into the two channels of the training job.

    The pictures are encoded and uploaded by and by; beside the data set itself only the parts under
    way are in memory.

    Args:
        run: Whose data set.
        hook: Where it is.

    Returns:
        By channel, where it was put and how many rows and bytes it has.

    Raises:
        InputError: The data set is not what it should be, or not even harmless.
        SetupError: The data set is not there.
    """
    where, bucket = run.layout, run.layout.bucket
    log.info("reading %s", where.uri(run.source_key))
    with storage.open_object(hook, bucket, run.source_key, made_by="download_mnist") as stream:
        train, _, test = dataset.read_dataset(stream)
    made = {}
    for channel, split in (("train", train), ("test", test)):
        key = where.channel_key(run.date, channel)
        size = [0]
        chunks = _counted(recordio.encode(dataset.batches(split)), size)
        storage.put(hook, bucket, key, chunks)
        made[channel] = {"uri": where.uri(key), "rows": len(split), "bytes": size[0]}
        log.info("wrote %(uri)s: %(rows)d rows, %(bytes)d bytes", made[channel])
    return made


def _counted(chunks: Iterator[Any], size: list[int]) -> Iterator[Any]:
    for chunk in chunks:
        size[0] += memoryview(chunk).nbytes
        yield chunk


def evaluate(run: Run, hook: S3Hook, client: Any, trained: dict[str, Any] | None) -> dict[str, Any]:
    """Judges the model that was trained for a date, and writes the report.

    Args:
        run: Whose model.
        hook: Where its data, its artefact and the reports are.
        client: boto3's, for SageMaker: knows the training job and the model in service.
        trained: DescribeTrainingJob's answer as the training task hands it on; None when that is
            not known, then the date's newest completed job is judged.

    Returns:
        The model's name, its accuracy and where the report is.

    Raises:
        RejectedError: The model is not good enough. The report is written all the same.
        InputError: The artefact or the data are not what they should be.
        SetupError: There is no completed training job, or an object is missing.
    """
    where, bucket = run.layout, run.layout.bucket
    job = trained or _newest(run, client)
    model, artifact = job["TrainingJobName"], job["ModelArtifacts"]["S3ModelArtifacts"]
    log.info("judging %s, the model of %s", artifact, model)
    artifact_bucket, _, artifact_key = artifact.removeprefix("s3://").partition("/")
    with storage.open_object(
        hook, artifact_bucket, artifact_key, made_by="sagemaker_train_model"
    ) as stream:
        centroids = read_artifact(stream)

    streams = {
        channel: storage.Hashed(
            storage.open_object(
                hook, bucket, where.channel_key(run.date, channel), made_by="extract_mnist_data"
            )
        )
        for channel in ("train", "test")
    }
    figures = measure(
        centroids,
        recordio.read(streams["train"]),  # type: ignore[arg-type]
        recordio.read(streams["test"]),  # type: ignore[arg-type]
    )
    verdict = _judged(run, hook, client, model, figures.accuracy)
    report = {
        "version": 1,
        "model": model,
        "date": run.date,
        "endpoint": run.endpoint,
        "artifact": artifact,
        "image": job["AlgorithmSpecification"]["TrainingImage"],
        "feature_dim": int(centroids.shape[1]),
        **figures.as_json(),
        "data": {
            channel: {
                "uri": where.uri(where.channel_key(run.date, channel)),
                "rows": figures.rows[channel],
                "sha256": streams[channel].sha256,
            }
            for channel in streams
        },
        "verdict": verdict.as_json(),
    }
    _publish(run, hook, report, _picture(figures, centroids, verdict, report))
    log.info(
        "%s: accuracy %.4f on %d pictures, msd %.4f, %s",
        model,
        figures.accuracy,
        figures.rows["test"],
        figures.msd["test"],
        "may serve" if verdict.passed else "may not serve",
    )
    if not verdict.passed:
        raise RejectedError(
            f"The model {model} is not deployed: {'; '.join(verdict.reasons)}. "
            f"The report is {where.uri(where.report_key(run.date))}, with a picture beside it."
        )
    return {
        "model": model,
        "date": run.date,
        "accuracy": figures.accuracy,
        "rows": figures.rows["test"],
        "k": len(centroids),
        "report": where.uri(where.model_report_key(model)),
        "picture": where.uri(where.model_picture_key(model)),
    }


def _newest(run: Run, client: Any) -> dict[str, Any]:
    name = serving.newest_job(client, run)
    if name is None:
        raise SetupError(
            f"There is no completed training job for {run.date}: "
            "run the task sagemaker_train_model of this date first."
        )
    described: dict[str, Any] = client.describe_training_job(TrainingJobName=name)
    return described


def _judged(run: Run, hook: S3Hook, client: Any, model: str, accuracy: float) -> Verdict:
    endpoint = serving.find_endpoint(client, run.endpoint)
    other = endpoint.model if endpoint and endpoint.model != model else None
    report = serving.report_of(hook, run, other) if other else None
    if other and report is None:
        log.warning("%s is in service and has no report: nothing to compare with", other)
    return judge(
        accuracy,
        min_accuracy=float(run.params["min_accuracy"]),
        max_drop=float(run.params["max_drop"]),
        in_service=other,
        in_service_accuracy=report["accuracy"] if report else None,
    )


def _picture(figures: Any, centroids: Any, verdict: Verdict, report: dict[str, Any]) -> bytes:
    from digits.picture import draw

    title = f"{report['model']}: {figures.accuracy:.1%} recognised"
    return draw(figures, centroids, title if verdict.passed else f"{title} - not deployed")


def _publish(run: Run, hook: S3Hook, report: dict[str, Any], picture: bytes) -> None:
    """Writes report and picture, beside the model for good and as the newest of the date."""
    where, model = run.layout, report["model"]
    text = (json.dumps(report, indent=1) + "\n").encode()
    objects = (
        # The report itself last: where it is, its picture is too.
        (where.model_picture_key(model), picture),
        (where.model_report_key(model), text),
        (where.picture_key(run.date), picture),
        (where.report_key(run.date), text),
    )
    for key, content in objects:
        storage.put(hook, where.bucket, key, itertools.repeat(content, 1))
