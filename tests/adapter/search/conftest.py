"""What the tests of the searches share: an engine of each kind, and a loop to ask it from.

Hypothesis calls a test many times, so the tests are plain functions that run coroutines in one
loop of their own.
"""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

import pytest
from qdrant_client import AsyncQdrantClient

from lookalike.adapter.engines.base import Engine
from lookalike.adapter.engines.server.engine import ServerEngine
from tests.engines.contract.subjects import Subject

T = TypeVar("T")
Run = Callable[[Coroutine[Any, Any, T]], T]


@pytest.fixture(scope="session")
def run() -> Iterator[Run[Any]]:
    with asyncio.Runner() as runner:
        yield runner.run


@pytest.fixture(scope="session")
def shared_engine(subject: Subject, run: Run[Any]) -> Iterator[Engine]:
    """A client of the engine at hand in that loop."""
    client = run(subject.connect())
    yield client
    run(client.close())


@pytest.fixture(scope="session")
def memory(run: Run[Any]) -> Iterator[ServerEngine]:
    """The client's own engine in memory. It warns of what it has no use for: indexes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        client = ServerEngine(AsyncQdrantClient(":memory:"))
        yield client
        run(client.close())
