"""What every engine must find, in the words of `AsyncQdrantClient`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from qdrant_client import models

from lookalike.adapter.engines.base import Engine
from tests.engines.points import FILLED_POINTS as COUNT
from tests.engines.points import having, numbers, point_id, points, search, vectors, where


def nearest(query: int, count: int, allowed: Any = None) -> list[int]:
    rows = vectors(COUNT)
    order = np.argsort(-(rows @ rows[query]))
    return [n for n in order.tolist() if allowed is None or n in allowed][:count]


@pytest.mark.parametrize("as_array", [False, True])
async def test_nearest_neighbours(engine: Engine, filled_name: str, as_array: bool) -> None:
    row = vectors(COUNT)[3]
    answer = await engine.query_points(
        filled_name, query=row if as_array else row.tolist(), using="visual", limit=5
    )
    assert numbers(answer.points) == nearest(3, 5)
    assert answer.points[0].score == pytest.approx(1.0, abs=1e-5)
    assert answer.points[0].vector is None
    page = await search(engine, filled_name, row.tolist(), limit=2, offset=2, with_vector=True)
    assert numbers(page) == nearest(3, 5)[2:4]
    assert isinstance(page[0].vector, dict)
    assert page[0].vector.keys() == {"visual", "tags"}


async def test_nearest_neighbours_among_some(engine: Engine, filled_name: str) -> None:
    row = vectors(COUNT)[3].tolist()
    sofas = where(category="sofa", new=False)
    found = await search(engine, filled_name, row, limit=5, filter=sofas)
    assert numbers(found) == nearest(3, 5, allowed=range(3, COUNT, 4))
    found = await search(
        engine,
        filled_name,
        row,
        score_threshold=found[2].score - 1e-4,
        filter=where(category="sofa"),
        params=models.SearchParams(exact=True),
    )
    assert len(found) == 3


async def test_neighbours_of_a_point_are_others(engine: Engine, filled_name: str) -> None:
    found = await search(engine, filled_name, point_id(3), limit=4)
    assert numbers(found) == nearest(3, 5)[1:]
    found = await search(engine, filled_name, point_id(3), limit=2, offset=1)
    assert numbers(found) == nearest(3, 4)[2:]


async def test_sparse_neighbours(engine: Engine, filled_name: str) -> None:
    query = models.SparseVector(indices=[100, 2], values=[1.0, 3.0])
    found = await search(engine, filled_name, query, using="tags", limit=COUNT)
    scores = {n: hit.score for n, hit in zip(numbers(found), found, strict=True)}
    expected = {n: 2.0 * (n % 3 == 0) + 3.0 * (n % 7 == 2) for n in range(COUNT)}
    assert scores == {n: score for n, score in expected.items() if score}


async def test_images_among_the_candidates_by_tags(engine: Engine, filled_name: str) -> None:
    """Both signals as the hybrid ranking asks for them."""
    row = vectors(COUNT)[3].tolist()
    tagged = models.Prefetch(
        query=models.SparseVector(indices=[2], values=[1.0]),
        using="tags",
        filter=where(new=True),
        limit=100,
        score_threshold=0.5,
    )
    exact = models.SearchParams(
        exact=True, quantization=models.QuantizationSearchParams(ignore=True)
    )
    found = await search(engine, filled_name, row, prefetch=[tagged], params=exact, limit=3)
    allowed = [n for n in range(COUNT) if n % 7 == 2 and n % 2 == 0]
    assert numbers(found) == nearest(3, 3, allowed)
    scores = (vectors(COUNT) @ vectors(COUNT)[3])[numbers(found)]
    assert [hit.score for hit in found] == pytest.approx(scores.tolist(), abs=1e-5)


async def test_a_random_sample(engine: Engine, filled_name: str) -> None:
    samples = [
        numbers(
            (
                await engine.query_points(
                    filled_name,
                    query=models.SampleQuery(sample=models.Sample.RANDOM),
                    query_filter=where(new=True),
                    limit=6,
                )
            ).points
        )
        for _ in range(8)
    ]
    assert all(len(set(sample)) == 6 for sample in samples)
    assert {number % 2 for sample in samples for number in sample} == {0}
    assert len({tuple(sample) for sample in samples}) > 1


async def test_a_query_of_nothing_lists_points(engine: Engine, filled_name: str) -> None:
    found = await search(engine, filled_name, None, using=None, limit=COUNT + 1)
    assert sorted(numbers(found)) == list(range(COUNT))
    found = await search(engine, filled_name, None, using=None, limit=1, filter=having([7]))
    assert numbers(found) == [7]


async def test_several_queries_in_one_request(engine: Engine, filled_name: str) -> None:
    answers = await engine.query_batch_points(
        filled_name,
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
    assert await engine.query_batch_points(filled_name, []) == []


def field(key: str, **operator: Any) -> models.FieldCondition:
    return models.FieldCondition(key=key, **operator)


FILTERS: dict[str, tuple[models.Filter, Callable[[int], bool]]] = {
    "any": (
        models.Filter(must=field("category", match=models.MatchAny(any=["chair", "lamp"]))),
        lambda n: n % 4 in (0, 2),
    ),
    "any integer": (
        models.Filter(must=[field("n", match=models.MatchAny(any=[1, 5, 99]))]),
        lambda n: n in (1, 5),
    ),
    "prefix": (
        models.Filter(must=[field("category", match=models.MatchPrefix(prefix="so"))]),
        lambda n: n % 4 == 3,
    ),
    "substring": (
        models.Filter(must=[field("category", match=models.MatchSubstring(substring="ab"))]),
        lambda n: n % 4 == 1,
    ),
    "range": (
        models.Filter(must=[field("price", range=models.Range(gt=3, lte=9.0))]),
        lambda n: 2 < n <= 6,
    ),
    "dates": (
        models.Filter(
            must=[
                field(
                    "added",
                    range=models.DatetimeRange(
                        gte=dt.datetime(2026, 1, 3, tzinfo=dt.UTC), lt=dt.datetime(2026, 1, 9)
                    ),
                )
            ]
        ),
        lambda n: 2 <= n % 28 < 8,
    ),
    "should and must_not": (
        models.Filter(
            should=[
                field("n", range=models.Range(lt=5)),
                field('"größe"."größter Wert"[0]', range=models.Range(gte=35)),
            ],
            must_not=[models.HasIdCondition(has_id=[point_id(1), point_id(36)])],
        ),
        lambda n: (n < 5 or n >= 35) and n not in (1, 36),
    ),
    "filters within a filter": (
        models.Filter(
            must=[
                models.Filter(should=[where(new=True), field("n", range=models.Range(lt=3))]),
                models.Filter(must_not=[where(category="chair")]),
            ]
        ),
        lambda n: (n % 2 == 0 or n < 3) and n % 4 != 0,
    ),
    "a vector": (
        models.Filter(must_not=[models.HasVectorCondition(has_vector="tags")]),
        lambda _: False,
    ),
    "nothing": (models.Filter(must=[models.HasIdCondition(has_id=[])]), lambda _: False),
    "everything": (models.Filter(), lambda _: True),
}


@pytest.mark.parametrize("name", FILTERS)
async def test_filters(engine: Engine, filled_name: str, name: str) -> None:
    condition, matches = FILTERS[name]
    records, _ = await engine.scroll(filled_name, scroll_filter=condition, limit=COUNT)
    assert sorted(numbers(records)) == [n for n in range(COUNT) if matches(n)]


async def test_points_without_a_vector_are_known(engine: Engine, filled_name: str) -> None:
    bare = points(1, start=COUNT)[0]
    bare.vector = {"visual": vectors(1)[0].tolist()}
    await engine.upsert(filled_name, [bare])
    without = models.Filter(must_not=[models.HasVectorCondition(has_vector="tags")])
    records, _ = await engine.scroll(filled_name, scroll_filter=without, limit=COUNT)
    assert numbers(records) == [COUNT]
