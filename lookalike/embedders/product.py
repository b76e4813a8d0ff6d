"""Images of products: the bundled network on the product itself, and the product's colours.

A network trained to name things looks past colour, and past colour two views of one shoe are no
more alike than two shoes. So the vector has two parts: the network's, of the image cut to what
is not background, and half as long the histogram of `colors`. On real product images that finds
another image of the same product in 0.52 (the network alone: 0.13), and the category no worse;
docs/embedders.md has the table.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lookalike.embedders import colors, compact, lite0
from lookalike.embedders.images.crop import Box
from lookalike.embedders.protocol import Distance, Vector, Vectors, fingerprint

NAME = "product"
DIMENSION = compact.DIMENSION + colors.DIMENSION
# Greater finds more views of one product and confuses more categories: at 0.9 the same product in
# 0.57, but P@5 for the category falls from 0.72 to 0.59.
COLOUR_LENGTH = 0.5

# In shares of the image's sides.
_MARGIN = 0.06
_PROCESSING = "foreground-crop-1"
_FOREGROUND = 0.5
_REVISIONS = [
    fingerprint(shape, colour, _PROCESSING, COLOUR_LENGTH)
    for shape, colour in zip(compact.REVISIONS, colors.REVISIONS, strict=True)
]


class Product:
    """512 numbers of length 1; cosine distance: 0.8 parts the network's and 0.2 the colours'."""

    name = NAME
    revision, *former_revisions = _REVISIONS
    dimension = DIMENSION
    distance: Distance = "cosine"
    image_px = lite0.IMAGE_PX
    batch_size = 1

    def __init__(self, network: compact.Compact) -> None:
        self._network = network

    def embed_images(self, images: Sequence[Image.Image]) -> Vectors:
        """RGB images of any size -> float32 of shape (n, 512), each row of length 1."""
        rows = [self._embed(image) for image in images]
        return np.stack(rows) if rows else np.empty((0, DIMENSION), np.float32)

    def _embed(self, image: Image.Image) -> Vector:
        colours = colors.shrink_to_lab(image)
        weights = colors.foreground(colours)
        (shape,) = self._network.embed_images([product_box(weights).cut(image)])
        histogram = colors.share_among_palette(colours, weights)
        vector = np.concatenate([shape, COLOUR_LENGTH * histogram])
        unit: Vector = (vector / np.linalg.norm(vector)).astype(np.float32)
        return unit


def product_box(weights: NDArray[np.float32]) -> Box:
    """Weights of pixels, 0 for background to 1 -> the box around the others, with a margin."""
    inside = weights > _FOREGROUND
    if not inside.any():
        return Box(0, 0, 1, 1)
    rows, columns = (np.flatnonzero(inside.any(axis)) for axis in (1, 0))
    top, bottom = _extent(rows, len(inside))
    left, right = _extent(columns, inside.shape[1])
    return Box(left, top, right, bottom)


def _extent(places: NDArray[np.intp], length: int) -> tuple[float, float]:
    return (
        max(float(places[0]) / length - _MARGIN, 0.0),
        min(float(places[-1] + 1) / length + _MARGIN, 1.0),
    )


def load(cache_folder: Path) -> Product:
    """Loads the bundled network; raises as `lite0.load` does."""
    colors.palette()
    return Product(compact.load(cache_folder))
