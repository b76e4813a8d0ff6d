"""The one shelf of test records: records, their vectors, and collections filled with them.

An image is told by a word instead of pixels, and its vector is made of the word: the number at the
end of `_url` (`image://7`, `at:7`), or the text of `_base64`. So every test knows what the engine
has to answer, and computes it here, by the book.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.adapter.collections import store
from lookalike.adapter.collections.cache import CollectionCache
from lookalike.adapter.collections.collection_settings import Collection
from lookalike.adapter.collections.indexes import indexed_fields
from lookalike.adapter.engines.base import Engine
from lookalike.adapter.errors import RecordRefused
from lookalike.adapter.filters import match, parse
from lookalike.adapter.records.batch_outcome import Outcome
from lookalike.adapter.records.image_sources import Embedded, ImageSource
from lookalike.adapter.records.selection import Selection
from lookalike.adapter.records.writer import Writer
from lookalike.adapter.search.nearest import Hits, Query, find_nearest
from lookalike.adapter.search.request import DEFAULT_K

Record = dict[str, Any]
Matrix = NDArray[np.float64]
Ranked = list[tuple[str, float]]

DIMENSION = 24
CATEGORIES = ["chair", "table", "lamp", "sofa"]
UNREADABLE = "nowhere://"
"""An `_url` that begins so cannot be fetched; nor can the `_base64` of `BROKEN` be read."""
BROKEN = "broken"
BATCH = 500


def record(number: int, **fields: Any) -> Record:
    """Record `r<number>`, whose image is told by the number."""
    return {
        "_id": f"r{number}",
        "_url": f"image://{number}",
        "category": CATEGORIES[number % 4],
        "price": number * 1.5,
        "product_id": f"p{number // 3}",
        "new": number % 2 == 0,
        "tags": ["odd" if number % 2 else "even", f"t{number % 5}"],
        "nothing": None,
        "größe": {"größter Wert": [number, None]},
    } | fields


def vector(number: int, dimension: int = DIMENSION) -> list[float]:
    """The vector of the image that a number tells: of length 1, and unlike all others."""
    row = np.random.default_rng(number).standard_normal(dimension).astype(np.float32)
    return [float(value) for value in row / np.linalg.norm(row)]


def vector_of(text: str) -> list[float]:
    """The vector of the image that a text tells."""
    return vector(int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest()))


async def embed(sources: Sequence[ImageSource]) -> list[Embedded | RecordRefused]:
    return [_embedded(source) for source in sources]


def _embedded(source: ImageSource) -> Embedded | RecordRefused:
    if source.base64 is not None:
        if source.base64 == BROKEN:
            return RecordRefused(422, "no image")
        return Embedded(vector_of(source.base64), source.base64)
    url = source.url or ""
    if url.startswith(UNREADABLE):
        return RecordRefused(504, "the image cannot be fetched")
    return Embedded(vector(int(url.rpartition("/")[2])), "hash")


def by_distance(query: int, numbers: Sequence[int]) -> list[str]:
    """The `_id`s of records in the order of a search by vector `query`."""
    target = np.asarray(vector(query))
    return [
        f"r{n}" for n in sorted(numbers, key=lambda n: 1 - float(target @ np.asarray(vector(n))))
    ]


def described(**settings: Any) -> Collection:
    """A collection of its own, not made yet, with these settings."""
    id_ = store.new_collection_id()
    defaults: dict[str, Any] = {
        "id": id_,
        "physical": store.physical_name(id_),
        "name": "test",
        "type": "photos",
        "embedder": "none",
        "revision": "0",
        "dimension": DIMENSION,
        "distance": "cosine",
        "created": store.now(),
    }
    return Collection(**defaults | settings)


class Shelf:
    """A collection, and what was put into it: `records` by `_id`, and their `vectors`."""

    def __init__(self, engine: Engine, collection: Collection) -> None:
        self.engine = engine
        self.collection = collection
        self.cache = CollectionCache(engine)
        self.cache.put(collection)
        self.writer = Writer(engine, self.cache)
        self.records: dict[str, Record] = {}
        self.vectors: dict[str, Matrix] = {}

    @classmethod
    async def of(
        cls, engine: Any, records: Sequence[Record], vectors: Matrix, **settings: Any
    ) -> Shelf:
        """A shelf with these records, the image of each told by its row of `vectors`."""
        fields = settings.pop("fields_to_index", ())
        collection = described(
            dimension=vectors.shape[1],
            fields_to_index=indexed_fields(fields, settings.get("product_id_field"), "$"),
            **settings,
        )
        await store.create_collection(engine, collection)
        shelf = cls(engine, collection)
        await shelf.fill(records, vectors)
        return shelf

    async def fill(self, records: Sequence[Record], vectors: Matrix) -> None:
        given = [record | {"_url": f"at:{n}"} for n, record in enumerate(records)]

        async def embed_row(sources: Sequence[ImageSource]) -> list[Embedded | RecordRefused]:
            rows = [vectors[int((source.url or "").removeprefix("at:"))] for source in sources]
            return [Embedded(row.tolist(), "hash") for row in rows]

        for begin in range(0, len(given), BATCH):
            batch = given[begin : begin + BATCH]
            outcome = await self.writer.insert(self.collection, batch, embed_row, None)
            assert not outcome.refused
            # The first records settle the types of the indexes.
            self.collection = self.cache.present(self.collection)
        for record_, row in zip(given, vectors, strict=True):
            self.records[str(record_["_id"])] = record_
            self.vectors[str(record_["_id"])] = row

    async def insert(self, *records: Record, **options: Any) -> Outcome[Record]:
        """Records whose image is told by their `_id`, unless they say otherwise."""
        return await self.writer.insert(
            self.collection,
            [{"_base64": str(record["_id"])} | record for record in records],
            embed,
            frozenset({"_id"}),
            **options,
        )

    async def put(self, *ids: str) -> None:
        outcome = await self.insert(*({"_id": id_} for id_ in ids))
        assert not outcome.refused

    async def nearest(self, filter_: object = None, **query: Any) -> Hits:
        selection = Selection.of(filter_, self.collection)
        wanted = Query(selection=selection, **{"k": DEFAULT_K} | query)
        return await find_nearest(self.engine, self.collection, wanted)

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


BY_THE_BOOK: dict[str, Callable[[Matrix, Matrix], Matrix]] = {
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


def tag_distance(query: Mapping[str, float], stored: Mapping[str, float]) -> float:
    """One minus the cosine of the weights of the tags."""
    if not query or not stored:
        return 1.0
    lengths = [np.sqrt(sum(weight**2 for weight in tags.values())) for tags in (query, stored)]
    shared = sum(weight * stored.get(tag, 0.0) for tag, weight in query.items())
    return 1.0 - shared / float(lengths[0] * lengths[1])


def images(n: int, dimension: int = 8, copies: float = 0.3, seed: int = 0) -> Matrix:
    """Vectors of n images, many of them copies of others, as in every shop."""
    random = np.random.default_rng(seed)
    centres = random.standard_normal((max(1, n // 12), dimension))
    rows = centres[random.integers(0, len(centres), n)]
    rows = rows + 0.4 * random.standard_normal((n, dimension))
    copied = random.random(n) < copies
    rows[copied] = rows[random.integers(0, max(1, n // 10), int(copied.sum()))]
    return np.asarray(rows, dtype=np.float64)
