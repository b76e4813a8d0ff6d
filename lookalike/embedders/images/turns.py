"""Whose turn it is to fetch: few connections to one host, and no request in another's way."""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

from lookalike.embedders.images.image_errors import ImageError


class FetchDeadline:
    """The end of one fetch. Its clock stands still while the fetch waits for its turn: how long
    others take says nothing of this image."""

    def __init__(self, seconds: float, timeout: asyncio.Timeout) -> None:
        self.seconds = seconds
        self._timeout = timeout

    @classmethod
    @asynccontextmanager
    async def of(cls, seconds: float) -> AsyncIterator[FetchDeadline]:
        """What is done within has so many seconds; then TimeoutError is raised."""
        async with asyncio.timeout(seconds) as timeout:
            yield cls(seconds, timeout)

    def left_s(self) -> float:
        """Seconds until the end, below 0 beyond it; only while the clock runs."""
        end = self._timeout.when()
        assert end is not None
        return end - asyncio.get_running_loop().time()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """The clock goes on afterwards where it was."""
        left_s = self.left_s()
        self._timeout.reschedule(None)
        try:
            yield
        finally:
            self._timeout.reschedule(asyncio.get_running_loop().time() + left_s)


@dataclass(eq=False, slots=True)
class _Host:
    fetching: int = 0
    waiting: int = 0
    answered: float = -math.inf
    """When it last said anything, by the clock of the loop."""


@dataclass(eq=False, slots=True)
class _Waiting:
    host: _Host
    turn: asyncio.Future[None]


@dataclass(eq=False, slots=True)
class _Line:
    """Those who wait, by the request that they belong to; the next in turn is the first."""

    most_of_host: int
    fetching: int = 0
    requests: OrderedDict[object, deque[_Waiting]] = field(default_factory=OrderedDict)

    def next(self) -> _Waiting | None:
        """Of the first request that can go on, the first fetch that can; the request goes last."""
        for request, waiting in self.requests.items():
            for entry in waiting:
                if entry.host.fetching < self.most_of_host:
                    self.remove(request, entry)
                    if request in self.requests:
                        self.requests.move_to_end(request)
                    return entry
        return None

    def remove(self, request: object, entry: _Waiting) -> None:
        waiting = self.requests[request]
        waiting.remove(entry)
        if not waiting:
            del self.requests[request]


class FetchTurns:
    """Bounds the fetches of inserts, and as many again of searches, and those from one host.

    A search goes before an insert, and one of the places at a host is kept for it. Requests that
    wait take turns, so that one with many images does not hold up one with few, and a host at its
    bound keeps nobody from another. For one event loop.
    """

    def __init__(self, total: int, per_host: int) -> None:
        self._total = total
        self._searches, self._inserts = _Line(per_host), _Line(max(1, per_host - 1))
        self._hosts: dict[str, _Host] = {}

    @asynccontextmanager
    async def at(
        self, name: str, request: object, deadline: FetchDeadline, *, query: bool
    ) -> AsyncIterator[None]:
        """The time in which `request` may ask the host `name`; `query`: it is a search.

        Raises TimeoutError where the host has let all of `deadline` pass without an answer to
        anybody: those behind would wait in vain, each as long again.
        """
        line = self._searches if query else self._inserts
        host = self._hosts.setdefault(name, _Host())
        entry = _Waiting(host, asyncio.get_running_loop().create_future())
        line.requests.setdefault(request, deque()).append(entry)
        host.waiting += 1
        try:
            self._admit()
            if not entry.turn.done():
                with deadline.paused():
                    await self._wait(entry, line, deadline.seconds)
            yield
            host.answered = asyncio.get_running_loop().time()
        except ImageError:
            host.answered = asyncio.get_running_loop().time()
            raise
        finally:
            if entry.turn.done():
                line.fetching -= 1
                host.fetching -= 1
            else:
                line.remove(request, entry)
                host.waiting -= 1
            if not host.fetching and not host.waiting:
                del self._hosts[name]
            self._admit()

    async def _wait(self, entry: _Waiting, line: _Line, patience_s: float) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        while not entry.turn.done():
            left_s = patience_s + max(began, entry.host.answered) - loop.time()
            if left_s <= 0:
                if entry.host.fetching >= line.most_of_host:
                    raise TimeoutError
                left_s = patience_s  # Other hosts are slow, each for a bounded time.
            await asyncio.wait([entry.turn], timeout=left_s)

    def _admit(self) -> None:
        for line in (self._searches, self._inserts):
            while line.fetching < self._total and (entry := line.next()) is not None:
                line.fetching += 1
                entry.host.fetching += 1
                entry.host.waiting -= 1
                entry.turn.set_result(None)
