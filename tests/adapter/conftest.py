"""An embedded engine in its own process, and collections on it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import numpy as np
import pytest

from lookalike.adapter.collections import store
from lookalike.adapter.collections.cache import CollectionCache
from lookalike.adapter.collections.collection_settings import Collection
from lookalike.adapter.engines.embedded.client import EmbeddedEngine
from lookalike.adapter.engines.embedded.supervisor import Supervisor
from lookalike.adapter.errors import RecordRefused
from lookalike.adapter.records.image_sources import Embedded
from lookalike.adapter.records.points import Record
from lookalike.adapter.records.writer import Writer

DIMENSION = 32


@pytest.fixture(scope="session")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Supervisor]:
    owner = Supervisor(tmp_path_factory.mktemp("engine"))
    owner.start()
    try:
        owner.wait_ready()
        yield owner
    finally:
        owner.stop()


@pytest.fixture
async def engine(process: Supervisor) -> AsyncIterator[EmbeddedEngine]:
    client = await EmbeddedEngine.connect(process.socket_path)
    yield client
    await client.close()


def described(**settings: Any) -> Collection:
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


@pytest.fixture
async def collection(engine: EmbeddedEngine) -> Collection:
    made = described()
    await store.create_collection(engine, made)
    return made


class Shelf:
    """A collection that records are put into; a record's image is a number, or None for none."""

    def __init__(self, engine: EmbeddedEngine, collection: Collection) -> None:
        self.engine = engine
        self.collection = collection
        self.cache = CollectionCache(engine)
        self.cache.put(collection)
        self.writer = Writer(engine, self.cache)

    async def insert(self, *records: Record, **options: Any) -> Any:
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


async def embed(sources: Any) -> list[Embedded | RecordRefused]:
    """A vector that depends on the text alone, as that of an image does on the image."""
    return [
        RecordRefused(422, "no picture")
        if source.base64 == "broken"
        else Embedded(vector_of(source.base64), source.base64)
        for source in sources
    ]


def vector_of(text: str) -> list[float]:
    rng = np.random.default_rng(abs(hash_of(text)))
    return [float(number) for number in rng.normal(size=DIMENSION)]


def hash_of(text: str) -> int:
    return int.from_bytes(text.encode()[:8].ljust(8, b"."), "big") + len(text)


@pytest.fixture
def shelf(engine: EmbeddedEngine, collection: Collection) -> Shelf:
    return Shelf(engine, collection)
