"""How sensible the neighbours are: numbers, on real images, beside what needs no embedder.

Of the embedders that new collections get: `product` for products, `lite0-384` for all others.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.quality import (
    Way,
    baselines,
    interval,
    leave_one_out,
    score_neighbours,
    similarities,
    with_interval,
)
from lookalike.cli.demo_images import DemoImage
from lookalike.embedders import compact, product
from lookalike.embedders.images.decoding import decode_image
from lookalike.embedders.protocol import Embedder


@pytest.fixture(scope="module", params=[compact, product], ids=lambda module: module.NAME)
def embedder(request: pytest.FixtureRequest, cache_folder: Path) -> Embedder:
    loaded: Embedder = request.param.load(cache_folder)
    return loaded


def test_categories_of_product_images(products: list[DemoImage], embedder: Embedder) -> None:
    """Leave-one-out: each of the 45 images asks for its category, one of eight."""
    ask = leave_one_out([p.image for p in products], [p.category for p in products])
    ways = [Way(embedder.name, embedder.image_px, "cosine", embedder.embed_images), *baselines()]
    scores = {way.name: ask(way) for way in ways}
    print()
    for name, (first, _, average) in scores.items():
        print(f"{name:>16}: recall@1 {first.mean():.3f}, mAP {average.mean():.3f}")
    first, _, average = scores.pop(embedder.name)
    assert len(first) == 45
    assert first.mean() >= 0.95
    assert average.mean() >= 0.80
    assert all(average.mean() > score.average_precision.mean() for score in scores.values())


def test_rooms_of_one_series_find_each_other(
    interiors: dict[str, bytes], embedder: Embedder
) -> None:
    """Three images of one room among 39 of rooms: each has another one as its nearest."""
    images = [
        decode_image(d, max_pixels=2**24, image_px=embedder.image_px) for d in interiors.values()
    ]
    vectors = embedder.embed_images(images)
    similarity = vectors @ vectors.T
    np.fill_diagonal(similarity, -1)
    names = list(interiors)
    series = {f"pexels-{number}.jpg" for number in (7303992, 7303994, 7303995)}
    for name in series:
        nearest = names[int(similarity[names.index(name)].argmax())]
        assert nearest in series, (name, nearest)


def test_an_altered_copy_finds_its_original(
    interiors: dict[str, bytes], embedder: Embedder
) -> None:
    """Mirrored, cut by a fifth, turned grey: the original is (nearly) always the nearest of 39."""
    images = [
        decode_image(d, max_pixels=2**24, image_px=embedder.image_px) for d in interiors.values()
    ]
    originals = embedder.embed_images(images)
    changes: dict[str, Callable[[Image.Image], Image.Image]] = {
        "mirrored": lambda i: i.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        "cut by a fifth": lambda i: i.crop((i.width // 10, i.height // 10, i.width, i.height)),
        "grey": lambda i: i.convert("L").convert("RGB"),
        "96 pixels": lambda i: i.resize((96, 96 * i.height // i.width)),
    }
    print()
    for name, change in changes.items():
        copies = embedder.embed_images([change(image) for image in images])
        right = (copies @ originals.T).argmax(axis=1) == np.arange(len(images))
        print(f"{name:>16}: found {right.mean():.3f}")
        assert right.mean() >= 0.9, name


def test_scores_by_hand() -> None:
    """Four images ask: found at once; second; third and fourth; one has nothing to find."""
    similarity = np.array([[4, 3, 2, 1, 0, -np.inf]] * 4, float)
    relevant = np.zeros((4, 6), bool)
    relevant[0, 0] = relevant[1, 1] = relevant[2, 2] = relevant[2, 3] = True
    first, of_five, average = score_neighbours(similarity, relevant)
    np.testing.assert_allclose(first, [1, 0, 0])
    np.testing.assert_allclose(of_five, [0.2, 0.2, 0.4])
    np.testing.assert_allclose(average, [1, 1 / 2, (1 / 3 + 2 / 4) / 2])


@pytest.mark.parametrize(
    ("distance", "nearest"), [("cosine", 0), ("dot", 1), ("euclid", 2), ("manhattan", 2)]
)
def test_every_distance(distance: str, nearest: int) -> None:
    rows = np.array([[0.1, 0.1], [9, 0], [1, 0.4]])
    found = similarities(np.array([[1.0, 1.0]]), rows, distance)
    assert found.shape == (1, 3)
    assert int(found.argmax()) == nearest


def test_an_interval_holds_the_mean_and_shrinks_with_more_images() -> None:
    few, many = np.array([0.0, 1.0] * 10), np.array([0.0, 1.0] * 1000)
    low, high = interval(few)
    assert 0.2 < low < 0.4 < 0.6 < high < 0.8
    assert interval(many)[1] - interval(many)[0] < (high - low) / 5


def test_where_no_image_asks_nothing_is_measured() -> None:
    score = score_neighbours(np.zeros((3, 3)), np.zeros((3, 3), bool))
    assert [with_interval(part) for part in score] == ["nothing measured"] * 3
    assert with_interval(np.array([0.0, 1.0])).startswith("0.500 ")
