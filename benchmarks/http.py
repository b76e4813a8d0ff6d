"""Search by `_id`: on the engine directly and over HTTP, 100,000 vectors of 512 dimensions."""

from __future__ import annotations

import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from qdrant_client import models

from benchmarks import load
from benchmarks.service import Service
from benchmarks.vectors import Indices, Matrix, clustered, exact_neighbours
from lookalike.adapter.collections import store
from lookalike.adapter.collections.collection_settings import Collection
from lookalike.adapter.engines.embedded.client import EmbeddedEngine
from lookalike.adapter.engines.embedded.supervisor import Supervisor
from lookalike.adapter.point_layout import VISUAL_VECTOR
from lookalike.adapter.records.points import point_id
from lookalike.adapter.search.nearest import Query, find_nearest

N, DIMENSION, K = 100_000, 512, 10
SEARCHES = 2_000
CONNECTIONS = 16
BATCH = 1_000
BUILD_SECONDS = 900
SETTLED_SECONDS = 5.0


def main() -> None:
    print(f"{N:,} records, {DIMENSION} dimensions, k = {K}")
    data = clustered(N, DIMENSION, 0)
    asked = np.random.default_rng(1).integers(0, N, SEARCHES)
    truth = exact_neighbours(data.vectors, data.vectors[asked], K)
    with tempfile.TemporaryDirectory() as folder:
        collection = asyncio.run(_fill(Path(folder), data.vectors))
        with Service(Path(folder)) as service:
            asyncio.run(_one_by_one(service, collection, asked, truth))
            _many(service, collection, asked, truth)


async def _fill(folder: Path, vectors: Matrix) -> Collection:
    """Loads the vectors and waits for the index."""
    process = Supervisor(folder)
    process.start()
    try:
        engine = await EmbeddedEngine.connect(process.socket_path)
        collection = bench_collection()
        loaded, built = await fill(engine, collection, vectors)
        print(f"loaded in {loaded:.0f} s, indexed aside in {built:.0f} s more")
        await engine.close()
        return collection
    finally:
        process.stop()


async def fill(
    engine: EmbeddedEngine, collection: Collection, vectors: Matrix
) -> tuple[float, float]:
    """Makes the collection; the seconds to load it and, after that, until it is indexed."""
    await store.create_collection(engine, collection)
    started = time.perf_counter()
    for begin in range(0, len(vectors), BATCH):
        points = [
            models.PointStruct.model_construct(
                id=point_id(str(begin + row)),
                vector={VISUAL_VECTOR: vector},
                payload={"_id": str(begin + row)},
            )
            for row, vector in enumerate(vectors[begin : begin + BATCH].tolist())
        ]
        await engine.upsert(collection.physical, points=points)
    loaded = time.perf_counter() - started
    await wait_until_settled(engine)
    return loaded, time.perf_counter() - started - loaded


def bench_collection(dimension: int = DIMENSION) -> Collection:
    id_ = store.new_collection_id()
    return Collection(
        id=id_,
        physical=store.physical_name(id_),
        name="bench",
        type="photos",
        embedder="bench",
        revision="bench",
        dimension=dimension,
        distance="cosine",
        created=store.now(),
    )


async def wait_until_settled(engine: EmbeddedEngine) -> None:
    """Until nothing has been built aside for some seconds: one index may follow another."""
    deadline = time.monotonic() + BUILD_SECONDS
    quiet_since = time.monotonic()
    while time.monotonic() < deadline:
        if (await engine.health())["rebuilding"]:
            quiet_since = time.monotonic()
        elif time.monotonic() - quiet_since > SETTLED_SECONDS:
            return
        await asyncio.sleep(0.1)
    raise TimeoutError("the index was not built")


async def _one_by_one(
    service: Service, collection: Collection, asked: Indices, truth: Indices
) -> None:
    """One search at a time, the two ways in turn: what does HTTP add?"""
    engine = await EmbeddedEngine.connect(service.engine_socket)
    direct: list[float] = []
    over_http: list[float] = []
    answers_direct: list[list[str]] = []
    answers_http: list[list[str]] = []
    block = 100
    for begin in range(0, len(asked), block):
        rows = [int(row) for row in asked[begin : begin + block]]
        for row in rows:
            started = time.perf_counter()
            hits = await find_nearest(engine, collection, Query(record_id=str(row), k=K))
            direct.append(time.perf_counter() - started)
            answers_direct.append([record["_id"] for record in hits.records])
        result = await asyncio.to_thread(_http, service, collection, rows, 1)
        over_http += result.latencies
        answers_http += [_ids(body) for body in result.bodies]
    await engine.close()
    print(f"engine   p50 {ms(direct, 50)}  p95 {ms(direct, 95)}  {recall(answers_direct, truth)}")
    print(
        f"HTTP     p50 {ms(over_http, 50)}  p95 {ms(over_http, 95)}  {recall(answers_http, truth)}"
    )
    added = statistics.median(over_http) - statistics.median(direct)
    print(f"added by HTTP at p50: {added * 1e3:.2f} ms")


def _many(service: Service, collection: Collection, asked: Indices, truth: Indices) -> None:
    rows = [int(row) for row in asked]
    result = _http(service, collection, rows, CONNECTIONS)
    order = [i for c in range(CONNECTIONS) for i in range(c, len(rows), CONNECTIONS)]
    found = recall([_ids(body) for body in result.bodies], truth[order])
    print(
        f"HTTP, {CONNECTIONS} connections: {result.per_second:,.0f} requests/s, "
        f"p50 {ms(result.latencies, 50)}  p95 {ms(result.latencies, 95)}  {found}"
    )


def _http(
    service: Service, collection: Collection, rows: Sequence[int], connections: int
) -> load.Load:
    headers = {"collection-id": collection.id, "Content-Type": "application/json"}
    requests = [
        load.post(
            "/similarity/photos/v2/visualKNN",
            headers,
            json.dumps({"query_record": {"_id": str(row)}, "k": K}).encode(),
        )
        for row in rows
    ]
    return load.run(service.port, requests, connections)


def _ids(body: bytes) -> list[str]:
    return [record["_id"] for record in json.loads(body)["answer_records"]]


def recall(answers: Sequence[Sequence[str]], truth: Indices) -> str:
    """A mistake is a missing neighbour; the order within the k does not count."""
    found = sum(
        len({int(id_) for id_ in answer} & set(expected.tolist()))
        for answer, expected in zip(answers, truth, strict=True)
    )
    return f"recall@{truth.shape[1]} {found / truth.size:.4f}"


def ms(seconds: Sequence[float], percentile: int) -> str:
    return f"{np.percentile(seconds, percentile) * 1e3:.2f} ms"
