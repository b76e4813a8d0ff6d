"""What every engine must do, in the words of `AsyncQdrantClient`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from qdrant_client import models

from tests.engines.embedded.conftest import make_collection
from tests.engines.points import DIMENSION, payload, point_id, points, vectors

COUNT = 40


@pytest.fixture
async def filled(engine: Any, collection: str) -> str:
    await engine.upsert(collection, points(COUNT))
    return collection


def numbers(hits: Any) -> list[int]:
    return [hit.payload["n"] for hit in hits]


def where(**match: Any) -> models.Filter:
    return models.Filter(
        must=[
            models.FieldCondition(key=key, match=models.MatchValue(value=value))
            for key, value in match.items()
        ]
    )


def nearest(query: int, count: int, allowed: Any = None) -> list[int]:
    rows = vectors(COUNT)
    order = np.argsort(-(rows @ rows[query]))
    return [n for n in order.tolist() if allowed is None or n in allowed][:count]


async def test_a_collection_is_created_described_and_deleted(engine: Any) -> None:
    name = await make_collection(engine)
    assert await engine.collection_exists(name)
    assert name in [c.name for c in (await engine.get_collections()).collections]
    info = await engine.get_collection(name)
    assert info.points_count == 0
    assert info.config.metadata == {"kind": "photos", "version": 1}
    params = info.config.params.vectors["visual"]
    assert (params.size, params.distance) == (DIMENSION, models.Distance.COSINE)
    assert await engine.delete_collection(name)
    assert not await engine.collection_exists(name)
    assert not await engine.delete_collection(name)


async def test_metadata_is_merged_and_null_removes(engine: Any, collection: str) -> None:
    if not hasattr(engine, "health"):
        pytest.skip("the local mode replaces metadata")
    await engine.update_collection(collection, metadata={"version": 2, "kind": None, "new": [1]})
    info = await engine.get_collection(collection)
    assert info.config.metadata == {"version": 2, "new": [1]}


async def test_payload_indexes_are_listed(engine: Any, collection: str) -> None:
    if not hasattr(engine, "health"):
        pytest.skip("the local mode has no payload indexes")
    schema = (await engine.get_collection(collection)).payload_schema
    assert {path: index.data_type.value for path, index in schema.items()} == {
        "category": "keyword",
        "price": "float",
    }
    await engine.delete_payload_index(collection, "price")
    assert set((await engine.get_collection(collection)).payload_schema) == {"category"}
    await engine.create_payload_index(
        collection,
        "t",
        models.TextIndexParams(type=models.TextIndexType.TEXT, phrase_matching=True),
    )
    index = (await engine.get_collection(collection)).payload_schema["t"]
    assert index.params.phrase_matching is True


async def test_points_come_back_as_they_were_sent(engine: Any, filled: str) -> None:
    ids = [point_id(5), point_id(999), point_id(3)]
    records = await engine.retrieve(filled, ids, with_vectors=True)
    # The order is the caller's business: a server does not promise one.
    found = {record.id: record for record in records}
    assert found.keys() == {point_id(5), point_id(3)}
    record = found[point_id(5)]
    assert record.payload == payload(5)
    assert record.vector["visual"] == pytest.approx(vectors(6)[5].tolist(), abs=1e-6)
    assert record.vector["tags"].indices == [5, 102]


async def test_what_is_not_asked_for_is_not_sent(engine: Any, filled: str) -> None:
    [record] = await engine.retrieve(filled, [point_id(1)], with_payload=["n", "parts[].name"])
    assert record.payload == {"n": 1, "parts": [{"name": "leg"}, {"name": "top"}]}
    assert record.vector is None
    [record] = await engine.retrieve(
        filled, [point_id(1)], with_payload=False, with_vectors=["tags"]
    )
    assert not record.payload
    assert set(record.vector) == {"tags"}
    [record] = await engine.retrieve(
        filled,
        [point_id(1)],
        with_payload=models.PayloadSelectorExclude(exclude=["parts", "größe"]),
    )
    assert set(record.payload) == {"n", "category", "price", "new"}


async def test_integers_and_uuids_are_ids(engine: Any, collection: str) -> None:
    await engine.upsert(
        collection,
        [models.PointStruct(id=2**63, vector={"visual": [1.0] * DIMENSION}, payload={"n": 1})],
    )
    [record] = await engine.retrieve(collection, [2**63])
    assert (record.id, record.payload) == (2**63, {"n": 1})


async def test_an_upsert_replaces_the_whole_point(engine: Any, filled: str) -> None:
    row = vectors(1, seed=9)[0].tolist()
    await engine.upsert(
        filled,
        [models.PointStruct(id=point_id(0), vector={"visual": row}, payload={"n": 0, "x": 1})],
    )
    [record] = await engine.retrieve(filled, [point_id(0)], with_vectors=True)
    assert record.payload == {"n": 0, "x": 1}
    assert set(record.vector) == {"visual"}
    assert (await engine.count(filled)).count == COUNT


async def test_insert_only_and_update_only(engine: Any, filled: str) -> None:
    new = points(2, start=COUNT - 1)
    for point in new:
        point.payload = {"n": -1}
    await engine.upsert(filled, new, update_mode=models.UpdateMode.INSERT_ONLY)
    records = await engine.retrieve(filled, [point_id(COUNT - 1), point_id(COUNT)])
    assert {r.id: r.payload["n"] for r in records} == {
        point_id(COUNT - 1): COUNT - 1,
        point_id(COUNT): -1,
    }
    changed = points(1, start=COUNT) + points(1, start=COUNT + 1)
    await engine.upsert(filled, changed, update_mode=models.UpdateMode.UPDATE_ONLY)
    assert (await engine.count(filled)).count == COUNT + 1
    [record] = await engine.retrieve(filled, [point_id(COUNT)])
    assert record.payload["n"] == COUNT


async def test_vectors_are_updated_alone(engine: Any, filled: str) -> None:
    row = vectors(1, seed=9)[0].tolist()
    await engine.update_vectors(
        filled, [models.PointVectors(id=point_id(0), vector={"visual": row})]
    )
    [record] = await engine.retrieve(filled, [point_id(0)], with_vectors=True)
    assert record.payload == payload(0)
    assert record.vector["visual"] == pytest.approx(row, abs=1e-6)
    assert set(record.vector) == {"visual", "tags"}
    await engine.delete_vectors(filled, ["tags"], [point_id(0)])
    [record] = await engine.retrieve(filled, [point_id(0)], with_vectors=True)
    assert set(record.vector) == {"visual"}


async def test_payloads_are_set_overwritten_and_deleted(engine: Any, filled: str) -> None:
    await engine.set_payload(filled, {"a": {"b": 1}, "n": 100}, points=[point_id(0), point_id(1)])
    await engine.overwrite_payload(filled, {"n": 200}, points=[point_id(1)])
    await engine.delete_payload(filled, ["größe", "parts[].count"], points=[point_id(0)])
    await engine.set_payload(filled, {"c": 2}, points=[point_id(0)], key="a")
    records = await engine.retrieve(filled, [point_id(0), point_id(1)])
    found = {record.id: record.payload for record in records}
    expected = payload(0) | {"a": {"b": 1, "c": 2}, "n": 100}
    del expected["größe"]
    expected["parts"] = [{"name": "leg"}, {"name": "top"}]
    assert found == {point_id(0): expected, point_id(1): {"n": 200}}
    await engine.clear_payload(filled, [point_id(0)])
    [record] = await engine.retrieve(filled, [point_id(0)])
    assert not record.payload


async def test_writes_by_filter(engine: Any, filled: str) -> None:
    chairs = where(category="chair")
    await engine.set_payload(filled, {"seat": True}, points=chairs)
    assert (await engine.count(filled, where(seat=True))).count == COUNT // 4
    await engine.delete(filled, models.FilterSelector(filter=chairs))
    assert (await engine.count(filled)).count == COUNT * 3 // 4
    await engine.delete(filled, [point_id(1), point_id(1), point_id(999)])
    await engine.delete(filled, models.PointIdsList(points=[point_id(2)]))
    assert (await engine.count(filled)).count == COUNT * 3 // 4 - 2


async def test_a_batch_of_operations_runs_in_order(engine: Any, filled: str) -> None:
    await engine.batch_update_points(
        filled,
        [
            models.UpsertOperation(upsert=models.PointsList(points=points(1, start=COUNT))),
            models.SetPayloadOperation(
                set_payload=models.SetPayload(payload={"s": 1}, points=[point_id(COUNT)])
            ),
            models.OverwritePayloadOperation(
                overwrite_payload=models.SetPayload(payload={"n": 7}, points=[point_id(7)])
            ),
            models.DeletePayloadOperation(
                delete_payload=models.DeletePayload(keys=["n"], filter=where(s=1))
            ),
            models.DeleteOperation(delete=models.PointIdsList(points=[point_id(1)])),
            models.ClearPayloadOperation(clear_payload=models.PointIdsList(points=[point_id(2)])),
        ],
    )
    ids = [point_id(n) for n in (COUNT, 7, 1, 2)]
    found = {r.id: r.payload for r in await engine.retrieve(filled, ids)}
    expected = payload(COUNT) | {"s": 1}
    del expected["n"]
    assert found[point_id(COUNT)] == expected
    assert found[point_id(7)] == {"n": 7}
    assert point_id(1) not in found
    assert not found[point_id(2)]


async def test_scrolling_visits_every_point_once(engine: Any, filled: str) -> None:
    seen: list[int] = []
    offset = None
    while True:
        records, offset = await engine.scroll(filled, limit=7, offset=offset)
        seen += numbers(records)
        if offset is None:
            break
        assert len(records) == 7
    assert sorted(seen) == list(range(COUNT))
    records, _ = await engine.scroll(filled, scroll_filter=where(category="lamp"), limit=100)
    assert sorted(numbers(records)) == list(range(2, COUNT, 4))


async def test_scrolling_by_a_field(engine: Any, filled: str) -> None:
    records, _ = await engine.scroll(
        filled,
        order_by=models.OrderBy(key="price", direction=models.Direction.DESC, start_from=30.0),
        limit=3,
    )
    assert numbers(records) == [20, 19, 18]
    records, _ = await engine.scroll(filled, order_by="price", limit=2)
    assert numbers(records) == [0, 1]


async def test_counting_and_facets(engine: Any, filled: str) -> None:
    assert (await engine.count(filled)).count == COUNT
    assert (await engine.count(filled, where(new=True))).count == COUNT // 2
    assert (await engine.count(filled, where(n=True))).count == 0
    hits = (await engine.facet(filled, "category", facet_filter=where(new=True), exact=True)).hits
    assert {hit.value: hit.count for hit in hits} == {"chair": COUNT // 4, "lamp": COUNT // 4}


@pytest.mark.parametrize("as_array", [False, True])
async def test_nearest_neighbours(engine: Any, filled: str, as_array: bool) -> None:
    row = vectors(COUNT)[3]
    answer = await engine.query_points(
        filled, query=row if as_array else row.tolist(), using="visual", limit=5
    )
    assert numbers(answer.points) == nearest(3, 5)
    assert answer.points[0].score == pytest.approx(1.0, abs=1e-5)
    assert answer.points[0].vector is None
    page = await engine.query_points(
        filled, query=row.tolist(), using="visual", limit=2, offset=2, with_vectors=True
    )
    assert numbers(page.points) == nearest(3, 5)[2:4]
    assert set(page.points[0].vector) == {"visual", "tags"}


async def test_nearest_neighbours_among_some(engine: Any, filled: str) -> None:
    row = vectors(COUNT)[3].tolist()
    answer = await engine.query_points(
        filled, query=row, using="visual", limit=5, query_filter=where(category="sofa", new=False)
    )
    assert numbers(answer.points) == nearest(3, 5, allowed=range(3, COUNT, 4))
    threshold = answer.points[2].score - 1e-4
    answer = await engine.query_points(
        filled,
        query=row,
        using="visual",
        score_threshold=threshold,
        query_filter=where(category="sofa"),
        search_params=models.SearchParams(exact=True),
    )
    assert len(answer.points) == 3


async def test_neighbours_of_a_point_are_others(engine: Any, filled: str) -> None:
    answer = await engine.query_points(filled, query=point_id(3), using="visual", limit=4)
    assert numbers(answer.points) == nearest(3, 5)[1:]
    answer = await engine.query_points(filled, query=point_id(3), using="visual", limit=2, offset=1)
    assert numbers(answer.points) == nearest(3, 4)[2:]
    legs = [models.Prefetch(query=point_id(3), using="visual", limit=2)]
    answer = await engine.query_points(
        filled, prefetch=legs, query=models.FusionQuery(fusion=models.Fusion.RRF)
    )
    assert numbers(answer.points) == nearest(3, 3)[1:]


async def test_sparse_neighbours(engine: Any, filled: str) -> None:
    answer = await engine.query_points(
        filled,
        query=models.SparseVector(indices=[100, 2], values=[1.0, 3.0]),
        using="tags",
        limit=COUNT,
    )
    scores = {hit.payload["n"]: hit.score for hit in answer.points}
    expected = {n: 2.0 * (n % 3 == 0) + 3.0 * (n % 7 == 2) for n in range(COUNT)}
    assert scores == {n: score for n, score in expected.items() if score}


async def test_visual_and_tags_in_one_exact_score(engine: Any, filled: str) -> None:
    """Section E of the notes: the candidates of both legs, each scored by both signals."""
    dense, sparse = vectors(COUNT)[3].tolist(), models.SparseVector(indices=[2], values=[1.0])
    legs = [
        models.Prefetch(query=dense, using="visual", limit=10),
        models.Prefetch(query=sparse, using="tags", limit=10),
    ]
    exact = models.SearchParams(quantization=models.QuantizationSearchParams(ignore=True))
    answer = await engine.query_points(
        filled,
        prefetch=[
            models.Prefetch(prefetch=legs, query=dense, using="visual", limit=20, params=exact),
            models.Prefetch(prefetch=legs, query=sparse, using="tags", limit=20),
        ],
        query=models.FormulaQuery(
            formula=models.SumExpression(
                sum=[
                    models.MultExpression(mult=[0.75, "$score[0]"]),
                    models.MultExpression(mult=[0.25, "$score[1]"]),
                ]
            ),
            defaults={"$score[0]": 0.0, "$score[1]": 0.0},
        ),
        limit=5,
    )
    rows = vectors(COUNT)
    scores = 0.75 * rows @ rows[3] + 0.25 * (np.arange(COUNT) % 7 == 2)
    assert numbers(answer.points) == np.argsort(-scores)[:5].tolist()
    found = [hit.score for hit in answer.points]
    assert found == pytest.approx(np.sort(scores)[::-1][:5].tolist(), abs=1e-5)


async def test_other_queries(engine: Any, filled: str) -> None:
    sample = await engine.query_points(
        filled, query=models.SampleQuery(sample=models.Sample.RANDOM), limit=6
    )
    assert len(set(numbers(sample.points))) == 6
    ordered = await engine.query_points(
        filled, query=models.OrderByQuery(order_by="price"), limit=3
    )
    assert numbers(ordered.points) == [0, 1, 2]
    listed = await engine.query_points(filled, limit=COUNT + 1)
    assert len(listed.points) == COUNT
    recommended = await engine.query_points(
        filled,
        query=models.RecommendQuery(
            recommend=models.RecommendInput(positive=[point_id(3)], negative=[point_id(9)])
        ),
        using="visual",
        limit=COUNT,
    )
    assert len(recommended.points) == COUNT - 2
    diverse = await engine.query_points(
        filled,
        query=models.NearestQuery(nearest=point_id(3), mmr=models.Mmr(diversity=0.0)),
        using="visual",
        limit=3,
    )
    assert numbers(diverse.points) == nearest(3, 4)[1:]


async def test_several_queries_in_one_request(engine: Any, filled: str) -> None:
    answers = await engine.query_batch_points(
        filled,
        [
            models.QueryRequest(
                query=query, using="visual", limit=3, with_payload=True, filter=where(new=True)
            )
            for query in (vectors(COUNT)[4].tolist(), point_id(4))
        ],
    )
    even = range(0, COUNT, 2)
    assert [numbers(answer.points) for answer in answers] == [
        nearest(4, 3, allowed=even),
        nearest(4, 4, allowed=even)[1:],
    ]


FILTERS: dict[str, tuple[models.Filter, Any]] = {
    "any": (
        models.Filter(
            must=models.FieldCondition(key="category", match=models.MatchAny(any=["chair", "lamp"]))
        ),
        lambda n: n % 4 in (0, 2),
    ),
    "range": (
        models.Filter(must=[models.FieldCondition(key="price", range=models.Range(gt=3, lte=9.0))]),
        lambda n: 2 < n <= 6,
    ),
    "nested": (
        models.Filter(
            must=[
                models.NestedCondition(
                    nested=models.Nested(
                        key="parts",
                        filter=models.Filter(
                            must=[
                                models.FieldCondition(
                                    key="name", match=models.MatchValue(value="leg")
                                ),
                                models.FieldCondition(
                                    key="count", match=models.MatchValue(value=1)
                                ),
                            ]
                        ),
                    )
                )
            ]
        ),
        lambda n: n % 5 == 1,
    ),
    "should and must_not": (
        models.Filter(
            should=[
                models.FieldCondition(key="n", range=models.Range(lt=5)),
                models.FieldCondition(key='"größe"."größter Wert"[0]', range=models.Range(gte=35)),
            ],
            must_not=[models.HasIdCondition(has_id=[point_id(1), point_id(36)])],
        ),
        lambda n: (n < 5 or n >= 35) and n not in (1, 36),
    ),
    "min_should": (
        models.Filter(
            min_should=models.MinShould(
                conditions=[
                    models.FieldCondition(key="new", match=models.MatchValue(value=True)),
                    models.FieldCondition(key="category", match=models.MatchValue(value="chair")),
                    models.FieldCondition(key="n", range=models.Range(lt=10)),
                ],
                min_count=2,
            )
        ),
        lambda n: (n % 2 == 0) + (n % 4 == 0) + (n < 10) >= 2,
    ),
    "empty": (
        models.Filter(
            must=[models.IsEmptyCondition(is_empty=models.PayloadField(key="missing"))],
            must_not=[models.IsNullCondition(is_null=models.PayloadField(key="n"))],
        ),
        lambda _: True,
    ),
    "values_count": (
        models.Filter(
            must=[models.FieldCondition(key="parts", values_count=models.ValuesCount(gte=3))]
        ),
        lambda _: False,
    ),
}


@pytest.mark.parametrize("name", FILTERS)
async def test_filters(engine: Any, filled: str, name: str) -> None:
    condition, matches = FILTERS[name]
    records, _ = await engine.scroll(filled, scroll_filter=condition, limit=COUNT)
    assert sorted(numbers(records)) == [n for n in range(COUNT) if matches(n)]


async def test_aliases_move_in_one_step(engine: Any, collection: str) -> None:
    other = await make_collection(engine)
    alias = f"alias-of-{other}"

    def point_to(name: str) -> models.CreateAliasOperation:
        return models.CreateAliasOperation(
            create_alias=models.CreateAlias(collection_name=name, alias_name=alias)
        )

    await engine.update_collection_aliases([point_to(collection)])
    await engine.upsert(alias, points(1))
    assert (await engine.count(collection)).count == 1
    delete = models.DeleteAliasOperation(delete_alias=models.DeleteAlias(alias_name=alias))
    await engine.update_collection_aliases([delete, point_to(other)])
    assert (await engine.count(alias)).count == 0
    found = (await engine.get_collection_aliases(other)).aliases
    assert [(a.alias_name, a.collection_name) for a in found] == [(alias, other)]
    assert alias in [a.alias_name for a in (await engine.get_aliases()).aliases]
