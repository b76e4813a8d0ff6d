"""Whose image is decoded next."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest

from lookalike.embedders.images.decoding_lane import DecodingLane
from lookalike.embedders.images.image_errors import ImageTooLarge
from tests.waiting import PATIENCE_SECONDS


class Gate:
    """Work that takes a thread until it is let through."""

    def __init__(self) -> None:
        self.begun, self._open = threading.Event(), threading.Event()

    def __call__(self) -> None:
        self.begun.set()
        assert self._open.wait(PATIENCE_SECONDS)

    def open(self) -> None:
        self._open.set()


def noting(log: list[str], name: str) -> Callable[[], None]:
    return lambda: log.append(name)


async def test_requests_take_turns() -> None:
    lane, gate, log = DecodingLane("test", 1, PATIENCE_SECONDS), Gate(), list[str]()
    first = asyncio.create_task(lane.run(gate, "many"))
    await asyncio.to_thread(gate.begun.wait, PATIENCE_SECONDS)
    many = [asyncio.create_task(lane.run(noting(log, "many"), "many")) for _ in range(20)]
    await asyncio.sleep(0)
    few = [asyncio.create_task(lane.run(noting(log, "few"), "few")) for _ in range(2)]
    one = asyncio.create_task(lane.run(noting(log, "one"), "one"))
    await asyncio.sleep(0)
    gate.open()
    await asyncio.gather(first, *many, *few, one)
    assert log == ["many", "few", "one", "many", "few", *["many"] * 18]
    await lane.close()


async def test_who_stops_waiting_leaves_the_line_and_takes_no_place() -> None:
    lane, gate, log = DecodingLane("test", 1, PATIENCE_SECONDS), Gate(), list[str]()
    first = asyncio.create_task(lane.run(gate, "a"))
    await asyncio.to_thread(gate.begun.wait, PATIENCE_SECONDS)
    waiting = [asyncio.create_task(lane.run(noting(log, name), name)) for name in "bcd"]
    await asyncio.sleep(0)
    waiting[0].cancel()
    waiting[2].cancel()
    gate.open()
    await asyncio.gather(first, *waiting, return_exceptions=True)
    await lane.run(noting(log, "later"), "e")
    assert log == ["c", "later"]
    await lane.close()


async def test_work_that_takes_too_long_keeps_its_thread_and_not_who_waits() -> None:
    lane, gate, log = DecodingLane("test", 2, 0.1), Gate(), list[str]()
    with pytest.raises(ImageTooLarge, match=r"within 0\.1 s"):
        await lane.run(gate, "a")
    # The other thread is free; time spent waiting for it counts for nothing.
    await asyncio.gather(*(lane.run(noting(log, "b"), "b") for _ in range(5)))
    assert len(log) == 5
    gate.open()
    await lane.close()


async def test_the_end_waits_for_what_is_under_way_and_for_nothing_else() -> None:
    lane, gate, log = DecodingLane("test", 1, PATIENCE_SECONDS), Gate(), list[str]()
    first = asyncio.create_task(lane.run(gate, "a"))
    await asyncio.to_thread(gate.begun.wait, PATIENCE_SECONDS)
    second = asyncio.create_task(lane.run(noting(log, "b"), "b"))
    await asyncio.sleep(0)
    closing = asyncio.create_task(lane.close())
    await asyncio.sleep(0)
    assert not closing.done()
    gate.open()
    await asyncio.gather(first, closing)
    assert (await asyncio.gather(second, return_exceptions=True))[0] is not None
    assert log == []
