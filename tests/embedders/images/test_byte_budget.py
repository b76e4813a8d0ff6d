"""Bytes that wait: bounded in all, in the order of those who ask, and always given back."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from lookalike.embedders.images import reader as reader_module
from lookalike.embedders.images.byte_budget import ByteBudget, Hold
from lookalike.embedders.images.image_errors import ImageUnreadable
from lookalike.embedders.images.image_settings import ImageSettings
from lookalike.embedders.images.reader import ImageReader
from tests.file_server import FileServer, Held
from tests.waiting import until


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_who_asks_first_is_first() -> None:
    budget = ByteBudget(100)
    assert await budget.take(60) == 60
    large = asyncio.create_task(budget.take(70))
    small = asyncio.create_task(budget.take(10))
    await turns()
    # There is room for the small one; but then the large one might wait for ever.
    assert not large.done()
    assert not small.done()
    budget.give(60)
    await turns()
    assert large.done()
    assert small.done()
    whole = asyncio.create_task(budget.take(10**9))
    await turns()
    assert not whole.done()
    budget.give(70)
    budget.give(10)
    assert await whole == 100


async def test_who_gives_up_keeps_nothing() -> None:
    budget = ByteBudget(100)
    await budget.take(100)
    waiting = [asyncio.create_task(budget.take(50)) for _ in range(3)]
    await turns()
    waiting[0].cancel()
    await turns()
    budget.give(100)
    waiting[1].cancel()  # It has got its bytes, and does not know it yet.
    await turns()
    assert await waiting[2] == 50
    budget.give(50)
    assert await asyncio.wait_for(budget.take(100), 10) == 100


async def test_a_hold_takes_once_and_gives_back() -> None:
    budget = ByteBudget(100)
    with contextlib.closing(Hold(budget, 10)) as hold:
        assert not hold.needs_more(10)
        assert hold.needs_more(11)
        await hold.take(80)
        assert not hold.needs_more(70)
    assert await asyncio.wait_for(budget.take(100), 10) == 100
    budget.give(100)
    with contextlib.closing(Hold(budget, 10)), pytest.raises(ValueError, match="mine"):
        raise ValueError("mine")


async def test_large_pictures_wait_for_the_bytes_of_others(
    file_server: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And small ones do not; nor does a search."""
    monkeypatch.setattr(reader_module, "FETCHED_BYTES", 3_000_000)
    reader = ImageReader(ImageSettings(allowed_hosts=("127.0.0.1",), fetch_per_host=16))
    noise = b"\x89PNG no picture " * 100_000
    large = [file_server.add(f"/large{n}", noise) for n in range(4)]
    small = file_server.add("/small", b"no picture")
    page = Held(file_server.url("/held"), b"")
    file_server.pages["/held"] = page
    taken = await reader._bytes.take(3_000_000)

    async def read(url: str, *, query: bool = False) -> str:
        try:
            await reader.read(url=url, image_px=224, query=query)
        except ImageUnreadable as error:
            return error.text
        raise AssertionError

    waiting = [asyncio.create_task(read(url)) for url in large]
    await until(lambda: len(reader._bytes._waiting) == 4, "they wait for their bytes")
    assert "no image" in await read(small)
    assert "no image" in await read(large[0], query=True)
    assert not any(task.done() for task in waiting)
    reader._bytes.give(taken)
    assert all("no image" in text for text in await asyncio.gather(*waiting))
    assert await asyncio.wait_for(reader._bytes.take(3_000_000), 10) == 3_000_000
    await reader.close()
