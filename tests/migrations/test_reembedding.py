"""Another embedder for a collection that is in use: nothing is lost, whenever it is interrupted."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from lookalike.adapter.collections import second_vector
from lookalike.adapter.collections.cache import CollectionCache
from lookalike.adapter.collections.store import Collection
from lookalike.adapter.engines.base import Engine
from lookalike.adapter.errors import (
    CollectionConflict,
    InvalidRequest,
    RecordRefused,
    RecordsNotFound,
    Unavailable,
)
from lookalike.adapter.records import listing
from lookalike.adapter.records.images import Embed, Embedded, ImageSource
from lookalike.adapter.records.selection import EVERYTHING
from lookalike.adapter.records.writer import Writer
from lookalike.adapter.search.nearest import Query, nearest, stored_vectors
from lookalike.migrations.reembedding import NotVerified, Reembedding, Target, Unreadable
from lookalike.migrations.sources import GivenRecords
from tests.engines.contract.records import UNREADABLE, embed, record, vector
from tests.migrations.kills import DyingEngine, Killed

COUNT = 150
DIMENSION = 12
TARGET = Target("better", "2", DIMENSION, "cosine")
SETTLE_SECONDS = 0.02
"""Where nobody else is at work."""
REFRESH_SECONDS = 0.05


def new_vector(number: int) -> list[float]:
    return vector(number + 10_000, DIMENSION)


async def embed_new(sources: Sequence[ImageSource]) -> list[Embedded | RecordRefused]:
    return [
        RecordRefused(504, "the picture cannot be fetched")
        if str(source.url).startswith(UNREADABLE)
        else Embedded(new_vector(int(str(source.url).rpartition("/")[2])), "hash")
        for source in sources
    ]


def migration(
    engine: Any,
    collection: Collection,
    given: Path | None = None,
    embedder: Embed = embed_new,
    settle_seconds: float = SETTLE_SECONDS,
) -> Reembedding:
    return Reembedding(
        engine,
        collection.id,
        TARGET,
        embedder,
        GivenRecords(given),
        settle_seconds=settle_seconds,
    )


@pytest.fixture
async def filled(
    writer: Writer, collection: Collection, collection_cache: CollectionCache
) -> Collection:
    await writer.insert(collection, [record(n) for n in range(COUNT)], embed, None)
    return await collection_cache.find(collection.id)


async def contents(engine: Engine, collection: Collection) -> dict[str, Any]:
    return {
        entry.payload["_id"]: entry.payload
        async for page in listing.scan(engine, collection, EVERYTHING, None)
        for entry in page
    }


async def check_moved(engine: Engine, old: Collection, numbers: Sequence[int]) -> Collection:
    """The collection has the records of `numbers`, as before, and is searched by new vectors."""
    collection_cache = CollectionCache(engine)
    new = await collection_cache.find(old.id)
    assert (new.embedder, new.revision, new.dimension) == ("better", "2", DIMENSION)
    assert new.second_vector is not None
    assert (new.second_vector.vector, new.second_vector.embedder) == (old.vector, old.embedder)
    assert new.indexes == old.indexes
    found = await contents(engine, new)
    assert found == {f"r{n}": record(n) for n in numbers}
    vectors = await stored_vectors(engine, new, list(found))
    for number in numbers:
        assert vectors[f"r{number}"] == pytest.approx(new_vector(number), abs=1e-5)
    hits = await nearest(engine, new, Query(record_id=f"r{numbers[0]}", k=3))
    assert hits.records[0]["_id"] == f"r{numbers[0]}"
    mixed = Query(
        vectors=(new_vector(numbers[1]),),
        tags=frozenset(record(numbers[1])["tags"]),
        tag_weight=0.5,
    )
    assert (await nearest(engine, new, mixed)).distances[0] == 0.0
    return new


async def test_all_records_get_the_vectors_of_the_new_embedder(
    engine: Engine, filled: Collection
) -> None:
    done, verdict = await migration(engine, filled).run()
    assert (verdict.records, verdict.unreadable) == (COUNT, [])
    assert await check_moved(engine, filled, range(COUNT)) == done
    with pytest.raises(CollectionConflict):
        await migration(engine, filled).run()


async def test_a_switch_is_taken_back_and_what_came_meanwhile_is_found_by_both(
    engine: Engine, collection_cache: CollectionCache, filled: Collection
) -> None:
    done, _ = await migration(engine, filled).run()

    async def former(seen: Collection, sources: Sequence[Any]) -> list[Any]:
        assert seen.revision == filled.revision
        return [r.vector for r in await embed(sources) if isinstance(r, Embedded)]

    collection_cache.put(done)
    await Writer(engine, collection_cache, former).insert(done, [record(500)], embed_new, None)
    before = await second_vector.switch(engine, done)
    assert (before.vector, before.revision) == (filled.vector, filled.revision)
    for collection, mine in ((before, vector(500)), (done, new_vector(500))):
        hits = await nearest(engine, collection, Query(vectors=(mine,), k=1))
        assert (hits.records, hits.distances) == ([{"_id": "r500"}], [0.0])


async def test_the_vector_that_is_not_searched_is_dropped(
    engine: Engine, filled: Collection
) -> None:
    done, _ = await migration(engine, filled).run()
    left = await second_vector.drop(engine, done, settle_seconds=0)
    assert left.second_vector is None
    assert await vector_names(engine, filled) == {done.vector}
    assert await CollectionCache(engine).find(filled.id) == left
    hits = await nearest(engine, left, Query(vectors=(new_vector(7),), k=1))
    assert hits.records == [{"_id": "r7"}]
    # The way back is a migration as any other.
    back, _ = await Reembedding(
        engine,
        filled.id,
        Target(filled.embedder, filled.revision, filled.dimension, filled.distance),
        embed,
        GivenRecords(None),
        settle_seconds=SETTLE_SECONDS,
    ).run()
    assert (back.revision, back.vector) == (filled.revision, "visual-3")
    hits = await nearest(engine, back, Query(vectors=(vector(7),), k=1))
    assert hits.records == [{"_id": "r7"}]


async def vector_names(engine: Engine, collection: Collection) -> set[str]:
    vectors: Any = (await engine.get_collection(collection.physical)).config.params.vectors
    return set(vectors)


@pytest.mark.parametrize("seed", range(4))
async def test_dropping_is_killed_at_any_point_and_repeated(
    engine: Engine, filled: Collection, seed: int
) -> None:
    done, _ = await migration(engine, filled).run()
    dying: Any = DyingEngine(engine, seed, random.Random(seed))
    with contextlib.suppress(Killed):
        await second_vector.drop(dying, done, settle_seconds=0)
    present = await CollectionCache(engine).find(filled.id)
    hits = await nearest(engine, present, Query(vectors=(new_vector(7),), k=1))
    assert hits.records == [{"_id": "r7"}]
    await second_vector.drop(engine, present, settle_seconds=0)
    assert await vector_names(engine, filled) == {done.vector}


@pytest.mark.parametrize("seed", range(4))
async def test_it_is_killed_at_random_points_and_goes_on(
    engine: Engine, filled: Collection, seed: int
) -> None:
    chance = random.Random(seed)
    for _ in range(30):
        # A pass makes some 10 calls, the sample of the verification some 100.
        dying = DyingEngine(engine, chance.randrange(chance.choice([15, 40, 220])), chance)
        with contextlib.suppress(Killed, CollectionConflict):
            await migration(dying, filled).run()
        # Whatever has happened: the collection is there, whole, old or new.
        present = await CollectionCache(engine).find(filled.id)
        assert len(await contents(engine, present)) == COUNT
        if present.revision == TARGET.revision:
            break
    else:
        pytest.fail("thirty attempts were not enough")
    await check_moved(engine, filled, range(COUNT))


@contextlib.asynccontextmanager
async def refreshing(collection_cache: CollectionCache) -> AsyncIterator[None]:
    async def again() -> None:
        while True:
            await collection_cache.refresh()
            await asyncio.sleep(REFRESH_SECONDS)

    task = asyncio.create_task(again())
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_writes_and_searches_go_on_meanwhile(
    engine: Engine, collection_cache: CollectionCache, filled: Collection
) -> None:
    async def again(seen: Collection, sources: Sequence[Any]) -> list[Any]:
        by = embed_new if seen.revision == TARGET.revision else embed
        return [r.vector for r in await by(sources) if isinstance(r, Embedded)]

    writer = Writer(engine, collection_cache, again)
    expected = {f"r{n}": record(n) for n in range(COUNT)}
    done = asyncio.Event()

    async def write(number: int) -> None:
        current = await collection_cache.find(filled.id)
        embedder = embed_new if current.revision == TARGET.revision else embed
        try:
            inserted = await writer.insert(current, [record(number)], embedder, None)
            expected.update({entry["_id"]: entry for entry in inserted.done})
            victim = f"r{number - COUNT}"
            for entry in await writer.delete(current, [victim], None):
                del expected[entry["_id"]]
            changed = await writer.update(current, [{"_id": f"r{number - 1}", "price": -1}], None)
            expected.update({entry["_id"]: entry for entry in changed.done})
        except Unavailable:
            """Just moving: the client would send it again."""

    async def keep_writing() -> None:
        number = COUNT
        while not done.is_set():
            await write(number)
            number += 1

    async def keep_searching() -> None:
        while not done.is_set():
            current = await collection_cache.find(filled.id)
            mine = new_vector(149) if current.revision == TARGET.revision else vector(149)
            hits = await nearest(engine, current, Query(vectors=(mine,), k=5))
            assert len(hits.records) == 5

    async with refreshing(collection_cache):
        others = [asyncio.create_task(keep_writing()), asyncio.create_task(keep_searching())]
        await migration(engine, filled, settle_seconds=20 * REFRESH_SECONDS).run()
        await asyncio.sleep(4 * REFRESH_SECONDS)
        done.set()
        await asyncio.gather(*others)
        await collection_cache.refresh()
    new = await collection_cache.find(filled.id)
    assert new.revision == TARGET.revision
    found = await contents(engine, new)
    assert found == expected
    vectors = await stored_vectors(engine, new, list(found))
    for id_ in found:
        assert vectors[id_] == pytest.approx(new_vector(int(id_[1:])), abs=1e-5)


async def test_a_image_that_came_as_bytes_meanwhile_is_embedded_for_both(
    engine: Engine, collection_cache: CollectionCache, filled: Collection
) -> None:
    await migration(engine, filled).begin()

    async def again(_: Any, sources: Sequence[Any]) -> list[Any]:
        return [new_vector(7000) for _ in sources]

    async def both(sources: Sequence[ImageSource]) -> list[Embedded | RecordRefused]:
        return [Embedded(vector(7000), "bytes") for _ in sources]

    await collection_cache.refresh()
    current = await collection_cache.find(filled.id)
    entry = {"_id": "r7000", "_base64": "AAAA", "tags": ["x"]}
    await Writer(engine, collection_cache, again).insert(current, [entry], both, None)
    done, verdict = await migration(engine, filled).run()
    assert verdict.unreadable == []
    vectors = await stored_vectors(engine, done, ["r7000"])
    assert vectors["r7000"] == pytest.approx(new_vector(7000), abs=1e-5)


async def test_unreadable_records_are_listed_and_can_be_given_again(
    engine: Engine, writer: Writer, filled: Collection, tmp_path: Path
) -> None:
    for number in (200, 201):
        await writer.insert(filled, [record(number)], embed, None)
    gone: list[dict[str, Any]] = [
        {"_id": "r200", "_url": None},
        {"_id": "r201", "_url": f"{UNREADABLE}201"},
    ]
    await writer.update(filled, gone, None)
    with pytest.raises(NotVerified, match="2 records"):
        await migration(engine, filled).run()
    present = await CollectionCache(engine).find(filled.id)
    assert (present.vector, present.revision) == (filled.vector, "1")

    given = tmp_path / "given.jsonl"
    given.write_bytes(msgspec.json.encode({"_id": "r200", "_url": "picture://200"}) + b"\n\n")
    done, verdict = await migration(engine, filled, given).run(skip_unreadable=True)
    assert verdict.unreadable == [Unreadable("r201", 504, "the picture cannot be fetched")]
    assert verdict.records == COUNT + 1
    found = await contents(engine, done)
    assert set(found) == {f"r{n}" for n in [*range(COUNT), 200, 201]}, "no record is lost"
    assert found["r200"]["_url"] is None, "the record itself stays as it was"
    with pytest.raises(RecordsNotFound):
        await nearest(engine, done, Query(record_id="r201"))
    everything = await nearest(engine, done, Query(vectors=(new_vector(200),), k=1000))
    assert len(everything.records) == COUNT + 1
    tagged = Query(vectors=(new_vector(200),), k=1000, tags=frozenset("abc"), tag_weight=0.5)
    assert len((await nearest(engine, done, tagged)).records) == COUNT + 1

    given.write_bytes(msgspec.json.encode({"_id": "r201", "_url": "picture://201"}))
    again = migration(engine, filled, given)
    assert await again.fill(done, done.vector) == []
    hits = await nearest(engine, done, Query(record_id="r201", k=1))
    assert hits.records == [{"_id": "r201"}]


async def test_the_part_of_a_image_that_counts_is_remembered(
    engine: Engine, writer: Writer, filled: Collection
) -> None:
    crop = (0.25, 0.0, 0.75, 1.0)
    await writer.insert(filled, [record(300) | {"_crop": crop}], embed, None)
    seen: dict[str | None, Any] = {}

    async def look(sources: Sequence[ImageSource]) -> list[Embedded | RecordRefused]:
        seen.update({source.url: source.crop for source in sources})
        return await embed_new(sources)

    await migration(engine, filled, embedder=look).run()
    assert seen[record(300)["_url"]] == crop
    assert seen[record(3)["_url"]] is None


async def test_a_record_that_was_replaced_meanwhile_keeps_no_vector_of_its_former_image(
    engine: Engine, writer: Writer, filled: Collection
) -> None:
    async def slow(sources: Sequence[ImageSource]) -> list[Embedded | RecordRefused]:
        if any(source.url == record(3)["_url"] for source in sources):
            await writer.delete(filled, ["r3", "r4"], None)
            other = {"_id": "r3", "_url": "picture://777"}
            await writer.insert(filled, [other], other_image, None)
        return await embed_new(sources)

    async def other_image(sources: Sequence[ImageSource]) -> list[Embedded | RecordRefused]:
        return [Embedded(vector(777), "another hash") for _ in sources]

    done, verdict = await migration(engine, filled, embedder=slow).run()
    assert verdict.records == COUNT - 1
    assert (await stored_vectors(engine, done, ["r3"]))["r3"] == pytest.approx(
        new_vector(777), abs=1e-5
    )


async def test_too_little_overlap_stops_the_switch(engine: Engine, filled: Collection) -> None:
    with pytest.raises(NotVerified, match="nearest ten"):
        await migration(engine, filled).run(min_overlap=0.9)
    assert (await CollectionCache(engine).find(filled.id)).revision == "1"
    present = await CollectionCache(engine).find(filled.id)
    await second_vector.drop(engine, present, settle_seconds=0)
    assert await CollectionCache(engine).find(filled.id) == filled


async def test_where_nothing_can_differ_nothing_stops_the_switch(
    engine: Engine, collection_cache: CollectionCache, collection: Collection
) -> None:
    for number in range(2):
        done, verdict = await migration(engine, collection).run(min_overlap=1.0)
        assert (verdict.records, verdict.overlap) == (number, 1.0)
        await second_vector.switch(engine, done)
        await second_vector.drop(engine, await CollectionCache(engine).find(collection.id), 0)
        await Writer(engine, CollectionCache(engine)).insert(
            collection, [record(number)], embed, None
        )


async def test_an_insert_that_began_before_another_vector_was_searched_is_sent_again(
    engine: Engine, collection_cache: CollectionCache, filled: Collection
) -> None:
    """A fetch may take longer than everything else: its record must not be lost to searches."""
    done, _ = await migration(engine, filled).run()

    async def meanwhile(sources: Sequence[ImageSource]) -> list[Embedded | RecordRefused]:
        collection_cache.put(done)
        return await embed(sources)

    collection_cache.put(filled)
    with pytest.raises(Unavailable):
        await Writer(engine, collection_cache).insert(filled, [record(900)], meanwhile, None)
    assert await listing.get(engine, done, ["r900"], None) == []
    await Writer(engine, collection_cache).insert(done, [record(900)], embed_new, None)
    hits = await nearest(engine, done, Query(record_id="r900", k=1))
    assert hits.records == [{"_id": "r900"}]


async def test_an_insert_that_cannot_be_embedded_by_both_now_inserts_nothing(
    engine: Engine, collection_cache: CollectionCache, filled: Collection
) -> None:
    both = await migration(engine, filled).begin()

    async def busy(_: Collection, __: Sequence[Any]) -> list[Any]:
        raise Unavailable("too much waits")

    collection_cache.put(both)
    with pytest.raises(Unavailable):
        await Writer(engine, collection_cache, busy).insert(both, [record(900)], embed, None)
    assert await listing.get(engine, both, ["r900"], None) == []


async def test_an_insert_outlives_the_dropping_of_the_vector_that_it_has_made(
    engine: Engine, collection_cache: CollectionCache, filled: Collection
) -> None:
    done, _ = await migration(engine, filled).run()
    left = await second_vector.drop(engine, done, settle_seconds=0)

    async def former(_: Collection, sources: Sequence[Any]) -> list[Any]:
        collection_cache.put(left)
        return [vector(1) for _ in sources]

    collection_cache.put(done)
    outcome = await Writer(engine, collection_cache, former).insert(
        done, [record(900)], embed_new, None
    )
    assert [entry["_id"] for entry in outcome.done] == ["r900"]


async def test_two_migrations_of_a_collection_are_refused(
    engine: Engine, filled: Collection
) -> None:
    await migration(engine, filled).begin()
    other = Reembedding(
        engine, filled.id, Target("third", "3", 8, "cosine"), embed_new, GivenRecords(None)
    )
    with pytest.raises(CollectionConflict, match="better"):
        await other.begin()


@pytest.mark.parametrize("line", [b"no json\n", b"[1]\n", b'{"_url": "x"}\n'])
def test_a_bad_line_of_given_records_is_named(tmp_path: Path, line: bytes) -> None:
    file = tmp_path / "given.jsonl"
    file.write_bytes(b'{"_id": "a", "_url": "x"}\n' + line)
    with pytest.raises(InvalidRequest, match="line 2"):
        GivenRecords(file)
