"""One training job of k-means: every instance clusters its part, the parts are merged, scored."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from sagemaker_local.algorithms.kmeans import cluster, model
from sagemaker_local.algorithms.kmeans.hyperparameters import DEFAULTS, Hyperparameters
from sagemaker_local.channels import CSV, RECORDIO, Channel
from sagemaker_local.errors import InputError
from sagemaker_local.trainer.context import TrainingContext

__all__ = ["train"]

Matrix = npt.NDArray[np.float32]

# Any number would do; with a fixed one the same data always give the same model.
_SEED = 20260101
# Most bytes of rows that are gathered to choose the first centres from, unless K needs more.
_POOL_BYTES = 64 * 1024 * 1024


def train(context: TrainingContext) -> None:
    """Run a training job.

    The instances of a job are simulated one after another. On each, K = k * extra_center_factor
    centres follow the instance's rows; then the centres of all instances together are reduced to
    k. The rows are read once more to score the model (SageMaker's container estimates the training
    score from the K centres).

    Args:
        context: The job.

    Raises:
        InputError: Hyperparameters or data are wrong.
        RetryError, SetupError: The S3 server fails or refuses access.
    """
    parameters = Hyperparameters.parse(context.hyperparameters)
    job = _Job(context, parameters)
    job.log_configuration()
    channels = context.open_channels(
        required=("train",), optional=("test",), content_types=(RECORDIO, CSV)
    )
    if not context.stopping.is_set():
        context.events.status(
            "Training", "Training image download completed. Training in progress."
        )
        centres = job.fit(channels["train"])
        if centres is not None:
            job.score(centres, "train", channels["train"])
            job.score(centres, "test", channels.get("test"))
            context.save_model(lambda file: model.write_archive(centres, file))
    if context.artifacts is None:
        job.log(context.hosts[0], "Stopped before there was a model.", "WARNING")


class _Job:
    """The steps of a job, and what they share."""

    def __init__(self, context: TrainingContext, parameters: Hyperparameters) -> None:
        self._context = context
        self._parameters = parameters
        self._origin: npt.NDArray[np.float64] | None = None
        self._records = 0
        self.log = context.events.log

    def log_configuration(self) -> None:
        """Write what SageMaker's container writes first."""
        given = dict(self._context.hyperparameters)
        for host in self._context.hosts:
            self.log(host, f"Reading default configuration: {DEFAULTS}")
            self.log(host, f"Merging with provided configuration: {given}")
            self.log(host, f"Final configuration: {DEFAULTS | given}")
            if self._parameters.extra_center_factor is None:
                self.log(
                    host,
                    "'extra_center_factor' was set to 'auto', "
                    f"evaluated to {self._parameters.center_factor}.",
                )

    def fit(self, channel: Channel) -> Matrix | None:
        """Return the k centres of the channel's rows; None when stopped before there were any.

        Args:
            channel: The training data.
        """
        parts: list[cluster.OnlineCentres] = []
        for number in range(len(self._context.hosts)):
            if not (parts and self._context.stopping.is_set()):
                part = self._fit_host(channel, number)
                parts += [part] if part is not None else []
        k = self._parameters.k
        if not parts or (self._context.stopping.is_set() and self._records < k):
            return None
        if self._records < k:
            raise InputError(
                f"Channel {channel.name!r} has {self._records} records, fewer than the "
                f"hyperparameter k={k}. Lower k, or give more data."
            )
        centres = np.concatenate([part.centres for part in parts])
        weights = np.concatenate([part.weights for part in parts])
        centres = self._reduce(*_weighted(centres, weights, k))
        origin = self._origin
        assert origin is not None  # noqa: S101 - set with the first rows
        return (centres + origin).astype(np.float32)

    def _fit_host(self, channel: Channel, number: int) -> cluster.OnlineCentres | None:
        """Let K centres follow one instance's rows; None when it has no rows."""
        parameters, host = self._parameters, self._context.hosts[number]
        rng = np.random.default_rng([_SEED, number])
        begun = time.monotonic()
        online: cluster.OnlineCentres | None = None
        pool = _Pool(parameters)
        seen = 0
        for epoch in range(parameters.epochs):
            for rows in self._rows(channel, number, epoch):
                seen += len(rows)
                if online is not None:
                    online.add(rows)
                elif pool.add(rows):
                    online = self._begin(pool, host, rng)
                if self._context.stopping.is_set():
                    break
            if online is None and pool.rows:
                online = self._begin(pool, host, rng)
            if online is None:
                self.log(host, f"Channel {channel.name!r} has no rows for this host.", "WARNING")
                return None
            online.flush()
            if epoch == 0:
                self._records += seen
                self.log(host, f"processed a total of {seen} examples")
            if self._context.stopping.is_set():
                self.log(host, f"Stopped in epoch {epoch + 1}: the model is made of what was seen.")
                break
            done = 100 * (epoch + 1) / parameters.epochs
            self.log(host, f"#progress_metric: host={host}, completed {done:g} % of epochs")
        rate = seen / max(time.monotonic() - begun, 1e-9)
        self.log(host, f"#throughput_metric: host={host}, train throughput={rate} records/second")
        return online

    def _begin(self, pool: _Pool, host: str, rng: np.random.Generator) -> cluster.OnlineCentres:
        """Choose the first centres among the first rows, and take these rows in."""
        parameters = self._parameters
        rows = pool.take()
        if len(rows) < parameters.mini_batch_size:
            self.log(
                host,
                f"Batch size {parameters.mini_batch_size} is bigger than the first batch data. "
                f"Effective batch size used to initialize is {len(rows)}",
                "WARNING",
            )
        count = min(len(rows), parameters.k * parameters.center_factor)
        if parameters.init_method == "random":
            chosen = rng.choice(len(rows), count, replace=False)
        else:
            chosen = cluster.kmeans_plusplus(rows, np.ones(len(rows)), count, rng)
        online = cluster.OnlineCentres(
            rows[chosen],
            batch=parameters.mini_batch_size,
            half_life=parameters.half_life_time_size,
        )
        online.add(rows)
        return online

    def _reduce(self, points: Matrix, weights: npt.NDArray[np.float64]) -> Matrix:
        parameters, host = self._parameters, self._context.hosts[0]
        if len(points) == parameters.k:
            self.log(host, "No shrinking is required as extra_center_factor is 1.")
            return points
        self.log(host, f"shrinking {len(points)} centers into {parameters.k}")
        centres, loss = cluster.reduce_centres(
            points,
            weights,
            parameters.k,
            init=parameters.local_lloyd_init_method,
            trials=parameters.num_trials,
            max_iter=parameters.local_lloyd_max_iter,
            tol=parameters.local_lloyd_tol,
            rng=np.random.default_rng([_SEED, len(self._context.hosts)]),
            report=lambda trial, loss: self.log(
                host, f"local kmeans attempt #{trial}. Current mean square distance {loss:.6f}"
            ),
        )
        self.log(host, f"finished shrinking process. Mean Square Distance = {loss:.6f}")
        return centres

    def score(self, centres: Matrix, name: str, channel: Channel | None) -> None:
        """Measure the mean and the sum of squared distances of a channel's rows.

        Args:
            centres: The model.
            name: ``train`` or ``test``.
            channel: The rows; None when the job has no such channel.
        """
        hosts = self._context.hosts
        if channel is None:
            self.log(hosts[0], "Test data is not provided.")
            return
        assert self._origin is not None  # noqa: S101 - set with the first rows of training
        moved = (centres - self._origin).astype(np.float32)
        total = cluster.Quality()
        quality = cluster.Quality()
        for number, host in enumerate(hosts):
            if number == 0 or channel.sharded:  # otherwise all hosts have the same rows
                quality = cluster.Quality()
                for rows in self._rows(channel, number):
                    quality.add(rows, moved)
                    if self._context.stopping.is_set():
                        return
                total.merge(quality)
            if quality.rows:
                self._log_quality(host, name, quality)
        if not total.rows:
            return
        if not math.isfinite(total.ssd):
            raise InputError(
                f"Channel {channel.name!r} holds numbers so large that their squared distances "
                "exceed float32. Scale the features."
            )
        for metric in self._parameters.eval_metrics:
            self._context.events.metric(f"{name}:{metric}", getattr(total, metric))

    def _log_quality(self, host: str, name: str, quality: cluster.Quality) -> None:
        for metric in self._parameters.eval_metrics:
            value = getattr(quality, metric)
            self.log(host, f"#quality_metric: host={host}, {name} {metric} <loss>={value}")

    def _rows(self, channel: Channel, host: int, epoch: int = 0) -> Iterator[Matrix]:
        """Yield an instance's rows around the origin, in single precision.

        The origin is the first rows' mean. Distances do not depend on it, but their digits do:
        those of numbers far from 0 that differ little, such as years, would be lost.
        """
        features = self._parameters.feature_dim
        rows: npt.NDArray[Any]
        for rows in self._context.rows(channel, host, features=features, epoch=epoch):
            if self._origin is None:
                middle = rows.mean(axis=0, dtype=np.float64)
                self._origin = middle.astype(np.float32).astype(np.float64)
            if rows.dtype == np.float32:
                yield rows - self._origin.astype(np.float32)
            else:
                yield (rows - self._origin).astype(np.float32)


def _weighted(
    centres: Matrix, weights: npt.NDArray[np.float64], k: int
) -> tuple[Matrix, npt.NDArray[np.float64]]:
    """Leave out centres that no row is closest to, unless fewer than k would remain."""
    kept = np.flatnonzero(weights > 0)
    if len(kept) < k:
        kept = np.sort(np.concatenate([kept, np.flatnonzero(weights <= 0)[: k - len(kept)]]))
    return centres[kept], weights[kept]


class _Pool:
    """Gathers the first rows of an instance, from which its first centres are chosen."""

    def __init__(self, parameters: Hyperparameters) -> None:
        fitting = max(1, _POOL_BYTES // (4 * parameters.feature_dim))
        wanted = parameters.k * parameters.center_factor
        self._enough = max(wanted, min(parameters.mini_batch_size, fitting))
        self._blocks: list[Matrix] = []
        self.rows = 0

    def add(self, rows: Matrix) -> bool:
        """Take in rows; True when there are enough."""
        self._blocks.append(rows)
        self.rows += len(rows)
        return self.rows >= self._enough

    def take(self) -> Matrix:
        """Return all rows gathered, and forget them."""
        rows = np.concatenate(self._blocks)
        self._blocks.clear()
        return rows
