"""What every engine must do with collections, in the words of `AsyncQdrantClient`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from qdrant_client import models

from lookalike.adapter.engines.base import Engine
from lookalike.adapter.engines.embedded.client import EmbeddedEngine
from lookalike.adapter.engines.server.engine import ServerEngine
from tests.engines.contract.subjects import Subject
from tests.engines.points import (
    DIMENSION,
    make_collection,
    point_id,
    points,
    search,
    setting_vectors,
    vectors,
)

OTHER = np.random.default_rng(8).normal(size=(20, 24)).astype(np.float32)


def test_both_engines_have_every_method_that_is_used() -> None:
    """For the type checker: each of them is an `Engine`."""
    engines: list[type[Engine]] = [EmbeddedEngine, ServerEngine]
    assert [each.capabilities for each in engines]


async def test_a_collection_is_created_described_and_deleted(engine: Engine) -> None:
    name = await make_collection(engine)
    assert await engine.collection_exists(name)
    assert name in [c.name for c in (await engine.get_collections()).collections]
    info = await engine.get_collection(name)
    assert info.points_count == 0
    assert info.config.metadata == {"kind": "photos", "version": 1}
    params: Any = info.config.params.vectors
    assert (params["visual"].size, params["visual"].distance) == (
        DIMENSION,
        models.Distance.COSINE,
    )
    assert await engine.delete_collection(name)
    assert not await engine.collection_exists(name)
    assert not await engine.delete_collection(name)


async def test_metadata_is_merged_and_null_removes(
    subject: Subject, engine: Engine, collection_name: str
) -> None:
    if subject.name == "memory":
        pytest.skip("the local mode replaces metadata")
    changes = {"version": 2, "kind": None, "new": [1]}
    await engine.update_collection(collection_name, metadata=changes)
    info = await engine.get_collection(collection_name)
    assert info.config.metadata == {"version": 2, "new": [1]}


async def test_payload_indexes_are_listed(
    subject: Subject, engine: Engine, collection_name: str
) -> None:
    if subject.name == "memory":
        pytest.skip("the local mode has no payload indexes")
    schema = (await engine.get_collection(collection_name)).payload_schema
    assert {path: index.data_type.value for path, index in schema.items()} == {
        "category": "keyword",
        "price": "float",
    }
    await engine.delete_payload_index(collection_name, "price")
    await engine.delete_payload_index(collection_name, "price")
    assert set((await engine.get_collection(collection_name)).payload_schema) == {"category"}


async def test_an_alias_moves_in_one_step(engine: Engine, collection_name: str) -> None:
    other = await make_collection(engine)
    alias = f"alias-of-{other}"

    def point_to(name: str) -> models.CreateAliasOperation:
        return models.CreateAliasOperation(
            create_alias=models.CreateAlias(collection_name=name, alias_name=alias)
        )

    await engine.update_collection_aliases([point_to(collection_name)])
    await engine.upsert(alias, points(1))
    assert (await engine.count(collection_name)).count == 1
    await engine.update_collection_aliases([point_to(other)])
    assert (await engine.count(alias)).count == 0
    found = {a.alias_name: a.collection_name for a in (await engine.get_aliases()).aliases}
    assert found[alias] == other
    await engine.delete_collection(other)
    assert alias not in [a.alias_name for a in (await engine.get_aliases()).aliases]


def config(size: int) -> models.DenseVectorNameConfig:
    return models.DenseVectorNameConfig(
        dense=models.DenseVectorConfig(size=size, distance=models.Distance.COSINE)
    )


async def test_a_vector_is_added_filled_searched_and_dropped(
    engine: Engine, collection_name: str
) -> None:
    name = collection_name

    async def names() -> set[str]:
        params: Any = (await engine.get_collection(name)).config.params.vectors
        return set(params)

    async def count() -> int:
        having = models.Filter(must=[models.HasVectorCondition(has_vector="other")])
        return (await engine.count(name, count_filter=having)).count

    await engine.upsert(name, points(50))
    await engine.create_vector_name(name, "other", config(24))
    assert await names() == {"visual", "other"}
    assert await count() == 0
    assert await search(engine, name, OTHER[3].tolist(), using="other") == []

    rows = {number: OTHER[number].tolist() for number in range(10)}
    await engine.batch_update_points(name, [setting_vectors("other", rows)])
    assert await count() == 10
    found = await search(engine, name, OTHER[3].tolist(), using="other", limit=5)
    assert (found[0].id, len(found)) == (point_id(3), 5)
    (kept,) = await engine.retrieve(name, [point_id(3)], with_vectors=True)
    assert isinstance(kept.vector, dict)
    assert kept.vector.keys() == {"visual", "tags", "other"}, "the others stay"
    (without,) = await engine.retrieve(name, [point_id(20)], with_vectors=["other"])
    assert not without.vector

    await engine.create_vector_name(name, "other", config(24))
    assert await count() == 10
    await engine.delete_vector_name(name, "other")
    await engine.delete_vector_name(name, "other")
    assert await names() == {"visual"}
    assert (await search(engine, name, vectors(50)[7].tolist()))[0].id == point_id(7)
    # Of the same name and another dimension: nothing of the former one is left.
    await engine.create_vector_name(name, "other", config(3))
    assert await count() == 0
