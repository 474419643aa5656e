"""Judges a model: names its clusters, measures how often the names are right, and decides.

k-means knows clusters, not digits. A cluster is named by the majority of the training pictures in
it. The same report that says how good the model is carries those names to whoever serves it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tradewind.errors import InputError

__all__ = ["Figures", "Verdict", "judge", "measure", "nearest"]

DIGITS = 10

Batch = tuple[NDArray[Any], NDArray[Any] | None]


def nearest(
    images: NDArray[np.float32], centroids: NDArray[np.float32]
) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Finds each picture's centroid.

    Args:
        images: Shape (n, d).
        centroids: Shape (k, d).

    Returns:
        The row of the nearest centroid, shape (n,), and the squared distance to it, shape (n,).
    """
    # |x - c|^2 = |x|^2 - 2 x c + |c|^2; |x|^2 does not matter for which is the nearest.
    scores = images @ centroids.T
    scores *= -2
    scores += np.einsum("kd,kd->k", centroids, centroids)
    clusters = scores.argmin(axis=1)
    squares = np.einsum("nd,nd->n", images, images) + scores[np.arange(len(images)), clusters]
    return clusters, np.maximum(squares, 0)


@dataclass(frozen=True)
class Figures:
    """What was found out about a model.

    Args:
        labels: The digit each cluster is named by, shape (k,).
        members: Training pictures in each cluster, shape (k,).
        purity: Share of a cluster's training pictures that show its digit, shape (k,); 0 where it
            has none.
        confusion: How often a digit (row) was taken for a digit (column), shape (10, 10).
        msd: Mean squared distance of a picture to its centroid, by channel.
        rows: Pictures, by channel.
    """

    labels: NDArray[np.int64]
    members: NDArray[np.int64]
    purity: NDArray[np.float64]
    confusion: NDArray[np.int64]
    msd: dict[str, float]
    rows: dict[str, int]

    @property
    def accuracy(self) -> float:
        """Share of the test pictures whose digit was recognised."""
        return float(np.trace(self.confusion) / self.confusion.sum())

    def as_json(self) -> dict[str, Any]:
        """The figures as the report spells them."""
        tested = self.confusion.sum(axis=1)
        right = np.diag(self.confusion)
        return {
            "accuracy": self.accuracy,
            "digits": {
                str(digit): {
                    "tested": int(tested[digit]),
                    "recognised": int(right[digit]),
                    "accuracy": float(right[digit] / tested[digit]) if tested[digit] else None,
                }
                for digit in range(DIGITS)
            },
            "confusion": self.confusion.tolist(),
            "k": len(self.labels),
            "labels": self.labels.tolist(),
            "members": self.members.tolist(),
            "purity": [round(float(share), 4) for share in self.purity],
            "msd": self.msd,
        }


def measure(
    centroids: NDArray[np.float32], train: Iterable[Batch], test: Iterable[Batch]
) -> Figures:
    """Names the clusters by the training pictures and tries the names on the test pictures.

    A tie goes to the digit whose pictures lie nearer to the centroid. A cluster without a training
    picture takes the name of the nearest centroid that has one.

    Args:
        centroids: Shape (k, d).
        train: Batches of features (n, d) and labels (n,), the digits.
        test: The like.

    Raises:
        InputError: The pictures do not fit the centroids, carry no labels, or there are none.
    """
    k = len(centroids)
    counts = np.zeros((k, DIGITS), np.int64)
    spread = np.zeros((k, DIGITS))
    rows, squares = {"train": 0, "test": 0}, {"train": 0.0, "test": 0.0}
    confusion = np.zeros((DIGITS, DIGITS), np.int64)
    labels = np.zeros(k, np.int64)
    for channel, batches in (("train", train), ("test", test)):
        for batch in batches:
            images, digits = _checked(batch, centroids, channel)
            clusters, distances = nearest(images, centroids)
            rows[channel] += len(images)
            squares[channel] += float(distances.sum(dtype=np.float64))
            if channel == "train":
                np.add.at(counts, (clusters, digits), 1)
                np.add.at(spread, (clusters, digits), distances)
            else:
                np.add.at(confusion, (digits, labels[clusters]), 1)
        if not rows[channel]:
            raise InputError(f"The {channel} channel has no pictures: nothing can be measured.")
        if channel == "train":
            labels = _names(counts, spread, centroids)
    members = counts.sum(axis=1)
    return Figures(
        labels=labels,
        members=members,
        purity=counts[np.arange(k), labels] / np.maximum(members, 1),
        confusion=confusion,
        msd={channel: squares[channel] / rows[channel] for channel in rows},
        rows=rows,
    )


