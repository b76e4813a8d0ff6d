"""Numbered changes of the payload: applied once to every record, whenever they are interrupted."""

from __future__ import annotations

import contextlib
import random
from typing import Any

import msgspec
import pytest
from qdrant_client import models

from lookalike.adapter.collections import store
from lookalike.adapter.collections.cache import CollectionCache
from lookalike.adapter.collections.collection_settings import SCHEMA_VERSION, Collection
from lookalike.adapter.engines.base import Engine
from lookalike.adapter.filters import shadow_tokens
from lookalike.adapter.point_layout import RESERVED_KEY
from lookalike.adapter.records import listing
from lookalike.adapter.records.points import point_id
from lookalike.adapter.records.selection import EVERYTHING, Selection
from lookalike.adapter.records.writer import Writer
from lookalike.adapter.search.nearest import Query, find_nearest
from lookalike.migrations.layout import MIGRATIONS, Migration, apply, pending, read_checkpoint_of
from tests.migrations.kills import DyingEngine, Killed
from tests.shelf import embed, record, vector

COUNT = 600


def mark(payload: dict[str, Any]) -> dict[str, Any] | None:
    if "mark" in payload[RESERVED_KEY]:
        return None
    return payload | {RESERVED_KEY: payload[RESERVED_KEY] | {"mark": 1}}


NEXT = Migration(SCHEMA_VERSION + 1, "every record is marked", mark)


@pytest.fixture
async def filled(
    writer: Writer, collection: Collection, collection_cache: CollectionCache
) -> Collection:
    for begin in range(0, COUNT, 100):
        batch = [record(n) for n in range(begin, begin + 100)]
        await writer.insert(collection, batch, embed, None)
    return await collection_cache.find(collection.id)


def test_migrations_are_numbered_without_gaps_up_to_the_present_layout() -> None:
    assert [each.number for each in MIGRATIONS] == list(range(2, len(MIGRATIONS) + 2))
    assert len(MIGRATIONS) + 1 == SCHEMA_VERSION


@pytest.mark.parametrize("seed", range(3))
async def test_it_is_killed_at_random_points_and_goes_on(
    engine: Engine, writer: Writer, filled: Collection, seed: int
) -> None:
    chance = random.Random(seed)
    for attempt in range(100):
        dying: Any = DyingEngine(engine, chance.randrange(3, 12), chance)
        with contextlib.suppress(Killed):
            await apply(dying, filled, NEXT, lambda _: None)
        if attempt == 0:
            await writer.update(filled, [{"_id": "r5", "price": -1}], None)
        present = await CollectionCache(engine).find(filled.id)
        if not pending(present, [NEXT]):
            break
    else:
        pytest.fail("a hundred attempts were not enough")
    points, _ = await engine.scroll(filled.physical, limit=COUNT + 1, with_payload=True)
    assert len(points) == COUNT
    for point in points:
        payload = dict(point.payload or {})
        assert payload.pop(RESERVED_KEY)["mark"] == 1
        number = int(payload["_id"][1:])
        assert payload == record(number) | ({"price": -1} if number == 5 else {})
    assert await listing.count_records(engine, present, EVERYTHING) == COUNT


async def test_a_pass_goes_on_where_the_last_one_ended(engine: Engine, filled: Collection) -> None:
    dying: Any = DyingEngine(engine, 8, random.Random(0))
    with pytest.raises(Killed):
        await apply(dying, filled, NEXT, lambda _: None)
    reached = await read_checkpoint_of(engine, filled)
    assert 0 < reached.records < COUNT
    seen: list[int] = []
    await apply(engine, filled, NEXT, seen.append)
    assert sum(seen) == COUNT - reached.records
    assert (await read_checkpoint_of(engine, filled)).number == 0


# Layout 2: the text of the record


LONG = {"lat": 0.40159101448507484, "list": [{"x": 0.1 + 0.2}, 1]}


@pytest.fixture
async def of_layout_1(engine: Engine, collection: Collection) -> Collection:
    """As a collection was before: no point has the text of its record."""
    await engine.upsert(
        collection.physical,
        [
            models.PointStruct(
                id=point_id(kept["_id"]),
                vector={collection.vector: vector(number)},
                payload={**kept, RESERVED_KEY: {"write": "t", "shadow": shadow_tokens(kept)}},
            )
            for number in range(10)
            for kept in [record(number, **(LONG if number < 3 else {}))]
        ],
    )
    old = msgspec.structs.replace(collection, schema_version=1)
    await store.save_collection(engine, collection, old)
    return old


async def contents(engine: Engine, collection: Collection, filter_: Any = None) -> dict[str, Any]:
    selection = Selection.of(filter_, collection)
    pages = listing.scan_records(engine, collection, selection, None)
    return {entry.record["_id"]: entry.record async for page in pages for entry in page}


async def check_read(engine: Engine, collection: Collection) -> None:
    kept = await contents(engine, collection)
    assert kept.keys() == {f"r{n}" for n in range(10)}
    assert all(kept[f"r{n}"] == record(n) for n in range(3, 10))
    assert kept["r0"]["lat"] == pytest.approx(LONG["lat"], rel=1e-15)
    assert (await contents(engine, collection, {"price": {"$gt": 10}})).keys() == {"r7", "r8", "r9"}
    hits = await find_nearest(engine, collection, Query(record_id="r5", k=1, fields=None))
    assert hits.records == [record(5)]


async def test_records_without_a_text_are_read_as_before(
    engine: Engine, writer: Writer, of_layout_1: Collection
) -> None:
    await check_read(engine, of_layout_1)
    await writer.update(of_layout_1, [{"_id": "r1", "lat": LONG["lat"]}], None)
    outcome = await writer.insert(of_layout_1, [record(11, **LONG)], embed, None)
    assert not outcome.refused
    kept = await contents(engine, of_layout_1)
    assert kept["r1"]["lat"] == kept["r11"]["lat"] == LONG["lat"]


async def test_they_get_one_and_it_is_said_which_may_not_be_what_was_sent(
    engine: Engine, writer: Writer, of_layout_1: Collection
) -> None:
    await writer.update(of_layout_1, [{"_id": "r1", **LONG}], None)
    applied = await apply(engine, of_layout_1, MIGRATIONS[0], lambda _: None)
    assert applied.doubtful == 2  # r1 was written anew meanwhile
    assert applied.collection.schema_version == 2
    await check_read(engine, applied.collection)
    points, _ = await engine.scroll(of_layout_1.physical, limit=20, with_payload=True)
    assert all("record" in (point.payload or {})[RESERVED_KEY] for point in points)
    assert (await contents(engine, applied.collection))["r1"]["lat"] == LONG["lat"]
