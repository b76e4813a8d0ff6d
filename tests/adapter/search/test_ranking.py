"""Rankings on the engine: equal distances, pages, radius, several images, examples."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lookalike.adapter.collections.collection_settings import Distance
from lookalike.adapter.errors import RecordsNotFound
from lookalike.adapter.search.vectors import recommended, weighted_sum
from tests.adapter.search.conftest import Run
from tests.shelf import Shelf, images, pairs, same_ranking

N = 240

FILTERS: list[Any] = [
    None,
    {"colour": "red"},
    {"price": {"$gte": 20, "$lt": 70}},
    {"price": {"$mod": [3, 1]}},
    {"colour": {"$regex": "^(r|b)"}, "price": {"$gt": 10}},
    {"colour": "none at all"},
]
"""Exact ones, and ones of which the engine leaves a residual."""

WITHOUT_TAGS = ["record", "vector", "several", "weighted", "examples"]
ways = st.sampled_from([*WITHOUT_TAGS, *(f"{way} and tags" for way in WITHOUT_TAGS), "own tags"])


@pytest.fixture(scope="module")
def shelf(shared_engine: Any, run: Run[Shelf]) -> Shelf:
    return run(_shelf(shared_engine))


async def _shelf(shared_engine: Any, distance: Distance = "cosine") -> Shelf:
    random = np.random.default_rng(1)
    records = [
        {
            "_id": f"r{n}",
            "colour": ["red", "green", "blue"][n % 3],
            "price": n % 97,
            "tags": [f"t{t}" for t in random.integers(0, 6, n % 4)],
        }
        for n in range(N)
    ]
    vectors = images(N)
    if distance == "manhattan":
        vectors = (vectors > 0).astype(np.float64)
    return await Shelf.of(
        shared_engine,
        records,
        vectors,
        distance=distance,
        fields_to_index=["colour", "price"],
        tag_weight=0.4,
    )


def query(shelf: Shelf, way: str, number: int) -> dict[str, Any]:
    rows = [shelf.vectors[f"r{(number + i) % N}"] for i in range(3)]
    if way == "record":
        return {"record_id": f"r{number}"}
    if way == "several":
        return {"vectors": tuple(row.tolist() for row in rows)}
    if way == "weighted":
        total, length = weighted_sum([row.tolist() for row in rows], [3.0, 1.0, 0.5])
        return {"vectors": (total,), "length": length}
    if way == "examples":
        vector = recommended([rows[0].tolist(), rows[1].tolist()], [rows[2].tolist()])
        excluded = frozenset(f"r{(number + i) % N}" for i in range(3))
        return {"vectors": (vector,), "excluded": excluded}
    if way.endswith(" and tags"):
        tags = {"t0": 1.0, "t3": 0.5}
        return query(shelf, way.removesuffix(" and tags"), number) | {
            "tags": tags,
            "tag_weight": 0.4,
        }
    if way == "own tags":
        return {"record_id": f"r{number}", "tag_weight": 0.4}
    return {"vectors": ((rows[0] + 0.01).tolist(),)}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    way=ways,
    number=st.integers(0, N - 1),
    filter_=st.sampled_from(FILTERS),
    step=st.sampled_from([1, 2, 3, 7, 20, 100]),
    more=st.sampled_from([{}, {"radius": 0.4}, {"diversity": 0.5}]),
)
def test_pages_are_the_whole_cut_in_pieces(
    shelf: Shelf, run: Run[Any], way: str, number: int, filter_: Any, step: int, more: Any
) -> None:
    async def check() -> None:
        asked = query(shelf, way, number) | more
        whole = await shelf.ranked(filter_, k=2 * N, **asked)
        assert len({id_ for id_, _ in whole}) == len(whole)
        pages = []
        for offset in range(0, min(len(whole), 20 * step) + 1, step):
            pages += await shelf.ranked(filter_, k=step, offset=offset, **asked)
        assert pages == whole[: len(pages)]
        assert len(pages) >= min(len(whole), 20 * step)

    run(check())


@settings(max_examples=40, deadline=None)
@given(way=ways, number=st.integers(0, N - 1), filter_=st.sampled_from(FILTERS))
def test_every_matching_record_is_ranked(
    shelf: Shelf, run: Run[Any], way: str, number: int, filter_: Any
) -> None:
    asked = query(shelf, way, number)
    found = run(shelf.ranked(filter_, k=2 * N, **asked))
    excluded = asked.get("excluded", frozenset())
    ids = [id_ for id_ in shelf.matching(filter_) if id_ not in excluded]
    assert sorted(id_ for id_, _ in found) == sorted(ids)
    if way in ("record", "own tags") and f"r{number}" in ids:
        assert found[0] == (f"r{number}", 0.0)


@settings(max_examples=30, deadline=None)
@given(number=st.integers(0, N - 1), filter_=st.sampled_from(FILTERS))
def test_distances_are_those_of_the_book(
    shelf: Shelf, run: Run[Any], number: int, filter_: Any
) -> None:
    ids = shelf.matching(filter_)
    row = shelf.vectors[f"r{number}"]
    same_ranking(run(shelf.ranked(filter_, k=N, record_id=f"r{number}")), shelf.distances(row, ids))
    rows = [shelf.vectors[f"r{(number + i) % N}"] for i in range(3)]
    each = [shelf.distances(row, ids) for row in rows]
    vectors = tuple(row.tolist() for row in rows)
    same_ranking(
        run(shelf.ranked(filter_, k=N, vectors=vectors)),
        {id_: min(distances[id_] for distances in each) for id_ in ids},
    )
    weights = [3.0, 1.0, 0.5]
    total, length = weighted_sum([row.tolist() for row in rows], weights)
    same_ranking(
        run(shelf.ranked(filter_, k=N, vectors=(total,), length=length)),
        {id_: float(np.average([d[id_] for d in each], weights=weights)) for id_ in ids},
    )


@pytest.mark.parametrize("distance", ["cosine", "euclid", "manhattan", "dot"])
def test_radius_includes_exactly_what_is_reported_within(
    shared_engine: Any, run: Run[Any], distance: Distance
) -> None:
    async def check() -> None:
        shelf = await _shelf(shared_engine, distance)
        for number in (0, 1, 2, 50, 101):
            asked = query(shelf, "vector", number)
            whole = await shelf.ranked(k=N, **asked)
            if distance == "manhattan":
                vector = shelf.vectors[f"r{number}"].tolist()
                asked = {"vectors": (vector,)}
                whole = await shelf.ranked(k=N, **asked)
            for radius in sorted({d for _, d in whole})[:: 1 if distance == "manhattan" else 20]:
                found = await shelf.ranked(k=N, radius=radius, **asked)
                assert found == [entry for entry in whole if entry[1] <= radius], radius

    run(check())


def test_radius_of_a_whole_hash(shared_engine: Any, run: Run[Any]) -> None:
    """64 differing bits and a radius of 64: a bound that 32 bits hardly tell from its neighbour."""

    async def check() -> None:
        rows = np.array([[1.0] * bits + [0.0] * (64 - bits) for bits in range(65)])
        records = [{"_id": str(bits)} for bits in range(65)]
        shelf = await Shelf.of(shared_engine, records, rows, distance="manhattan")
        for radius in (0, 1, 5, 63, 64):
            found = await shelf.ranked(k=100, radius=float(radius), vectors=([0.0] * 64,))
            assert found == [(str(bits), float(bits)) for bits in range(radius + 1)]

    run(check())


def test_dot_products_beyond_one_keep_their_order(shared_engine: Any, run: Run[Any]) -> None:
    async def check() -> None:
        rows = np.array([[2.0, 1.0], [9.0, 0.0], [4.0, 5.0], [0.5, 0.0]])
        shelf = await Shelf.of(shared_engine, [{"_id": n} for n in "abcd"], rows, distance="dot")
        found = await shelf.ranked(vectors=([1.0, 0.0],))
        assert found == [("b", 0.0), ("c", 0.0), ("a", 0.0), ("d", 0.5)]

    run(check())


def test_hundreds_of_equal_images_are_paged_once_each(shared_engine: Any, run: Run[Any]) -> None:
    """The placeholder "no image" of a shop."""

    async def check() -> None:
        rows = np.vstack([np.tile([1.0, 0.5, 0.0], (700, 1)), images(100, 3)])
        shelf = await Shelf.of(shared_engine, [{"_id": f"{n:04}"} for n in range(800)], rows)
        for asked in ({"record_id": "0350"}, {"vectors": ([1.0, 0.5, 0.0],)}):
            whole = await shelf.ranked(k=800, **asked)
            pages = [
                entry
                for offset in range(0, 800, 90)
                for entry in await shelf.ranked(k=90, offset=offset, **asked)
            ]
            assert pages == whole
            assert len({id_ for id_, _ in pages}) == 800

    run(check())


def test_an_unknown_record_and_an_empty_collection(shared_engine: Any, run: Run[Any]) -> None:
    async def check() -> None:
        shelf = await Shelf.of(shared_engine, [], np.zeros((0, 3)))
        assert await shelf.ranked(vectors=([1.0, 0.0, 0.0],)) == []
        for more in ({}, {"tag_weight": 0.5}):
            with pytest.raises(RecordsNotFound):
                await shelf.nearest(record_id="nobody", **more)
        assert pairs(await shelf.nearest(vectors=([1.0, 0.0, 0.0],), k=0)) == []

    run(check())


def test_positive_and_negative_examples_move_the_answer(shelf: Shelf, run: Run[Any]) -> None:
    rows = [shelf.vectors[f"r{i}"].tolist() for i in (3, 40, 77)]
    vector = recommended(rows[:2], rows[2:])
    by_hand = np.mean(rows[:2], axis=0) * 2 - np.mean(rows[2:], axis=0)
    assert np.allclose(vector, by_hand)
    excluded = frozenset({"r3", "r40", "r77"})
    found = run(shelf.ranked(k=N, vectors=(vector,), excluded=excluded))
    ids = [id_ for id_ in shelf.records if id_ not in excluded]
    same_ranking(found, shelf.distances(by_hand, ids))
