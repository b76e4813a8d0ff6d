"""Filtered against unfiltered search: 100,000 vectors of 512 dimensions, at 50 to 0.1 %."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qdrant_client import models

from benchmarks.vectors import Matrix, clustered
from lookalike.adapter.engines.embedded.client import EmbeddedEngine
from lookalike.adapter.engines.embedded.supervisor import Supervisor
from lookalike.adapter.engines.embedded.worker_settings import WorkerSettings
from lookalike.adapter.filters import (
    SHADOW_KEY,
    SHADOW_PATH,
    Node,
    Translation,
    match,
    parse,
    shadow_tokens,
    translate,
)
from lookalike.adapter.point_layout import RESERVED_KEY, VISUAL_VECTOR

N, DIMENSION, K = 100_000, 512, 10
QUERIES, ROUNDS, BATCH = 100, 3, 128
BUILD_SECONDS = 900.0
NAME = "filters"
SHARES = {"half": 0.5, "tenth": 0.1, "percent": 0.01, "permille": 0.001}
INDEXED = {"category": "keyword", "price": "number"}
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Asked:
    """A filter of the benchmark: its name, its translation, and which records it matches."""

    name: str
    translation: Translation
    matching: Mask


def main() -> None:
    print(f"{N:,} records, {DIMENSION} dimensions, k = {K}, {QUERIES} queries x {ROUNDS} rounds")
    data = clustered(N, DIMENSION, QUERIES)
    records = list(_records())
    _print_tokens(records)
    for storage, settings in {
        "flat": WorkerSettings(hnsw_threshold_elements=0),
        "HNSW": WorkerSettings(hnsw_threshold_elements=1),
    }.items():
        print(f"\n{storage}")
        with tempfile.TemporaryDirectory() as folder:
            process = Supervisor(Path(folder), settings)
            process.start()
            try:
                asyncio.run(_run(process, data.vectors, data.queries, records))
            finally:
                process.stop()


def _records() -> Iterator[dict[str, Any]]:
    """Of each kind of field one whose values are as rare as the shares."""
    random = np.random.default_rng(3)
    draws = random.random((N, 4))
    for i, (category, price, flag, kind) in enumerate(draws):
        record: dict[str, Any] = {
            "_id": f"SKU-{i:07}",
            "title": f"Product number {i} in washed canvas",
            "brand": f"brand-{i % 200}",
            "category": _share_of(category),
            "price": float(price) * 100,
            "flags": {f"in-{_share_of(flag)}": True},
        }
        record[f"only-{_share_of(kind)}"] = 1
        yield record


def _share_of(draw: float) -> str:
    """A name that this share of the draws has; the rest has none of them."""
    edge = 0.0
    for name, share in SHARES.items():
        edge += share
        if draw < edge:
            return name
    return "rest"


def _filters() -> Iterator[tuple[str, dict[str, Any]]]:
    for name, share in SHARES.items():
        said = f"{share:.1%}"
        yield f"string {said}", {"category": name}
        yield f"range {said}", {"price": {"$lt": share * 100}}
        yield f"boolean {said}", {f"flags.in-{name}": True}
        yield f"exists {said}", {f"only-{name}": {"$exists": True}}
        residual = {"title": {"$regex": "canvas$"}}
        yield f"string {said} + residual", {"category": name, **residual}


def _print_tokens(records: list[dict[str, Any]]) -> None:
    sample = [shadow_tokens(record) for record in records[:1000]]
    size = statistics.mean(sum(len(token) for token in tokens) for tokens in sample)
    print(f"shadow tokens: {statistics.mean(map(len, sample)):.1f} a record, {size:.0f} bytes")


async def _run(
    process: Supervisor, vectors: Matrix, queries: Matrix, records: list[dict[str, Any]]
) -> None:
    engine = await EmbeddedEngine.connect(process.socket_path)
    await _fill(engine, vectors, records, built=process.settings.hnsw_threshold_elements > 0)
    everything = Asked("unfiltered", Translation(None, None), np.ones(N, bool))
    asked = [everything, *(_asked(name, sent, records) for name, sent in _filters())]
    truth = {each.name: _truth(vectors, queries, each.matching) for each in asked}
    seconds: dict[str, list[float]] = {each.name: [] for each in asked}
    found: dict[str, list[list[int]]] = {each.name: [] for each in asked}
    for _ in range(ROUNDS):
        for query in queries.tolist():
            # In turn, so that what else the machine does falls on all of them.
            for each in asked:
                started = time.perf_counter()
                ids = await _search(engine, query, each.translation)
                seconds[each.name].append(time.perf_counter() - started)
                found[each.name].append(ids)
    await engine.close()
    base = statistics.median(seconds["unfiltered"])
    print(f"{'filter':24} {'matching':>8} {'p50 ms':>8} {'p95 ms':>8} {'ratio':>6} {'recall':>7}")
    for each in asked:
        times = sorted(seconds[each.name])
        half, most = statistics.median(times), times[int(0.95 * len(times))]
        recall = _recall(found[each.name], truth[each.name])
        print(
            f"{each.name:24} {each.matching.sum():8} {half * 1e3:8.2f} {most * 1e3:8.2f} "
            f"{half / base:6.2f} {recall:7.3f}"
        )


def _asked(name: str, sent: dict[str, Any], records: list[dict[str, Any]]) -> Asked:
    node: Node = parse(sent)
    matching = np.fromiter((match(node, record) for record in records), bool, N)
    return Asked(name, translate(node, INDEXED, complete=True), matching)


async def _fill(
    engine: EmbeddedEngine, vectors: Matrix, records: list[dict[str, Any]], *, built: bool
) -> None:
    size = models.VectorParams(size=DIMENSION, distance=models.Distance.COSINE)
    await engine.create_collection(NAME, vectors_config={VISUAL_VECTOR: size})
    keyword, number = models.PayloadSchemaType.KEYWORD, models.PayloadSchemaType.FLOAT
    for field, schema in {SHADOW_PATH: keyword, "category": keyword, "price": number}.items():
        await engine.create_payload_index(NAME, field, field_schema=schema)
    started = time.perf_counter()
    for begin in range(0, N, BATCH):
        rows = vectors[begin : begin + BATCH].tolist()
        points = [
            models.PointStruct.model_construct(
                id=begin + at, vector={VISUAL_VECTOR: row}, payload=_payload(records[begin + at])
            )
            for at, row in enumerate(rows)
        ]
        await engine.upsert(NAME, points=points)
    print(f"loaded in {time.perf_counter() - started:.0f} s")
    if built:
        started = time.perf_counter()
        while ((await engine.get_collection(NAME)).indexed_vectors_count or 0) < N:
            if time.perf_counter() - started > BUILD_SECONDS:
                raise TimeoutError("the index was not built")
            await asyncio.sleep(0.5)
        print(f"indexed in {time.perf_counter() - started:.0f} s more")


def _payload(record: dict[str, Any]) -> dict[str, Any]:
    return {**record, RESERVED_KEY: {SHADOW_KEY: shadow_tokens(record)}}


async def _search(engine: EmbeddedEngine, query: list[float], asked: Translation) -> list[int]:
    """The ids of the k nearest. A residual fetches twice as many, and more if that is too few."""
    limit = K if asked.residual is None else 2 * K
    while True:
        found = await engine.query_points(
            NAME,
            query=query,
            using=VISUAL_VECTOR,
            query_filter=asked.filter,
            limit=limit,
            with_payload=["_id"] if asked.residual is None else True,
        )
        hits = [
            int(str(point.id))
            for point in found.points
            if asked.residual is None or match(asked.residual, point.payload or {})
        ]
        if len(hits) >= K or len(found.points) < limit:
            return hits[:K]
        limit *= 4


def _truth(vectors: Matrix, queries: Matrix, matching: Mask) -> list[set[int]]:
    rows = np.flatnonzero(matching)
    similarities = queries @ vectors[rows].T
    k = min(K, len(rows))
    nearest = np.argpartition(-similarities, k - 1, axis=1)[:, :k]
    return [set(rows[each].tolist()) for each in nearest]


def _recall(found: list[list[int]], truth: list[set[int]]) -> float:
    wanted = [truth[i % len(truth)] for i in range(len(found))]
    shares = [len(set(ids) & want) / len(want) for ids, want in zip(found, wanted, strict=True)]
    return statistics.mean(shares)