def _checked(
    batch: Batch, centroids: NDArray[np.float32], channel: str
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    images, labels = batch
    if images.ndim != 2 or images.shape[1] != centroids.shape[1]:
        raise InputError(
            f"The {channel} channel has rows of {images.shape[1:]} numbers, the model's centroids "
            f"have {centroids.shape[1]}: the model was trained on other data."
        )
    if labels is None:
        raise InputError(f"The {channel} channel has no labels: clusters cannot be named by it.")
    digits = labels.astype(np.int64)
    if (digits != labels).any() or (digits < 0).any() or (digits >= DIGITS).any():
        raise InputError(f"The {channel} channel has labels that are not digits.")
    return images.astype(np.float32, copy=False), digits


def _names(
    counts: NDArray[np.int64], spread: NDArray[np.float64], centroids: NDArray[np.float32]
) -> NDArray[np.int64]:
    # Of the digits with the most members, the one with the smallest sum of distances.
    leading = counts == counts.max(axis=1, keepdims=True)
    labels: NDArray[np.int64] = np.where(leading, spread, np.inf).argmin(axis=1).astype(np.int64)
    named = np.flatnonzero(counts.any(axis=1))
    empty = np.flatnonzero(~counts.any(axis=1))
    if len(empty) and len(named):
        beside, _ = nearest(centroids[empty], centroids[named])
        labels[empty] = labels[named[beside]]
    return labels


# --- the decision


@dataclass(frozen=True)
class Verdict:
    """Whether a model may serve.

    Args:
        min_accuracy: Least share of the test pictures it must recognise.
        max_drop: Most that this share may be below that of the model in service.
        in_service: That model's name, None when there is none to compare with.
        in_service_accuracy: Its share, None when it is not known.
        reasons: Why the model may not serve, with the figures; empty when it may.
    """

    min_accuracy: float
    max_drop: float
    in_service: str | None = None
    in_service_accuracy: float | None = None
    reasons: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether the model may serve."""
        return not self.reasons

    def as_json(self) -> dict[str, Any]:
        """The decision as the report spells it."""
        return {
            "passed": self.passed,
            "reasons": self.reasons,
            "min_accuracy": self.min_accuracy,
            "max_drop": self.max_drop,
            "in_service": self.in_service,
            "in_service_accuracy": self.in_service_accuracy,
        }


def judge(
    accuracy: float,
    *,
    min_accuracy: float,
    max_drop: float,
    in_service: str | None = None,
    in_service_accuracy: float | None = None,
) -> Verdict:
    """Decides whether a model may serve.

    Args:
        accuracy: Share of the test pictures it recognised.
        min_accuracy: The least it must be.
        max_drop: The most it may be below the model in service.
        in_service: Name of the model in service, None when there is none.
        in_service_accuracy: Share that the model in service recognised, None when not known.
    """
    reasons = []
    if accuracy < min_accuracy:
        reasons.append(
            f"accuracy {accuracy:.4f} is below {min_accuracy:.4f}, the least asked for "
            "(parameter min_accuracy)"
        )
    # 0.97 - 0.95 is a little more than 0.02 in floating point: that is not what is meant.
    allowed = max_drop + 1e-9
    if in_service_accuracy is not None and in_service_accuracy - accuracy > allowed:
        reasons.append(
            f"accuracy {accuracy:.4f} is {in_service_accuracy - accuracy:.4f} below the "
            f"{in_service_accuracy:.4f} of {in_service}, the model in service; at most "
            f"{max_drop:.4f} is allowed (parameter max_drop)"
        )
    return Verdict(min_accuracy, max_drop, in_service, in_service_accuracy, reasons)
