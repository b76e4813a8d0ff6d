"""What the worker does of its own accord: flush what was written, and rebuild what would pay."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator

from lookalike.adapter.engines.embedded.worker.database import Database
from lookalike.adapter.engines.embedded.worker.files import disk_usage
from lookalike.adapter.engines.embedded.worker.rebuild import Rebuild, find_rebuild_reason
from lookalike.adapter.engines.embedded.worker.scheduler import Scheduler
from lookalike.adapter.engines.embedded.worker.shard import Shard

log = logging.getLogger("lookalike.engine")

TICK_SECONDS = 0.25
FLUSH_POINTS = 4096
"""Flush as soon as this many points are written: 30 ms, where a long load would pile up seconds."""
COPIES = 3
"""Of a shard that lie on the disk while it is rebuilt, beside the one that serves."""
LOAD_SECONDS = 5.0
"""Between two tries to load what could not be loaded."""
RETRY_SECONDS = 600.0
"""After a rebuild that failed; the cause (a full disk, little memory) seldom passes at once."""


class Maintenance:
    """Looks after all collections, one rebuild at a time, until it is cancelled."""

    def __init__(self, database: Database, scheduler: Scheduler) -> None:
        self._database = database
        self._scheduler = scheduler
        self._flushed: dict[str, float] = {}
        self._unexamined = set(database.shards)
        self._not_before: dict[str, float] = {}
        self._rebuilding: asyncio.Task[None] | None = None
        self._load_after = 0.0

    async def run(self) -> None:
        """Never returns; ends the rebuild that is under way when it is cancelled."""
        try:
            while True:
                await asyncio.sleep(TICK_SECONDS)
                # Room is kept, and given up, where nothing is written too.
                if not self._database.disk_space.steady:
                    continue
                await self._load_postponed()
                for shard in list(self._database.shards.values()):
                    await self._flush(shard)
                if self._rebuilding is None or self._rebuilding.done():
                    self._rebuilding = self._next_rebuild()
        finally:
            if self._rebuilding is not None:
                self._rebuilding.cancel()
                await asyncio.wait({self._rebuilding})

    async def _load_postponed(self) -> None:
        if self._database.postponed and time.monotonic() >= self._load_after:
            self._load_after = time.monotonic() + LOAD_SECONDS
            await self._scheduler.run("", self._load_steps())

    def _load_steps(self) -> Iterator[None]:
        self._database.load_postponed()
        yield

    async def _flush(self, shard: Shard) -> None:
        name = shard.name
        oldest = self._flushed.get(name, 0.0) + self._database.settings.flush_seconds
        if shard.unflushed and (shard.unflushed >= FLUSH_POINTS or time.monotonic() >= oldest):
            await self._scheduler.run(name, self._flush_steps(name))
            self._flushed[name] = time.monotonic()
            self._unexamined.add(name)

    def _flush_steps(self, name: str) -> Iterator[None]:
        # It may be deleted, or even made anew, by the time that this runs.
        shard = self._database.shards.get(name)
        if shard is not None and self._database.disk_space.steady:
            shard.flush()
        yield

    def _next_rebuild(self) -> asyncio.Task[None] | None:
        """Start the first rebuild that is due among the collections flushed since the last look."""
        for name in list(self._unexamined):
            if time.monotonic() < self._not_before.get(name, 0.0):
                continue
            self._unexamined.discard(name)
            shard = self._database.shards.get(name)
            if shard and (reason := find_rebuild_reason(shard, self._database.settings)):
                if not self._has_room_for(shard):
                    log.warning("a collection is not rebuilt (%s): too little room", reason)
                    self._not_before[name] = time.monotonic() + RETRY_SECONDS
                    self._unexamined.add(name)
                    continue
                log.info("rebuilding a collection: %s", reason)
                return asyncio.create_task(self._rebuild(shard))
        return None

    def _has_room_for(self, shard: Shard) -> bool:
        """For the copy, and for what is built of it."""
        space = self._database.disk_space
        taken = disk_usage(shard.folder.shard_folder)
        return space.free_bytes - space.reserve_bytes >= COPIES * taken

    async def _rebuild(self, shard: Shard) -> None:
        name, start = shard.name, time.monotonic()
        database = self._database
        rebuild = Rebuild(shard, self._scheduler, database.settings, database.disk_space)
        running = asyncio.create_task(rebuild.run())
        try:
            while not running.done():
                await asyncio.wait({running}, timeout=TICK_SECONDS)
                if rebuild.outdated or self._database.shards.get(name) is not shard:
                    break
            else:
                running.result()
                taken = time.monotonic() - start
                waits = ", ".join(f"{n} {s:.2f} s" for n, s in rebuild.waits_s.items())
                log.info("rebuilt a collection in %.1f s (waited: %s)", taken, waits)
        except Exception as error:
            if not rebuild.outdated:
                log.error("a collection was not rebuilt: %s", error)
                self._not_before[name] = time.monotonic() + RETRY_SECONDS
        finally:
            running.cancel()
            await asyncio.wait({running})
            self._unexamined.add(name)
