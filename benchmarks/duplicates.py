"""Near duplicates: how many copies lie within a radius, and how many different images do."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageOps

from benchmarks.labelled_images import Change, products, rooms
from benchmarks.quality import decoded
from lookalike.embedders import colors, compact, lite0, product
from lookalike.embedders.protocol import Embedder

RADII = (0.01, 0.03, 0.05, 0.07, 0.1)
LOADERS: list[Callable[[Path], Embedder]] = [lite0.load, compact.load, product.load, colors.load]


class Apart(NamedTuple):
    """Cosine distances."""

    copies: dict[str, NDArray[np.float32]]
    """Of each image from its copy, by what was done to it."""
    different: NDArray[np.float32]
    """Of all pairs of images."""


def main() -> None:
    sets = {"45 photos of products": products()[0].data, "39 photos of rooms": rooms()}
    with tempfile.TemporaryDirectory() as folder:
        embedders = [load(Path(folder)) for load in LOADERS]
    for name, data in sets.items():
        print(f"\n{name}, {len(data) * (len(data) - 1) // 2} pairs; found: {', '.join(CHANGES)}")
        for embedder in embedders:
            apart = measure(embedder, decoded(data, embedder.image_px))
            for radius in RADII:
                found = "  ".join(f"{(d <= radius).mean():.2f}" for d in apart.copies.values())
                merged = (apart.different <= radius).sum()
                print(f"{embedder.name:10} {radius:.2f}  {found}  {merged} pairs taken for copies")


def measure(embedder: Embedder, images: list[Image.Image]) -> Apart:
    vectors = embedder.embed_images(images)
    copies = {
        name: 1 - (embedder.embed_images([change(image) for image in images]) * vectors).sum(1)
        for name, change in CHANGES.items()
    }
    return Apart(copies, (1 - vectors @ vectors.T)[np.triu_indices(len(vectors), 1)])


def _jpeg(image: Image.Image) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=30)
    return Image.open(file).convert("RGB")


def _cut(image: Image.Image) -> Image.Image:
    x, y = image.width // 40, image.height // 40
    return image.crop((x, y, image.width - x, image.height - y))


CHANGES: dict[str, Change] = {
    "half the size": lambda image: image.resize((image.width // 2, image.height // 2)),
    "JPEG of quality 30": _jpeg,
    "5 % cut off": _cut,
    "30 % more contrast": lambda image: ImageEnhance.Contrast(image).enhance(1.3),
    "mirrored": ImageOps.mirror,
    "grey": lambda image: ImageOps.grayscale(image).convert("RGB"),
}
"""What a copy of an image usually went through."""
