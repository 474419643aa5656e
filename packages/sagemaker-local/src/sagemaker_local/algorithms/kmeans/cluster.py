"""The numeric part of k-means: web-scale mini-batches, then Lloyd on the weighted centres.

After https://docs.aws.amazon.com/sagemaker/latest/dg/algo-kmeans-tech-notes.html and D. Sculley,
"Web-scale k-means clustering" (WWW 2010): more centres than wanted (K = k * x) follow the data in
one or more passes, each the mean of the rows it was closest to; at the end k-means reduces these
K weighted centres to k.

All heavy work is single precision matrix multiplication by numpy's BLAS, which uses every core.
scikit-learn has the parts too, but importing its ``cluster`` module costs several times what a
small job takes, and measured side by side its mini-batch k-means is slower (bench/bench_kmeans.py).
The same data in the same order always gives the same centres.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["OnlineCentres", "Quality", "kmeans_plusplus", "lloyd", "nearest", "reduce_centres"]

Matrix = npt.NDArray[np.float32]
Vector = npt.NDArray[Any]

# Rows are compared with all centres block by block: 4M distances are 16 MB, which the matrix
# multiplication still needs to be efficient and which does not matter for memory.
_BLOCK_VALUES = 4 * 1024 * 1024
# Up to so many points, all their inner products (256 MB at most) are computed once for seeding.
_GRAM_POINTS = 8192


def squared_norms(rows: Matrix) -> Matrix:
    """Return the squared Euclidean norm of each row, shape (rows,)."""
    norms: Matrix = np.einsum("ij,ij->i", rows, rows)
    return norms


def nearest(rows: Matrix, centres: Matrix) -> tuple[npt.NDArray[np.intp], Matrix]:
    """Return the closest centre of each row and the squared distance to it.

    Args:
        rows: Shape (rows, d).
        centres: Shape (k, d).

    Returns:
        Numbers of centres and squared distances, each of shape (rows,).
    """
    # |x - c|^2 = |x|^2 + (|c|^2 - 2xc): only what is in parentheses decides.
    doubled = np.ascontiguousarray(-2 * centres.T)
    norms = squared_norms(centres)
    labels = np.empty(len(rows), np.intp)
    squares = squared_norms(rows)
    block = max(1, _BLOCK_VALUES // len(centres))
    for start in range(0, len(rows), block):
        scores = rows[start : start + block] @ doubled
        scores += norms
        closest = scores.argmin(axis=1)
        labels[start : start + block] = closest
        squares[start : start + block] += np.take_along_axis(scores, closest[:, None], 1)[:, 0]
    return labels, np.maximum(squares, 0, out=squares)


def _sums(
    rows: Matrix, labels: npt.NDArray[np.intp], weights: Vector | None = None
) -> tuple[npt.NDArray[np.intp], Matrix, npt.NDArray[np.float64]]:
    """Return the labels that occur, the (weighted) sum of their rows, and their total weight."""
    order = np.argsort(labels, kind="stable")
    ordered = labels[order]
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    grouped = rows[order]
    if weights is None:
        totals = np.diff(np.append(starts, len(labels))).astype(np.float64)
    else:
        grouped *= weights[order].astype(np.float32)[:, None]
        totals = np.add.reduceat(weights[order].astype(np.float64), starts)
    sums: Matrix = np.add.reduceat(grouped, starts, axis=0)
    return ordered[starts], sums, totals


def kmeans_plusplus(
    points: Matrix,
    weights: Vector,
    k: int,
    rng: np.random.Generator,
    *,
    tries: int = 1,
    products: Matrix | None = None,
) -> npt.NDArray[np.intp]:
    """Choose k of the points as first centres, far apart (D. Arthur, S. Vassilvitskii, 2007).

    Args:
        points: Shape (n, d), n at least k.
        weights: How many rows each point stands for, shape (n,).
        k: How many.
        rng: Where the choice comes from.
        tries: Candidates for each centre, of which the best is taken.
        products: ``points @ points.T`` when it is at hand.

    Returns:
        k row numbers, repeated only when fewer than k points differ.
    """
    norms = squared_norms(points)
    if products is None and len(points) <= _GRAM_POINTS:
        products = points @ points.T
    weights = weights.astype(np.float64)

    def distances(candidates: npt.NDArray[np.intp]) -> Matrix:
        inner = points[candidates] @ points.T if products is None else products[candidates]
        return np.maximum(norms + norms[candidates, None] - 2 * inner, 0)

    first = rng.choice(len(points), p=weights / weights.sum())
    chosen = np.empty(k, np.intp)
    chosen[0] = first
    closest = distances(chosen[:1])[0]
    for number in range(1, k):
        cumulative = np.cumsum(closest * weights)
        if cumulative[-1] <= 0:  # every point is a centre already
            chosen[number:] = rng.choice(len(points), k - number)
            break
        drawn = np.searchsorted(cumulative, rng.random(tries) * cumulative[-1], side="right")
        candidates = np.minimum(drawn, len(points) - 1)
        updated = np.minimum(closest, distances(candidates))
        best = int((updated @ weights).argmin()) if tries > 1 else 0
        chosen[number], closest = candidates[best], updated[best]
    return chosen


def lloyd(
    points: Matrix, weights: Vector, centres: Matrix, *, max_iter: int, tol: float
) -> tuple[Matrix, float]:
    """Improve centres by Lloyd's algorithm on weighted points.

    Args:
        points: Shape (n, d).
        weights: Shape (n,).
        centres: Where to begin, shape (k, d).
        max_iter: Most iterations.
        tol: Stops when the loss falls by less than this part of itself.

    Returns:
        The centres, and the loss: weighted mean of the squared distances, before the last
        improvement.
    """
    centres = centres.copy()
    total = float(weights.sum())
    loss = np.inf
    for _ in range(max_iter):
        labels, squares = nearest(points, centres)
        before, loss = loss, float(squares @ weights) / total
        if before - loss <= tol * before and before < np.inf:
            break
        occurring, sums, totals = _sums(points, labels, weights)
        centres[occurring] = sums / totals[:, None]
        if len(occurring) < len(centres):  # an empty cluster takes the worst placed point
            empty = np.setdiff1d(np.arange(len(centres)), occurring)
            worst = np.argsort(squares * weights)[::-1][: len(empty)]
            centres[empty[: len(worst)]] = points[worst]
    return centres, loss


class OnlineCentres:
    """K centres that follow a stream of rows in mini-batches.

    Each mini-batch is compared with the centres as they were at its beginning; then a centre moves
    by p = new / (old + new): c <- (1 - p) c + p * mean of its rows.

    Memory: K x d floats three times, whatever the size of a mini-batch.

    Args:
        centres: The first centres, shape (K, d).
        batch: Rows of a mini-batch.
        half_life: After so many rows the weight of a row is halved; 0 for never.
    """

    def __init__(self, centres: Matrix, *, batch: int, half_life: int) -> None:
        self.centres = centres.copy()
        self.weights = np.zeros(len(centres), np.float64)
        self._batch = batch
        self._half_life = half_life
        self._sums = np.zeros(centres.shape, np.float64)
        self._counts = np.zeros(len(centres), np.float64)
        self._seen = 0

    def add(self, rows: Matrix) -> None:
        """Take in rows, shape (n, d); every full mini-batch moves the centres."""
        while len(rows):
            part = rows[: self._batch - self._seen]
            labels, _ = nearest(part, self.centres)
            occurring, sums, totals = _sums(part, labels)
            self._sums[occurring] += sums
            self._counts[occurring] += totals
            self._seen += len(part)
            if self._seen == self._batch:
                self.flush()
            rows = rows[len(part) :]

    def flush(self) -> None:
        """Let the rows since the last full mini-batch move the centres, too."""
        if not self._seen:
            return
        if self._half_life:
            self.weights *= 0.5 ** (self._seen / self._half_life)
        moved = self._counts > 0
        new = self._counts[moved]
        p = (new / (self.weights[moved] + new))[:, None]
        means = self._sums[moved] / new[:, None]
        self.centres[moved] = (1 - p) * self.centres[moved] + p * means
        self.weights += self._counts
        self._sums[:] = 0
        self._counts[:] = 0
        self._seen = 0


class Quality:
    """Sum and mean of squared distances of a stream of rows to their closest centres."""

    def __init__(self) -> None:
        self.ssd = 0.0
        self.rows = 0

    def add(self, rows: Matrix, centres: Matrix) -> None:
        """Take in rows, shape (n, d)."""
        _, squares = nearest(rows, centres)
        self.ssd += float(squares.sum(dtype=np.float64))
        self.rows += len(rows)

    def merge(self, other: Quality) -> None:
        """Take in what another has measured on other rows."""
        self.ssd += other.ssd
        self.rows += other.rows

    @property
    def msd(self) -> float:
        """Mean squared distance; 0 when there was no row."""
        return self.ssd / self.rows if self.rows else 0.0


def reduce_centres(
    points: Matrix,
    weights: Vector,
    k: int,
    *,
    init: str,
    trials: int,
    max_iter: int,
    tol: float,
    rng: np.random.Generator,
    report: Callable[[int, float], None],
) -> tuple[Matrix, float]:
    """Reduce weighted points to k centres: the best of several runs of Lloyd's algorithm.

    Args:
        points: Shape (n, d), n at least k.
        weights: Shape (n,), all positive.
        k: How many centres.
        init: ``kmeans++`` or ``random``.
        trials: How many runs.
        max_iter: Most iterations of one run.
        tol: Stops a run when the loss falls by less than this part of itself.
        rng: Where chance comes from.
        report: Called with the number and the loss of each run.

    Returns:
        The centres, shape (k, d), and their loss on the points.
    """
    products = points @ points.T if init == "kmeans++" and len(points) <= _GRAM_POINTS else None
    best: tuple[Matrix, float] | None = None
    for trial in range(trials):
        if init == "kmeans++":
            tries = 2 + int(np.log(k))  # as the authors of k-means++ and scikit-learn do
            first = kmeans_plusplus(points, weights, k, rng, tries=tries, products=products)
        else:
            first = rng.choice(len(points), k, replace=False)
        run = lloyd(points, weights, points[first], max_iter=max_iter, tol=tol)
        report(trial, run[1])
        if best is None or run[1] < best[1]:
            best = run
    assert best is not None  # noqa: S101 - hyperparameters admit no 0 trials
    return best
