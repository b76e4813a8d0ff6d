"""What a collection is, its indexes, and how a process knows of the collections of others."""

from __future__ import annotations

import asyncio
import time
from typing import Any, get_type_hints

import msgspec
import pytest
from msgspec import structs
from qdrant_client import models

from lookalike.adapter.collections import store
from lookalike.adapter.collections.cache import CollectionCache
from lookalike.adapter.collections.collection_settings import (
    Collection,
    CollectionChange,
    CollectionView,
    EmbedderIdentity,
    IndexedField,
)
from lookalike.adapter.collections.indexes import indexed_fields, infer_index_types
from lookalike.adapter.collections.second_vector import SETTLE_SECONDS
from lookalike.adapter.engines.embedded.client import EmbeddedEngine
from lookalike.adapter.errors import CollectionNotFound, InvalidRequest
from lookalike.adapter.point_layout import METADATA_KEY
from lookalike.api.lifespan import CACHE_REFRESH_SECONDS
from tests.shelf import DIMENSION, described


async def test_an_id_that_a_token_may_not_use_is_looked_for_nowhere(
    engine: EmbeddedEngine,
) -> None:
    """So that nobody can tell, by the time that it takes, whether there is a collection."""
    there = described()
    await store.create_collection(engine, there)
    cache = CollectionCache(engine)
    await cache.refresh()
    await engine.close()
    for id_ in (there.id, store.new_collection_id()):
        with pytest.raises(CollectionNotFound):
            await cache.find(id_, frozenset({store.new_collection_id()}))
    assert await cache.find(there.id, frozenset({there.id})) == there


# Fields to index


def test_indexed_fields() -> None:
    typed = IndexedField("price", "number")
    assert indexed_fields(["color", typed, "a.b"], "sku", "$.x") == (
        IndexedField("color"),
        typed,
        IndexedField("a.b"),
        IndexedField("sku"),
    )
    assert indexed_fields([typed], "price", "$.x") == (typed,)
    assert indexed_fields([], None, "$.x") == ()


