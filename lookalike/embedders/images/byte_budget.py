"""Bytes that wait in memory, of all requests together: fetched pictures, and bodies."""

from __future__ import annotations

import asyncio
from collections import deque


class ByteBudget:
    """So many bytes and no more, in the order in which they are asked for. For one event loop."""

    def __init__(self, most: int) -> None:
        self._most = self._left = most
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    async def take(self, count: int) -> int:
        """Waits until there are so many; one who wants more than all gets all. What was taken is
        to be given back."""
        count = min(count, self._most)
        if not self._waiting and count <= self._left:
            self._left -= count
            return count
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((count, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give(count)
            else:
                self._waiting.remove((count, turn))
                self._admit()
            raise
        return count

    def give(self, count: int) -> None:
        """Gives back what `take` has answered."""
        self._left += count
        self._admit()

    def _admit(self) -> None:
        while self._waiting and self._waiting[0][0] <= self._left:
            count, turn = self._waiting.popleft()
            if turn.cancelled():
                continue
            self._left -= count
            turn.set_result(None)


class Hold:
    """What one picture or body has of a budget, from its first byte until it is used up.

    The first `free` bytes need none. Beyond, it takes at once what it may need, for two that both
    wait for more would wait for ever.
    """

    def __init__(self, budget: ByteBudget, free: int) -> None:
        self._budget = budget
        self._free = free
        self._taken = 0

    def needs_more(self, bytes_so_far: int) -> bool:
        """Whether so many bytes are more than it may have yet."""
        return not self._taken and bytes_so_far > self._free

    async def take(self, most: int) -> None:
        """Waits for what it may need at the most."""
        self._taken = await self._budget.take(most)

    def close(self) -> None:
        """Gives back what it has."""
        self._budget.give(self._taken)
        self._taken = 0
