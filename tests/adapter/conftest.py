"""An embedded engine in its own process, and a shelf on it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from lookalike.adapter.collections import store
from lookalike.adapter.collections.collection_settings import Collection
from lookalike.adapter.engines.embedded.client import EmbeddedEngine
from lookalike.adapter.engines.embedded.supervisor import Supervisor
from tests.shelf import Shelf, described


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


@pytest.fixture
async def collection(engine: EmbeddedEngine) -> Collection:
    made = described()
    await store.create_collection(engine, made)
    return made


@pytest.fixture
def shelf(engine: EmbeddedEngine, collection: Collection) -> Shelf:
    return Shelf(engine, collection)