@pytest.mark.parametrize("field", ["", "a..b", ".", "_lookalike", "_lookalike.write", 'a"b'])
def test_fields_that_cannot_be_indexed(field: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        indexed_fields(["good", field], None, "$.fields_to_index")
    assert refusal.value.place == "$.fields_to_index[1]"
    with pytest.raises(InvalidRequest) as refusal:
        indexed_fields([], field, "$.fields_to_index")
    assert refusal.value.place == "$.product_id_field"


@pytest.mark.parametrize(
    ("payload", "type_"),
    [
        ({"a": "x"}, "keyword"),
        ({"a": 1}, "number"),
        ({"a": 1.5}, "number"),
        ({"a": ["x", 1]}, "keyword"),
        ({"a": [None, [2]]}, "number"),
        ({"a": True}, None),
        ({"a": None}, None),
        ({"a": {}}, None),
        ({"a": []}, None),
        ({"b": 1}, None),
        ({}, None),
    ],
)
def test_the_type_of_an_index_is_that_of_the_first_value(
    payload: dict[str, Any], type_: str | None
) -> None:
    old = described(fields_to_index=(IndexedField("a"), IndexedField("c", "keyword")))
    new = infer_index_types(old, [{"unrelated": 1}, payload, {"c": 7}])
    assert new.fields_to_index == (IndexedField("a", type_), IndexedField("c", "keyword"))  # type: ignore[arg-type]
    assert (new is old) == (type_ is None)
    assert ("a" in new.indexes) == (type_ is not None)


def test_a_type_is_found_along_a_path() -> None:
    old = described(fields_to_index=(IndexedField("a.b"),))
    assert infer_index_types(old, [{"a.b": "x"}, {"a": [{"b": [3]}]}]).indexes == {"a.b": "number"}


def test_a_collection_says_of_its_embedder_what_every_vector_says() -> None:
    of_vector = get_type_hints(EmbedderIdentity, include_extras=True)
    of_collection = get_type_hints(Collection, include_extras=True)
    assert of_vector == {name: of_collection[name] for name in of_vector}


# In the engine


async def test_a_collection_is_what_it_was_made_as(engine: EmbeddedEngine) -> None:
    made = described(
        name="the name",
        fields_to_index=(IndexedField("price", "number"), IndexedField("later")),
        product_id_field="sku",
        capacity=12,
    )
    await store.create_collection(engine, made)
    other = CollectionCache(engine)
    assert await other.find(made.id) == made
    info = await engine.get_collection(made.physical)
    assert info.payload_schema["price"].data_type == models.PayloadSchemaType.FLOAT
    assert "later" not in info.payload_schema
    vectors: Any = info.config.params.vectors
    assert vectors["visual"].size == DIMENSION


async def test_saving_makes_and_drops_indexes(engine: EmbeddedEngine) -> None:
    old = described(fields_to_index=(IndexedField("a", "keyword"), IndexedField("b", "number")))
    await store.create_collection(engine, old)
    new = structs.replace(
        old, name="new", fields_to_index=(IndexedField("b", "number"), IndexedField("c", "keyword"))
    )
    await store.save_collection(engine, old, new)
    info = await engine.get_collection(new.physical)
    assert {"b", "c"} <= info.payload_schema.keys()
    assert "a" not in info.payload_schema
    assert await CollectionCache(engine).find(new.id) == new


async def test_headers_are_kept_apart_from_what_is_shown(engine: EmbeddedEngine) -> None:
    headers = {"https://origin.test": {"Authorization": "Bearer s3cret"}}
    made = described(fetch_headers=headers)
    await store.create_collection(engine, made)
    assert await CollectionCache(engine).find(made.id) == made
    info = await engine.get_collection(made.physical)
    assert info.config.metadata is not None
    assert "s3cret" not in str(info.config.metadata[METADATA_KEY])
    # Whoever saves something else, even with an outdated state, leaves them.
    renamed = structs.replace(made, name="renamed")
    await store.save_collection(engine, made, renamed)
    assert await CollectionCache(engine).find(made.id) == renamed
    without = structs.replace(renamed, fetch_headers={})
    await store.save_collection(engine, renamed, without)
    assert await CollectionCache(engine).find(made.id) == without
    info = await engine.get_collection(made.physical)
    assert store.HEADERS_KEY not in (info.config.metadata or {})
    change = msgspec.convert({"fetch_headers": headers}, CollectionChange)
    assert "s3cret" not in f"{made!r} {change!r} {CollectionView.of(made, 0)!r}"


async def test_deleting(engine: EmbeddedEngine) -> None:
    made, other = described(), described()
    for collection in (made, other):
        await store.create_collection(engine, collection)
    await store.delete_collection(engine, made.id)
    names = [entry.name for entry in (await engine.get_collections()).collections]
    assert made.physical not in names
    assert other.physical in names
    with pytest.raises(CollectionNotFound):
        await CollectionCache(engine).find(made.id)


# The collection_cache


def test_a_change_has_settled_once_every_process_has_read_it() -> None:
    assert SETTLE_SECONDS > CACHE_REFRESH_SECONDS


async def test_what_another_process_makes_is_found_at_once(engine: EmbeddedEngine) -> None:
    """By id without a wait, by name after at most the pause between two listings."""
    collection_cache = CollectionCache(engine)
    await collection_cache.refresh()
    by_id = described()
    await store.create_collection(engine, by_id)
    assert await collection_cache.find(by_id.id) == by_id
    by_name = described(name=f"name of {by_id.id}")
    await store.create_collection(engine, by_name)
    assert await collection_cache.find(by_name.name) == by_name
    assert by_name in collection_cache.all()


async def test_many_unknown_names_share_a_listing(engine: EmbeddedEngine) -> None:
    collection_cache = CollectionCache(engine)
    await collection_cache.refresh()
    listings = 0
    refresh = collection_cache.refresh

    async def counted() -> None:
        nonlocal listings
        listings += 1
        await refresh()

    collection_cache.refresh = counted  # type: ignore[method-assign]
    found = await asyncio.gather(
        *(collection_cache.find(f"nothing {n}") for n in range(50)), return_exceptions=True
    )
    assert all(isinstance(error, CollectionNotFound) for error in found)
    assert listings <= 2


async def test_a_listing_under_way_does_not_hide_what_is_made_meanwhile(
    engine: EmbeddedEngine,
) -> None:
    collection_cache = CollectionCache(engine)
    for _ in range(5):
        made = described(name=f"meanwhile {time.monotonic_ns()}")
        refreshing = asyncio.create_task(collection_cache.refresh())
        await store.create_collection(engine, made)
        assert await collection_cache.find(made.id) == made
        assert await collection_cache.find(made.name) == made
        await refreshing


async def test_a_refresh_forgets_what_is_gone(engine: EmbeddedEngine) -> None:
    made = described()
    await store.create_collection(engine, made)
    collection_cache = CollectionCache(engine)
    await collection_cache.find(made.id)
    await store.delete_collection(engine, made.id)
    with pytest.raises(CollectionNotFound):
        await collection_cache.read_newest(made)
    await collection_cache.refresh()
    assert made.id not in [collection.id for collection in collection_cache.all()]


async def test_collections_of_others_are_left_alone(engine: EmbeddedEngine) -> None:
    name = f"foreign-{time.monotonic_ns()}"
    vectors = {"": models.VectorParams(size=3, distance=models.Distance.COSINE)}
    await engine.create_collection(name, vectors_config=vectors)
    collection_cache = CollectionCache(engine)
    await collection_cache.refresh()
    assert name not in [collection.physical for collection in collection_cache.all()]
    with pytest.raises(CollectionNotFound):
        await collection_cache.find(name)
