"""Another embedder for a collection that is in use: nothing is lost, whenever it is interrupted."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from lookalike.adapter.collections import second_vector
from lookalike.adapter.collections.cache import CollectionCache
from lookalike.adapter.collections.collection_settings import Collection, EmbedderIdentity
from lookalike.adapter.engines.base import Engine
from lookalike.adapter.errors import (
    CollectionConflict,
    InvalidRequest,
    RecordRefused,
    RecordsNotFound,
)
from lookalike.adapter.records.image_sources import Embedded, ImageSource
from lookalike.adapter.records.writer import Writer
from lookalike.adapter.search.nearest import Query, find_nearest
from lookalike.migrations.reembedding import (
    SKIP_FEW,
    SKIP_NONE,
    NotVerified,
    Overlap,
    Reembedding,
    Skip,
    Unreadable,
)
from lookalike.migrations.sources import GivenRecords
from tests.migrations.kills import DyingEngine, Killed
from tests.migrations.reembedding import (
    COUNT,
    TARGET,
    check_moved,
    contents,
    embed_new,
    migration,
    new_vector,
)
from tests.shelf import UNREADABLE, embed, record


async def test_all_records_get_the_vectors_of_the_new_embedder(
    engine: Engine, filled: Collection
) -> None:
    done, verdict = await migration(engine, filled).run()
    assert (verdict.records, verdict.unreadable) == (COUNT, [])
    assert await check_moved(engine, filled, range(COUNT)) == done
    with pytest.raises(CollectionConflict):
        await migration(engine, filled).run()


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
    for skip in (SKIP_NONE, SKIP_FEW, Skip(records=1)):
        with pytest.raises(NotVerified, match=f"2 of {COUNT + 2} records cannot be read"):
            await migration(engine, filled).run(skip=skip)
    present = await CollectionCache(engine).find(filled.id)
    assert (present.vector, present.revision) == (filled.vector, "1")

    given = tmp_path / "given.jsonl"
    given.write_bytes(msgspec.json.encode({"_id": "r200", "_url": "image://200"}) + b"\n\n")
    done, verdict = await migration(engine, filled, given).run(skip=SKIP_FEW)
    assert verdict.unreadable == [Unreadable("r201", 504, "the image cannot be fetched")]
    assert verdict.records == COUNT + 1
    found = await contents(engine, done)
    assert set(found) == {f"r{n}" for n in [*range(COUNT), 200, 201]}, "no record is lost"
    assert found["r200"]["_url"] is None, "the record itself stays as it was"
    with pytest.raises(RecordsNotFound):
        await find_nearest(engine, done, Query(record_id="r201", k=1))
    everything = await find_nearest(engine, done, Query(vectors=(new_vector(200),), k=1000))
    assert len(everything.records) == COUNT + 1
    tagged = Query(
        vectors=(new_vector(200),), k=1000, tags=dict.fromkeys("abc", 1.0), tag_weight=0.5
    )
    assert len((await find_nearest(engine, done, tagged)).records) == COUNT + 1

    given.write_bytes(msgspec.json.encode({"_id": "r201", "_url": "image://201"}))
    again = migration(engine, filled, given)
    assert await again.fill(done, done.vector) == []
    hits = await find_nearest(engine, done, Query(record_id="r201", k=1))
    assert hits.records == [{"_id": "r201"}]


async def test_the_part_of_an_image_that_counts_is_remembered(
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


async def test_too_little_overlap_stops_the_switch(engine: Engine, filled: Collection) -> None:
    with pytest.raises(NotVerified, match="nearest ten"):
        await migration(engine, filled).run(min_overlap=0.9)
    assert (await CollectionCache(engine).find(filled.id)).revision == "1"
    present = await CollectionCache(engine).find(filled.id)
    await second_vector.drop_second_vector(engine, present, settle_seconds=0)
    assert await CollectionCache(engine).find(filled.id) == filled


@pytest.mark.parametrize("skip", [SKIP_FEW, Skip(records=COUNT), Skip(share=1.0)])
async def test_where_no_picture_can_be_read_nothing_is_measured_and_nothing_switched(
    engine: Engine, filled: Collection, skip: Skip
) -> None:
    async def nothing(sources: Sequence[ImageSource]) -> list[Embedded | RecordRefused]:
        return [RecordRefused(504, "the image cannot be fetched") for _ in sources]

    with pytest.raises(NotVerified) as stopped:
        await migration(engine, filled, embedder=nothing).run(skip=skip)
    assert len(stopped.value.unreadable) == COUNT
    present = await CollectionCache(engine).find(filled.id)
    assert present.revision == "1"
    with pytest.raises(CollectionConflict):
        await second_vector.switch_vectors(engine, present)
    hits = await find_nearest(engine, present, Query(record_id="r5", k=1))
    assert hits.records == [{"_id": "r5"}]


async def test_the_one_record_that_can_be_read_is_in_the_sample(
    engine: Engine, filled: Collection
) -> None:
    async def one(sources: Sequence[ImageSource]) -> list[Embedded | RecordRefused]:
        return [
            r if s.url == "image://7" else RecordRefused(504, "cannot be fetched")
            for s, r in zip(sources, await embed_new(sources), strict=True)
        ]

    skip = Skip(records=COUNT - 1)
    _, verdict = await migration(engine, filled, embedder=one).run(skip=skip)
    assert verdict.records == 1
    assert verdict.overlap == Overlap(records=1, share=0.0)


async def test_a_demand_on_what_cannot_be_measured_is_not_met(
    engine: Engine, collection: Collection, writer: Writer
) -> None:
    await writer.insert(collection, [record(1)], embed, None)
    with pytest.raises(NotVerified, match="nothing can be measured"):
        await migration(engine, collection).run(min_overlap=0.5)


async def test_where_nothing_can_differ_nothing_stops_the_switch(
    engine: Engine, collection_cache: CollectionCache, collection: Collection
) -> None:
    for number in range(2):
        done, verdict = await migration(engine, collection).run()
        assert (verdict.records, verdict.overlap) == (number, Overlap(records=0, share=None))
        await second_vector.switch_vectors(engine, done)
        await second_vector.drop_second_vector(
            engine, await CollectionCache(engine).find(collection.id), 0
        )
        await Writer(engine, CollectionCache(engine)).insert(
            collection, [record(number)], embed, None
        )


async def test_two_migrations_of_a_collection_are_refused(
    engine: Engine, filled: Collection
) -> None:
    await migration(engine, filled).begin()
    other = Reembedding(
        engine,
        filled.id,
        EmbedderIdentity("third", "3", 8, "cosine"),
        embed_new,
        GivenRecords(None),
    )
    with pytest.raises(CollectionConflict, match="better"):
        await other.begin()


@pytest.mark.parametrize("line", [b"no json\n", b"[1]\n", b'{"_url": "x"}\n'])
def test_a_bad_line_of_given_records_is_named(tmp_path: Path, line: bytes) -> None:
    file = tmp_path / "given.jsonl"
    file.write_bytes(b'{"_id": "a", "_url": "x"}\n' + line)
    with pytest.raises(InvalidRequest, match="line 2"):
        GivenRecords(file)
