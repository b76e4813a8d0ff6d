"""Threads that decode images, and whose turn it is: requests that wait go round in turn."""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from lookalike.embedders.images.image_errors import ImageTooLarge

T = TypeVar("T")


class DecodingLane:
    """So many threads. One image of each request that waits, then the next of each: a request with
    many images makes another wait for one of them and not for all. For one event loop.

    An image may take `limit_s` seconds from when its thread takes it. Nothing ends a thread, so
    one that takes longer keeps its place for as long as it works.
    """

    def __init__(self, name: str, threads: int, limit_s: float) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._free = threads
        self._limit_s = limit_s
        self._waiting: OrderedDict[object, deque[asyncio.Future[None]]] = OrderedDict()

    async def run(self, work: Callable[[], T], request: object) -> T:
        """What `work` answers, done in a thread when it is the turn of `request`.

        Raises ImageTooLarge beyond the limit, and what `work` raises.
        """
        await self._turn(request)
        loop = asyncio.get_running_loop()
        working = self._threads.submit(work)
        working.add_done_callback(lambda _: _call_in(loop, self._give_back))
        try:
            async with asyncio.timeout(self._limit_s):
                return await asyncio.wrap_future(working)
        except TimeoutError:
            text = f"the image was not decoded within {self._limit_s:g} s"
            raise ImageTooLarge(text) from None

    async def close(self) -> None:
        """Waits for what is being decoded; who waits for a turn is cancelled."""
        for turns in self._waiting.values():
            for turn in turns:
                turn.cancel()
        await asyncio.to_thread(self._threads.shutdown, wait=True, cancel_futures=True)

    async def _turn(self, request: object) -> None:
        if self._free:
            self._free -= 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(request, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            # It may have been given a turn at the same moment.
            if turn.done() and not turn.cancelled():
                self._give_back()
            raise

    def _give_back(self) -> None:
        """Gives a place to the first request that waits, which then goes behind the others."""
        while self._waiting:
            request, turns = self._waiting.popitem(last=False)
            turn = turns.popleft()
            if turns:
                self._waiting[request] = turns
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1


def _call_in(loop: asyncio.AbstractEventLoop, work: Callable[[], None]) -> None:
    # A loop that is closed has nobody who waits.
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(work)
