"""Insert, update and delete: no half batches, nothing twice, nothing lost."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from msgspec import structs
from qdrant_client import models

from lookalike.adapter.collections.collection_settings import IndexedField
from lookalike.adapter.engines.embedded.client import EmbeddedEngine
from lookalike.adapter.engines.embedded.supervisor import Supervisor
from lookalike.adapter.errors import Unavailable
from lookalike.adapter.point_layout import RESERVED_KEY, TAGS_VECTOR, VISUAL_VECTOR
from lookalike.adapter.records import listing
from lookalike.adapter.records.points import point_id
from lookalike.adapter.records.record_tags import tag_vector
from tests.shelf import Shelf, described, vector_of


async def stored(shelf: Shelf, id_: str) -> Any:
    found = await listing.get_records(shelf.engine, shelf.collection, [id_], None)
    return found[0] if found else None


async def point(shelf: Shelf, id_: str) -> models.Record:
    (found,) = await shelf.engine.retrieve(
        shelf.collection.physical, [point_id(id_)], with_payload=True, with_vectors=True
    )
    return found


def codes(outcome: Any) -> dict[str, int]:
    return {record["_id"]: why.code for record, why in outcome.refused}


async def test_insert(shelf: Shelf) -> None:
    outcome = await shelf.insert(
        {"_id": "a", "n": 1},
        {"_id": "b", "_base64": "broken"},
        {"_id": "a", "n": 2},
        {"_id": "c", "n": 10**400},
        {"_id": 7},
        {"_id": "d", "_base64": None},
    )
    assert outcome.done == [{"_id": "a"}, {"_id": "7"}]
    assert codes(outcome) == {"b": 422, "a": 211, "c": 400, "d": 400}
    assert await stored(shelf, "a") == {"_id": "a", "n": 1}
    for id_ in "bcd":
        assert await stored(shelf, id_) is None


async def test_the_first_of_two_that_can_be_read_is_inserted(shelf: Shelf) -> None:
    outcome = await shelf.insert({"_id": "a", "_base64": "broken"}, {"_id": "a", "n": 2})
    assert outcome.done == [{"_id": "a"}]
    assert codes(outcome) == {"a": 422}
    assert await stored(shelf, "a") == {"_id": "a", "n": 2}


async def test_existing_records_cost_no_image(shelf: Shelf) -> None:
    """Loading a file again is cheap: the images of what is there are not even asked for."""
    await shelf.put("a")
    asked: list[Any] = []

    async def embed(sources: Any) -> Any:
        asked.extend(sources)
        raise AssertionError

    outcome = await shelf.writer.insert(
        shelf.collection, [{"_id": "a", "_url": "http://x.test/"}], embed, None
    )
    assert outcome.done == []
    assert asked == []


async def test_an_error_of_the_embedder_inserts_nothing(shelf: Shelf) -> None:
    async def embed(_: Any) -> Any:
        raise Unavailable("later")

    records = [{"_id": "a", "_base64": "x"}, {"_id": "b", "_base64": "x"}]
    with pytest.raises(Unavailable):
        await shelf.writer.insert(shelf.collection, records, embed, None)
    assert await stored(shelf, "a") is None
    assert await stored(shelf, "b") is None


async def test_what_a_point_holds(shelf: Shelf) -> None:
    await shelf.insert({"_id": "a", "tags": ["x", "y"], "_url": "u", "noresize": True})
    kept = await point(shelf, "a")
    assert kept.payload is not None
    reserved = kept.payload.pop(RESERVED_KEY)
    assert kept.payload == {"_id": "a", "tags": ["x", "y"], "_url": "u"}
    assert reserved["image"] == "a"
    vectors: Any = kept.vector
    norm = sum(number**2 for number in vector_of("a")) ** 0.5
    assert vectors[VISUAL_VECTOR] == pytest.approx([n / norm for n in vector_of("a")], abs=1e-6)
    expected = tag_vector({"x": 1.0, "y": 1.0})
    assert expected is not None
    assert vectors[TAGS_VECTOR].indices == expected.indices
    assert vectors[TAGS_VECTOR].values == pytest.approx(expected.values)


async def test_update_moves_the_tags_and_nothing_else_of_the_vectors(shelf: Shelf) -> None:
    await shelf.insert({"_id": "a", "tags": ["x"]}, {"_id": "b"})
    before: Any = (await point(shelf, "a")).vector
    for tags, id_ in ((["y", "z"], "a"), (["x"], "b"), ([], "a"), (None, "b"), (["w"], "a")):
        await shelf.writer.update(shelf.collection, [{"_id": id_, "tags": tags}], None)
        vectors: Any = (await point(shelf, id_)).vector
        expected = tag_vector(dict.fromkeys(tags or [], 1.0))
        if expected is None:
            assert TAGS_VECTOR not in vectors
        else:
            assert vectors[TAGS_VECTOR].indices == expected.indices
        assert await stored(shelf, id_) == {"_id": id_, "tags": tags}
    after: Any = (await point(shelf, "a")).vector
    assert after[VISUAL_VECTOR] == before[VISUAL_VECTOR]


async def test_update_refuses_what_would_grow_too_large(shelf: Shelf) -> None:
    await shelf.insert({"_id": "a", "x": "x" * 200_000}, {"_id": "b"})
    outcome = await shelf.writer.update(
        shelf.collection, [{"_id": "a", "y": "y" * 100_000}, {"_id": "b", "y": 1}], None
    )
    assert codes(outcome) == {"a": 400}
    assert outcome.done == [{"_id": "b", "y": 1}]
    assert "y" not in await stored(shelf, "a")


async def test_one_of_many_inserts_the_same_id(supervisor: Supervisor, shelf: Shelf) -> None:
    """Many at once, over connections of their own, as API processes have them."""
    engines = [await EmbeddedEngine.connect(supervisor.socket_path) for _ in range(4)]
    shelves = [Shelf(engine, shelf.collection) for engine in engines]
    for round_ in range(20):
        outcomes = await asyncio.gather(
            *(
                one.insert({"_id": f"same {round_}", "by": number}, {"_id": f"{round_}-{number}"})
                for number, one in enumerate(shelves)
            )
        )
        winners = [n for n, outcome in enumerate(outcomes) if len(outcome.done) == 2]
        assert len(winners) == 1
        assert (await stored(shelf, f"same {round_}"))["by"] == winners[0]
    for engine in engines:
        await engine.close()


async def test_no_update_is_lost(supervisor: Supervisor, shelf: Shelf) -> None:
    engines = [await EmbeddedEngine.connect(supervisor.socket_path) for _ in range(4)]
    shelves = [Shelf(engine, shelf.collection) for engine in engines]
    await shelf.put("a")
    for round_ in range(10):
        await asyncio.gather(
            *(
                one.writer.update(shelf.collection, [{"_id": "a", f"{round_}-{n}": n}], None)
                for n, one in enumerate(shelves)
            )
        )
    expected = {f"{round_}-{n}": n for round_ in range(10) for n in range(4)}
    assert await stored(shelf, "a") == {"_id": "a", **expected}
    for engine in engines:
        await engine.close()


async def test_a_deleted_record_does_not_come_back(shelf: Shelf) -> None:
    for round_ in range(20):
        id_ = str(round_)
        await shelf.put(id_)
        updated, deleted = await asyncio.gather(
            shelf.writer.update(shelf.collection, [{"_id": id_, "x": 1}], None),
            shelf.writer.delete(shelf.collection, [id_], None),
        )
        assert len(deleted) == 1
        assert len(updated.done) <= 1
        assert await stored(shelf, id_) is None


async def test_indexes_get_their_types_as_values_arrive(engine: EmbeddedEngine) -> None:
    from lookalike.adapter.collections import store

    made = described(fields_to_index=(IndexedField("a"), IndexedField("b.c")))
    await store.create_collection(engine, made)
    shelf = Shelf(engine, made)
    await shelf.insert({"_id": "1", "a": None})
    await shelf.insert({"_id": "2", "a": 3})
    await shelf.writer.update(made, [{"_id": "1", "b": {"c": "x"}}], None)
    known = await shelf.cache.find(made.id)
    assert known.indexes == {"a": "number", "b.c": "keyword"}
    assert await shelf.cache.read_newest(made) == known
    schema = (await engine.get_collection(made.physical)).payload_schema
    assert schema["a"].data_type == models.PayloadSchemaType.FLOAT


async def test_a_type_that_is_seen_does_not_undo_another_change(shelf: Shelf) -> None:
    """The writer knows the collection as it was; the change of its name is newer."""
    from lookalike.adapter.collections import store

    old = await shelf.cache.read_newest(shelf.collection)
    indexed = structs.replace(old, fields_to_index=(IndexedField("a"),))
    await store.save_collection(shelf.engine, old, indexed)
    renamed = structs.replace(indexed, name="renamed", capacity=5)
    await store.save_collection(shelf.engine, indexed, renamed)
    shelf.collection = indexed
    await shelf.insert({"_id": "1", "a": 3})
    newest = await shelf.cache.read_newest(indexed)
    assert newest.name == "renamed"
    assert newest.capacity == 5
    assert newest.indexes == {"a": "number"}


async def test_capacity(shelf: Shelf) -> None:
    shelf.collection = structs.replace(shelf.collection, capacity=3)
    await shelf.put("a", "b")
    outcome = await shelf.insert({"_id": "a"}, {"_id": "c"}, {"_id": "d"})
    assert outcome.done == [{"_id": "c"}]
    assert codes(outcome) == {"a": 211, "d": 412}
    together = await asyncio.gather(*(shelf.insert({"_id": f"x{n}"}) for n in range(5)))
    assert not any(outcome.done for outcome in together)
