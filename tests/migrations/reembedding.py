"""The collection that gets another embedder in these tests, and what it must be afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from lookalike.adapter.collections.cache import CollectionCache
from lookalike.adapter.collections.collection_settings import Collection, EmbedderIdentity
from lookalike.adapter.engines.base import Engine
from lookalike.adapter.errors import RecordRefused
from lookalike.adapter.records import listing
from lookalike.adapter.records.image_sources import Embed, Embedded, ImageSource
from lookalike.adapter.records.selection import EVERYTHING
from lookalike.adapter.search.nearest import Query, find_nearest
from lookalike.adapter.search.vectors import read_vectors
from lookalike.migrations.reembedding import Reembedding
from lookalike.migrations.sources import GivenRecords
from tests.shelf import UNREADABLE, record, vector

COUNT = 150
DIMENSION = 12
TARGET = EmbedderIdentity("better", "2", DIMENSION, "cosine")
SETTLE_SECONDS = 0.02
"""Where nobody else is at work."""


def new_vector(number: int) -> list[float]:
    return vector(number + 10_000, DIMENSION)


async def embed_new(sources: Sequence[ImageSource]) -> list[Embedded | RecordRefused]:
    return [
        RecordRefused(504, "the image cannot be fetched")
        if str(source.url).startswith(UNREADABLE)
        else Embedded(new_vector(int(str(source.url).rpartition("/")[2])), "hash")
        for source in sources
    ]


def migration(
    engine: Any,
    collection: Collection,
    given: Path | None = None,
    embedder: Embed = embed_new,
    settle_seconds: float = SETTLE_SECONDS,
) -> Reembedding:
    return Reembedding(
        engine,
        collection.id,
        TARGET,
        embedder,
        GivenRecords(given),
        settle_seconds=settle_seconds,
    )


async def contents(engine: Engine, collection: Collection) -> dict[str, Any]:
    return {
        entry.record["_id"]: entry.record
        async for page in listing.scan_records(engine, collection, EVERYTHING, None)
        for entry in page
    }


async def check_moved(engine: Engine, old: Collection, numbers: Sequence[int]) -> Collection:
    """The collection has the records of `numbers`, as before, and is searched by new vectors."""
    collection_cache = CollectionCache(engine)
    new = await collection_cache.find(old.id)
    assert (new.embedder, new.revision, new.dimension) == ("better", "2", DIMENSION)
    assert new.second_vector is not None
    assert (new.second_vector.vector, new.second_vector.embedder) == (old.vector, old.embedder)
    assert new.indexes == old.indexes
    found = await contents(engine, new)
    assert found == {f"r{n}": record(n) for n in numbers}
    vectors = await read_vectors(engine, new, list(found))
    for number in numbers:
        assert vectors[f"r{number}"] == pytest.approx(new_vector(number), abs=1e-5)
    hits = await find_nearest(engine, new, Query(record_id=f"r{numbers[0]}", k=3))
    assert hits.records[0]["_id"] == f"r{numbers[0]}"
    hybrid = Query(
        vectors=(new_vector(numbers[1]),),
        tags=dict.fromkeys(record(numbers[1])["tags"], 1.0),
        tag_weight=0.5,
        k=30,
    )
    assert (await find_nearest(engine, new, hybrid)).distances[0] == 0.0
    return new


async def vector_names(engine: Engine, collection: Collection) -> set[str]:
    vectors: Any = (await engine.get_collection(collection.physical)).config.params.vectors
    return set(vectors)
