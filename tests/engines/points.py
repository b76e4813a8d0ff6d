"""Points for tests, reproducible and each different from all others, and what is asked of them."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Sequence
from typing import Any

import numpy as np
from qdrant_client import models

from lookalike.adapter.engines.base import Engine

DIMENSION = 16
FILLED_POINTS = 40
"""In a collection that a test finds filled."""
CATEGORIES = ["chair", "table", "lamp", "sofa"]

_numbers = itertools.count()


def point_id(number: int) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, str(number)))


def vectors(count: int, dimension: int = DIMENSION, seed: int = 0) -> np.ndarray[Any, Any]:
    rows: np.ndarray[Any, Any] = (
        np.random.default_rng(seed).standard_normal((count, dimension)).astype("f4")
    )
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows


def payload(number: int) -> dict[str, Any]:
    return {
        "n": number,
        "category": CATEGORIES[number % 4],
        "price": number * 1.5,
        "new": number % 2 == 0,
        "added": f"2026-01-{number % 28 + 1:02}T00:00:00Z",
        "parts": [{"name": "leg", "count": number % 5}, {"name": "top", "count": 1}],
        "größe": {"größter Wert": [number, None]},
    }


def points(count: int, start: int = 0) -> list[models.PointStruct]:
    """Points number `start` to `start + count`; each knows its number as `n`."""
    rows = vectors(start + count).tolist()
    return [
        models.PointStruct(
            id=point_id(number),
            vector={
                "visual": rows[number],
                "tags": models.SparseVector(indices=[number % 7, 100 + number % 3], values=[1, 2]),
            },
            payload=payload(number),
        )
        for number in range(start, start + count)
    ]


async def make_collection(engine: Engine, name: str | None = None) -> str:
    """A collection with a dense vector, a sparse one and two indexed fields; its name."""
    name = name or f"collection-{next(_numbers)}-{uuid.uuid4().hex[:8]}"
    await engine.create_collection(
        name,
        vectors_config={
            "visual": models.VectorParams(size=DIMENSION, distance=models.Distance.COSINE)
        },
        sparse_vectors_config={"tags": models.SparseVectorParams()},
        metadata={"kind": "photos", "version": 1},
    )
    await engine.create_payload_index(name, "category", models.PayloadSchemaType.KEYWORD)
    await engine.create_payload_index(name, "price", models.PayloadSchemaType.FLOAT)
    return name


def where(**match: Any) -> models.Filter:
    """The points with these values."""
    return models.Filter(
        must=[
            models.FieldCondition(key=key, match=models.MatchValue(value=value))
            for key, value in match.items()
        ]
    )


def having(numbers: Sequence[int]) -> models.Filter:
    """The points of these numbers."""
    ids: list[Any] = [point_id(number) for number in numbers]
    return models.Filter(must=[models.HasIdCondition(has_id=ids)])


def overwriting(content: dict[str, Any], *numbers: int) -> models.UpdateOperation:
    """Replaces the payload of points."""
    return models.OverwritePayloadOperation(
        overwrite_payload=models.SetPayload(payload=content, filter=having(numbers))
    )


def setting_vectors(
    name: str, rows: dict[int, Any], condition: models.Filter | None = None
) -> models.UpdateOperation:
    """Sets a vector of points, by number, where they match."""
    points = [
        models.PointVectors(id=point_id(number), vector={name: vector})
        for number, vector in rows.items()
    ]
    return models.UpdateVectorsOperation(
        update_vectors=models.UpdateVectors(points=points, update_filter=condition)
    )


async def search(engine: Engine, name: str, query: Any, **fields: Any) -> list[models.ScoredPoint]:
    """The hits of one query, among the images where nothing else is said."""
    asked: dict[str, Any] = {"using": "visual", "with_payload": True, "limit": 10} | fields
    request = models.QueryRequest.model_construct(query=query, **asked)
    (answer,) = await engine.query_batch_points(name, [request])
    return answer.points


def numbers(points: Sequence[models.Record | models.ScoredPoint]) -> list[int]:
    """The numbers of points that were asked for with their payload."""
    return [point.payload["n"] for point in points if point.payload is not None]
