"""Long reads in steps answer exactly what one call answers, whatever is written meanwhile."""

from __future__ import annotations

import itertools
import random
import uuid
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from lookalike.adapter.engines.embedded import messages
from lookalike.adapter.engines.embedded.condition_messages import (
    Filter,
    HasId,
    MatchAny,
    MatchValue,
    Range,
)
from lookalike.adapter.engines.embedded.worker import (
    facet_values,
    filter_costs,
    id_slices,
    query_plans,
)
from lookalike.adapter.engines.embedded.worker.database import ADMINISTRATION, Database
from lookalike.adapter.engines.embedded.worker.read_plans import read
from lookalike.adapter.engines.embedded.worker.shard import Shard, Steps
from lookalike.adapter.engines.embedded.worker.write_plans import write
from lookalike.adapter.engines.embedded.worker_settings import WorkerSettings

POINTS, SIZE = 900, 8
NAME = "shop"
ALL_QUERIES = (("image", "Cosine"), ("plain", "Euclid"), ("tags", "sparse"))

RNG = np.random.default_rng(7)
DICE = random.Random(7)


def identity(number: int) -> str | int:
    return number if number % 10 == 0 else str(uuid.uuid5(uuid.NAMESPACE_URL, str(number)))


def vector() -> bytes:
    return RNG.standard_normal(SIZE).astype("<f4").tobytes()


def new_point(number: int) -> messages.NewPoint:
    payload: dict[str, Any] = {
        "number": number,
        "brand": [f"b{number % 7}", f"b{number % 3}"] if number % 5 else f"b{number % 11}",
        "price": float(number % 100),
        "colour": f"c{number % 4}",
    }
    tags = messages.SparseVector([number % 13, 20 + number % 5], [1.0, 0.5 + number / POINTS])
    vectors: messages.Vectors = {"image": vector(), "plain": vector(), "tags": tags}
    return messages.NewPoint(identity(number), vectors, payload)


def run(steps: Steps[Any] | Iterator[None]) -> Any:
    """Runs a read or a write to its end; the result, and the number of its steps."""
    for number in itertools.count(1):
        try:
            next(steps)
        except StopIteration as over:
            return over.value, number
    raise AssertionError


def upsert(shard: Shard, points: list[messages.NewPoint]) -> None:
    run(write(shard, messages.UpsertPoints(NAME, points, False)))


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    made = Database(tmp_path_factory.mktemp("data"), WorkerSettings())
    vectors = {
        "image": messages.VectorParams(SIZE, "Cosine"),
        "plain": messages.VectorParams(SIZE, "Euclid"),
    }
    for request in (
        messages.CreateCollection(NAME, vectors, ["tags"], {}),
        messages.CreatePayloadIndex(NAME, "brand", "keyword"),
        messages.CreatePayloadIndex(NAME, "price", "float"),
    ):
        run(ADMINISTRATION[type(request)](made, request))
    upsert(made.shard(NAME), [new_point(number) for number in range(POINTS)])
    yield made
    made.close()


@pytest.fixture
def shard(database: Database) -> Shard:
    return database.shard(NAME)


