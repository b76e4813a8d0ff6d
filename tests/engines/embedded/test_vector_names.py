"""Another dense vector for the points of a collection that is in use."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qdrant_client import models

from lookalike.adapter.engines.embedded.client import EmbeddedEngine
from lookalike.adapter.engines.embedded.worker_settings import WorkerSettings
from lookalike.adapter.errors import EngineFailed
from tests.engines.embedded.supervisors import kill, running
from tests.engines.embedded.test_rebuild import collection_folder, manifest, rebuilt
from tests.engines.points import (
    DIMENSION,
    make_collection,
    point_id,
    points,
    setting_vectors,
    vectors,
)

COUNT, OTHER_DIMENSION = 600, 24
OTHER = np.random.default_rng(8).normal(size=(COUNT, OTHER_DIMENSION)).astype(np.float32)
QUICK = WorkerSettings(flush_seconds=0.1, hnsw_threshold_elements=0, build_niceness=0)


def config(size: int = OTHER_DIMENSION) -> models.DenseVectorNameConfig:
    return models.DenseVectorNameConfig(
        dense=models.DenseVectorConfig(size=size, distance=models.Distance.COSINE)
    )


async def fill(engine: EmbeddedEngine, name: str, numbers: Iterable[int]) -> None:
    rows = {n: OTHER[n].tolist() for n in numbers}
    await engine.batch_update_points(name, [setting_vectors("other", rows)])


def having(vector: str) -> models.Filter:
    return models.Filter(must=[models.HasVectorCondition(has_vector=vector)])


async def nearest(engine: Any, name: str, row: np.ndarray[Any, Any], using: str) -> list[Any]:
    found = await engine.query_points(name, query=row.tolist(), using=using, limit=5)
    return [hit.id for hit in found.points]


@pytest.mark.parametrize("name", ["visual", "tags"])
async def test_another_vector_does_not_take_the_name_of_one(
    engine: EmbeddedEngine, name: str
) -> None:
    collection = await make_collection(engine)
    with pytest.raises(EngineFailed, match="exists"):
        await engine.create_vector_name(collection, name, config(DIMENSION + 1))
    with pytest.raises(EngineFailed, match="stay"):
        await engine.delete_vector_name(collection, name)


async def test_it_is_quantized_by_a_rebuild_and_is_there_after_a_kill(data: Path) -> None:
    with running(data, QUICK) as supervisor:
        engine = await EmbeddedEngine.connect(supervisor.socket_path)
        name = await make_collection(engine)
        await engine.upsert(name, points(COUNT))
        await engine.create_vector_name(name, "other", config())
        # Written while the rebuild is under way, or before or after it.
        for begin in range(0, COUNT, 50):
            await fill(engine, name, range(begin, begin + 50))
        await rebuilt(data)
        assert '"new_vectors": []' in manifest(data)
        for n in range(0, COUNT, 60):
            assert (await nearest(engine, name, OTHER[n], "other"))[0] == point_id(n)
        kill(supervisor.worker_pid)
    with running(data, QUICK) as supervisor:
        engine = await EmbeddedEngine.connect(supervisor.socket_path)
        assert (await engine.count(name, count_filter=having("other"))).count == COUNT
        assert (await nearest(engine, name, OTHER[3], "other"))[0] == point_id(3)
        assert (await nearest(engine, name, vectors(COUNT)[3], "visual"))[0] == point_id(3)
    config_file = (collection_folder(data).shard_folder / "edge_config.json").read_text()
    assert config_file.count('"turbo"') == 2


async def test_a_worker_killed_between_shard_and_manifest_leaves_neither_half(data: Path) -> None:
    with running(data, WorkerSettings(flush_seconds=60)) as supervisor:
        engine = await EmbeddedEngine.connect(supervisor.socket_path)
        name = await make_collection(engine)
        await engine.upsert(name, points(20))
        before = manifest(data)
        await engine.create_vector_name(name, "other", config())
        await fill(engine, name, range(20))
    collection_folder(data).path.joinpath("manifest.json").write_text(before)
    with running(data, WorkerSettings(flush_seconds=60)) as supervisor:
        engine = await EmbeddedEngine.connect(supervisor.socket_path)
        params: Any = (await engine.get_collection(name)).config.params.vectors
        assert set(params) == {"visual"}
        row = vectors(20)[3]
        assert (await nearest(engine, name, row, "visual"))[0] == point_id(3)
        await engine.create_vector_name(name, "other", config(5))
        assert (await engine.count(name, count_filter=having("other"))).count == 0
