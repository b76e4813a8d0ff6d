"""A better shard, built aside while the old one goes on serving: an HNSW graph, or a vacuum.

The engine's own optimise() holds the interpreter lock from beginning to end, a minute for 100,000
points, so a niced child process runs it on a copy:

    begin     flush, note from now on which points are written, and let writes wait
    copy      the child copies the files; then writes go on, to the old shard
    build     the child optimises its copy
    catch up  load the copy, and bring it the points that were written meanwhile: not what was done
              to them, but how they are now, a page at a time between searches and writes
    swap      when less than a page is left: catch up, flush, and name the copy in the manifest

The manifest decides which shard is current, so a process killed at any point loses nothing: until
the swap the old shard has everything, and after it the new one has.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import qdrant_edge as edge

from lookalike.adapter.engines.embedded.disk_space import DiskSpace
from lookalike.adapter.engines.embedded.worker.files import remove_tree
from lookalike.adapter.engines.embedded.worker.index_builder import Job
from lookalike.adapter.engines.embedded.worker.scheduler import Scheduler
from lookalike.adapter.engines.embedded.worker.shard import Shard, plain_id
from lookalike.adapter.engines.embedded.worker.validation import EdgeId
from lookalike.adapter.engines.embedded.worker_settings import WorkerSettings

log = logging.getLogger("lookalike.engine")

PAGE = 256
"""Points a step of catching up: twice a slice of a write, so that it ends under any load."""
GROWTH = 0.2
"""A graph is built anew when the points outside it exceed this part of those inside..."""
GROWN_ENOUGH = 0.25
"""... and this part of the threshold at which the first one is built."""


class BuildFailed(Exception):
    """The child ended without a shard."""


class Slots(msgspec.Struct, frozen=True):
    """The places for points in the files of a shard; deleted points leave theirs empty."""

    fixed: int
    """In segments that optimise() built."""
    appendable: int

    @classmethod
    def count(cls, shard: Path) -> Slots:
        """Count them by the sizes of the id trackers, which hold 8 bytes a place.

        The engine counts neither deleted points nor (beside sparse vectors) unindexed ones.
        """
        fixed = sum(f.stat().st_size for f in shard.glob("segments/*/id_tracker.versions"))
        growing = shard.glob("segments/*/mutable_id_tracker.versions")
        return cls(fixed // 8, sum(f.stat().st_size for f in growing) // 8)


def find_rebuild_reason(shard: Shard, settings: WorkerSettings) -> str | None:
    """Why the shard should be built anew, or None. Meaningful after a flush."""
    slots = Slots.count(shard.folder.shard_folder)
    manifest = shard.folder.manifest
    points = shard.edge_shard.info().points_count
    empty = slots.fixed + slots.appendable - points
    if empty >= max(settings.vacuum_min_points, settings.vacuum_fraction * (points + empty)):
        return "deleted points"
    if manifest.new_vectors:
        return "another vector"
    if not wants_graph(shard, settings):
        return None
    if manifest.graph_indexes is None:
        return "many points"
    if manifest.graph_indexes != sorted(manifest.payload_indexes):
        # A graph has links for filtered searches only for the indexes that it was built with.
        return "other payload indexes"
    size = shard.schema.largest_vector
    grown = slots.appendable * size > settings.hnsw_threshold_elements * GROWN_ENOUGH
    return "more points" if grown and slots.appendable > GROWTH * slots.fixed else None


def wants_graph(shard: Shard, settings: WorkerSettings) -> bool:
    elements = shard.edge_shard.info().points_count * shard.schema.largest_vector
    return 0 < settings.hnsw_threshold_elements < elements


class Rebuild:
    """One rebuild of one collection; `run` once."""

    builder_module = "lookalike.adapter.engines.embedded.worker.index_builder"

    def __init__(
        self,
        shard: Shard,
        scheduler: Scheduler,
        settings: WorkerSettings,
        disk_space: DiskSpace,
    ) -> None:
        self._shard = shard
        self._disk_space = disk_space
        self._scheduler = scheduler
        self._queue = shard.name
        self._indexes = shard.folder.manifest.payload_indexes
        self._schema = shard.schema
        self._graph = wants_graph(shard, settings)
        self._target = shard.folder.clear_next_shard()
        self._job = Job(
            source=str(shard.folder.shard_folder),
            target=str(self._target),
            collection_schema=shard.schema,
            graph=self._graph,
            threads=settings.build_threads or max(1, (os.cpu_count() or 2) - 1),
            niceness=settings.build_niceness,
        )
        self._new: edge.EdgeShard | None = None
        self._over = False
        self.waits_s: dict[str, float] = {}
        """How long writes waited for `copy`, and everything for `load` and `swap`, in seconds."""

    @property
    def outdated(self) -> bool:
        """Whether payload indexes or vectors are no longer those of the copy: then begin anew."""
        manifest = self._shard.folder.manifest
        return (manifest.payload_indexes, manifest.collection_schema) != (
            self._indexes,
            self._schema,
        )

    async def run(self) -> None:
        """Raises BuildFailed, or what the engine raises; then the old shard simply stays."""
        try:
            await self._build()
            # A queue of its own, taking turns with the writes.
            await self._scheduler.run(f"{self._queue}\0rebuild", self._catch_up())
            await self._scheduler.run(self._queue, self._swap())
        except (Exception, asyncio.CancelledError):
            # Anything else ends the worker, and the next one tidies up.
            self._call_off()
            raise
        await asyncio.to_thread(remove_tree, Path(self._job.source))

    async def _build(self) -> None:
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", self.builder_module),
            msgspec.json.encode(self._job).decode(),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            # Once its modules are imported, writes wait for the copy only.
            await child.stdout.readline()
            start = time.perf_counter()
            try:
                await self._scheduler.run(self._queue, self._begin())
                child.stdin.write(b"copy\n")
                copied = await child.stdout.readline()
            finally:
                self._scheduler.release(self._queue)
                self.waits_s["copy"] = time.perf_counter() - start
            if copied != b"copied\n" or await child.wait() != 0:
                raise BuildFailed("the building process failed")
        finally:
            if child.returncode is None:
                child.kill()
                await child.wait()

    def _call_off(self) -> None:
        self._over = True
        if self._shard.folder.shard_folder == self._target:
            return  # Too late: the swap has happened, and the target is what there is.
        self._shard.touched = None
        if self._new is not None:
            with contextlib.suppress(Exception):
                self._new.close()
        remove_tree(self._target)

    def _begin(self) -> Iterator[None]:
        yield
        if self._over:  # Called off while this waited for its turn.
            raise BuildFailed("the rebuild was called off")
        self._shard.flush()
        self._shard.touched = set()
        # Hold last: a held queue would not finish this write either.
        self._scheduler.hold(self._queue)

    def _catch_up(self) -> Iterator[None]:
        if self._over:
            raise BuildFailed("the rebuild was called off")
        start = time.perf_counter()
        self._new = edge.EdgeShard.load(self._job.target)
        self.waits_s["load"] = time.perf_counter() - start
        yield
        while self._touched:
            self._catch_up_page(self._new)
            if len(self._touched) < PAGE:
                # What the swap flushes, while writes wait, should be little.
                self._new.flush()
                yield
                if len(self._touched) < PAGE:
                    break
            yield

    def _swap(self) -> Iterator[None]:
        shard, new = self._shard, self._new
        assert new is not None, "swap follows the catching up"
        start = time.perf_counter()
        while self._touched:
            self._catch_up_page(new)
        if self.outdated:
            raise BuildFailed("payload indexes or vectors changed meanwhile")
        new.flush()
        graph_indexes = sorted(self._indexes) if self._graph else None
        shard.folder.save(shard=self._target.name, graph_indexes=graph_indexes, new_vectors=[])
        old, shard.edge_shard, shard.touched, self._new = shard.edge_shard, new, None, None
        shard.unflushed = 0
        self.waits_s["swap"] = time.perf_counter() - start
        yield
        with contextlib.suppress(Exception):
            old.close()

    @property
    def _touched(self) -> set[EdgeId]:
        if self._shard.touched is None:
            raise BuildFailed("the rebuild was called off")
        return self._shard.touched

    def _catch_up_page(self, new: edge.EdgeShard) -> None:
        self._disk_space.check_writing()
        page = list(itertools.islice(self._touched, PAGE))
        records = self._shard.edge_shard.retrieve(list(page), True, True)
        there = {plain_id(record.id) for record in records}
        points = [edge.Point(r.id, r.vector or {}, r.payload) for r in records]
        if points:
            new.update(edge.UpdateOperation.upsert_points(points))
        gone = [identity for identity in page if identity not in there]
        if gone:
            new.update(edge.UpdateOperation.delete_points(gone))
        self._touched.difference_update(page)
