"""Vectors that are as hard to search as those of real images, and the exact answers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float32]
Indices = NDArray[np.int64]


class Data(NamedTuple):
    vectors: Matrix
    """(n, dimension), each of length 1."""
    queries: Matrix
    """Held out, of the same distribution."""


def clustered(n: int, dimension: int, queries: int, seed: int = 7) -> Data:
    """A mixture of 1,000 Gaussians with power-law spectra, about 2.5 images a product.

    The median cosine of the 1st, 10th and 100th neighbour is about 0.93, 0.72 and 0.54 for
    100,000 vectors of 512 dimensions: near duplicates, then a long slope.
    """
    random = np.random.default_rng(seed)
    spectrum = (np.arange(1, dimension + 1) ** -0.5).astype(np.float32)
    centres = random.standard_normal((1000, dimension), dtype=np.float32) * spectrum
    products = int((n + queries) / 2.5) + 1
    product = centres[random.integers(0, len(centres), products)]
    product = product + 0.7 * spectrum * random.standard_normal(
        (products, dimension), dtype=np.float32
    )
    images = product[random.integers(0, products, n + queries)]
    images = images + 0.25 * spectrum * random.standard_normal(images.shape, dtype=np.float32)
    scale = 0.15 * np.linalg.norm(images, axis=1, keepdims=True) / np.sqrt(dimension)
    images += scale * random.standard_normal(images.shape, dtype=np.float32)
    images /= np.linalg.norm(images, axis=1, keepdims=True)
    return Data(images[:n], images[n:])


def exact_neighbours(vectors: Matrix, queries: Matrix, k: int) -> Indices:
    """(len(queries), k): the indices of the k nearest by cosine, nearest first."""
    similarities = queries @ vectors.T
    nearest = np.argpartition(-similarities, k, axis=1)[:, :k]
    order = np.argsort(-np.take_along_axis(similarities, nearest, axis=1), axis=1)
    return np.take_along_axis(nearest, order, axis=1).astype(np.int64)
