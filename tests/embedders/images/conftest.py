"""A web server of each test's own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from .web import Web


@pytest_asyncio.fixture
async def web() -> AsyncIterator[Web]:
    server = await Web().start()
    yield server
    await server.stop()
