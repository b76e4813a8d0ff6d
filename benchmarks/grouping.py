"""Products instead of images, beside images: 100,000 images of 512 dimensions, 4 a product."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import numpy as np

from benchmarks.shelf import Way, filled, side_by_side
from benchmarks.vectors import Indices, Matrix, clustered, exact_neighbours
from lookalike.adapter.search.grouping import Grouping
from lookalike.adapter.search.nearest import Hits, Query, find_nearest

PRODUCTS, IMAGES, DIMENSION, K, QUERIES = 24_000, 4, 512, 30, 200
CROWD = 4_000
"""Images of one more product, all nearer to the last query than anything else."""


def main() -> None:
    total = PRODUCTS * IMAGES + CROWD
    print(f"{total:,} photos, {DIMENSION} dimensions, {IMAGES} a product, k = {K}")
    random = np.random.default_rng(5)
    data = clustered(PRODUCTS, DIMENSION, QUERIES + 1)
    images = _near(np.repeat(data.vectors, IMAGES, axis=0), random)
    crowd = _near(np.repeat(data.queries[-1:], CROWD, axis=0), random)
    products = np.concatenate([np.repeat(np.arange(PRODUCTS), IMAGES), np.full(CROWD, PRODUCTS)])
    asyncio.run(_measure(np.concatenate([images, crowd]), products, data.queries))


def _near(rows: Matrix, random: np.random.Generator) -> Matrix:
    """Other images of the same: at a cosine of about 0.93."""
    noise = random.standard_normal(rows.shape, dtype=np.float32) * (0.28 / DIMENSION**0.5)
    near: Matrix = rows + noise
    near /= np.linalg.norm(near, axis=1, keepdims=True)
    return near


async def _measure(vectors: Matrix, products: Indices, queries: Matrix) -> None:
    flat = exact_neighbours(vectors, queries, 8 * K)
    firsts = np.array([_firsts(row, products)[:K] for row in flat[:QUERIES]], np.int64)
    records = [{"product": f"p{product}"} for product in products.tolist()]
    async with filled(vectors, records, "product") as (engine, collection):

        def asking(grouping: Grouping | None, *more: str) -> Callable[[int], Awaitable[Hits]]:
            async def ask(number: int) -> Hits:
                vector = queries[number].tolist()
                fields = frozenset({"_id", *more})
                query = Query(vectors=(vector,), k=K, grouping=grouping, fields=fields)
                return await find_nearest(engine, collection, query)

            return ask

        images = Way("photos", asking(None), flat[:QUERIES, :K])
        one, three = Grouping("product"), Grouping("product", 3)
        ways = [
            images,
            Way("products", asking(one), firsts),
            Way("products and their numbers of photos", asking(one, "_product_count"), firsts),
            Way("three photos of each product", asking(three), firsts),
        ]
        await side_by_side(ways, QUERIES)
        await _in_a_crowd(asking, vectors, products, queries)


async def _in_a_crowd(
    asking: Callable[..., Callable[[int], Awaitable[Hits]]],
    vectors: Matrix,
    products: Indices,
    queries: Matrix,
) -> None:
    print(f"where the {CROWD:,} nearest photos are of one product:")
    ranked = np.argsort(-(vectors @ queries[-1]))
    truth = np.zeros((len(queries), K), np.int64)
    truth[-1] = _firsts(ranked, products)[:K]
    every = np.zeros_like(truth)
    every[-1] = ranked[:K]
    last = len(queries) - 1
    images = Way("photos", asking(None), every)
    ways = [images, Way("products", asking(Grouping("product")), truth)]
    for _ in range(20):
        for way in ways:
            await way.search(last)
    for way in ways:
        way.report(images)


def _firsts(ranked: Indices, products: Indices) -> Indices:
    """The nearest image of each product, nearest first."""
    _, first = np.unique(products[ranked], return_index=True)
    return ranked[np.sort(first)]
