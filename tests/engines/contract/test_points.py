"""What every engine must do with points, in the words of `AsyncQdrantClient`."""

from __future__ import annotations

from typing import Any

import pytest
from qdrant_client import models

from lookalike.adapter.engines.base import Engine
from tests.engines.points import (
    DIMENSION,
    having,
    numbers,
    overwriting,
    payload,
    point_id,
    points,
    setting_vectors,
    vectors,
    where,
)
from tests.engines.points import FILLED_POINTS as COUNT


def vectors_of(record: models.Record) -> dict[str, Any]:
    assert isinstance(record.vector, dict)
    return record.vector


async def test_points_come_back_as_they_were_sent(engine: Engine, filled_name: str) -> None:
    ids: list[Any] = [point_id(5), point_id(999), point_id(3)]
    records = await engine.retrieve(filled_name, ids, with_vectors=True)
    # The order is the caller's business: a server does not promise one.
    found = {record.id: record for record in records}
    assert found.keys() == {point_id(5), point_id(3)}
    record = found[point_id(5)]
    assert record.payload == payload(5)
    assert vectors_of(record)["visual"] == pytest.approx(vectors(6)[5].tolist(), abs=1e-6)
    assert vectors_of(record)["tags"].indices == [5, 102]


async def test_what_is_not_asked_for_is_not_sent(engine: Engine, filled_name: str) -> None:
    [record] = await engine.retrieve(filled_name, [point_id(1)], with_payload=["n", "parts[].name"])
    assert record.payload == {"n": 1, "parts": [{"name": "leg"}, {"name": "top"}]}
    assert record.vector is None
    [record] = await engine.retrieve(
        filled_name, [point_id(1)], with_payload=False, with_vectors=["tags"]
    )
    assert not record.payload
    assert vectors_of(record).keys() == {"tags"}


async def test_integers_and_uuids_are_ids(engine: Engine, collection_name: str) -> None:
    point = models.PointStruct(id=2**63, vector={"visual": [1.0] * DIMENSION}, payload={"n": 1})
    await engine.upsert(collection_name, [point])
    [record] = await engine.retrieve(collection_name, [2**63])
    assert (record.id, record.payload) == (2**63, {"n": 1})


async def test_an_upsert_replaces_the_whole_point(engine: Engine, filled_name: str) -> None:
    row = vectors(1, seed=9)[0].tolist()
    await engine.upsert(
        filled_name,
        [models.PointStruct(id=point_id(0), vector={"visual": row}, payload={"n": 0, "x": 1})],
    )
    [record] = await engine.retrieve(filled_name, [point_id(0)], with_vectors=True)
    assert record.payload == {"n": 0, "x": 1}
    assert vectors_of(record).keys() == {"visual"}
    assert (await engine.count(filled_name)).count == COUNT


async def test_insert_only_leaves_what_is_there(engine: Engine, filled_name: str) -> None:
    new = points(2, start=COUNT - 1)
    for point in new:
        point.payload = {"n": -1}
    await engine.upsert(filled_name, new, update_mode=models.UpdateMode.INSERT_ONLY)
    ids: list[Any] = [point_id(COUNT - 1), point_id(COUNT)]
    records = await engine.retrieve(filled_name, ids)
    assert {r.id: r.payload["n"] for r in records if r.payload} == {
        point_id(COUNT - 1): COUNT - 1,
        point_id(COUNT): -1,
    }


async def test_update_only_replaces_what_is_there_and_matches(
    engine: Engine, filled_name: str
) -> None:
    """The whole point in one step: vectors that are left out are gone, as is the payload."""
    row = vectors(1, seed=9)[0].tolist()
    ids: list[Any] = [point_id(number) for number in (0, 1, 999)]
    new = [models.PointStruct(id=id_, vector={"visual": row}, payload={"x": 1}) for id_ in ids]
    in_state: list[Any] = [
        models.Filter(must=[having([number]), where(n=n)])
        for number, n in ((0, 0), (1, 7), (999, 999))
    ]
    await engine.upsert(
        filled_name,
        new,
        update_mode=models.UpdateMode.UPDATE_ONLY,
        update_filter=models.Filter(should=in_state),
    )
    found = {r.id: r for r in await engine.retrieve(filled_name, ids, with_vectors=True)}
    assert found.keys() == {point_id(0), point_id(1)}
    assert found[point_id(0)].payload == {"x": 1}
    assert vectors_of(found[point_id(0)]).keys() == {"visual"}
    assert vectors_of(found[point_id(0)])["visual"] == pytest.approx(row, abs=1e-6)
    assert found[point_id(1)].payload == payload(1)
    assert vectors_of(found[point_id(1)]).keys() == {"visual", "tags"}


