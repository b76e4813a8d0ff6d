"""What costs one exchange with the engine, and what comes in pages that others can pass."""

from __future__ import annotations

from collections import Counter
from typing import Any, cast

import numpy as np
import pytest

from lookalike.adapter.collections import store
from lookalike.adapter.engines.base import Engine
from lookalike.adapter.errors import FilterTooExpensive, InvalidRequest
from lookalike.adapter.limits import Limits
from lookalike.adapter.records import listing
from lookalike.adapter.records.points import point_id
from lookalike.adapter.search.grouping import Grouping
from lookalike.adapter.search.near_duplicates import NearDuplicateCheck
from lookalike.adapter.search.request import SearchRequest
from lookalike.adapter.search.service import SearchService
from tests.adapter.search.conftest import Run
from tests.shelf import Shelf, images, record

N = 2_700


class Watched:
    """An engine whose exchanges are counted; others may delete a point before a `retrieve`."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine
        self.asked: Counter[str] = Counter()
        self.most_payloads = 0
        self.delete_first: list[str] = []

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._engine, name)
        if name == "capabilities":
            return method

        async def ask(*args: Any, **options: Any) -> Any:
            self.asked[name] += 1
            if name == "retrieve" and self.delete_first:
                await self._engine.delete(args[0], points_selector=[self.delete_first.pop()])
            answer = await method(*args, **options)
            points: list[Any] = []
            if name == "retrieve":
                points = answer
            elif name == "scroll":
                points = answer[0]
            elif name == "query_batch_points":
                points = [point for each in answer for point in each.points]
            payloads = sum(point.payload is not None for point in points)
            self.most_payloads = max(self.most_payloads, payloads)
            return answer

        return ask


@pytest.fixture(scope="module")
def shelf(shared_engine: Any, run: Run[Any]) -> Shelf:
    records = [record(n, product_id=f"p{n // 3}", colour=f"c{n % 4}") for n in range(N)]
    rows = images(N, copies=0.0)
    made: Shelf = run(Shelf.of(shared_engine, records, rows, product_id_field="product_id"))
    return made


def watched(shelf: Shelf) -> tuple[Shelf, Watched]:
    engine = Watched(shelf.engine)
    seen = Shelf(cast(Engine, engine), shelf.collection)
    seen.records, seen.vectors = shelf.records, shelf.vectors
    return seen, engine


def test_a_long_ranking_is_read_in_pages(shelf: Shelf, run: Run[Any]) -> None:
    short = run(shelf.ranked(record_id="r7", k=100))
    seen, engine = watched(shelf)
    whole = run(seen.ranked(record_id="r7", k=N))
    assert len(whole) == N
    assert whole[:100] == short
    assert engine.most_payloads <= listing.RECORDS_AT_ONCE


def test_what_is_deleted_while_it_is_read_leaves_no_gap(shelf: Shelf, run: Run[Any]) -> None:
    """k records are answered whenever k exist."""
    rows = images(N, copies=0.0, seed=5)
    other = run(Shelf.of(shelf.engine, [record(n) for n in range(N)], rows))
    seen, engine = watched(other)
    ranked = [id_ for id_, _ in run(other.ranked(record_id="r7", k=N))]
    gone = ranked[300]
    engine.delete_first = [point_id(gone)]
    found = [id_ for id_, _ in run(seen.ranked(record_id="r7", k=600))]
    assert found == [id_ for id_ in ranked if id_ != gone][:600]


def test_products_of_a_page_are_counted_in_one_exchange(shelf: Shelf, run: Run[Any]) -> None:
    fields = frozenset({"_id", "_product_count"})
    for filter_ in (None, {"colour": {"$in": ["c0", "c1"]}}):
        seen, engine = watched(shelf)
        asked = {"record_id": "r7", "k": 20, "grouping": Grouping("product_id")}
        run(seen.nearest(filter_, **asked))
        without = engine.asked.total()
        hits = run(seen.nearest(filter_, **asked, fields=fields))
        assert engine.asked.total() - 2 * without == 1
        assert len(hits.records) == 20
        for hit in hits.records:
            product = shelf.records[hit["_id"]]["product_id"]
            same = [i for i in shelf.matching(filter_) if shelf.records[i]["product_id"] == product]
            assert hit["_product_count"] == max(1, len(same))


def test_near_duplicates_of_a_batch_are_looked_for_in_one_exchange(
    shelf: Shelf, run: Run[Any]
) -> None:
    seen, engine = watched(shelf)
    check = NearDuplicateCheck(cast(Engine, engine), seen.collection, 1e-4)
    some = [f"r{n}" for n in range(50)]
    vectors = [[float(x) for x in shelf.vectors[id_]] for id_ in some]
    found = run(check.find_stored(vectors))
    assert [[id_ for id_, _ in near] for near in found] == [[id_] for id_ in some]
    assert engine.asked == {"query_batch_points": 1}
    assert check.find_among(vectors[0], {}) == []
    others = {"far": vectors[3], "same": vectors[0]}
    assert [id_ for id_, _ in check.find_among(vectors[0], others)] == ["same"]
    assert run(check.find_stored([])) == []


def test_the_catalogue_is_read_in_one_exchange(shelf: Shelf, run: Run[Any]) -> None:
    engine = Watched(shelf.engine)
    found = run(store.read_all(cast(Engine, engine)))
    assert shelf.collection.id in [collection.id for collection in found]
    assert engine.asked == {"get_aliased": 1}


def test_ranks_of_several_pictures_are_bounded(shelf: Shelf, run: Run[Any]) -> None:
    service = SearchService(shelf.engine, cast(Any, None), Limits())
    many = [{"_id": f"r{n}"} for n in range(100)]

    def ask(**fields: Any) -> Any:
        request = SearchRequest(query_records=many, **fields)
        return run(service.find_similar(shelf.collection, request))

    for fields in ({"k": 2501}, {"k": 10, "from_": 2500}, {"k": 2600, "radius": 2.0}):
        with pytest.raises(InvalidRequest) as refusal:
            ask(**fields)
        assert refusal.value.place == "$.query_records"
    found = ask(k=2500, group_by="")
    assert len(found.records) == 2500
    assert {r["_id"] for r in found.records[:100]} == {r["_id"] for r in many}
    assert {r["_id"] for r in ask(k=10_000, radius=1e-5, group_by="").records} == {
        r["_id"] for r in many
    }
    assert len(ask(k=700, group_by="", weights=[1.0] * 100).records) == 700


def test_a_filter_for_no_index_is_bounded_by_its_work(
    shelf: Shelf, run: Run[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twenty patterns cost as much as twenty times the records."""
    monkeypatch.setattr("lookalike.adapter.records.selection.MAX_RESIDUAL_WORK", 1_000_000)
    one = {"category": {"$regex": "^sof.$"}}
    hits = run(shelf.nearest(one, record_id="r7", k=20))
    assert len(hits.records) == 20
    assert hits.residual_records > 0
    many = {"$or": [{"category": {"$regex": f"^sof.{{{n}}}x$"}} for n in range(20)]}
    with pytest.raises(FilterTooExpensive) as refusal:
        run(shelf.nearest(many, record_id="r7", k=20))
    assert refusal.value.place == "$.filter"


def test_scores_of_pages_do_not_depend_on_their_size(shelf: Shelf, run: Run[Any]) -> None:
    whole = run(shelf.ranked(record_id="r7", k=N))
    parts = [run(shelf.ranked(record_id="r7", k=270, offset=n)) for n in range(0, N, 270)]
    assert [hit for part in parts for hit in part] == whole
    assert np.all(np.diff([distance for _, distance in whole]) >= 0)
