"""Writes and searches go on while a collection gets another embedder."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from lookalike.adapter.collections.cache import CollectionCache
from lookalike.adapter.collections.collection_settings import Collection
from lookalike.adapter.engines.base import Engine
from lookalike.adapter.errors import RecordRefused, Unavailable
from lookalike.adapter.records import listing
from lookalike.adapter.records.image_sources import Embedded, ImageSource
from lookalike.adapter.records.writer import Writer
from lookalike.adapter.search.nearest import Query, find_nearest
from lookalike.adapter.search.vectors import read_vectors
from tests.migrations.reembedding import COUNT, TARGET, contents, embed_new, migration, new_vector
from tests.shelf import embed, record, vector

REFRESH_SECONDS = 0.05


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
            hits = await find_nearest(engine, current, Query(vectors=(mine,), k=5))
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
    vectors = await read_vectors(engine, new, list(found))
    for id_ in found:
        assert vectors[id_] == pytest.approx(new_vector(int(id_[1:])), abs=1e-5)


async def test_an_image_that_came_as_bytes_meanwhile_is_embedded_for_both(
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
    vectors = await read_vectors(engine, done, ["r7000"])
    assert vectors["r7000"] == pytest.approx(new_vector(7000), abs=1e-5)


async def test_a_record_that_was_replaced_meanwhile_keeps_no_vector_of_its_former_image(
    engine: Engine, writer: Writer, filled: Collection
) -> None:
    async def slow(sources: Sequence[ImageSource]) -> list[Embedded | RecordRefused]:
        if any(source.url == record(3)["_url"] for source in sources):
            await writer.delete(filled, ["r3", "r4"], None)
            other = {"_id": "r3", "_url": "image://777"}
            await writer.insert(filled, [other], other_image, None)
        return await embed_new(sources)

    async def other_image(sources: Sequence[ImageSource]) -> list[Embedded | RecordRefused]:
        return [Embedded(vector(777), "another hash") for _ in sources]

    done, verdict = await migration(engine, filled, embedder=slow).run()
    assert verdict.records == COUNT - 1
    assert (await read_vectors(engine, done, ["r3"]))["r3"] == pytest.approx(
        new_vector(777), abs=1e-5
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
    assert await listing.get_records(engine, done, ["r900"], None) == []
    await Writer(engine, collection_cache).insert(done, [record(900)], embed_new, None)
    hits = await find_nearest(engine, done, Query(record_id="r900", k=1))
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
    assert await listing.get_records(engine, both, ["r900"], None) == []
