"""Who uses the engine next. One call runs at a time, so the order is all there is to decide.

Reads go first, in turn between the clients. Writes run in slices between them, in order within a
collection and in turn between collections; when reads never pause, a write gets its slice once the
reads since the last one took READ_SHARE times as long as it did, so that neither can starve the
other.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator

READ_SHARE = 2.0
MIN_READ_SECONDS = 0.002
SLICE_SECONDS = 0.003
"""A slice of a write ends with the first step after this time; a small write is one slice."""

Read = Callable[[], None]
OnDone = Callable[[BaseException | None], None]


class Scheduler:
    """Runs reads and slices of writes on the event loop, one per turn of the loop.

    `fatal` is called, once the request is answered, with what is raised that is no Exception: a
    panic of the engine, after which nothing may touch it again.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        fatal: Callable[[BaseException], None],
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._loop = loop
        self._fatal = fatal
        self._clock = clock
        self._reads: dict[object, deque[Read]] = {}
        self._writes: dict[str, deque[tuple[Iterator[None], OnDone]]] = {}
        self._held: set[str] = set()
        self._scheduled = False
        self._stopped = False
        self._reads_owed = 0.0

    def read(self, client: object, run: Read) -> None:
        """Queue a read of a client; `run` answers it and never raises."""
        self._reads.setdefault(client, deque()).append(run)
        self._schedule()

    def write(self, queue: str, steps: Iterator[None], done: OnDone) -> None:
        """Queue a write behind those of its queue; `done` gets what `steps` raised, or None."""
        self._writes.setdefault(queue, deque()).append((steps, done))
        self._schedule()

    async def run(self, queue: str, steps: Iterator[None]) -> None:
        """Run steps as a write of a queue and wait for their end; raises what they raise."""
        finished: asyncio.Future[None] = self._loop.create_future()

        def done(error: BaseException | None) -> None:
            if finished.cancelled():
                return
            if error is None:
                finished.set_result(None)
            else:
                finished.set_exception(error)

        self.write(queue, steps, done)
        await finished

    def hold(self, queue: str) -> None:
        """Let the writes of a queue wait, also one that has begun; reads go on."""
        self._held.add(queue)

    def release(self, queue: str) -> None:
        self._held.discard(queue)
        self._schedule()

    def stop(self) -> None:
        """Run nothing more: the engine is not to be touched again."""
        self._stopped = True

    def _schedule(self) -> None:
        if not self._scheduled and not self._stopped:
            self._scheduled = True
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        self._scheduled = False
        if self._stopped:
            return
        queue = next((name for name in self._writes if name not in self._held), None)
        if self._reads and (queue is None or self._reads_owed > 0):
            start = self._clock()
            self._read_one()
            self._reads_owed -= self._clock() - start
        elif queue is not None:
            start = self._clock()
            self._step(queue)
            taken = self._clock() - start
            self._reads_owed = max(READ_SHARE * taken, MIN_READ_SECONDS)
        if self._reads or any(name not in self._held for name in self._writes):
            self._schedule()

    def _read_one(self) -> None:
        """The first read of a client, which then goes behind the others."""
        client, waiting = next(iter(self._reads.items()))
        del self._reads[client]
        run = waiting.popleft()
        if waiting:
            self._reads[client] = waiting
        run()

    def _step(self, queue: str) -> None:
        """A slice of the first write of a queue, which then goes behind the other queues."""
        waiting = self._writes.pop(queue)
        steps, done = waiting[0]
        end = self._clock() + SLICE_SECONDS
        try:
            next(steps)
            while self._clock() < end:
                next(steps)
        except BaseException as error:
            waiting.popleft()
            done(None if isinstance(error, StopIteration) else error)
            if not isinstance(error, Exception):
                self._fatal(error)
        if waiting:
            self._writes[queue] = waiting
