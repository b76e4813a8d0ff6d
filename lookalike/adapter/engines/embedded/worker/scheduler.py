"""Who uses the engine next. One call runs at a time, so the order is all there is to decide.

Reads and writes run in steps of a few milliseconds. Three kinds of work wait for a turn: *reads*
that have not begun, *long* reads that go on after their first turn, and *writes*. A kind that waits
alone has all the time. Where several wait, each gets its `SHARES` of it, and one that comes after a
pause goes first. So a short read waits for a step of a long one and not for its end, and no kind
starves another.

Within a kind: reads take turns between the clients, long reads between one another, writes between
the collections, and those of one collection keep their order.
"""

from __future__ import annotations

import asyncio
import enum
import time
from collections import deque
from collections.abc import Callable, Iterator

import msgspec

STEP_SECONDS = 0.002
"""A turn ends with the first step after this time; a small read or write is one turn."""

OnDone = Callable[[BaseException | None], None]


class Kind(enum.IntEnum):
    """Where two have waited equally long, the first of them goes first."""

    READ = 0
    LONG = 1
    WRITE = 2


SHARES = {Kind.READ: 4.0, Kind.LONG: 1.0, Kind.WRITE: 2.0}
"""Of the engine's time, where all of them wait."""


class Task(msgspec.Struct, eq=False):
    """Runs in steps; `done` gets what they raised, or None."""

    steps: Iterator[None]
    done: OnDone


class Scheduler:
    """Runs turns on the event loop, one per turn of the loop.

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
        self._queues: dict[Kind, dict[object, deque[Task]]] = {kind: {} for kind in Kind}
        self._held: set[str] = set()
        self._scheduled = False
        self._stopped = False
        self._used = dict.fromkeys(Kind, 0.0)
        """The time that each kind has had, divided by its share."""
        self._now = 0.0
        """What the kind that ran last had used by then: one that did not wait begins from here."""

    def read(self, client: object, steps: Iterator[None], done: OnDone) -> None:
        """Queue a read of a client."""
        self._add(Kind.READ, client, Task(steps, done))

    def write(self, queue: str, steps: Iterator[None], done: OnDone) -> None:
        """Queue a write behind those of its queue."""
        self._add(Kind.WRITE, queue, Task(steps, done))

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
        if self._next_queue(Kind.WRITE) is None:
            self._begin_from_now(Kind.WRITE)
        self._held.discard(queue)
        self._schedule()

    def stop(self) -> None:
        """Run nothing more: the engine is not to be touched again."""
        self._stopped = True

    def _add(self, kind: Kind, queue: object, task: Task) -> None:
        if self._next_queue(kind) is None:
            self._begin_from_now(kind)
        self._queues[kind].setdefault(queue, deque()).append(task)
        self._schedule()

    def _begin_from_now(self, kind: Kind) -> None:
        """A kind gets nothing for the time in which it did not wait."""
        self._used[kind] = max(self._used[kind], self._now)

    def _next_queue(self, kind: Kind) -> object | None:
        """The queue of a kind whose turn is next."""
        return next((name for name in self._queues[kind] if name not in self._held), None)

    def _schedule(self) -> None:
        if not self._scheduled and not self._stopped:
            self._scheduled = True
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        self._scheduled = False
        if self._stopped:
            return
        waiting = [kind for kind in Kind if self._next_queue(kind) is not None]
        if not waiting:
            return
        kind = min(waiting, key=lambda each: self._used[each])
        self._now = self._used[kind]
        begun = self._clock()
        self._run_one(kind)
        self._used[kind] += (self._clock() - begun) / SHARES[kind]
        self._schedule()

    def _run_one(self, kind: Kind) -> None:
        """A turn of the first task of a queue, which then goes behind the others of its kind."""
        queue = self._next_queue(kind)
        waiting = self._queues[kind].pop(queue)
        task = waiting.popleft()
        if waiting:
            self._queues[kind][queue] = waiting
        if self._is_over_after_turn(task):
            return
        if kind is Kind.WRITE:
            self._queues[kind].setdefault(queue, deque()).appendleft(task)
        else:
            # Each long read has a queue of its own, so that they take turns.
            self._add(Kind.LONG, task, task)

    def _is_over_after_turn(self, task: Task) -> bool:
        end = self._clock() + STEP_SECONDS
        try:
            next(task.steps)
            while self._clock() < end:
                next(task.steps)
        except BaseException as error:
            task.done(None if isinstance(error, StopIteration) else error)
            if not isinstance(error, Exception):
                self._fatal(error)
            return True
        return False
