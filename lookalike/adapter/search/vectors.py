"""The stored vectors of records, and the one vector that stands for several."""

from __future__ import annotations

from typing import Any

import numpy as np
from qdrant_client import models

from lookalike.adapter.collections.collection_settings import Collection
from lookalike.adapter.engines.base import Engine
from lookalike.adapter.records.image_sources import Vector
from lookalike.adapter.records.points import point_id


async def read_vectors(engine: Engine, collection: Collection, ids: list[str]) -> dict[str, Vector]:
    """The vectors of the stored records among `ids`, by `_id`; a record may be without one."""
    if not ids:
        return {}
    by_point = {point_id(id_): id_ for id_ in ids}
    found = await engine.retrieve(
        collection.physical, list(by_point), with_payload=False, with_vectors=[collection.vector]
    )
    vectors = {by_point[str(point.id)]: vector_of(point, collection.vector) for point in found}
    return {id_: vector for id_, vector in vectors.items() if vector is not None}


def vector_of(point: models.Record, name: str) -> Vector | None:
    """The vector of this name that a point was read with; None where it has none."""
    vectors: Any = point.vector or {}
    vector: Vector | None = vectors.get(name)
    return vector


def recommended(positive: list[Vector], negative: list[Vector]) -> Vector:
    """The point to search from: the mean of the positive examples, moved away from the negative.

    As Qdrant's strategy `average_vector`: `mean(positive) + (mean(positive) - mean(negative))`.
    """
    target = np.mean(np.asarray(positive, dtype=np.float64), axis=0)
    if negative:
        target = 2 * target - np.mean(np.asarray(negative, dtype=np.float64), axis=0)
    return [float(number) for number in target]


def weighted_sum(vectors: list[Vector], weights: list[float]) -> tuple[Vector, float]:
    """The one vector whose distance is the weighted mean of the distances, and its length.

    Under cosine: `sum(w_i * (1 - x.q_i)) = 1 - x.m` with `m = sum(w_i * q_i)` for weights that add
    up to 1 and vectors of length 1.
    """
    shares = np.asarray(weights, dtype=np.float64) / sum(weights)
    rows = np.asarray(vectors, dtype=np.float64)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    total = shares @ rows
    return [float(number) for number in total], float(np.linalg.norm(total))
