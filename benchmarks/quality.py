"""How good the neighbours are: every embedder on real labelled images, beside simple baselines.

Leave-one-out: each image asks for the others. `recall@1`: the nearest has its label; `P@5`: the
share of the five nearest that have; `mAP`: the mean over the images of the average precision. An
altered copy asks for its original among all rooms. In brackets: 95 % of 1,000 bootstrap samples
of the images that ask; where few ask, that is much.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.labelled_images import STAMPS_HOW, copies, products, rooms, stamps
from lookalike.api.settings import from_environment
from lookalike.embedders.embedder_errors import EmbedderError
from lookalike.embedders.images.decoding import decode_image
from lookalike.embedders.phash import structure_bits
from lookalike.embedders.protocol import Embedder
from lookalike.embedders.registry import installed

Floats = NDArray[Any]
Embed = Callable[[Sequence[Image.Image]], Floats]

MAX_PIXELS = 2**26
SAMPLES = 1000


class Way(NamedTuple):
    """A way to compare images."""

    name: str
    image_px: int
    distance: str
    embed: Embed


class Score(NamedTuple):
    """One number for each image that asks, 0 to 1."""

    first: Floats
    of_five: Floats
    average_precision: Floats


class Task(NamedTuple):
    """What is asked for, and how well a way answers it."""

    name: str
    score: Callable[[Way], Score]


def main() -> None:
    named, ways = tasks(), [*embedders(), *baselines()]
    for task in named:
        print(f"\n{task.name}\n{'':16}  recall@1             P@5                  mAP")
        for way in ways:
            score = task.score(way)
            print(f"{way.name:16}" + "".join(f"  {with_interval(part):19}" for part in score))


def tasks() -> list[Task]:
    categories, same_product = products()
    found = [
        Task("category of product photos (45 photos, 8 categories)", leave_one_out(*categories)),
        Task("another photo of the same product (23 of 45 photos)", leave_one_out(*same_product)),
        Task(
            "altered copies (39 photos of rooms, 6 alterations; P@5 is 0.2 at best)",
            _copies(rooms()),
        ),
    ]
    if (cut_out := stamps()) is None:
        print(STAMPS_HOW)
        return found
    count, classes = len(cut_out.data), len(set(cut_out.labels))
    stamped = Task(f"class of stamps ({count} photos, {classes} classes)", leave_one_out(*cut_out))
    return [found[0], stamped, *found[1:]]


def embedders() -> Iterator[Way]:
    """Every installed one that can be loaded with the settings of the environment."""
    options = from_environment().embedder_options
    with tempfile.TemporaryDirectory() as folder:
        for point in installed():
            try:
                embedder: Embedder = point.load()(Path(folder), **options.get(point.name, {}))
            except EmbedderError as error:
                print(f"without {point.name}: {error.text}")
                continue
            yield Way(point.name, embedder.image_px, embedder.distance, embedder.embed_images)


def baselines() -> Iterator[Way]:
    """What needs no network and little thought."""
    yield Way("HSV histogram", 128, "cosine", _hsv)
    yield Way("32 x 32 pixels", 64, "cosine", _pixels)
    yield Way(
        "pHash, 64 bits",
        128,
        "manhattan",
        lambda images: np.stack([structure_bits(image).astype(np.float32) for image in images]),
    )


def score_neighbours(similarity: Floats, relevant: NDArray[np.bool_]) -> Score:
    """Both of shape (queries, images); the rows without any relevant image ask nothing.

    An image that must not be found, as the one that asks, has a similarity of -inf.
    """
    similarity, relevant = similarity[relevant.any(1)], relevant[relevant.any(1)]
    order = np.argsort(-similarity, axis=1, kind="stable")
    hits = np.take_along_axis(relevant, order, axis=1)
    precision = np.cumsum(hits, axis=1) / np.arange(1, hits.shape[1] + 1)
    average = (precision * hits).sum(1) / hits.sum(1)
    return Score(hits[:, 0].astype(float), hits[:, :5].mean(1), average)


def similarities(queries: Floats, images: Floats, distance: str) -> Floats:
    """(queries, images); greater is more alike."""
    if distance == "manhattan":
        return -np.asarray([np.abs(images - query).sum(-1) for query in queries])
    if distance == "euclid":
        return -np.asarray([np.linalg.norm(images - query, axis=-1) for query in queries])
    if distance == "cosine":
        queries = queries / np.linalg.norm(queries, axis=1, keepdims=True)
        images = images / np.linalg.norm(images, axis=1, keepdims=True)
    return np.asarray(queries @ images.T)


def interval(values: Floats, samples: int = SAMPLES) -> tuple[float, float]:
    """The middle 95 % of the means of bootstrap samples."""
    chosen = np.random.default_rng(1).integers(0, len(values), (samples, len(values)))
    low, high = np.percentile(values[chosen].mean(1), [2.5, 97.5])
    return float(low), float(high)


def leave_one_out(data: Sequence[bytes], labels: Sequence[str]) -> Callable[[Way], Score]:
    names = np.array(labels)
    relevant = names[:, None] == names
    np.fill_diagonal(relevant, False)

    def score(way: Way) -> Score:
        vectors = way.embed(decoded(data, way.image_px))
        similarity = similarities(vectors, vectors, way.distance)
        np.fill_diagonal(similarity, -np.inf)
        return score_neighbours(similarity, relevant)

    return score


def _copies(data: Sequence[bytes]) -> Callable[[Way], Score]:
    def score(way: Way) -> Score:
        images = decoded(data, way.image_px)
        changed = [change(image) for change in copies().values() for image in images]
        similarity = similarities(way.embed(changed), way.embed(images), way.distance)
        return score_neighbours(similarity, np.tile(np.eye(len(images), dtype=bool), (6, 1)))

    return score


def decoded(data: Sequence[bytes], image_px: int) -> list[Image.Image]:
    return [decode_image(one, max_pixels=MAX_PIXELS, image_px=image_px) for one in data]


def _hsv(images: Sequence[Image.Image]) -> Floats:
    """Square roots of a histogram of hue, saturation and value, 8 x 4 x 4."""
    rows = [
        np.histogramdd(np.asarray(i.convert("HSV")).reshape(-1, 3), (8, 4, 4), [(0, 256)] * 3)[0]
        for i in images
    ]
    return np.sqrt(np.reshape(rows, (len(rows), -1)))


def _pixels(images: Sequence[Image.Image]) -> Floats:
    """32 x 32 pixels, centred."""
    rows = np.stack([np.asarray(i.resize((32, 32)), np.float32).ravel() for i in images])
    return np.asarray(rows - rows.mean(1, keepdims=True))


def with_interval(values: Floats) -> str:
    """The mean and its interval; of no image that asks there is none."""
    if not len(values):
        return "nothing measured"
    low, high = interval(values)
    return f"{values.mean():.3f} ({low:.2f}-{high:.2f})"
