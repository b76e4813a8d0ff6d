"""Graphs and vacuums built aside: the answers stay right, and the files become what they should."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qdrant_client import models

from lookalike.adapter.engines.embedded import messages
from lookalike.adapter.engines.embedded.client import EmbeddedEngine
from lookalike.adapter.engines.embedded.worker.data_folder import CollectionFolder, DataFolder
from lookalike.adapter.engines.embedded.worker.database import ADMINISTRATION, Database
from lookalike.adapter.engines.embedded.worker.rebuild import Rebuild, Slots, find_rebuild_reason
from lookalike.adapter.engines.embedded.worker.scheduler import Scheduler
from lookalike.adapter.engines.embedded.worker.write_plans import write
from lookalike.adapter.engines.embedded.worker_settings import WorkerSettings
from tests.engines.embedded.supervisors import FaultySupervisor, children, running
from tests.engines.points import (
    CATEGORIES,
    DIMENSION,
    make_collection,
    numbers,
    overwriting,
    payload,
    point_id,
    points,
    vectors,
    where,
)
from tests.waiting import until

COUNT = 3000
GRAPH = WorkerSettings(
    flush_seconds=0.1, hnsw_threshold_elements=2000 * DIMENSION, build_niceness=0
)
VACUUM = WorkerSettings(
    flush_seconds=0.1, hnsw_threshold_elements=0, vacuum_min_points=500, build_niceness=0
)


def collection_folder(data: Path) -> CollectionFolder:
    """The one collection of a folder, from its files; must not be called while it is rebuilt."""
    [found] = list(DataFolder(data).read_collections())
    assert isinstance(found, CollectionFolder)
    return found


async def rebuilt(data: Path, times: int = 1) -> None:
    """Wait for the n-th swap."""
    shard = f"shard-{times + 1}"
    await until(lambda: f'"shard": "{shard}"' in manifest(data), f"{shard} is current")


def due_on(data: Path, settings: WorkerSettings) -> str | None:
    """Why the one collection of a folder should be rebuilt; nobody else may have it open."""
    database = Database(data, settings)
    database.load()
    [shard] = database.shards.values()
    try:
        return find_rebuild_reason(shard, settings)
    finally:
        database.close()


def manifest(data: Path) -> str:
    [path] = data.glob("collections/*/manifest.json")
    return path.read_text()


async def recall(engine: EmbeddedEngine, name: str, category: str | None = None) -> float:
    """Mean part of the true 10 nearest neighbours that are found, over 50 queries."""
    rows, queries = vectors(COUNT), vectors(50, seed=5)
    allowed = [n for n in range(COUNT) if category in (None, CATEGORIES[n % 4])]
    condition = None if category is None else where(category=category)
    found = 0
    for query in queries:
        truth = sorted(allowed, key=lambda n: -float(rows[n] @ query))[:10]
        answer = await engine.query_points(
            name, query=query, using="visual", limit=10, query_filter=condition
        )
        found += len(set(truth) & set(numbers(answer.points)))
    return found / 500


async def test_a_graph_is_built_while_searches_and_writes_go_on(data: Path) -> None:
    with running(data, GRAPH) as supervisor:
        engine = await EmbeddedEngine.connect(supervisor.socket_path)
        name = await make_collection(engine)
        await engine.upsert(name, points(COUNT))
        version = 0
        swapped = asyncio.create_task(rebuilt(data))
        row = vectors(1)[0].tolist()
        while not swapped.done():
            version += 1
            changed = version % 50
            content = payload(changed) | {"version": version}
            await engine.batch_update_points(name, [overwriting(content, changed)])
            answer = await engine.query_points(name, query=row, using="visual", limit=1)
            assert [hit.id for hit in answer.points] == [point_id(0)]
        await swapped
        last = range(max(1, version - 9), version + 1)
        records = await engine.retrieve(name, [point_id(n % 50) for n in last])
        assert sorted(r.payload["version"] for r in records if r.payload) == list(last)
        assert (await engine.count(name)).count == COUNT
        assert ((await engine.get_collection(name)).indexed_vectors_count or 0) >= COUNT
        assert await recall(engine, name) >= 0.98
        assert await recall(engine, name, category="lamp") >= 0.98
        await engine.close()
    files = collection_folder(data)
    assert files.manifest.graph_indexes == ["category", "price"]
    assert Slots.count(files.shard_folder).fixed == COUNT


async def test_new_and_changed_points_are_found_beside_the_graph(data: Path) -> None:
    with running(data, GRAPH) as supervisor:
        engine = await EmbeddedEngine.connect(supervisor.socket_path)
        name = await make_collection(engine)
        await engine.upsert(name, points(COUNT))
        await rebuilt(data)
        moved = points(2)
        moved[0].vector, moved[1].vector = moved[1].vector, moved[0].vector
        await engine.upsert(name, moved)
        await engine.upsert(name, points(100, start=COUNT))
        await engine.delete(name, [point_id(2)])
        rows = vectors(COUNT + 100)
        for number, found in [(0, point_id(1)), (1, point_id(0)), (COUNT + 5, point_id(COUNT + 5))]:
            answer = await engine.query_points(
                name, query=rows[number].tolist(), using="visual", limit=1
            )
            assert answer.points[0].id == found
        answer = await engine.query_points(name, query=rows[2].tolist(), using="visual", limit=1)
        assert answer.points[0].id != point_id(2)
        await engine.close()
    # A few points more are no reason for another build; another index is one.
    assert due_on(data, GRAPH) is None
    with running(data, GRAPH) as supervisor:
        engine = await EmbeddedEngine.connect(supervisor.socket_path)
        await engine.create_payload_index(name, "n", models.PayloadSchemaType.FLOAT)
        await engine.upsert(name, points(1))
        await rebuilt(data, times=2)
        assert (await engine.count(name)).count == COUNT + 99
        await engine.close()
    assert collection_folder(data).manifest.graph_indexes == ["category", "n", "price"]


async def test_deleted_points_leave_the_files(data: Path) -> None:
    with running(data, VACUUM) as supervisor:
        engine = await EmbeddedEngine.connect(supervisor.socket_path)
        name = await make_collection(engine)
        await engine.upsert(name, points(COUNT))
        rest = range(1000, COUNT)
        await engine.delete(name, [point_id(n) for n in range(1000)])
        await rebuilt(data)
        assert (await engine.count(name)).count == len(rest)
        records = await engine.retrieve(name, [point_id(n) for n in (999, 1000)])
        assert [record.payload for record in records] == [payload(1000)]
        # What was vacuumed away can come back, and what is left can be changed.
        await engine.upsert(name, points(1))
        await engine.batch_update_points(name, [overwriting({"n": -1}, 1000)])
        records = await engine.retrieve(name, [point_id(0), point_id(1000)])
        assert numbers(records) == [0, -1]
        facet = await engine.facet(name, "category", limit=10)
        assert sum(hit.count for hit in facet.hits) == len(rest)
        await engine.close()
    slots = Slots.count(collection_folder(data).shard_folder)
    assert slots.fixed + slots.appendable <= len(rest) + 3


async def test_updates_in_place_are_no_reason_to_rebuild(data: Path) -> None:
    with running(data, VACUUM) as supervisor:
        engine = await EmbeddedEngine.connect(supervisor.socket_path)
        name = await make_collection(engine)
        for _ in range(4):
            await engine.upsert(name, points(1000))
        await engine.close()
    assert due_on(data, VACUUM) is None
    assert '"shard-1"' in manifest(data)


async def test_a_collection_deleted_during_its_rebuild_is_gone(data: Path) -> None:
    with running(data, GRAPH) as supervisor:
        engine = await EmbeddedEngine.connect(supervisor.socket_path)
        name = await make_collection(engine)
        await engine.upsert(name, points(COUNT))
        await until(lambda: list(data.glob("collections/*/shard-2")), "the files are copied")
        await engine.delete_collection(name)
        await make_collection(engine, name)
        await engine.upsert(name, points(5))
        worker = supervisor.worker_pid
        assert worker is not None
        await until(lambda: children(worker) == [], "the builder has ended")
        assert (await engine.count(name)).count == 5
        assert (await engine.health())["ready"]
        await engine.close()


async def test_a_build_that_fails_leaves_everything_as_it_was(
    data: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FAULT", "no builder")
    logged = io.StringIO()
    with running(data, GRAPH, FaultySupervisor) as supervisor:
        engine = await EmbeddedEngine.connect(supervisor.socket_path)
        name = await make_collection(engine)
        for start in range(0, COUNT, 100):
            await engine.upsert(name, points(100, start))

        def failed() -> bool:
            logged.write(capfd.readouterr().err)
            return "was not rebuilt" in logged.getvalue()

        await until(failed, "the rebuild has failed")
        assert (await engine.count(name)).count == COUNT
        assert await recall(engine, name) == 1.0
        await engine.delete(name, [point_id(0)])
        await engine.close()
    assert '"shard-1"' in manifest(data)
    with running(data) as supervisor:
        engine = await EmbeddedEngine.connect(supervisor.socket_path)
        assert (await engine.count(name)).count == COUNT - 1
        await engine.close()


async def test_what_is_called_off_after_the_swap_has_happened(data: Path) -> None:
    """The worker may be stopped in the very moment of the swap."""
    database = Database(data, GRAPH)
    dense = {"visual": messages.VectorParams(4, "Dot")}
    create = messages.CreateCollection("c", dense, [], {})
    for _ in ADMINISTRATION[type(create)](database, create):
        pass
    shard = database.shard("c")
    rows = [np.array([1, n, 0, 0], "<f4").tobytes() for n in range(100)]
    new = [messages.NewPoint(n, {"visual": row}, {}) for n, row in enumerate(rows)]
    for _ in write(shard, messages.UpsertPoints("c", new, insert_only=False)):
        pass
    scheduler = Scheduler(asyncio.get_running_loop(), print)
    rebuild = Rebuild(shard, scheduler, GRAPH, database.disk_space)
    swap = rebuild._swap

    def swap_and_call_off() -> Iterator[None]:
        yield from swap()
        run.cancel()

    rebuild._swap = swap_and_call_off  # type: ignore[method-assign]
    run = asyncio.create_task(rebuild.run())
    with pytest.raises(asyncio.CancelledError):
        await run
    assert shard.folder.manifest.shard == "shard-2"
    database.close()
    database = Database(data, GRAPH)
    database.load()
    assert database.shard("c").points_count == 100
    database.close()


@pytest.mark.parametrize("distance", list(models.Distance))
async def test_every_distance_finds_the_true_neighbours(
    engine: EmbeddedEngine, distance: models.Distance
) -> None:
    name = f"distance-{distance.value}"
    await engine.create_collection(
        name, vectors_config={"visual": models.VectorParams(size=64, distance=distance)}
    )
    rows: Any = (
        (vectors(2000, 64) > 0).astype("f4") if distance == "Manhattan" else vectors(2000, 64)
    )
    await engine.upsert(
        name,
        [
            models.PointStruct.model_construct(id=n, vector={"visual": rows[n]}, payload={})
            for n in range(2000)
        ],
    )
    apart: Any = {
        models.Distance.COSINE: lambda q: -(rows @ q),
        models.Distance.DOT: lambda q: -(rows @ q),
        models.Distance.EUCLID: lambda q: np.linalg.norm(rows - q, axis=1),
        models.Distance.MANHATTAN: lambda q: np.abs(rows - q).sum(axis=1),
    }[distance]
    for number in range(20):
        answer = await engine.query_points(name, query=rows[number], using="visual", limit=10)
        truth = np.sort(apart(rows[number]))[:10]
        sign = -1 if distance in (models.Distance.COSINE, models.Distance.DOT) else 1
        assert [sign * hit.score for hit in answer.points] == pytest.approx(
            truth.tolist(), abs=1e-4
        )
    await engine.delete_collection(name)
