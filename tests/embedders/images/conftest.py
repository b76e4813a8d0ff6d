"""A web server of each test's own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.waiting import until

from .web import Gate, Web


@pytest_asyncio.fixture
async def web() -> AsyncIterator[Web]:
    server = await Web().start()
    yield server
    for page in server.pages.values():
        if isinstance(page, Gate):
            page.opened.set()
    await until(lambda: server.open == 0, "nobody stands at a gate any more")
    await server.stop()
