"""What the worker does of its own accord: flush what was written, and rebuild what would pay."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator

from lookalike.adapter.engines.collection import Collection
from lookalike.adapter.engines.engine import Engine
from lookalike.adapter.engines.rebuild import Rebuild, due
from lookalike.adapter.engines.scheduler import Scheduler

log = logging.getLogger("lookalike.engine")

TICK_SECONDS = 0.25
FLUSH_POINTS = 4096
"""Flush as soon as this many points are written: 30 ms, where a long load would pile up seconds."""
RETRY_SECONDS = 600.0
"""After a rebuild that failed; the cause (a full disk, little memory) seldom passes at once."""


class Keeper:
    """Looks after all collections, one rebuild at a time, until it is cancelled."""

    def __init__(self, engine: Engine, scheduler: Scheduler) -> None:
        self._engine = engine
        self._scheduler = scheduler
        self._flushed: dict[str, float] = {}
        self._unexamined = set(engine.collections)
        self._not_before: dict[str, float] = {}
        self._rebuild: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Never returns; ends the rebuild that is under way when it is cancelled."""
        try:
            while True:
                await asyncio.sleep(TICK_SECONDS)
                for collection in list(self._engine.collections.values()):
                    await self._flush(collection)
                if self._rebuild is None:
                    self._start_rebuild()
                elif self._rebuild.done():
                    self._rebuild.result()  # Raises what the engine panicked with.
                    self._rebuild = None
        finally:
            if self._rebuild is not None:
                self._rebuild.cancel()
                await asyncio.wait({self._rebuild})

    async def _flush(self, collection: Collection) -> None:
        name = collection.name
        oldest = self._flushed.get(name, 0.0) + self._engine.settings.flush_seconds
        if collection.unflushed and (
            collection.unflushed >= FLUSH_POINTS or time.monotonic() >= oldest
        ):
            await self._scheduler.run(name, self._flush_steps(name))
            self._flushed[name] = time.monotonic()
            self._unexamined.add(name)

    def _flush_steps(self, name: str) -> Iterator[None]:
        # It may be deleted, or even made anew, by the time that this runs.
        if (collection := self._engine.collections.get(name)) is not None:
            collection.flush()
        yield

    def _start_rebuild(self) -> None:
        """Start the first rebuild that is due among the collections flushed since the last look."""
        for name in list(self._unexamined):
            collection = self._engine.collections.get(name)
            if collection is not None and time.monotonic() < self._not_before.get(name, 0.0):
                continue
            self._unexamined.discard(name)
            if collection is None:
                continue
            if (reason := due(collection, self._engine.settings)) is not None:
                log.info("rebuilding a collection: %s", reason)
                self._rebuild = asyncio.create_task(self._run_rebuild(collection))
                return

    async def _run_rebuild(self, collection: Collection) -> None:
        name = collection.name
        start = time.monotonic()
        try:
            await Rebuild(collection, self._scheduler, self._engine.settings).run()
        except Exception as error:
            if self._engine.collections.get(name) is not collection:
                return  # It was deleted meanwhile.
            log.error("a collection was not rebuilt: %s", error)
            self._not_before[name] = time.monotonic() + RETRY_SECONDS
        else:
            log.info("rebuilt a collection in %.1f s", time.monotonic() - start)
        self._unexamined.add(name)
