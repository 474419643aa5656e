"""Clusters are named, models measured, and a decision made."""

import io

import numpy as np
import pytest
from PIL import Image

from digits.evaluate import judge, measure, nearest
from digits.picture import draw
from tradewind.errors import InputError


def rows(*pairs):
    """A batch: (where on a line, which digit) for each picture."""
    places, digits = zip(*pairs, strict=True)
    images = np.zeros((len(pairs), 4), np.float32)
    images[:, 0] = places
    return images, np.array(digits, np.float32)


def line(*places):
    centroids = np.zeros((len(places), 4), np.float32)
    centroids[:, 0] = places
    return centroids


def test_nearest_is_the_nearest():
    random = np.random.default_rng(1)
    images, centroids = (random.random((n, 784), dtype=np.float32) for n in (50, 20))
    squares = ((images[:, None] - centroids) ** 2).sum(2)
    clusters, distances = nearest(images, centroids)
    assert np.array_equal(clusters, squares.argmin(1))
    assert np.allclose(distances, squares.min(1), rtol=1e-4)


def test_a_cluster_is_named_by_the_majority_of_its_training_pictures():
    figures = measure(
        line(0, 10),
        [rows((0, 3), (1, 3), (-1, 5)), rows((10, 7))],
        [rows((0, 3), (9, 7), (11, 3))],
    )
    assert list(figures.labels) == [3, 7]
    assert list(figures.members) == [3, 1]
    assert list(figures.purity) == pytest.approx([2 / 3, 1])
    assert figures.accuracy == pytest.approx(2 / 3)
    assert figures.confusion[3, 7] == 1
    assert figures.confusion.sum() == 3
    assert figures.rows == {"train": 4, "test": 3}
    assert figures.msd == pytest.approx({"train": 2 / 4, "test": 2 / 3})


def test_a_tie_goes_to_the_digit_that_lies_nearer():
    figures = measure(line(0), [rows((2, 1), (-1, 8))], [rows((0, 8))])
    assert list(figures.labels) == [8]


def test_an_empty_cluster_takes_the_name_of_its_nearest_neighbour():
    # The middle centroid has no training picture and lies nearer to the right one.
    figures = measure(line(0, 60, 100), [rows((0, 4), (100, 9))], [rows((61, 9))])
    assert list(figures.labels) == [4, 9, 9]
    assert list(figures.members) == [1, 0, 1]
    assert figures.purity[1] == 0
    assert figures.accuracy == 1


def test_figures_add_up_as_json():
    report = measure(line(0, 10), [rows((0, 3), (10, 7))], [rows((0, 3), (9, 3))]).as_json()
    assert report["accuracy"] == 0.5
    assert report["digits"]["3"] == {"tested": 2, "recognised": 1, "accuracy": 0.5}
    assert report["digits"]["0"]["accuracy"] is None
    assert report["labels"] == [3, 7]
    assert report["k"] == 2
    assert sum(map(sum, report["confusion"])) == 2


@pytest.mark.parametrize(
    ("train", "test", "message"),
    [
        ([], [rows((0, 1))], "train channel has no pictures"),
        ([rows((0, 1))], [], "test channel has no pictures"),
        ([(rows((0, 1))[0], None)], [], "no labels"),
        ([rows((0, 10))], [], "not digits"),
        ([rows((0, 1.5))], [], "not digits"),
        ([rows((0, -1))], [], "not digits"),
        ([(np.zeros((1, 5), np.float32), np.zeros(1))], [], "trained on other data"),
    ],
)
def test_what_cannot_be_measured_is_named(train, test, message):
    with pytest.raises(InputError, match=message):
        measure(line(0), train, test)


def test_a_good_model_passes():
    assert judge(0.95, min_accuracy=0.9, max_drop=0.02).passed
    alike = judge(0.95, min_accuracy=0.9, max_drop=0.02, in_service="old", in_service_accuracy=0.97)
    assert alike.passed
    assert alike.as_json()["in_service"] == "old"


def test_rejections_carry_the_figures():
    low = judge(0.8, min_accuracy=0.9, max_drop=1)
    assert not low.passed
    assert low.reasons == [
        "accuracy 0.8000 is below 0.9000, the least asked for (parameter min_accuracy)"
    ]
    worse = judge(0.92, min_accuracy=0.9, max_drop=0.02, in_service="old", in_service_accuracy=0.95)
    assert len(worse.reasons) == 1
    for figure in ("0.9200", "0.9500", "0.0300", "0.0200", "old", "max_drop"):
        assert figure in worse.reasons[0]
    both = judge(0.5, min_accuracy=0.9, max_drop=0.1, in_service="old", in_service_accuracy=0.95)
    assert len(both.reasons) == 2


@pytest.mark.parametrize("k", [1, 10, 37])
def test_a_judgement_is_drawn(k):
    centroids = np.random.default_rng(0).random((k, 784), dtype=np.float32)
    batch = (centroids, np.arange(k, dtype=np.float32) % 10)
    figures = measure(centroids, [batch], [batch])
    picture = draw(figures, centroids, "digits-2026-01-01")
    with Image.open(io.BytesIO(picture)) as image:
        assert image.format == "PNG"
        assert image.size == (1680, 840)
        assert len(image.convert("RGB").getcolors(1 << 20)) > 50
    assert picture == draw(figures, centroids, "digits-2026-01-01")
