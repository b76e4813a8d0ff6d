"""Fixtures of folders whose tests move collections on every engine: their conftest imports them."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest

from lookalike.adapter.collections import store
from lookalike.adapter.collections.cache import CollectionCache
from lookalike.adapter.collections.collection_settings import Collection, IndexedField
from lookalike.adapter.engines.base import Engine
from lookalike.adapter.records.writer import Writer
from tests.shelf import described


@pytest.fixture
def collection_of(engine: Engine) -> Any:
    """Makes a collection of a test's own, with these settings."""

    def settings(**wanted: Any) -> Collection:
        fields = ("category", "price", "product_id")
        defaults: dict[str, Any] = {
            "name": f"test {uuid.uuid4().hex[:8]}",
            "type": "products",
            "revision": "1",
            "fields_to_index": tuple(map(IndexedField, fields)),
            "product_id_field": "product_id",
        }
        return described(**defaults | wanted)

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
