"""A collection on the embedded engine, filled directly, without HTTP and embedders."""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import structs
from qdrant_client import models

from benchmarks.http import BUILD_SECONDS, bench_collection
from benchmarks.vectors import Indices, Matrix
from lookalike.adapter.collections import indexes, store
from lookalike.adapter.collections.collection_settings import Collection
from lookalike.adapter.engines.embedded.client import EmbeddedEngine
from lookalike.adapter.engines.embedded.supervisor import Supervisor
from lookalike.adapter.point_layout import TAGS_VECTOR, VISUAL_VECTOR
from lookalike.adapter.records.points import point_id
from lookalike.adapter.records.record_tags import tag_vector, tags_of
from lookalike.adapter.search.nearest import Hits

BATCH = 1_000


@contextlib.asynccontextmanager
async def filled(
    vectors: Matrix, records: Sequence[dict[str, Any]], product_id_field: str | None = None
) -> AsyncIterator[tuple[EmbeddedEngine, Collection]]:
    """Record n has the `_id` n and the n-th vector.

    Waits for the index of those records that were there when its building began, as in a service:
    what comes meanwhile stays beside it, until that is many again.
    """
    collection = structs.replace(
        bench_collection(),
        dimension=vectors.shape[1],
        product_id_field=product_id_field,
        fields_to_index=indexes.indexed_fields([], product_id_field, "$"),
    )
    collection = indexes.infer_index_types(collection, records[:1])
    with tempfile.TemporaryDirectory() as folder:
        process = Supervisor(Path(folder))
        process.start()
        try:
            engine = await EmbeddedEngine.connect(process.socket_path)
            await store.create_collection(engine, collection)
            started = time.perf_counter()
            for begin in range(0, len(vectors), BATCH):
                points = [
                    _point(begin + row, vector, records[begin + row])
                    for row, vector in enumerate(vectors[begin : begin + BATCH].tolist())
                ]
                await engine.upsert(collection.physical, points=points)
            await _built(engine, collection)
            print(f"loaded, and index built aside, in {time.perf_counter() - started:.0f} s")
            yield engine, collection
            await engine.close()
        finally:
            process.stop()


async def _built(engine: EmbeddedEngine, collection: Collection) -> None:
    deadline = time.monotonic() + BUILD_SECONDS
    while time.monotonic() < deadline:
        # The first segment takes new records; one with an index comes beside it.
        if (await engine.get_collection(collection.physical)).segments_count > 1:
            return
        await asyncio.sleep(0.5)
    raise TimeoutError("the index was not built")


def _point(number: int, vector: list[float], record: dict[str, Any]) -> models.PointStruct:
    vectors: dict[str, Any] = {VISUAL_VECTOR: vector}
    tags = tag_vector(tags_of(record))
    if tags is not None:
        vectors[TAGS_VECTOR] = tags
    return models.PointStruct.model_construct(
        id=point_id(str(number)), vector=vectors, payload={"_id": str(number)} | record
    )


class Way:
    """One way to search: how long it took, and how much of the truth it found."""

    def __init__(self, name: str, ask: Callable[[int], Awaitable[Hits]], truth: Indices) -> None:
        self.name = name
        self._ask = ask
        self._truth = truth
        self._seconds: list[float] = []
        self._found = 0

    async def search(self, query: int) -> None:
        started = time.perf_counter()
        hits = await self._ask(query)
        self._seconds.append(time.perf_counter() - started)
        ids = {int(record["_id"]) for record in hits.records}
        self._found += len(ids & set(self._truth[query].tolist()))

    @property
    def p50(self) -> float:
        return statistics.median(self._seconds)

    def report(self, beside: Way) -> None:
        recall = self._found / (len(self._seconds) * self._truth.shape[1])
        print(
            f"{self.name:34} p50 {self.p50 * 1e3:7.2f} ms  p95 "
            f"{np.percentile(self._seconds, 95) * 1e3:7.2f} ms  "
            f"{self.p50 / beside.p50:5.2f} x {beside.name}  "
            f"recall@{self._truth.shape[1]} {recall:.4f}"
        )


async def side_by_side(ways: Sequence[Way], queries: int) -> None:
    """Each query in every way, one after the other, so that what disturbs one disturbs all."""
    for query in range(queries):
        for way in ways:
            await way.search(query)
    for way in ways:
        way.report(ways[0])
