from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from lookalike.adapter.engines.server.engine import ServerEngine
from lookalike.adapter.engines.server.server_settings import ServerSettings
from tests.engines.server.stub import Stub


@pytest.fixture
async def stub() -> AsyncIterator[Stub]:
    server = Stub()
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def server_engine(stub: Stub) -> AsyncIterator[ServerEngine]:
    settings = ServerSettings(url=stub.url, api_key="the-key", read_timeout_s=60.0)
    client = ServerEngine.connect(settings)
    yield client
    await client.close()
