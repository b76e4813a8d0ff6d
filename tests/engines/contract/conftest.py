from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from lookalike.adapter.collections import store
from lookalike.adapter.collections.cache import CollectionCache
from lookalike.adapter.collections.collection_settings import Collection, IndexedField
from lookalike.adapter.engines.base import Engine
from lookalike.adapter.records.writer import Writer
from tests.engines.contract.records import DIMENSION
from tests.engines.contract.subjects import SUBJECTS, Subject
from tests.engines.points import FILLED_POINTS, make_collection, points


@pytest.fixture(params=SUBJECTS, scope="session")
def subject(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Subject]:
    with SUBJECTS[request.param](tmp_path_factory.mktemp(request.param)) as found:
        yield found


@pytest.fixture
async def engine(subject: Subject) -> AsyncIterator[Engine]:
    connected = await subject.connect()
    yield connected
    await connected.close()


@pytest.fixture
async def collection_name(engine: Engine) -> AsyncIterator[str]:
    """An empty collection of `points`, without settings of ours."""
    name = await make_collection(engine)
    yield name
    await engine.delete_collection(name)


@pytest.fixture
async def filled_name(engine: Engine, collection_name: str) -> str:
    """A collection with the first FILLED_POINTS points."""
    await engine.upsert(collection_name, points(FILLED_POINTS))
    return collection_name


@pytest.fixture
def collection_of(engine: Engine) -> Any:
    """Makes a collection of a test's own, with these settings."""

    def settings(**wanted: Any) -> Collection:
        id_ = store.new_collection_id()
        defaults: dict[str, Any] = {
            "id": id_,
            "physical": store.physical_name(id_),
            "name": f"test {uuid.uuid4().hex[:8]}",
            "type": "products",
            "embedder": "none",
            "revision": "1",
            "dimension": DIMENSION,
            "distance": "cosine",
            "created": store.now(),
            "fields_to_index": (
                IndexedField("category"),
                IndexedField("price"),
                IndexedField("product_id"),
            ),
            "product_id_field": "product_id",
        }
        return Collection(**defaults | wanted)

    return settings


@pytest.fixture
async def collection_cache(engine: Engine) -> CollectionCache:
    return CollectionCache(engine)


@pytest.fixture
async def collection(
    engine: Engine, collection_cache: CollectionCache, collection_of: Any
) -> AsyncIterator[Collection]:
    made: Collection = collection_of()
    await store.create_collection(engine, made)
    collection_cache.put(made)
    yield made
    await store.delete_collection(engine, made.id)


@pytest.fixture
def writer(engine: Engine, collection_cache: CollectionCache) -> Writer:
    return Writer(engine, collection_cache)
