"""What is chosen: diverse answers, random ones, and records refused as near duplicates."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lookalike.adapter.collections.cache import CollectionCache
from lookalike.adapter.errors import NearDuplicate
from lookalike.adapter.records import listing
from lookalike.adapter.records.image_sources import Embedded
from lookalike.adapter.records.selection import Selection
from lookalike.adapter.records.writer import Writer
from lookalike.adapter.search.distances import distances, signed_distances
from lookalike.adapter.search.mmr import diverse
from lookalike.adapter.search.near_duplicates import NearDuplicateCheck
from lookalike.adapter.search.vectors import weighted_sum
from tests.adapter.search.conftest import Run
from tests.shelf import BY_THE_BOOK, Shelf, images

N = 400


@pytest.fixture(scope="module")
def shelf(shared_engine: Any, run: Run[Shelf]) -> Shelf:
    records = [{"_id": f"r{n}", "n": n, "colour": "rg"[n % 2]} for n in range(N)]
    return run(Shelf.of(shared_engine, records, images(N), fields_to_index=["n", "colour"]))


# Diversity


def gains_by_the_book(rows: Any, relevance: Any, diversity: float, chosen: list[int]) -> Any:
    """What each row that is left would add to those chosen so far."""
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return {
        i: (1 - diversity) * relevance[i]
        - diversity * max((float(unit[i] @ unit[j]) for j in chosen), default=-1.0)
        for i in range(len(rows))
        if i not in chosen
    }


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 1000), diversity=st.sampled_from([0.0, 0.2, 0.5, 0.9, 1.0]))
def test_diverse_is_maximal_marginal_relevance(seed: int, diversity: float) -> None:
    rows = np.random.default_rng(seed).standard_normal((25, 4))
    query = rows[0] + 0.1
    apart = BY_THE_BOOK["cosine"](rows, query)
    found = diverse(rows.tolist(), apart.tolist(), diversity)
    assert sorted(found) == list(range(25))
    for place, choice in enumerate(found):
        gains = gains_by_the_book(rows, 1 - apart, diversity, found[:place])
        # Two that are as good to 32-bit numbers may come in either order.
        assert gains[choice] == pytest.approx(max(gains.values()), abs=1e-5)
    if diversity == 0:
        assert found == np.argsort(apart, kind="stable").tolist()


def test_diverse_goes_on_from_what_was_chosen_before() -> None:
    rows = [[1.0, 0.0], [0.0, 1.0]]
    assert diverse(rows, [0.0, 0.1], 0.9) == [0, 1]
    assert diverse(rows, [0.0, 0.1], 0.9, before=[[1.0, 0.01]]) == [1, 0]
    assert diverse([], [], 0.5) == []


def test_diverse_answers_differ_more_among_themselves(shelf: Shelf, run: Run[Any]) -> None:
    def apart(ids: list[str]) -> float:
        rows = np.array([shelf.vectors[id_] for id_ in ids])
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        return float(1 - np.mean((rows @ rows.T)[np.triu_indices(len(ids), 1)]))

    spread = []
    for diversity in (0.0, 0.6, 0.9):
        found = run(shelf.ranked(record_id="r7", k=12, diversity=diversity))
        assert found[0] == ("r7", 0.0)
        spread.append(apart([id_ for id_, _ in found]))
    assert spread[0] < spread[1] < spread[2]
    plain = run(shelf.ranked(record_id="r7", k=12))
    assert run(shelf.ranked(record_id="r7", k=12, diversity=0.0)) == plain


def test_all_records_can_be_had_diversely(shelf: Shelf, run: Run[Any]) -> None:
    filter_ = {"n": {"$mod": [2, 0]}}
    found = run(shelf.ranked(filter_, record_id="r8", k=2 * N, diversity=0.5))
    assert sorted(id_ for id_, _ in found) == sorted(shelf.matching(filter_))


# Random


async def drawn(
    shelf: Shelf, count: int, filter_: Any = None, seed: int | None = None
) -> list[str]:
    selection = Selection.of(filter_, shelf.collection)
    fields = frozenset({"_id"})
    sampled = await listing.sample_records(
        shelf.engine, shelf.collection, count, selection, fields, seed
    )
    return [record["_id"] for record in sampled.records]


FILTERS: list[Any] = [None, {"colour": "r"}, {"n": {"$mod": [5, 0]}}, {"n": -1}]


@pytest.mark.parametrize("filter_", FILTERS)
def test_random_records_match_and_differ(shelf: Shelf, run: Run[Any], filter_: Any) -> None:
    matching = set(shelf.matching(filter_))
    for seed in (None, 7):
        for count in (0, 1, 10, 2 * N):
            found = run(drawn(shelf, count, filter_, seed))
            assert len(set(found)) == len(found) == min(count, len(matching))
            assert set(found) <= matching


@pytest.mark.parametrize("filter_", FILTERS[:3])
def test_a_seed_draws_the_same_and_fewer_are_part_of_more(
    shelf: Shelf, run: Run[Any], filter_: Any
) -> None:
    many = run(drawn(shelf, 40, filter_, seed=3))
    assert run(drawn(shelf, 40, filter_, seed=3)) == many
    assert run(drawn(shelf, 15, filter_, seed=3)) == many[:15]
    assert run(drawn(shelf, 40, filter_, seed=4)) != many


def test_a_seeded_draw_hardly_changes_with_the_collection(
    shared_engine: Any, run: Run[Any]
) -> None:
    async def check() -> None:
        records = [{"_id": f"r{n}"} for n in range(200)]
        shelf = await Shelf.of(shared_engine, records, images(200, 3))
        before = await drawn(shelf, 50, seed=1)
        await shelf.fill([{"_id": f"new{n}"} for n in range(20)], images(20, 3))
        after = await drawn(shelf, 50, seed=1)
        # What stays keeps its order; of the 50 some 5 are replaced by new ones.
        assert [id_ for id_ in before if id_ in after] == [id_ for id_ in after if id_ in before]
        assert {id_ for id_ in after if id_ not in before} <= {f"new{n}" for n in range(20)}

    run(check())


@pytest.mark.parametrize(
    ("filter_", "seeded"), [(None, False), (None, True), ({"n": {"$mod": [5, 0]}}, False)]
)
def test_each_record_is_drawn_about_as_often(
    shelf: Shelf, run: Run[Any], filter_: Any, seeded: bool
) -> None:
    """Chi squared: within six standard deviations of what even chances give."""
    matching = shelf.matching(filter_)
    count, rounds = len(matching) // 8, 160

    async def draw() -> Counter[str]:
        counts: Counter[str] = Counter()
        for number in range(rounds):
            counts.update(await drawn(shelf, count, filter_, number if seeded else None))
        return counts

    counts = run(draw())
    expected = count * rounds / len(matching)
    share = count / len(matching)
    variance = expected * (1 - share)
    chi = sum((counts[id_] - expected) ** 2 / variance for id_ in matching)
    freedom = len(matching) - 1
    assert abs(chi - freedom) < 6 * np.sqrt(2 * freedom)


# Near duplicates


def test_near_duplicates_of_the_store_and_of_the_batch_are_refused(
    shared_engine: Any, run: Run[Any]
) -> None:
    async def check() -> None:
        rows = np.array([[1.0, 0, 0], [0, 1.0, 0]])
        shelf = await Shelf.of(shared_engine, [{"_id": "a"}, {"_id": "b"}], rows)
        given = {
            "a2": [1.0, 0.01, 0],  # near to a, which is stored
            "c": [0, 0, 1.0],
            "c2": [0.01, 0, 1.0],  # near to c, in the batch
            "c3": [0.02, 0, 1.0],  # near to c too; c2 is not there
            "a": [0.5, 0.5, 0.5],  # the _id is taken
            "d": [1.0, 1.0, 1.0],
        }

        async def embed(sources: Any) -> list[Any]:
            return [Embedded(given[source.url], "hash") for source in sources]

        writer = Writer(shared_engine, CollectionCache(shared_engine))
        records = [{"_id": id_, "_url": id_} for id_ in given]
        check = NearDuplicateCheck(shared_engine, shelf.collection, 0.01)
        outcome = await writer.insert(shelf.collection, records, embed, None, near_duplicates=check)
        assert [record["_id"] for record in outcome.done] == ["c", "d"]
        near = {
            record["_id"]: [id_ for id_, _ in why.near]
            for record, why in outcome.refused
            if isinstance(why, NearDuplicate)
        }
        assert near == {"a2": ["a"], "c2": ["c"], "c3": ["c"]}
        (why,) = (w for r, w in outcome.refused if r["_id"] == "c2")
        assert isinstance(why, NearDuplicate)
        (named,) = why.near
        assert named[1] == pytest.approx(1 - 1 / np.sqrt(1.0001), abs=2e-6)
        assert {why.code for _, why in outcome.refused} == {211}

    run(check())


# Arithmetic


@pytest.mark.parametrize("distance", ["cosine", "euclid", "manhattan", "dot"])
def test_distances_at_hand_are_those_of_the_engine(
    shared_engine: Any, run: Run[Any], distance: Any
) -> None:
    async def check() -> None:
        rows = images(40, 5)
        shelf = await Shelf.of(
            shared_engine, [{"_id": str(n)} for n in range(40)], rows, distance=distance
        )
        query = (rows[3] + 0.2).tolist()
        found = dict(await shelf.ranked(vectors=(query,), k=40))
        by_hand = distances(query, rows.tolist(), distance)
        for number, value in enumerate(by_hand):
            assert found[str(number)] == pytest.approx(value, abs=3e-6)
        assert by_hand == [
            max(0.0, value) for value in signed_distances(query, rows.tolist(), distance)
        ]

    run(check())


def test_nothing_is_ranked() -> None:
    assert distances([1.0], [], "cosine") == []


@given(weights=st.lists(st.floats(0.01, 100), min_size=3, max_size=3), seed=st.integers(0, 100))
def test_a_weighted_sum_stands_for_the_mean_of_the_distances(
    weights: list[float], seed: int
) -> None:
    random = np.random.default_rng(seed)
    queries, stored = random.standard_normal((3, 6)), random.standard_normal((10, 6))
    total, length = weighted_sum(queries.tolist(), weights)
    each = np.array([BY_THE_BOOK["cosine"](stored, query) for query in queries])
    mean = np.average(each, axis=0, weights=weights)
    unit = stored / np.linalg.norm(stored, axis=1, keepdims=True)
    assert np.allclose(1 - unit @ np.array(total), mean)
    assert length == pytest.approx(float(np.linalg.norm(total)))
