"""Another dense vector for the points of a collection that is in use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qdrant_client import models

from lookalike.adapter.engines.embedded.client import EmbeddedEngine
from lookalike.adapter.engines.embedded.worker_settings import WorkerSettings
from lookalike.adapter.errors import EngineFailed
from tests.engines.embedded.conftest import make_collection
from tests.engines.embedded.owners import kill, running
from tests.engines.embedded.test_rebuild import home, manifest, rebuilt
from tests.engines.points import DIMENSION, point_id, points, vectors

COUNT, OTHER_DIMENSION = 600, 24
OTHER = np.random.default_rng(8).normal(size=(COUNT, OTHER_DIMENSION)).astype(np.float32)
QUICK = WorkerSettings(flush_seconds=0.1, hnsw_threshold_elements=0, build_niceness=0)


def config(size: int = OTHER_DIMENSION) -> models.DenseVectorNameConfig:
    return models.DenseVectorNameConfig(
        dense=models.DenseVectorConfig(size=size, distance=models.Distance.COSINE)
    )


def others(numbers: Any) -> list[models.PointVectors]:
    return [
        models.PointVectors(id=point_id(n), vector={"other": OTHER[n].tolist()}) for n in numbers
    ]


def having(vector: str) -> models.Filter:
    return models.Filter(must=[models.HasVectorCondition(has_vector=vector)])


async def nearest(engine: Any, name: str, row: np.ndarray[Any, Any], using: str) -> list[Any]:
    found = await engine.query_points(name, query=row.tolist(), using=using, limit=5)
    return [hit.id for hit in found.points]


async def test_a_vector_is_added_filled_searched_and_dropped(engine: Any, collection: str) -> None:
    await engine.upsert(collection, points(50))
    await engine.create_vector_name(collection, "other", config())
    info = await engine.get_collection(collection)
    assert set(info.config.params.vectors) == {"visual", "other"}
    assert (await engine.count(collection, count_filter=having("other"))).count == 0
    assert await nearest(engine, collection, OTHER[3], "other") == []

    await engine.update_vectors(collection, others(range(10)))
    assert (await engine.count(collection, count_filter=having("other"))).count == 10
    found = await nearest(engine, collection, OTHER[3], "other")
    assert (found[0], len(found)) == (point_id(3), 5)
    (kept,) = await engine.retrieve(collection, [point_id(3)], with_vectors=True)
    assert set(kept.vector) == {"visual", "tags", "other"}, "the others stay"
    (without,) = await engine.retrieve(collection, [point_id(20)], with_vectors=["other"])
    assert not without.vector

    await engine.create_vector_name(collection, "other", config())
    assert (await engine.count(collection, count_filter=having("other"))).count == 10
    await engine.delete_vector_name(collection, "other")
    await engine.delete_vector_name(collection, "other")
    assert set((await engine.get_collection(collection)).config.params.vectors) == {"visual"}
    row = vectors(50)[7]
    assert (await nearest(engine, collection, row, "visual"))[0] == point_id(7)
    # Of the same name and another dimension: nothing of the former one is left.
    await engine.create_vector_name(collection, "other", config(3))
    assert (await engine.count(collection, count_filter=having("other"))).count == 0


@pytest.mark.parametrize("name", ["visual", "tags"])
async def test_another_vector_does_not_take_the_name_of_one(
    embedded: EmbeddedEngine, name: str
) -> None:
    collection = await make_collection(embedded)
    with pytest.raises(EngineFailed, match="exists"):
        await embedded.create_vector_name(collection, name, config(DIMENSION + 1))
    with pytest.raises(EngineFailed, match="stay"):
        await embedded.delete_vector_name(collection, name)


async def test_it_is_quantized_by_a_rebuild_and_is_there_after_a_kill(data: Path) -> None:
    with running(data, QUICK) as owner:
        engine = await EmbeddedEngine.connect(owner.socket_path)
        name = await make_collection(engine)
        await engine.upsert(name, points(COUNT))
        await engine.create_vector_name(name, "other", config())
        # Written while the rebuild is under way, or before or after it.
        for begin in range(0, COUNT, 50):
            await engine.update_vectors(name, others(range(begin, begin + 50)))
        await rebuilt(data)
        assert '"new_vectors": []' in manifest(data)
        for n in range(0, COUNT, 60):
            assert (await nearest(engine, name, OTHER[n], "other"))[0] == point_id(n)
        kill(owner.worker_pid)
    with running(data, QUICK) as owner:
        engine = await EmbeddedEngine.connect(owner.socket_path)
        assert (await engine.count(name, count_filter=having("other"))).count == COUNT
        assert (await nearest(engine, name, OTHER[3], "other"))[0] == point_id(3)
        assert (await nearest(engine, name, vectors(COUNT)[3], "visual"))[0] == point_id(3)
    config_file = (home(data).shard / "edge_config.json").read_text()
    assert config_file.count('"turbo"') == 2


async def test_a_worker_killed_between_shard_and_manifest_leaves_neither_half(data: Path) -> None:
    with running(data, WorkerSettings(flush_seconds=60)) as owner:
        engine = await EmbeddedEngine.connect(owner.socket_path)
        name = await make_collection(engine)
        await engine.upsert(name, points(20))
        before = manifest(data)
        await engine.create_vector_name(name, "other", config())
        await engine.update_vectors(name, others(range(20)))
    home(data).folder.joinpath("manifest.json").write_text(before)
    with running(data, WorkerSettings(flush_seconds=60)) as owner:
        engine = await EmbeddedEngine.connect(owner.socket_path)
        assert set((await engine.get_collection(name)).config.params.vectors) == {"visual"}
        row = vectors(20)[3]
        assert (await nearest(engine, name, row, "visual"))[0] == point_id(3)
        await engine.create_vector_name(name, "other", config(5))
        assert (await engine.count(name, count_filter=having("other"))).count == 0