async def test_vectors_are_set_alone(engine: Engine, filled_name: str) -> None:
    row = vectors(1, seed=9)[0].tolist()
    await engine.batch_update_points(filled_name, [setting_vectors("visual", {0: row})])
    [record] = await engine.retrieve(filled_name, [point_id(0)], with_vectors=True)
    assert record.payload == payload(0)
    assert vectors_of(record)["visual"] == pytest.approx(row, abs=1e-6)
    assert vectors_of(record).keys() == {"visual", "tags"}


async def test_vectors_are_set_only_where_the_filter_matches(
    engine: Engine, filled_name: str
) -> None:
    row = vectors(1, seed=9)[0].tolist()
    chairs = where(category="chair")
    await engine.batch_update_points(
        filled_name, [setting_vectors("visual", dict.fromkeys(range(4), row), chairs)]
    )
    ids: list[Any] = [point_id(number) for number in range(4)]
    records = await engine.retrieve(filled_name, ids, with_vectors=["visual"])
    changed = [
        record.id
        for record in records
        if vectors_of(record)["visual"] == pytest.approx(row, abs=1e-6)
    ]
    assert changed == [point_id(0)]


async def test_a_batch_of_changes_runs_in_order(engine: Engine, filled_name: str) -> None:
    """As a record is updated: the second change holds in the state that the first one wrote."""
    row = vectors(1, seed=9)[0].tolist()
    changes = [
        overwriting({"n": 7, "state": "new"}, 7),
        setting_vectors("visual", {7: row, 8: row}, where(state="new")),
        models.OverwritePayloadOperation(
            overwrite_payload=models.SetPayload(payload={"n": 9}, filter=where(state="nowhere"))
        ),
        overwriting({"n": 1, "sold": True}, 1, 2),
    ]
    assert len(await engine.batch_update_points(filled_name, changes)) == 4
    ids: list[Any] = [point_id(number) for number in (1, 2, 7, 8, 9)]
    found = {r.id: r for r in await engine.retrieve(filled_name, ids, with_vectors=True)}
    assert found[point_id(7)].payload == {"n": 7, "state": "new"}
    assert vectors_of(found[point_id(7)])["visual"] == pytest.approx(row, abs=1e-6)
    assert vectors_of(found[point_id(8)])["visual"] != pytest.approx(row, abs=1e-6)
    assert found[point_id(1)].payload == found[point_id(2)].payload == {"n": 1, "sold": True}
    assert found[point_id(9)].payload == payload(9)


async def test_points_are_deleted_by_id(engine: Engine, filled_name: str) -> None:
    await engine.delete(filled_name, [point_id(1), point_id(1), point_id(999)])
    await engine.delete(filled_name, [point_id(2)])
    assert (await engine.count(filled_name)).count == COUNT - 2
    ids: list[Any] = [point_id(1), point_id(2), point_id(3)]
    assert numbers(await engine.retrieve(filled_name, ids)) == [3]


async def test_points_are_deleted_where_they_match(engine: Engine, filled_name: str) -> None:
    """Each deletion looks at what the changes before it have left."""
    changes = [
        overwriting({"state": "sold"}, 1, 2),
        models.DeleteOperation(delete=models.FilterSelector(filter=where(state="sold"))),
        models.DeleteOperation(delete=models.FilterSelector(filter=where(n=1))),
        models.DeleteOperation(delete=models.FilterSelector(filter=having([3]))),
    ]
    await engine.batch_update_points(filled_name, changes)
    assert (await engine.count(filled_name)).count == COUNT - 3
    ids: list[Any] = [point_id(number) for number in range(5)]
    assert sorted(numbers(await engine.retrieve(filled_name, ids))) == [0, 4]


async def test_scrolling_visits_every_point_once(engine: Engine, filled_name: str) -> None:
    seen: list[int] = []
    offset = None
    while True:
        records, offset = await engine.scroll(filled_name, limit=7, offset=offset)
        seen += numbers(records)
        if offset is None:
            break
        assert len(records) == 7
    assert sorted(seen) == list(range(COUNT))
    lamps = where(category="lamp")
    records, _ = await engine.scroll(filled_name, scroll_filter=lamps, limit=100)
    assert sorted(numbers(records)) == list(range(2, COUNT, 4))


async def test_counting_and_facets(engine: Engine, filled_name: str) -> None:
    assert (await engine.count(filled_name)).count == COUNT
    assert (await engine.count(filled_name, count_filter=where(new=True))).count == COUNT // 2
    assert (await engine.count(filled_name, count_filter=where(n=True))).count == 0
    facet = await engine.facet(filled_name, "category", facet_filter=where(new=True), limit=10)
    assert {hit.value: hit.count for hit in facet.hits} == {
        "chair": COUNT // 4,
        "lamp": COUNT // 4,
    }
