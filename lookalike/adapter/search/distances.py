"""Distances between vectors at hand, as the engine would compute them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.adapter.collections.collection_settings import Collection
from lookalike.adapter.search.ranking import value_of

HASH_EMBEDDER = "phash"
"""Its vectors hold 0 and 1, one number for each bit."""

Rows = NDArray[np.float64]


def _cosine(rows: Rows, query: Rows) -> Rows:
    lengths = np.linalg.norm(rows, axis=1) * np.linalg.norm(query)
    similarity: Rows = rows @ query / lengths
    return similarity


# Each gives the engine's score: a similarity for the first two, the distance itself for the others.
_SCORES: dict[str, Callable[[Rows, Rows], Any]] = {
    "cosine": _cosine,
    "dot": lambda rows, query: rows @ query,
    "euclid": lambda rows, query: np.linalg.norm(rows - query, axis=1),
    "manhattan": lambda rows, query: np.abs(rows - query).sum(axis=1),
}


def greatest_distance(collection: Collection) -> float | None:
    """The greatest distance that two records may have; None where there is none."""
    if collection.embedder == HASH_EMBEDDER:
        return float(collection.dimension)
    return 2.0 if collection.distance == "cosine" else None


def signed_distances(
    query: Sequence[float], vectors: Sequence[Sequence[float]], distance: str
) -> list[float]:
    """From the query to each of the vectors, on the scale of a collection with this distance.

    Of dot products, which may exceed 1, before they are cut off at 0.
    """
    if not vectors:
        return []
    rows = np.asarray(vectors, dtype=np.float64)
    scores = _SCORES[distance](rows, np.asarray(query, dtype=np.float64))
    return [value_of(float(score), distance) for score in scores]


def distances(
    query: Sequence[float], vectors: Sequence[Sequence[float]], distance: str
) -> list[float]:
    """As an answer gives them: at least 0."""
    return [max(0.0, value) for value in signed_distances(query, vectors, distance)]
