"""What the adapter promises, on every engine, in the adapter's own words."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import msgspec
import numpy as np
import pytest
from qdrant_client import models

from lookalike.adapter.collections import second_vector, store
from lookalike.adapter.collections.cache import CollectionCache
from lookalike.adapter.collections.collection_settings import (
    Collection,
    Distance,
    EmbedderIdentity,
    IndexedField,
    Storage,
)
from lookalike.adapter.engines.base import Engine
from lookalike.adapter.errors import CollectionNotFound, RecordsNotFound
from lookalike.adapter.records import listing
from lookalike.adapter.records.points import point_id
from lookalike.adapter.records.selection import EVERYTHING, Selection
from lookalike.adapter.records.writer import Writer
from lookalike.adapter.search.facets import count_values
from lookalike.adapter.search.grouping import Grouping
from lookalike.adapter.search.nearest import Query, find_nearest
from tests.engines.contract.subjects import Subject
from tests.shelf import UNREADABLE, by_distance, embed, record, vector

COUNT = 40
EVERY = None
ALL = range(COUNT)


@pytest.fixture
async def filled(
    writer: Writer, collection: Collection, collection_cache: CollectionCache
) -> Collection:
    outcome = await writer.insert(collection, [record(n) for n in ALL], embed, EVERY)
    assert outcome.refused == []
    return await collection_cache.find(collection.id)


def ids(records: list[dict[str, Any]]) -> list[str]:
    return [entry["_id"] for entry in records]


# Records


async def test_a_record_comes_back_as_it_was_sent(engine: Engine, filled: Collection) -> None:
    (found,) = await listing.get_records(engine, filled, ["r3"], EVERY)
    assert found == record(3)
    assert await listing.get_records(engine, filled, ["r5", "none", "r2"], frozenset({"_id"})) == [
        {"_id": "r5"},
        {"_id": "r2"},
    ]


async def test_an_id_is_inserted_once(engine: Engine, writer: Writer, filled: Collection) -> None:
    outcome = await writer.insert(filled, [record(3, price=0), record(99)], embed, EVERY)
    assert ids(outcome.done) == ["r99"]
    assert [refusal.code for _, refusal in outcome.refused] == [211]
    (kept,) = await listing.get_records(engine, filled, ["r3"], EVERY)
    assert kept["price"] == record(3)["price"]


async def test_of_many_processes_that_insert_an_id_one_wins(
    subject: Subject, collection: Collection
) -> None:
    engines = [await subject.connect() for _ in range(4)]
    writers = [Writer(each, CollectionCache(each)) for each in engines]
    for number in range(10):
        outcomes = await asyncio.gather(
            *(
                each.insert(collection, [record(number, who=who)], embed, EVERY)
                for who, each in enumerate(writers)
            )
        )
        (winner,) = [outcome.done[0] for outcome in outcomes if outcome.done]
        (kept,) = await listing.get_records(engines[0], collection, [f"r{number}"], EVERY)
        assert kept["who"] == winner["who"]
    for each in engines:
        await each.close()


async def test_concurrent_updates_of_a_record_are_all_in_it(
    engine: Engine, writer: Writer, filled: Collection
) -> None:
    await asyncio.gather(
        *(writer.update(filled, [{"_id": "r1", f"field{n}": n}], EVERY) for n in range(6))
    )
    (found,) = await listing.get_records(engine, filled, ["r1"], EVERY)
    assert found == record(1) | {f"field{n}": n for n in range(6)}


async def test_an_update_keeps_the_vector_and_changes_the_tags(
    engine: Engine, writer: Writer, filled: Collection
) -> None:
    changes: list[dict[str, Any]] = [
        {"_id": "r1", "tags": ["rare"], "price": None},
        {"_id": "unknown", "price": 1},
    ]
    outcome = await writer.update(filled, changes, EVERY)
    assert outcome.done == [record(1, tags=["rare"], price=None)]
    hits = await find_nearest(engine, filled, Query(vectors=(vector(1),), k=1))
    assert (ids(hits.records), hits.distances) == (["r1"], [0.0])
    query = Query(vectors=(vector(1),), tags={"rare": 1.0}, tag_weight=0.5, k=2)
    hybrid = await find_nearest(engine, filled, query)
    assert (hybrid.records[0]["_id"], hybrid.distances[0]) == ("r1", 0.0)
    assert hybrid.distances[1] > 0.5, "no other record has the tag"


async def test_deleted_records_are_gone(engine: Engine, writer: Writer, filled: Collection) -> None:
    deleted = await writer.delete(filled, ["r7", "none", "r8"], frozenset({"_id", "price"}))
    assert deleted == [{"_id": "r7", "price": 10.5}, {"_id": "r8", "price": 12.0}]
    cheap = Selection.of({"price": {"$lt": 6}}, filled)
    assert sorted(await listing.delete_by_filter(engine, filled, cheap)) == ["r0", "r1", "r2", "r3"]
    assert await listing.count_records(engine, filled, EVERYTHING) == COUNT - 6


async def test_a_bad_record_does_not_sink_the_others(
    writer: Writer, collection: Collection
) -> None:
    batch = [record(1), record(2, _url=f"{UNREADABLE}2"), record(3, _lookalike=1), record(4)]
    outcome = await writer.insert(collection, batch, embed, EVERY)
    assert ids(outcome.done) == ["r1", "r4"]
    assert [refusal.code for _, refusal in outcome.refused] == [504, 400]


# Searches


async def test_the_record_itself_is_first_and_the_others_follow_by_distance(
    engine: Engine, filled: Collection
) -> None:
    hits = await find_nearest(engine, filled, Query(record_id="r5", k=COUNT))
    assert ids(hits.records) == by_distance(5, ALL)
    target = np.asarray(vector(5))
    expected = [1 - float(target @ np.asarray(vector(int(id_[1:])))) for id_ in ids(hits.records)]
    assert hits.distances == pytest.approx(expected, abs=2e-6)
    with pytest.raises(RecordsNotFound):
        await find_nearest(engine, filled, Query(record_id="none", k=1))


async def test_pages_of_a_search_are_the_search_in_pages(
    engine: Engine, filled: Collection
) -> None:
    pages = [
        await find_nearest(engine, filled, Query(record_id="r5", k=7, offset=offset))
        for offset in range(0, COUNT, 7)
    ]
    assert list(itertools.chain(*(ids(page.records) for page in pages))) == by_distance(5, ALL)


FILTERS: list[tuple[object, Any]] = [
    ({"category": "chair"}, lambda r: r["category"] == "chair"),
    ({"price": {"$gte": 9, "$lt": 30}}, lambda r: 9 <= r["price"] < 30),
    ({"new": True}, lambda r: r["new"]),
    ({"category": {"$nin": ["chair", "sofa"]}}, lambda r: r["category"] in ("table", "lamp")),
    (
        {"$or": [{"product_id": "p2"}, {"price": 0}]},
        lambda r: r["product_id"] == "p2" or r["price"] == 0,
    ),
    ({"category": {"$regex": "^cha"}}, lambda r: r["category"] == "chair"),
    ({"category": {"$regex": "am"}}, lambda r: r["category"] == "lamp"),
    ({"nothing": None}, lambda r: True),
    ({"missing": {"$exists": True}}, lambda r: False),
    ({"größe.größter Wert": 11}, lambda r: r["größe"]["größter Wert"][0] == 11),
    ({"tags": {"$all": ["odd", "t1"]}}, lambda r: {"odd", "t1"} <= set(r["tags"])),
]


def _label(value: object) -> str:
    """The filter; a function has no name that is the same in two processes."""
    return "" if callable(value) else str(value)[:40]


@pytest.mark.parametrize(("filter_", "matches"), FILTERS, ids=_label)
async def test_filters_are_exact_in_searches_listings_and_counts(
    engine: Engine, filled: Collection, filter_: object, matches: Any
) -> None:
    selection = Selection.of(filter_, filled)
    numbers = [n for n in ALL if matches(record(n))]
    hits = await find_nearest(
        engine, filled, Query(vectors=(vector(100),), k=COUNT, selection=selection)
    )
    assert ids(hits.records) == by_distance(100, numbers)
    listed = [
        entry.record["_id"]
        async for page in listing.scan_records(
            engine, filled, selection, frozenset({"_id"}), page=3
        )
        for entry in page
    ]
    assert sorted(listed) == sorted(f"r{n}" for n in numbers)
    assert await listing.count_records(engine, filled, selection) == len(numbers)


async def test_a_radius_bounds_the_distances(engine: Engine, filled: Collection) -> None:
    everything = await find_nearest(engine, filled, Query(record_id="r5", k=COUNT))
    radius = everything.distances[6]
    hits = await find_nearest(engine, filled, Query(record_id="r5", k=COUNT, radius=radius))
    assert ids(hits.records) == ids(everything.records)[:7]


async def test_groups_are_the_flat_ranking_by_product(engine: Engine, filled: Collection) -> None:
    hits = await find_nearest(
        engine, filled, Query(record_id="r5", k=6, grouping=Grouping("product_id"))
    )
    products: dict[str, str] = {}
    for id_ in by_distance(5, ALL):
        products.setdefault(f"p{int(id_[1:]) // 3}", id_)
    assert ids(hits.records) == list(products.values())[:6]


async def test_image_and_tags_make_one_distance(engine: Engine, filled: Collection) -> None:
    query = Query(vectors=(vector(100),), tags={"odd": 1.0}, tag_weight=0.4, k=COUNT)
    hits = await find_nearest(engine, filled, query)
    target = np.asarray(vector(100))

    def distance(number: int) -> float:
        visual = 1 - float(target @ np.asarray(vector(number)))
        return 0.6 * visual + 0.4 * (1 - 2**-0.5 if number % 2 else 1.0)

    assert ids(hits.records) == [f"r{n}" for n in sorted(ALL, key=distance)]
    assert hits.distances == pytest.approx(sorted(map(distance, ALL)), abs=2e-6)


async def test_random_records_are_different_and_seeded_ones_repeat(
    engine: Engine, filled: Collection
) -> None:
    chairs = Selection.of({"category": "chair"}, filled)
    sampled = await listing.sample_records(engine, filled, 5, chairs, EVERY)
    assert len(set(ids(sampled.records))) == 5
    assert {entry["category"] for entry in sampled.records} == {"chair"}
    seeded = [
        ids((await listing.sample_records(engine, filled, 5, EVERYTHING, EVERY, seed=7)).records)
        for _ in range(2)
    ]
    assert seeded[0] == seeded[1]


async def test_facets_count_the_matching_records(engine: Engine, filled: Collection) -> None:
    selection = Selection.of({"price": {"$lt": 9}}, filled)
    found = await count_values(engine, filled, "category", 10, selection)
    assert [(v.value, v.count) for v in found.values] == [
        ("chair", 2),
        ("table", 2),
        ("lamp", 1),
        ("sofa", 1),
    ]


# Collections


async def test_another_process_finds_a_collection_by_name_and_by_id(
    subject: Subject, collection: Collection
) -> None:
    other = await subject.connect()
    assert await CollectionCache(other).find(collection.name) == collection
    assert await CollectionCache(other).find(collection.id) == collection
    with pytest.raises(CollectionNotFound):
        await CollectionCache(other).find(store.new_collection_id())
    await other.close()


async def test_changed_settings_are_kept_in_the_engine(engine: Engine, filled: Collection) -> None:
    changed = msgspec.structs.replace(
        filled, name="changed", capacity=50, fields_to_index=(IndexedField("price", "number"),)
    )
    await store.save_collection(engine, filled, changed)
    collection_cache = CollectionCache(engine)
    await collection_cache.refresh()
    assert await collection_cache.find(filled.id) == changed


async def test_index_types_follow_the_first_values(filled: Collection) -> None:
    assert filled.indexes == {"category": "keyword", "price": "number", "product_id": "keyword"}


async def test_foreign_collections_are_left_alone(engine: Engine, collection: Collection) -> None:
    theirs = models.VectorParams(size=4, distance=models.Distance.DOT)
    await engine.create_collection("somebody-elses", vectors_config={"": theirs})
    collection_cache = CollectionCache(engine)
    await collection_cache.refresh()
    assert {entry.physical for entry in collection_cache.all()} >= {collection.physical}
    assert "somebody-elses" not in {entry.physical for entry in collection_cache.all()}
    await store.delete_collection(engine, store.new_collection_id())
    assert await engine.collection_exists("somebody-elses")
    await engine.delete_collection("somebody-elses")


async def test_a_deleted_collection_is_gone_with_what_an_import_left(
    engine: Engine, collection_of: Any
) -> None:
    made: Collection = collection_of()
    await store.create_collection(engine, made)
    left = msgspec.structs.replace(made, physical=store.physical_name(made.id, 2))
    await store.create_physical(engine, left)
    await store.delete_collection(engine, made.id)
    names = {entry.name for entry in (await engine.get_collections()).collections}
    assert not {made.physical, left.physical} & names
    with pytest.raises(CollectionNotFound):
        await CollectionCache(engine).find(made.id)


STORAGES = [
    Storage(quantization="none"),
    Storage(quantization="scalar", on_disk=True),
    Storage(quantization="binary"),
    Storage(shard_number=2, replication_factor=1, write_consistency_factor=1),
]


@pytest.mark.parametrize("storage", STORAGES, ids=lambda s: s.quantization)
@pytest.mark.parametrize("distance", ["cosine", "manhattan"])
async def test_every_kind_of_storage_is_searched_exactly(
    engine: Engine, collection_of: Any, storage: Storage, distance: str
) -> None:
    made: Collection = collection_of(storage=storage, distance=distance)
    await store.create_collection(engine, made)
    assert await CollectionCache(engine).find(made.id) == made
    await Writer(engine, CollectionCache(engine)).insert(
        made, [record(n) for n in ALL], embed, EVERY
    )
    hits = await find_nearest(engine, made, Query(record_id="r5", k=3))
    assert ids(hits.records) == nearest_to(5, distance)[:3]

    # A vector that is added is kept as suits its own distance.
    other: Distance = "cosine" if distance == "manhattan" else "manhattan"
    both = await second_vector.add_second_vector(
        engine, made, EmbedderIdentity("other", "2", len(vector(0)), other)
    )
    assert both.second_vector is not None
    points = [
        models.PointVectors(id=point_id(f"r{n}"), vector={both.second_vector.vector: vector(n)})
        for n in ALL
    ]
    change = models.UpdateVectorsOperation(update_vectors=models.UpdateVectors(points=points))
    await engine.batch_update_points(made.physical, [change])
    hits = await find_nearest(engine, second_vector.swapped(both), Query(record_id="r5", k=3))
    assert ids(hits.records) == nearest_to(5, other)[:3]
    await store.delete_collection(engine, made.id)


def nearest_to(number: int, distance: str) -> list[str]:
    if distance == "cosine":
        return by_distance(number, ALL)
    target = np.asarray(vector(number))
    order = sorted(ALL, key=lambda n: float(np.abs(target - np.asarray(vector(n))).sum()))
    return [f"r{n}" for n in order]
