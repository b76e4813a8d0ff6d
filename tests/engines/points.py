"""Points for tests: reproducible, and each different from all others."""

from __future__ import annotations

import uuid
from typing import Any

import numpy as np
from qdrant_client import models

DIMENSION = 16
CATEGORIES = ["chair", "table", "lamp", "sofa"]


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