@pytest.fixture
def cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if 900 points were very many."""
    monkeypatch.setattr(filter_costs, "READ_AT_ONCE", 30)
    monkeypatch.setattr(filter_costs, "FOUND_AT_ONCE", 200)
    monkeypatch.setattr(id_slices, "SLICE_IDS", 25)
    monkeypatch.setattr(query_plans, "RANKS_AT_ONCE", 40)
    monkeypatch.setattr(query_plans, "SAMPLE", 50)


FILTERS = {
    "none": None,
    "unindexed": Filter([MatchValue("colour", "c1")], [], []),
    "two fields": Filter([MatchValue("colour", "c1"), MatchValue("brand", "b1")], [], []),
    "either": Filter([], [MatchValue("colour", "c1"), MatchValue("brand", "b1")], []),
    "neither": Filter([], [], [MatchValue("colour", "c1"), MatchValue("brand", "b1")]),
    "wide range": Filter([Range("price", None, 10.0, 95.0, None)], [], []),
    "number": Filter([MatchValue("number", 17)], [], []),
    "nothing": Filter([MatchValue("colour", "none")], [], []),
    "ids": Filter([HasId([identity(n) for n in range(300)]), MatchValue("colour", "c2")], [], []),
    "several": Filter(
        [MatchAny("colour", ["c1", "c3"])], [], [Range("price", 50.0, None, None, None)]
    ),
}


def query(
    nearest: Any, using: str, filter_: Filter | None, limit: int, **changes: Any
) -> messages.PointQuery:
    fields: dict[str, Any] = {
        **{"prefetch": [], "filter": filter_, "params": None, "limit": limit, "offset": 0},
        **{"score_threshold": None, "with_payload": ["number"], "with_vectors": False},
        **changes,
    }
    return messages.PointQuery(nearest, using, **fields)


def nearest_of(using: str) -> Any:
    if using == "tags":
        return messages.BySparseVector(messages.SparseVector([3, 21, 22], [1.0, 0.4, 0.2]))
    return messages.ByDenseVector(vector())


@pytest.fixture(params=list(FILTERS))
def filter_(request: pytest.FixtureRequest) -> Filter | None:
    return FILTERS[request.param]


def both(
    shard: Shard, request: messages.WorkerRequest[Any], monkeypatch: pytest.MonkeyPatch
) -> tuple[Any, Any]:
    """The answer in steps, and that of one call."""
    in_steps = run(read(shard, request))[0]
    with monkeypatch.context() as whole:
        for module, name in (
            (filter_costs, "READ_AT_ONCE"),
            (filter_costs, "FOUND_AT_ONCE"),
            (query_plans, "RANKS_AT_ONCE"),
        ):
            whole.setattr(module, name, POINTS * 1000)
        at_once = run(read(shard, request))[0]
    return in_steps, at_once


@pytest.mark.usefixtures("cut")
def test_counts(shard: Shard, filter_: Filter | None, monkeypatch: pytest.MonkeyPatch) -> None:
    in_steps, at_once = both(shard, messages.CountPoints(NAME, filter_), monkeypatch)
    assert in_steps == at_once


@pytest.mark.usefixtures("cut")
@pytest.mark.parametrize("limit", [1, 25, 26, 400, 2000])
def test_pages_of_a_listing(
    shard: Shard, filter_: Filter | None, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed: list[Any] = []
    offset: Any = None
    while True:
        request = messages.ScrollPoints(NAME, filter_, limit, offset, ["number"], False)
        in_steps, at_once = both(shard, request, monkeypatch)
        assert in_steps == at_once
        listed += in_steps.points
        offset = in_steps.next
        if offset is None or len(listed) > 5 * limit:
            break
    ids = [point.id for point in listed]
    assert len(set(ids)) == len(ids)


@pytest.mark.usefixtures("cut")
@pytest.mark.parametrize(("limit", "offset"), [(1, 0), (10, 3), (39, 0), (300, 100), (2000, 0)])
@pytest.mark.parametrize("using", ["image", "plain", "tags"])
def test_rankings(
    shard: Shard,
    filter_: Filter | None,
    using: str,
    limit: int,
    offset: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = query(nearest_of(using), using, filter_, limit, offset=offset)
    in_steps, at_once = both(shard, messages.QueryPoints(NAME, [asked]), monkeypatch)
    assert scores(in_steps[0]) == pytest.approx(scores(at_once[0]), abs=1e-6)
    if using != "tags":  # Of equal ones the engine answers any, and tags are often equal.
        assert [hit.id for hit in in_steps[0]] == [hit.id for hit in at_once[0]]
    assert all(hit.payload for hit in in_steps[0])


def scores(hits: list[messages.ScoredHit]) -> list[float]:
    return [hit.score for hit in hits]


@pytest.mark.usefixtures("cut")
def test_neighbours_of_a_point_within_a_radius(
    shard: Shard, filter_: Filter | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for using, threshold in (("image", 0.2), ("plain", 3.0)):
        asked = query(
            messages.ByPoint(identity(33)), using, filter_, 500, score_threshold=threshold
        )
        in_steps, at_once = both(shard, messages.QueryPoints(NAME, [asked]), monkeypatch)
        assert scores(in_steps[0]) == pytest.approx(scores(at_once[0]), abs=1e-6)
        assert identity(33) not in [hit.id for hit in in_steps[0]]


@pytest.mark.usefixtures("cut")
def test_a_search_among_candidates(
    shard: Shard, filter_: Filter | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    tags = nearest_of("tags")
    for limit in (20, 900):
        # Those with equal tags are in the one list or in the other; all of them are in the longer.
        first = messages.Prefetch(tags, "tags", filter_, None, limit, None)
        asked = query(nearest_of("image"), "image", None, 10, prefetch=[first])
        in_steps, at_once = both(shard, messages.QueryPoints(NAME, [asked]), monkeypatch)
        assert len(in_steps[0]) == len(at_once[0])
        if limit == 900:
            assert [hit.id for hit in in_steps[0]] == [hit.id for hit in at_once[0]]


@pytest.mark.usefixtures("cut")
def test_a_list_from_a_position_on(
    shard: Shard, filter_: Filter | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for offset, limit in ((0, 3), (60, 1), (45, 200), (5000, 5)):
        asked = query(None, "", filter_, limit, offset=offset)
        in_steps, at_once = both(shard, messages.QueryPoints(NAME, [asked]), monkeypatch)
        assert in_steps == at_once


@pytest.mark.usefixtures("cut")
def test_many_queries_are_answered_in_their_order(
    shard: Shard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(query_plans, "ELEMENTS_AT_ONCE", 3 * POINTS * SIZE)
    monkeypatch.setattr(query_plans, "ELEMENTS_OF_RANK", 10)
    asked = [
        query(nearest_of("image"), "image", list(FILTERS.values())[n % len(FILTERS)], 1 + n)
        for n in range(50)
    ]
    request = messages.QueryPoints(NAME, asked)
    in_steps, at_once = both(shard, request, monkeypatch)
    assert [[h.id for h in hits] for hits in in_steps] == [[h.id for h in hits] for hits in at_once]
    assert run(read(shard, request))[1] > 16


@pytest.mark.usefixtures("cut")
def test_facets(shard: Shard, filter_: Filter | None, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = run(read(shard, messages.ScrollPoints(NAME, filter_, 2000, None, True, False)))[0]
    brands: Counter[str] = Counter()
    for point in listed.points:
        brand = point.payload["brand"]
        brands.update({brand} if isinstance(brand, str) else set(brand))
    for most in (2_000, 3):  # Value by value; and, where there are many, point by point.
        monkeypatch.setattr(facet_values, "MOST_VALUES", most)
        shard.facet_values = facet_values.FacetValues()
        request = messages.CountValues(NAME, "brand", filter_, 100)
        counted = run(read(shard, request))[0]
        assert {each.value: each.count for each in counted} == brands
        assert [each.count for each in counted] == sorted(brands.values(), reverse=True)


@pytest.mark.usefixtures("cut")
def test_random_points_are_drawn_evenly_from_those_that_match(
    shard: Shard, monkeypatch: pytest.MonkeyPatch
) -> None:
    often = FILTERS["unindexed"]
    matching = run(read(shard, messages.ScrollPoints(NAME, often, 2000, None, False, False)))[0]
    expected = {point.id for point in matching.points}
    for tried in (8, 0):  # From what is drawn from all; and, with no luck, from all that match.
        monkeypatch.setattr(query_plans, "SAMPLES", tried)
        drawn: Counter[Any] = Counter()
        asked = query(messages.RandomSample(), "", often, 20)
        for _ in range(400):
            (hits,) = run(read(shard, messages.QueryPoints(NAME, [asked])))[0]
            assert len({hit.id for hit in hits}) == 20
            assert all(hit.payload for hit in hits)
            drawn.update(hit.id for hit in hits)
        assert drawn.keys() == expected
        # 400 x 20 draws of 225: 35.6 each, with a standard deviation of 5.7.
        assert min(drawn.values()) > 10
        assert max(drawn.values()) < 70
    few = query(messages.RandomSample(), "", FILTERS["number"], 20)
    (hits,) = run(read(shard, messages.QueryPoints(NAME, [few])))[0]
    assert [hit.id for hit in hits] == [identity(17)]


@pytest.mark.usefixtures("cut")
def test_a_point_that_is_there_all_along_is_seen_once(shard: Shard) -> None:
    """While others are added, replaced and deleted between the steps, slices grow and split."""
    stays = {identity(number) for number in range(POINTS)}
    everything = Filter([], [], [MatchValue("colour", "none")])
    for begin in (10_000, 20_000):
        numbers = itertools.count(begin)
        steps = read(shard, messages.ScrollPoints(NAME, everything, 100_000, None, False, False))
        seen: Any = None
        while seen is None:
            try:
                next(steps)
            except StopIteration as over:
                seen = over.value
            added = [next(numbers) for _ in range(20)]
            upsert(shard, [new_point(number) for number in [*added, *DICE.sample(range(900), 5)]])
            gone = [identity(number) for number in added[::3]]
            run(write(shard, messages.DeletePoints(NAME, gone)))
        found = Counter(point.id for point in seen.points)
        assert max(found.values()) == 1
        assert stays <= found.keys()
        added_now = [identity(n) for n in range(begin, next(numbers))]
        run(write(shard, messages.DeletePoints(NAME, added_now)))


@pytest.mark.usefixtures("cut")
def test_new_values_are_counted(shard: Shard) -> None:
    request = messages.CountValues(NAME, "brand", None, 100)
    before = {each.value: each.count for each in run(read(shard, request))[0]}
    added = new_point(50_001)
    added.payload["brand"] = ["new", "b1", 5, "new"]
    upsert(shard, [added])
    change = messages.OverwritePayload(
        {"brand": "newer"}, Filter([HasId([identity(50_001)])], [], [])
    )
    assert {e.value: e.count for e in run(read(shard, request))[0]} == {
        **before,
        **{"new": 1, "b1": before["b1"] + 1},
    }
    run(write(shard, messages.ChangePoints(NAME, [change])))
    after = {each.value: each.count for each in run(read(shard, request))[0]}
    assert after == before | {"newer": 1}
    run(write(shard, messages.DeletePoints(NAME, [identity(50_001)])))
