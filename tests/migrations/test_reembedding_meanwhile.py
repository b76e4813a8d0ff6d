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
from tests.waiting import until

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


class BusyShop:
    """Inserts, deletes, updates and searches without a pause, and knows what must be there."""

    def __init__(self, engine: Engine, collection_cache: CollectionCache, id_: str) -> None:
        self.expected = {f"r{n}": record(n) for n in range(COUNT)}
        self.writes = self.searches = 0
        self._engine, self._cache, self._id = engine, collection_cache, id_
        self._writer = Writer(engine, collection_cache, self._embed_second)
        self._closing = False

    async def run(self) -> None:
        await asyncio.gather(self._keep_writing(), self._keep_searching())

    def close(self) -> None:
        self._closing = True

    async def _embed_second(self, seen: Collection, sources: Sequence[Any]) -> list[Any]:
        by = embed_new if seen.revision == TARGET.revision else embed
        return [r.vector for r in await by(sources) if isinstance(r, Embedded)]

    async def _keep_writing(self) -> None:
        number = COUNT
        while not self._closing:
            # Unavailable: just moving; a client would send it again.
            with contextlib.suppress(Unavailable):
                await self._write(number)
                self.writes += 1
            number += 1

    async def _write(self, number: int) -> None:
        current = await self._cache.find(self._id)
        embedder = embed_new if current.revision == TARGET.revision else embed
        inserted = await self._writer.insert(current, [record(number)], embedder, None)
        self.expected.update({entry["_id"]: entry for entry in inserted.done})
        for entry in await self._writer.delete(current, [f"r{number - COUNT}"], None):
            del self.expected[entry["_id"]]
        change = {"_id": f"r{number - 1}", "price": -1}
        changed = await self._writer.update(current, [change], None)
        self.expected.update({entry["_id"]: entry for entry in changed.done})

    async def _keep_searching(self) -> None:
        while not self._closing:
            current = await self._cache.find(self._id)
            mine = new_vector(149) if current.revision == TARGET.revision else vector(149)
            hits = await find_nearest(self._engine, current, Query(vectors=(mine,), k=5))
            assert len(hits.records) == 5
            self.searches += 1


async def test_writes_and_searches_go_on_meanwhile(
    engine: Engine, collection_cache: CollectionCache, filled: Collection
) -> None:
    shop = BusyShop(engine, collection_cache, filled.id)
    async with refreshing(collection_cache):
        running = asyncio.create_task(shop.run())
        await migration(engine, filled, settle_seconds=20 * REFRESH_SECONDS).run()
        writes, searches = shop.writes, shop.searches
        await until(
            lambda: running.done() or (shop.writes > writes and shop.searches > searches),
            "the shop goes on after the switch",
        )
        shop.close()
        await running
        await collection_cache.refresh()
    assert writes > 0, "it wrote while the migration ran"
    assert searches > 0, "and searched"
    new = await collection_cache.find(filled.id)
    assert new.revision == TARGET.revision
    found = await contents(engine, new)
    assert found == shop.expected
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
