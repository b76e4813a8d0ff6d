"""A shelf of records with tags, and how far they are apart by the book."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st

from lookalike.adapter.engines.base import Engine
from tests.shelf import Record, Shelf, images, tag_distance

N = 900
"""More than the first candidates of both signals together."""

FILTERS: list[Any] = [
    None,
    {"colour": "red"},
    {"tags": "t1"},
    {"price": {"$mod": [3, 1]}},
    {"tags": {"$size": 2}},
]

weights = st.just(1.0) | st.floats(0.01, 1.0)
tag_sets = st.dictionaries(st.sampled_from([f"t{n}" for n in range(12)]), weights, max_size=6)


def drawn_tags(random: np.random.Generator, most: int) -> list[Any]:
    """A few are on nearly everything, most on next to nothing. Half of the lists have weights."""
    chances = 1 / np.arange(1, 41)
    numbers = random.choice(40, random.integers(0, most), p=chances / chances.sum())
    names = sorted({f"t{number}" for number in numbers})
    if random.random() < 0.5:
        return names
    return [{"name": name, "prob": float(random.uniform(0.05, 1.0))} for name in names]


def weights_of(record: Record) -> dict[str, float]:
    """By the book."""
    tags = record.get("tags", [])
    return {
        tag if isinstance(tag, str) else tag["name"]: 1.0 if isinstance(tag, str) else tag["prob"]
        for tag in tags
    }


async def tagged_shelf(
    engine: Engine, *, more_indexed: Sequence[str] = (), **settings: Any
) -> Shelf:
    random = np.random.default_rng(4)
    records: list[Record] = [
        {
            "_id": f"r{n}",
            "colour": ["red", "green"][n % 2],
            "price": n % 50,
            "tags": drawn_tags(random, 7),
        }
        for n in range(N)
    ]
    for record in records[::9]:
        del record["tags"]
    return await Shelf.of(
        engine, records, images(N, 16), fields_to_index=["colour", *more_indexed], **settings
    )


def expected(
    shelf: Shelf, row: Any, tags: dict[str, float], weight: float, filter_: Any
) -> dict[str, float]:
    ids = shelf.matching(filter_)
    visual = shelf.distances(row, ids)
    return {
        id_: (1 - weight) * visual[id_]
        + weight * tag_distance(tags, weights_of(shelf.records[id_]))
        for id_ in ids
    }
