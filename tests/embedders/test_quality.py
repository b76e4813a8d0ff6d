"""How sensible the neighbours are: a number, on real photos, beside what needs no network.

Leave-one-out: each of the 45 product photos asks for its nearest other photo, and is right when
that one has its category (of eight).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lookalike.demo import DemoPhoto
from lookalike.embedders import lite0
from lookalike.embedders.images.decode import decode

Vectors = NDArray[np.floating]


def pixels(images: list[Image.Image]) -> Vectors:
    """32 x 32 pixels, centred: what looks alike to a ruler."""
    rows = [np.asarray(image.resize((32, 32)), np.float32).ravel() for image in images]
    return np.stack([row - row.mean() for row in rows])


def colours(images: list[Image.Image]) -> Vectors:
    """The square roots of a histogram of hue, saturation and value, 8 x 4 x 4."""
    bins = [(0, 256)] * 3
    rows = [
        np.histogramdd(np.asarray(i.convert("HSV")).reshape(-1, 3), (8, 4, 4), bins)[0].ravel()
        for i in images
    ]
    counts: Vectors = np.stack(rows)
    return np.sqrt(counts)


def nearest_has_same(labels: NDArray[np.str_], vectors: Vectors) -> tuple[float, float]:
    """The share of photos whose nearest is of their kind, and the mean average precision."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    similarity = unit @ unit.T
    np.fill_diagonal(similarity, -np.inf)
    order = np.argsort(-similarity, axis=1)[:, :-1]
    hits = labels[order] == labels[:, None]
    precision = np.cumsum(hits, axis=1) / np.arange(1, hits.shape[1] + 1)
    average = (precision * hits).sum(axis=1) / np.maximum(hits.sum(axis=1), 1)
    return float(hits[:, 0].mean()), float(average.mean())


def test_categories_of_product_photos(products: list[DemoPhoto], network: lite0.Lite0) -> None:
    assert len(products) == 45
    images = [decode(p.image, max_pixels=2**21, image_px=network.image_px) for p in products]
    labels = np.array([product.category for product in products])
    assert len(set(labels.tolist())) == 8
    ways: dict[str, Callable[[list[Image.Image]], Vectors]] = {
        "lite0": network.embed_images,
        "32 x 32 pixels": pixels,
        "colours": colours,
    }
    scores = {name: nearest_has_same(labels, embed(images)) for name, embed in ways.items()}
    for name, (first, average) in scores.items():
        print(f"\n{name:>16}: nearest of the same category {first:.3f}, mAP {average:.3f}", end="")
    print()
    first, average = scores["lite0"]
    assert first >= 0.90
    assert average >= 0.80
    assert all(average > other[1] + 0.1 for name, other in scores.items() if name != "lite0")


def test_rooms_of_one_series_find_each_other(
    interiors: dict[str, bytes], network: lite0.Lite0
) -> None:
    """Three photos of one room among 39 of rooms: each has another one as its nearest."""
    images = [decode(d, max_pixels=2**24, image_px=network.image_px) for d in interiors.values()]
    vectors = network.embed_images(images)
    similarity = vectors @ vectors.T
    np.fill_diagonal(similarity, -1)
    names = list(interiors)
    series = {f"pexels-{number}.jpg" for number in (7303992, 7303994, 7303995)}
    for name in series:
        nearest = names[int(similarity[names.index(name)].argmax())]
        assert nearest in series, (name, nearest)


def test_an_altered_copy_finds_its_original(
    interiors: dict[str, bytes], network: lite0.Lite0
) -> None:
    """Mirrored, cut by a fifth, turned grey: the original is (nearly) always the nearest of 39."""
    images = [decode(d, max_pixels=2**24, image_px=network.image_px) for d in interiors.values()]
    originals = network.embed_images(images)
    changes: dict[str, Callable[[Image.Image], Image.Image]] = {
        "mirrored": lambda i: i.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        "cut by a fifth": lambda i: i.crop((i.width // 10, i.height // 10, i.width, i.height)),
        "grey": lambda i: i.convert("L").convert("RGB"),
        "96 pixels": lambda i: i.resize((96, 96 * i.height // i.width)),
    }
    print()
    for name, change in changes.items():
        copies = network.embed_images([change(image) for image in images])
        right = (copies @ originals.T).argmax(axis=1) == np.arange(len(images))
        print(f"{name:>16}: found {right.mean():.3f}")
        assert right.mean() >= 0.9, name
