"""Numbered changes of the payload: applied once to every record, whenever they are interrupted."""

from __future__ import annotations

import contextlib
import random
from typing import Any

import pytest

from lookalike.adapter.collections.cache import CollectionCache
from lookalike.adapter.collections.collection_settings import SCHEMA_VERSION, Collection
from lookalike.adapter.engines.base import Engine
from lookalike.adapter.point_layout import RESERVED_KEY
from lookalike.adapter.records import listing
from lookalike.adapter.records.selection import EVERYTHING
from lookalike.adapter.records.writer import Writer
from lookalike.migrations.layout import MIGRATIONS, Migration, apply, pending, read_checkpoint_of
from tests.migrations.kills import DyingEngine, Killed
from tests.shelf import embed, record

COUNT = 600


def mark(payload: dict[str, Any]) -> dict[str, Any] | None:
    if "mark" in payload[RESERVED_KEY]:
        return None
    return payload | {RESERVED_KEY: payload[RESERVED_KEY] | {"mark": 1}}


SECOND = Migration(2, "every record is marked", mark)


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
            await apply(dying, filled, SECOND, lambda _: None)
        if attempt == 0:
            await writer.update(filled, [{"_id": "r5", "price": -1}], None)
        present = await CollectionCache(engine).find(filled.id)
        if not pending(present, [SECOND]):
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
        await apply(dying, filled, SECOND, lambda _: None)
    reached = await read_checkpoint_of(engine, filled)
    assert 0 < reached.records < COUNT
    seen: list[int] = []
    await apply(engine, filled, SECOND, seen.append)
    assert sum(seen) == COUNT - reached.records
    assert (await read_checkpoint_of(engine, filled)).number == 0
