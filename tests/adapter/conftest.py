"""A collection, and a shelf on it."""

from __future__ import annotations

import pytest

from lookalike.adapter.collections import store
from lookalike.adapter.collections.collection_settings import Collection
from lookalike.adapter.engines.base import Engine
from tests.shelf import Shelf, described


@pytest.fixture
async def collection(engine: Engine) -> Collection:
    made = described()
    await store.create_collection(engine, made)
    return made


@pytest.fixture
def shelf(engine: Engine, collection: Collection) -> Shelf:
    return Shelf(engine, collection)
