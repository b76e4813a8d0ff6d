"""Images and tags in one distance, beside images alone: 100,000 records of 512 dimensions."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import numpy as np

from benchmarks.shelf import Way, filled, side_by_side
from benchmarks.vectors import Data, Indices, Matrix, clustered, exact_neighbours
from lookalike.adapter.search.nearest import Hits, Query, find_nearest

N, DIMENSION, K, QUERIES = 100_000, 512, 10, 200
VOCABULARY, MOST_TAGS = 500, 8
WEIGHTS = (0.25, 0.5, 0.75)


def main() -> None:
    print(f"{N:,} records, {DIMENSION} dimensions, 0 to {MOST_TAGS} of {VOCABULARY} tags, k = {K}")
    data = clustered(N, DIMENSION, QUERIES)
    sets = tag_sets(N + QUERIES)
    asyncio.run(_measure(data, sets[:N], [tags or {"t0"} for tags in sets[N:]]))


def tag_sets(n: int) -> list[set[str]]:
    """By Zipf's law: a few tags are on nearly everything, most on next to nothing."""
    random = np.random.default_rng(3)
    chances = 1 / np.arange(1, VOCABULARY + 1)
    chances /= chances.sum()
    return [
        {f"t{tag}" for tag in random.choice(VOCABULARY, int(size), p=chances)}
        for size in random.integers(0, MOST_TAGS + 1, n)
    ]


async def _measure(data: Data, stored: list[set[str]], asked: list[set[str]]) -> None:
    visual = data.queries @ data.vectors.T
    tags = _matrix(asked) @ _matrix(stored).T
    truths = {
        weight: np.argpartition(-((1 - weight) * visual + weight * tags), K, axis=1)[:, :K]
        for weight in WEIGHTS
    }
    records = [{"tags": sorted(one)} for one in stored]
    async with filled(data.vectors, records) as (engine, collection):

        def way(name: str, truth: Indices, weight: float | None) -> Way:
            return Way(name, asking(weight), truth)

        def asking(weight: float | None) -> Callable[[int], Awaitable[Hits]]:
            async def ask(number: int) -> Hits:
                query = Query(
                    vectors=(data.queries[number].tolist(),),
                    tags=dict.fromkeys(asked[number], 1.0),
                    tag_weight=weight,
                    k=K,
                )
                return await find_nearest(engine, collection, query)

            return ask

        plain = way("pictures", exact_neighbours(data.vectors, data.queries, K), None)
        hybrid = [way(f"and tags, weight {w}", truths[w].astype(np.int64), w) for w in WEIGHTS]
        await side_by_side([plain, *hybrid], QUERIES)


def _matrix(sets: list[set[str]]) -> Matrix:
    rows = np.zeros((len(sets), VOCABULARY), np.float32)
    for row, tags in zip(rows, sets, strict=True):
        row[[int(tag[1:]) for tag in tags]] = max(1, len(tags)) ** -0.5
    return rows
