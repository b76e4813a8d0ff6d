"""What one caller's dear requests do to another's cheap ones: p95 of `get` and `visualKNN`.

Two callers read one record by id, two search by id with k 10; `/healthz` is asked all the while.
First alone, then beside a caller that repeats one dear request. All in one run, over HTTP, 100,000
records of 512 dimensions (`N=…` of others) with two indexed fields.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import msgspec
import numpy as np
from qdrant_client import models

from benchmarks.http import (
    BATCH,
    bench_collection,
    ms,
    recall,
    wait_until_settled,
)
from benchmarks.service import Service
from benchmarks.vectors import Indices, Matrix, clustered, exact_neighbours
from lookalike.adapter.collections import store
from lookalike.adapter.collections.collection_settings import Collection, IndexedField
from lookalike.adapter.engines.embedded.client import EmbeddedEngine
from lookalike.adapter.engines.embedded.supervisor import Supervisor
from lookalike.adapter.point_layout import TAGS_VECTOR, VISUAL_VECTOR
from lookalike.adapter.records.bookkeeping import stored_payload
from lookalike.adapter.records.points import point_id
from lookalike.adapter.records.record_tags import tag_vector

N, DIMENSION = int(os.environ.get("N", "100000")), 512
SECONDS = float(os.environ.get("SECONDS", "6"))
PREFIX = "/similarity/photos/v2"

Post = Callable[[str, dict[str, Any]], Awaitable[httpx.Response]]


def record(number: int) -> dict[str, Any]:
    random = np.random.default_rng(number)
    return {
        "_id": str(number),
        "brand": f"brand {random.integers(50)}",
        "price": round(float(random.random()) * 100, 2),
        "colour": f"colour {random.integers(20)}",
        "name": f"product {number} of {('wood', 'steel', 'glass')[number % 3]}",
        "product": f"p{number // 3}",
        "text": "a very comfortable chair of great beauty " * 4,
        "_url": f"https://images.example.com/{number}.jpg",
    }


def dear_requests(rows: Indices) -> dict[str, tuple[str, dict[str, Any]]]:
    """Method and body of what others should not notice."""
    one = {"_id": str(rows[0])}
    many = [{"_id": str(row)} for row in rows[:100]]
    patterns = [{"text": {"$regex": f"(chair|b[a-z]+{n}).*x{n}$"}} for n in range(20)]
    knn = "visualKNN"
    return {
        "filter without index": (knn, {"query_record": one, "filter": {"colour": "colour 3"}}),
        "rare, without index": (
            knn,
            {"query_record": one, "filter": {"name": "product 7 of steel"}},
        ),
        "range on an index": (knn, {"query_record": one, "filter": {"price": {"$lt": 60}}}),
        "from 50,000": (knn, {"query_record": one, "from": 50_000}),
        "k 10,000": (knn, {"query_record": one, "k": 10_000}),
        "100 records, k 1,000": (knn, {"query_records": many, "k": 1_000}),
        "within a radius": ("visualRange", {"query_record": one, "radius": 0.9}),
        "grouped, k 500": (knn, {"query_record": one, "k": 500, "group_by": "product"}),
        "20 patterns": (knn, {"query_record": one, "filter": {"$or": patterns}}),
        "facet": ("facets", {"field": "brand"}),
        "facet of a range": ("facets", {"field": "brand", "filter": {"price": {"$lt": 60}}}),
        "facet without index": ("facets", {"field": "colour"}),
        "random, without index": ("random", {"count": 50, "filter": {"colour": "colour 3"}}),
        "allRecords": ("allRecords", {}),
        "page 900 of 100": ("allRecords?size=100&page=900", {}),
        "page, without index": ("allRecords?size=100&page=30", {"filter": {"colour": "colour 3"}}),
        "allIDs": ("allIDs", {}),
        "tags": ("visualTagsKNN", {"query_record": {**one, "_tags": ["glass"]}, "k": 100}),
    }


def main() -> None:
    print(f"{N:,} records, {DIMENSION} dimensions, {os.cpu_count()} cores, {SECONDS:.0f} s each")
    data = clustered(N, DIMENSION, 0)
    asked = np.random.default_rng(1).integers(0, N, 200)
    truth = exact_neighbours(data.vectors, data.vectors[asked], 10)
    with tempfile.TemporaryDirectory() as folder:
        collection = asyncio.run(fill_shop(Path(folder), data.vectors))
        with Service(Path(folder)) as service:
            asyncio.run(measure(service, collection, asked, truth))


async def fill_shop(folder: Path, vectors: Matrix) -> Collection:
    process = Supervisor(folder)
    process.start()
    try:
        engine = await EmbeddedEngine.connect(process.socket_path)
        collection = bench_collection()
        fields = (IndexedField("brand", "keyword"), IndexedField("price", "number"))
        collection = msgspec.structs.replace(collection, fields_to_index=fields)
        await store.create_collection(engine, collection)
        for begin in range(0, len(vectors), BATCH):
            await engine.upsert(
                collection.physical,
                points=[
                    point(begin + row, vector)
                    for row, vector in enumerate(vectors[begin : begin + BATCH].tolist())
                ],
            )
        await wait_until_settled(engine)
        await engine.close()
        return collection
    finally:
        process.stop()


def point(number: int, vector: list[float]) -> models.PointStruct:
    tags = {kept_tag(number): 1.0, kept_tag(number // 7): 1.0}
    kept = record(number) | {"_tags": list(tags)}
    vectors: dict[str, Any] = {VISUAL_VECTOR: vector, TAGS_VECTOR: tag_vector(tags)}
    return models.PointStruct.model_construct(
        id=point_id(str(number)), vector=vectors, payload=stored_payload(kept, {"write": "bench"})
    )


def kept_tag(number: int) -> str:
    return ("wood", "steel", "glass", "oak", "linen")[number % 5]


async def measure(service: Service, collection: Collection, asked: Indices, truth: Indices) -> None:
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    async with httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{service.port}",
        headers={"collection-id": collection.id, "accept-encoding": "identity"},
        limits=limits,
        timeout=300,
    ) as client:

        async def post(method: str, body: dict[str, Any]) -> httpx.Response:
            answer = await client.post(f"{PREFIX}/{method}", json=body)
            answer.raise_for_status()
            return answer

        answers = [
            await post("visualKNN", {"query_record": {"_id": str(r)}, "k": 10}) for r in asked
        ]
        found = [[hit["_id"] for hit in a.json()["answer_records"]] for a in answers]
        print(f"of the searches: {recall(found, truth)}")
        idle = await beside(client, post, asked, None)
        show("alone", idle, idle, [])
        for name, (method, body) in dear_requests(asked).items():
            taken: list[float] = []
            others = await beside(client, post, asked, (method, body), taken)
            show(name, others, idle, taken)


Latencies = dict[str, list[float]]


async def beside(
    client: httpx.AsyncClient,
    post: Post,
    asked: Indices,
    dear: tuple[str, dict[str, Any]] | None,
    taken: list[float] | None = None,
) -> Latencies:
    end = time.perf_counter() + SECONDS
    latencies: Latencies = {"get": [], "visualKNN": [], "healthz": []}

    async def repeat(name: str, ask: Callable[[int], Awaitable[Any]], pause: float = 0.0) -> None:
        turn = 0
        while time.perf_counter() < end:
            started = time.perf_counter()
            await ask(turn)
            latencies[name].append(time.perf_counter() - started)
            turn += 1
            await asyncio.sleep(pause)

    async def disturb() -> None:
        assert dear is not None
        while time.perf_counter() < end:
            started = time.perf_counter()
            try:
                answer = await client.post(f"{PREFIX}/{dear[0]}", json=dear[1])
            except httpx.HTTPError as error:
                print("  ", type(error).__name__)
                continue
            if taken is not None:
                taken.append(time.perf_counter() - started)
            if answer.status_code != 200:
                print("  ", answer.status_code, answer.text[:200])
                await asyncio.sleep(0.2)

    def get(turn: int) -> Awaitable[Any]:
        return post("get", {"records": [{"_id": str(asked[turn % len(asked)])}]})

    def search(turn: int) -> Awaitable[Any]:
        return post("visualKNN", {"query_record": {"_id": str(asked[turn % len(asked)])}, "k": 10})

    work = [repeat("get", get), repeat("get", get), repeat("visualKNN", search)]
    work += [repeat("visualKNN", search), repeat("healthz", lambda _: client.get("/healthz"), 0.01)]
    if dear is not None:
        work.append(disturb())
    await asyncio.gather(*work)
    return latencies


def show(name: str, found: Latencies, idle: Latencies, taken: list[float]) -> None:
    parts = []
    for kind, seconds in found.items():
        p95 = float(np.percentile(seconds, 95))
        ratio = p95 / float(np.percentile(idle[kind], 95))
        parts.append(
            f"{kind} {len(seconds) / SECONDS:5.0f}/s p95 {ms(seconds, 95):>9} {ratio:4.1f}x"
        )
    own = f"  own p50 {ms(taken, 50)} ({len(taken)})" if taken else ""
    worst = max(found["healthz"])
    print(f"{name:24} {'  '.join(parts)} most {worst * 1e3:.0f} ms{own}", flush=True)
