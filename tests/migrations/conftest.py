"""The engines of the behaviour suite, for whatever moves collections."""

from __future__ import annotations

import pytest

from lookalike.adapter.collections.cache import CollectionCache
from lookalike.adapter.collections.collection_settings import Collection
from lookalike.adapter.records.writer import Writer
from tests.collection_fixtures import collection, collection_cache, collection_of, writer
from tests.engines.contract.subjects import run_on_each
from tests.migrations.reembedding import COUNT
from tests.shelf import embed, record

__all__ = ["collection", "collection_cache", "collection_of", "writer"]

pytest_generate_tests = run_on_each


@pytest.fixture
async def filled(
    writer: Writer, collection: Collection, collection_cache: CollectionCache
) -> Collection:
    """A collection that is in use, for another embedder."""
    await writer.insert(collection, [record(n) for n in range(COUNT)], embed, None)
    return await collection_cache.find(collection.id)
