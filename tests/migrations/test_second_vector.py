"""After the switch: the way back, and dropping the vector that is searched no more."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Sequence
from typing import Any

import pytest

from lookalike.adapter.collections import second_vector
from lookalike.adapter.collections.cache import CollectionCache
from lookalike.adapter.collections.collection_settings import Collection, EmbedderIdentity
from lookalike.adapter.engines.base import Engine
from lookalike.adapter.records.image_sources import Embedded
from lookalike.adapter.records.writer import Writer
from lookalike.adapter.search.nearest import Query, find_nearest
from lookalike.migrations.reembedding import Reembedding
from lookalike.migrations.sources import GivenRecords
from tests.migrations.kills import DyingEngine, Killed
from tests.migrations.reembedding import (
    SETTLE_SECONDS,
    embed_new,
    migration,
    new_vector,
    vector_names,
)
from tests.shelf import embed, record, vector


async def test_a_switch_is_taken_back_and_what_came_meanwhile_is_found_by_both(
    engine: Engine, collection_cache: CollectionCache, filled: Collection
) -> None:
    done, _ = await migration(engine, filled).run()

    async def former(seen: Collection, sources: Sequence[Any]) -> list[Any]:
        assert seen.revision == filled.revision
        return [r.vector for r in await embed(sources) if isinstance(r, Embedded)]

    collection_cache.put(done)
    await Writer(engine, collection_cache, former).insert(done, [record(500)], embed_new, None)
    before = await second_vector.switch_vectors(engine, done)
    assert (before.vector, before.revision) == (filled.vector, filled.revision)
    for collection, mine in ((before, vector(500)), (done, new_vector(500))):
        hits = await find_nearest(engine, collection, Query(vectors=(mine,), k=1))
        assert (hits.records, hits.distances) == ([{"_id": "r500"}], [0.0])


async def test_the_vector_that_is_not_searched_is_dropped(
    engine: Engine, filled: Collection
) -> None:
    done, _ = await migration(engine, filled).run()
    left = await second_vector.drop_second_vector(engine, done, settle_seconds=0)
    assert left.second_vector is None
    assert await vector_names(engine, filled) == {done.vector}
    assert await CollectionCache(engine).find(filled.id) == left
    hits = await find_nearest(engine, left, Query(vectors=(new_vector(7),), k=1))
    assert hits.records == [{"_id": "r7"}]
    # The way back is a migration as any other.
    back, _ = await Reembedding(
        engine,
        filled.id,
        EmbedderIdentity(filled.embedder, filled.revision, filled.dimension, filled.distance),
        embed,
        GivenRecords(None),
        settle_seconds=SETTLE_SECONDS,
    ).run()
    assert (back.revision, back.vector) == (filled.revision, "visual-3")
    hits = await find_nearest(engine, back, Query(vectors=(vector(7),), k=1))
    assert hits.records == [{"_id": "r7"}]


@pytest.mark.parametrize("seed", range(4))
async def test_dropping_is_killed_at_any_point_and_repeated(
    engine: Engine, filled: Collection, seed: int
) -> None:
    done, _ = await migration(engine, filled).run()
    dying: Any = DyingEngine(engine, seed, random.Random(seed))
    with contextlib.suppress(Killed):
        await second_vector.drop_second_vector(dying, done, settle_seconds=0)
    present = await CollectionCache(engine).find(filled.id)
    hits = await find_nearest(engine, present, Query(vectors=(new_vector(7),), k=1))
    assert hits.records == [{"_id": "r7"}]
    await second_vector.drop_second_vector(engine, present, settle_seconds=0)
    assert await vector_names(engine, filled) == {done.vector}


async def test_an_insert_outlives_the_dropping_of_the_vector_that_it_has_made(
    engine: Engine, collection_cache: CollectionCache, filled: Collection
) -> None:
    done, _ = await migration(engine, filled).run()
    left = await second_vector.drop_second_vector(engine, done, settle_seconds=0)

    async def former(_: Collection, sources: Sequence[Any]) -> list[Any]:
        collection_cache.put(left)
        return [vector(1) for _ in sources]

    collection_cache.put(done)
    outcome = await Writer(engine, collection_cache, former).insert(
        done, [record(900)], embed_new, None
    )
    assert [entry["_id"] for entry in outcome.done] == ["r900"]
