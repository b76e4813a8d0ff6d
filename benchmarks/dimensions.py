"""What the length of vectors costs on the engine: search by `_id`, space, building an index.

All lengths are asked in turn, so that whatever else the machine does falls on all of them alike.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import numpy as np

from benchmarks.http import bench_collection, fill, ms, recall
from benchmarks.sizing import on_disk
from benchmarks.vectors import Indices, clustered, exact_neighbours
from lookalike.adapter.collections.collection_settings import Collection
from lookalike.adapter.engines.embedded.client import EmbeddedEngine
from lookalike.adapter.engines.embedded.supervisor import Supervisor
from lookalike.adapter.search.nearest import Query, find_nearest

DIMENSIONS = (1280, 512, 384)
SIZES = (20_000, 50_000, 100_000)
K = 30
SEARCHES = 500


class Subject:
    """A filled collection, and what came of asking it."""

    def __init__(self, engine: EmbeddedEngine, collection: Collection, truth: Indices) -> None:
        self.engine, self.collection, self.truth = engine, collection, truth
        self.took_s: list[float] = []
        self.answers: list[Sequence[str]] = []

    async def ask(self, row: int) -> None:
        started = time.perf_counter()
        hits = await find_nearest(self.engine, self.collection, Query(record_id=str(row), k=K))
        self.took_s.append(time.perf_counter() - started)
        self.answers.append([record["_id"] for record in hits.records])

    def __str__(self) -> str:
        return (
            f"p50 {ms(self.took_s, 50)}  p95 {ms(self.took_s, 95)}  "
            f"{recall(self.answers, self.truth)}"
        )


def main() -> None:
    for records in SIZES:
        asyncio.run(_measure(records))


async def _measure(records: int) -> None:
    asked = np.random.default_rng(1).integers(0, records, SEARCHES)
    print(f"{records:,} records, k = {K}")
    async with AsyncExitStack() as stack:
        subjects = [
            await stack.enter_async_context(_filled(records, dimension, asked))
            for dimension in DIMENSIONS
        ]
        for row in asked:
            for subject in subjects:
                await subject.ask(int(row))
        for dimension, subject in zip(DIMENSIONS, subjects, strict=True):
            print(f"{dimension:6}  {subject}")


@asynccontextmanager
async def _filled(records: int, dimension: int, asked: Indices) -> AsyncIterator[Subject]:
    vectors = clustered(records, dimension, 0).vectors
    truth = exact_neighbours(vectors, vectors[asked], K)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        process = Supervisor(folder)
        process.start()
        try:
            engine = await EmbeddedEngine.connect(process.socket_path)
            collection = bench_collection(dimension)
            loaded_s, built_s = await fill(engine, collection, vectors)
            disk = (on_disk(folder, "*") - on_disk(folder, "wal/*")) / records
            print(
                f"{dimension:6}  loaded in {loaded_s:.0f} s, settled in {built_s:.0f} s more, "
                f"{disk:,.0f} bytes of disk a record"
            )
            yield Subject(engine, collection, truth)
            await engine.close()
        finally:
            process.stop()
