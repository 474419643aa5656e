import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.cluster import KMeans

from sagemaker_local.algorithms.kmeans import cluster

numbers = st.floats(-1000, 1000, width=32)


def blobs(n=3000, k=8, d=6, seed=0):
    rng = np.random.default_rng(seed)
    middles = rng.normal(size=(k, d)) * 10
    rows = middles[rng.integers(0, k, n)] + rng.normal(size=(n, d))
    return rows.astype(np.float32), middles


@given(
    hnp.arrays(np.float32, (20, 3), elements=numbers),
    hnp.arrays(np.float32, (5, 3), elements=numbers),
)
def test_nearest_is_the_nearest(rows, centres):
    labels, squares = cluster.nearest(rows, centres)
    true = ((rows[:, None].astype(np.float64) - centres[None]) ** 2).sum(axis=2)
    size = 1 + (rows.astype(np.float64) ** 2).max() + (centres.astype(np.float64) ** 2).max()
    assert (true[np.arange(20), labels] - true.min(axis=1) <= 1e-5 * size).all()
    assert (np.abs(squares - true.min(axis=1)) <= 1e-5 * size).all()
    assert (squares >= 0).all()


def test_lloyd_is_that_of_scikit_learn():
    rows, middles = blobs()
    weights = np.random.default_rng(1).integers(1, 5, len(rows)).astype(np.float64)
    first = (middles + 1).astype(np.float32)
    centres, loss = cluster.lloyd(rows, weights, first, max_iter=100, tol=0)
    theirs = KMeans(8, init=first, n_init=1, max_iter=100, tol=0).fit(rows, sample_weight=weights)
    np.testing.assert_allclose(centres, theirs.cluster_centers_, rtol=1e-3, atol=1e-3)
    assert loss == pytest.approx(theirs.inertia_ / weights.sum(), rel=1e-4)


def test_lloyd_fills_an_empty_cluster():
    rows, _ = blobs()
    first = np.concatenate([rows[:7], np.full((1, 6), 1e4, np.float32)])
    centres, _ = cluster.lloyd(rows, np.ones(len(rows)), first, max_iter=100, tol=0)
    labels, _ = cluster.nearest(rows, centres)
    assert len(np.unique(labels)) == 8


@pytest.mark.parametrize("with_products", [True, False])
def test_kmeans_plusplus_finds_every_blob(with_products, monkeypatch):
    if not with_products:
        monkeypatch.setattr(cluster, "_GRAM_POINTS", 0)
    rows, middles = blobs(seed=3)
    chosen = cluster.kmeans_plusplus(rows, np.ones(len(rows)), 8, np.random.default_rng(0), tries=4)
    nearest, _ = cluster.nearest(rows[chosen], middles.astype(np.float32))
    assert len(np.unique(nearest)) == 8


def test_kmeans_plusplus_with_fewer_distinct_points_than_centres():
    points = np.repeat(np.eye(3, dtype=np.float32), 4, axis=0)
    chosen = cluster.kmeans_plusplus(points, np.ones(12), 7, np.random.default_rng(0))
    assert len(np.unique(points[chosen], axis=0)) == 3
    assert len(chosen) == 7


def test_reduce_keeps_the_best_of_its_runs():
    rows, _ = blobs(k=30)
    losses = []
    for init in ("kmeans++", "random"):
        losses.clear()
        centres, loss = cluster.reduce_centres(
            rows, np.ones(len(rows)), 30, init=init, trials=5, max_iter=50, tol=1e-4,
            rng=np.random.default_rng(0), report=lambda trial, loss: losses.append((trial, loss)),
        )  # fmt: skip
        assert [trial for trial, _ in losses] == [0, 1, 2, 3, 4]
        assert loss == min(value for _, value in losses)
        assert centres.shape == (30, 6)


@pytest.mark.parametrize("batch", [1, 7, 40, 1000])
@pytest.mark.parametrize("step", [1, 3, 40, 500])
def test_mini_batches_do_not_depend_on_how_the_rows_come(batch, step):
    """Each centre moves as the paper says, however the rows are cut."""
    rows = np.random.default_rng(5).normal(size=(500, 3)).astype(np.float32)
    online = cluster.OnlineCentres(rows[:3], batch=batch, half_life=0)
    for start in range(0, len(rows), step):
        online.add(rows[start : start + step])
    online.flush()

    centres, weights = rows[:3].astype(np.float64), np.zeros(3)
    for start in range(0, len(rows), batch):
        part = rows[start : start + batch]
        labels, _ = cluster.nearest(part, centres.astype(np.float32))
        for number in range(3):
            mine = part[labels == number]
            if len(mine):
                p = len(mine) / (weights[number] + len(mine))
                centres[number] = (1 - p) * centres[number] + p * mine.mean(0, np.float64)
                weights[number] += len(mine)
        centres = centres.astype(np.float32).astype(np.float64)
    np.testing.assert_array_equal(online.weights, weights)
    np.testing.assert_allclose(online.centres, centres, rtol=1e-4, atol=1e-5)


def test_without_half_life_a_centre_is_the_mean_of_all_its_rows():
    rows, _ = blobs()
    online = cluster.OnlineCentres(np.zeros((1, 6), np.float32), batch=100, half_life=0)
    online.add(rows)
    online.flush()
    np.testing.assert_allclose(online.centres[0], rows.mean(axis=0), rtol=1e-4)
    assert online.weights[0] == len(rows)


def test_half_life_halves_the_weight_of_old_rows():
    online = cluster.OnlineCentres(np.zeros((1, 1), np.float32), batch=10, half_life=10)
    online.add(np.zeros((10, 1), np.float32))
    online.add(np.ones((10, 1), np.float32))
    assert online.weights[0] == 15
    assert online.centres[0, 0] == pytest.approx(10 / 15)


def test_quality_is_the_sum_and_mean_of_squared_distances():
    quality = cluster.Quality()
    assert quality.msd == 0
    centres = np.array([[0, 0], [10, 0]], np.float32)
    quality.add(np.array([[1, 0], [10, 2]], np.float32), centres)
    other = cluster.Quality()
    other.add(np.array([[0, 3]], np.float32), centres)
    quality.merge(other)
    assert (quality.ssd, quality.rows, quality.msd) == (14, 3, pytest.approx(14 / 3))
