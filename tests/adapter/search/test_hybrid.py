"""Images and tags in one distance, against brute force."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lookalike.adapter.records.points import point_id
from lookalike.adapter.search import hybrid
from tests.adapter.search.conftest import Run
from tests.adapter.search.tagged import FILTERS, N, expected, tag_sets, tagged_shelf, weights_of
from tests.shelf import Record, Shelf, images, same_ranking


@pytest.fixture(scope="module")
def shelf(shared_engine: Any, run: Run[Shelf]) -> Shelf:
    return run(tagged_shelf(shared_engine))


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    number=st.integers(0, N - 1),
    tags=tag_sets,
    weight=st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.9, 1.0]),
    filter_=st.sampled_from(FILTERS),
    k=st.sampled_from([1, 10, 30, 200, N]),
)
def test_the_nearest_are_those_of_brute_force(
    shelf: Shelf,
    run: Run[Any],
    number: int,
    tags: dict[str, float],
    weight: float,
    filter_: Any,
    k: int,
) -> None:
    row = shelf.vectors[f"r{number}"] + 0.05
    found = run(
        shelf.ranked(
            filter_,
            vectors=(row.tolist(),),
            tags=tags,
            tag_weight=weight,
            k=k,
        )
    )
    # Without tags in the query the distance is the visual one.
    right = expected(shelf, row, tags, weight if tags else 0.0, filter_)
    distances = sorted(right.values())[:k]
    assert len(found) == len(distances)
    for (id_, distance), at_rank in zip(found, distances, strict=True):
        assert abs(distance - right[id_]) <= 3e-6
        assert abs(distance - at_rank) <= 3e-6


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    number=st.integers(0, N - 1),
    tags=tag_sets.filter(bool),
    weight=st.sampled_from([0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0]),
    filter_=st.sampled_from(FILTERS),
    k=st.sampled_from([1, 2, 5, 20]),
    offset=st.sampled_from([0, 1, 7]),
    radius=st.sampled_from([None, 0.3, 0.6, 0.9]),
)
def test_few_first_candidates_cost_no_exactness(
    shelf: Shelf,
    run: Run[Any],
    number: int,
    tags: dict[str, float],
    weight: float,
    filter_: Any,
    k: int,
    offset: int,
    radius: float | None,
) -> None:
    """So few that nearly every answer needs what the bounds leave."""
    row = shelf.vectors[f"r{number}"] + 0.05
    asked: Any = {"vectors": (row.tolist(),), "tags": tags, "tag_weight": weight}
    few: dict[str, Any] = {
        "MIN_IMAGES": 2,
        "MIN_TAGGED": 2,
        "CANDIDATES_PER_RANK": 1,
        "TAGGED": (3, N),
    }
    with patch.multiple(hybrid, **few):
        found = run(shelf.ranked(filter_, k=k, offset=offset, radius=radius, **asked))
    right = expected(shelf, row, tags, weight, filter_)
    everything = sorted((round(d, 6), id_) for id_, d in right.items())
    within = [d for d, _ in everything if radius is None or d <= radius + 2e-6]
    nearest = within[offset : offset + k]
    assert abs(len(found) - len(nearest)) <= sum(
        radius is not None and abs(d - radius) <= 3e-6 for d, _ in everything
    )
    for (id_, distance), at_rank in zip(found, nearest, strict=False):
        assert abs(distance - right[id_]) <= 3e-6
        assert abs(distance - at_rank) <= 3e-6


@settings(max_examples=30, deadline=None)
@given(
    number=st.integers(0, N - 1),
    weight=st.sampled_from([0.25, 0.7]),
    filter_=st.sampled_from(FILTERS),
    own=st.booleans(),
    tags=tag_sets,
)
def test_by_record_with_its_own_tags_or_others(
    shelf: Shelf,
    run: Run[Any],
    number: int,
    weight: float,
    filter_: Any,
    own: bool,
    tags: dict[str, float],
) -> None:
    id_ = f"r{number}"
    asked = weights_of(shelf.records[id_]) if own else tags
    found = run(
        shelf.ranked(
            filter_, record_id=id_, tags=None if own else asked, tag_weight=weight, k=2 * N
        )
    )
    used = weight if asked else 0.0
    right = expected(shelf, shelf.vectors[id_], asked, used, filter_)
    if id_ in right and (own or not asked):
        assert found[0] == (id_, 0.0)
    same_ranking(found, right)


def test_the_query_record_is_in_its_place_among_copies_of_it(
    shared_engine: Any, run: Run[Any]
) -> None:
    """More of them than candidates are fetched, and all at the same distance."""

    async def check() -> None:
        copies = hybrid.MIN_IMAGES + 100
        rows = np.array([[1.0, 0.0]] * copies + [[1.0, 0.3]] * 5)
        records: list[Record] = [{"_id": str(n), "tags": ["a", "b"]} for n in range(copies + 5)]
        shelf = await Shelf.of(shared_engine, records, rows)
        for id_ in ("0", "77", str(copies - 1)):
            asked: Any = {"record_id": id_, "tag_weight": 0.25, "k": 3}
            assert (await shelf.ranked(**asked))[0] == (id_, 0.0)
            of_others = {"tags": {"zzz": 1.0}}
            in_order = sorted(map(str, range(copies)), key=point_id)
            other = await shelf.ranked(**asked | of_others | {"k": copies})
            assert other == [(each, 0.25) for each in in_order]
            assert await shelf.ranked(**asked | of_others, radius=0.2) == []

    run(check())


def test_without_tags_it_is_the_visual_search(shelf: Shelf, run: Run[Any]) -> None:
    ways: list[dict[str, Any]] = [{"tags": {}}, {"tags": None, "record_id": "r9"}]
    for more in ways:
        asked: dict[str, Any] = {"k": 50} | more
        asked.setdefault("vectors", () if "record_id" in asked else (shelf.vectors["r9"].tolist(),))
        hybrid_ = run(shelf.ranked(tag_weight=0.5, **asked))
        assert hybrid_ == run(shelf.ranked(**asked | {"tags": None}))


def test_radius_is_that_of_the_fused_distance(shelf: Shelf, run: Run[Any]) -> None:
    asked: dict[str, Any] = {"record_id": "r5", "tag_weight": 0.5}
    whole = run(shelf.ranked(k=N, **asked))
    for radius in (0.0, whole[3][1], whole[40][1], whole[300][1], 2.0):
        found = run(shelf.ranked(k=N, radius=radius, **asked))
        assert found == [entry for entry in whole if entry[1] <= radius]


def test_a_popular_tag_does_not_hide_what_looks_alike(shared_engine: Any, run: Run[Any]) -> None:
    """All records have the tag: any of them are its nearest, and the image decides."""

    async def check() -> None:
        rows = images(2000, 8, seed=9)
        records = [{"_id": str(n), "tags": ["sale"]} for n in range(1900)]
        records += [{"_id": str(n)} for n in range(1900, 2000)]
        shelf = await Shelf.of(shared_engine, records, rows)
        row = shelf.vectors["1950"]
        for weight in (0.05, 0.5, 1.0):
            found = await shelf.ranked(
                vectors=(row.tolist(),), tags={"sale": 1.0}, tag_weight=weight, k=20
            )
            right = expected(shelf, row, {"sale": 1.0}, weight, None)
            nearest = sorted(right.values())[:20]
            assert np.allclose([distance for _, distance in found], nearest, atol=3e-6)

    run(check())


def test_beyond_the_most_candidates_pages_are_still_full(
    shelf: Shelf, run: Run[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("MIN_IMAGES", 10), ("MIN_TAGGED", 10), ("MAX_CANDIDATES", 20)):
        monkeypatch.setattr(hybrid, name, value)
    monkeypatch.setattr(hybrid, "TAGGED", (10, 20))
    row = shelf.vectors["r1"].tolist()
    asked: dict[str, Any] = {"vectors": (row,), "tags": {"t0": 1.0}, "tag_weight": 0.9}
    for k in (5, 50, 400, N):
        found = run(shelf.ranked(k=k, **asked))
        assert len(found) == k
        assert [d for _, d in found] == sorted(d for _, d in found)


def test_what_neither_signal_finds_first_may_still_be_nearest(
    shared_engine: Any, run: Run[Any]
) -> None:
    """More candidates are fetched until no other record can precede the answer."""

    async def check() -> None:
        looks, carries, both = (hybrid.MIN_IMAGES + 50,) * 3
        angles = np.concatenate(
            [np.linspace(0, 0.1, looks), np.full(carries, 1.5), np.linspace(0.75, 0.85, both)]
        )
        rows = np.stack([np.cos(angles), np.sin(angles)], axis=1)
        tags: list[list[str]] = [[]] * looks + [["a", "b", "c"]] * carries + [["a"]] * both
        records = [{"_id": f"{n:04}", "tags": of} for n, of in enumerate(tags)]
        shelf = await Shelf.of(shared_engine, records, rows)
        asked: dict[str, Any] = {"tags": dict.fromkeys("abc", 1.0), "tag_weight": 0.5}
        found = await shelf.ranked(vectors=([1.0, 0.0],), k=10, **asked)
        right = expected(shelf, [1.0, 0.0], dict.fromkeys("abc", 1.0), 0.5, None)
        assert [d for _, d in found] == pytest.approx(sorted(right.values())[:10], abs=3e-6)
        assert all(int(id_) >= looks + carries for id_, _ in found)

    run(check())
