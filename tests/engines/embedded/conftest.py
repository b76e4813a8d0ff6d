"""An embedded engine for the whole run, a data folder of its own for each test that wants one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from lookalike.adapter.engines.embedded.client import EmbeddedEngine
from lookalike.adapter.engines.embedded.supervisor import Supervisor
from tests.engines.embedded.owners import running


@pytest.fixture(scope="session")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Supervisor]:
    with running(tmp_path_factory.mktemp("engine")) as owner:
        yield owner


@pytest.fixture
async def embedded(process: Supervisor) -> AsyncIterator[EmbeddedEngine]:
    engine = await EmbeddedEngine.connect(process.socket_path)
    yield engine
    await engine.close()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"
