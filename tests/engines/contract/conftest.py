"""Collections of points, without the adapter's settings; every test runs on every engine."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from lookalike.adapter.engines.base import Engine
from tests.engines.contract.subjects import run_on_each
from tests.engines.points import FILLED_POINTS, make_collection, points

pytest_generate_tests = run_on_each


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
