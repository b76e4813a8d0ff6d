"""Records whose image is told by a number: `_url` names it, `embed` makes a vector of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lookalike.adapter.errors import RecordRefused
from lookalike.adapter.records.image_sources import Embedded, ImageSource

DIMENSION = 24
CATEGORIES = ["chair", "table", "lamp", "sofa"]
UNREADABLE = "nowhere://"


def record(number: int, **fields: Any) -> dict[str, Any]:
    return {
        "_id": f"r{number}",
        "_url": f"picture://{number}",
        "category": CATEGORIES[number % 4],
        "price": number * 1.5,
        "product_id": f"p{number // 3}",
        "new": number % 2 == 0,
        "tags": ["odd" if number % 2 else "even", f"t{number % 5}"],
        "nothing": None,
        "größe": {"größter Wert": [number, None]},
    } | fields


def vector(number: int, dimension: int = DIMENSION) -> list[float]:
    row = np.random.default_rng(number).standard_normal(dimension).astype(np.float32)
    return [float(value) for value in row / np.linalg.norm(row)]


async def embed(sources: Sequence[ImageSource]) -> list[Embedded | RecordRefused]:
    return [
        RecordRefused(504, "the picture cannot be fetched")
        if str(source.url).startswith(UNREADABLE)
        else Embedded(vector(int(str(source.url).rpartition("/")[2])), "hash")
        for source in sources
    ]


def by_distance(query: int, numbers: Sequence[int]) -> list[str]:
    """The ids in the order of a search by vector `query`, computed here."""
    target = np.asarray(vector(query))
    return [
        f"r{n}" for n in sorted(numbers, key=lambda n: 1 - float(target @ np.asarray(vector(n))))
    ]
