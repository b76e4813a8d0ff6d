"""A filled collection together with what was put into it, to compare answers with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.adapter.collections import indexes, store
from lookalike.adapter.collections.cache import CollectionCache
from lookalike.adapter.collections.collection_settings import Collection, Distance
from lookalike.adapter.filters import match, parse
from lookalike.adapter.records.image_sources import Embedded, ImageSource
from lookalike.adapter.records.selection import Selection
from lookalike.adapter.records.writer import Writer
from lookalike.adapter.search.nearest import Hits, Query, find_nearest

Record = dict[str, Any]
Matrix = NDArray[np.float64]
Ranked = list[tuple[str, float]]

BATCH = 500


class Shelf:
    """Records of a collection by `_id`, and their vectors."""

    def __init__(self, engine: Any, collection: Collection) -> None:
        self.engine = engine
        self.collection = collection
        self.records: dict[str, Record] = {}
        self.vectors: dict[str, Matrix] = {}

    @classmethod
    async def of(
        cls,
        engine: Any,
        records: Sequence[Record],
        vectors: Matrix,
        distance: Distance = "cosine",
        **settings: Any,
    ) -> Shelf:
        id_ = store.new_collection_id()
        fields = settings.pop("fields_to_index", ())
        product_id_field = settings.get("product_id_field")
        collection = Collection(
            id=id_,
            physical=store.physical_name(id_),
            name="shelf",
            type="photos",
            embedder="none",
            revision="none",
            dimension=vectors.shape[1],
            distance=distance,
            created=store.now(),
            fields_to_index=indexes.indexed_fields(fields, product_id_field, "$"),
            **settings,
        )
        await store.create_collection(engine, collection)
        shelf = cls(engine, collection)
        await shelf.put(records, vectors)
        return shelf

    async def put(self, records: Sequence[Record], vectors: Matrix) -> None:
        collection_cache = CollectionCache(self.engine)
        writer = Writer(self.engine, collection_cache)
        given = [record | {"_url": f"at:{n}"} for n, record in enumerate(records)]

        async def embed(sources: Sequence[ImageSource]) -> list[Any]:
            rows = [vectors[int((source.url or "").removeprefix("at:"))] for source in sources]
            return [Embedded(row.tolist(), "hash") for row in rows]

        for begin in range(0, len(given), BATCH):
            batch = given[begin : begin + BATCH]
            outcome = await writer.insert(self.collection, batch, embed, None)
            assert not outcome.refused
            # The first records settle the types of the indexes.
            self.collection = (
                collection_cache.all()[0] if collection_cache.all() else self.collection
            )
        for record, vector in zip(given, vectors, strict=True):
            self.records[str(record["_id"])] = record
            self.vectors[str(record["_id"])] = vector

    async def nearest(self, filter_: object = None, **query: Any) -> Hits:
        selection = Selection.of(filter_, self.collection)
        return await find_nearest(self.engine, self.collection, Query(selection=selection, **query))

    async def ranked(self, filter_: object = None, **query: Any) -> Ranked:
        return pairs(await self.nearest(filter_, **query))

    def matching(self, filter_: object = None) -> list[str]:
        """By the definition of filters."""
        tree = parse({} if filter_ is None else filter_)
        return [id_ for id_, record in self.records.items() if match(tree, record)]

    def distances(self, query: Any, ids: Sequence[str]) -> dict[str, float]:
        """By the book, in 64 bits, from a vector."""
        rows = np.array([self.vectors[id_] for id_ in ids], dtype=np.float64)
        if not ids:
            return {}
        found = BY_THE_BOOK[self.collection.distance](rows, np.asarray(query, dtype=np.float64))
        return dict(zip(ids, found.tolist(), strict=True))


def pairs(hits: Hits) -> Ranked:
    return [(r["_id"], d) for r, d in zip(hits.records, hits.distances, strict=True)]


def _cosine(rows: Matrix, query: Matrix) -> Matrix:
    lengths = np.linalg.norm(rows, axis=1) * np.linalg.norm(query)
    return np.asarray(1 - rows @ query / lengths)


BY_THE_BOOK = {
    "cosine": _cosine,
    "euclid": lambda rows, query: np.linalg.norm(rows - query, axis=1),
    "manhattan": lambda rows, query: np.abs(rows - query).sum(axis=1),
    "dot": lambda rows, query: np.maximum(0, 1 - rows @ query),
}


def same_ranking(found: Ranked, expected: Mapping[str, float], within: float = 3e-6) -> None:
    """All of `expected`, in the order of its distances but for what 32 bits cannot tell apart."""
    assert {id_ for id_, _ in found} == set(expected)
    assert len(found) == len(expected)
    distances = [distance for _, distance in found]
    assert distances == sorted(distances)
    for id_, distance in found:
        assert abs(distance - expected[id_]) <= within, id_


def tag_distance(query: set[str], stored: set[str]) -> float:
    """One minus the cosine of the sets."""
    if not query or not stored:
        return 1.0
    return 1.0 - len(query & stored) / float(np.sqrt(len(query) * len(stored)))


def images(n: int, dimension: int = 8, copies: float = 0.3, seed: int = 0) -> Matrix:
    """Vectors of n images, many of them copies of others, as in every shop."""
    random = np.random.default_rng(seed)
    centres = random.standard_normal((max(1, n // 12), dimension))
    rows = centres[random.integers(0, len(centres), n)]
    rows = rows + 0.4 * random.standard_normal((n, dimension))
    copied = random.random(n) < copies
    rows[copied] = rows[random.integers(0, max(1, n // 10), int(copied.sum()))]
    return np.asarray(rows, dtype=np.float64)
