"""Tags in a query of several images, and tags by their rarity, against brute force."""

from __future__ import annotations

import math
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lookalike.adapter.search import hybrid
from lookalike.adapter.search.tags import rarity
from lookalike.adapter.search.vectors import weighted_sum
from tests.adapter.search.conftest import Run
from tests.adapter.search.tagged import (
    FILTERS,
    N,
    expected,
    tag_sets,
    tagged_shelf,
    weights_of,
)
from tests.shelf import Record, Shelf, tag_distance


@pytest.fixture(scope="module")
def shelf(shared_engine: Any, run: Run[Shelf]) -> Shelf:
    return run(tagged_shelf(shared_engine))


@pytest.fixture(scope="module", params=[[], ["tags"]], ids=["not indexed", "indexed"])
def by_rarity(shared_engine: Any, run: Run[Shelf], request: pytest.FixtureRequest) -> Shelf:
    return run(tagged_shelf(shared_engine, tag_idf=True, more_indexed=request.param))


@settings(max_examples=40, deadline=None)
@given(
    numbers=st.lists(st.integers(0, N - 1), min_size=2, max_size=4, unique=True),
    tags=tag_sets.filter(bool),
    weight=st.sampled_from([0.25, 0.7, 1.0]),
    filter_=st.sampled_from(FILTERS),
    k=st.sampled_from([1, 10, N]),
    offset=st.sampled_from([0, 7]),
)
def test_of_several_images_the_nearest_counts(
    shelf: Shelf,
    run: Run[Any],
    numbers: list[int],
    tags: dict[str, float],
    weight: float,
    filter_: Any,
    k: int,
    offset: int,
) -> None:
    rows = [shelf.vectors[f"r{number}"] + 0.05 for number in numbers]
    vectors = tuple(row.tolist() for row in rows)
    asked: Any = {"vectors": vectors, "tags": tags, "tag_weight": weight}
    found = run(shelf.ranked(filter_, k=k, offset=offset, **asked))
    each = [expected(shelf, row, tags, weight, filter_) for row in rows]
    right = {id_: min(distances[id_] for distances in each) for id_ in each[0]}
    at_ranks = sorted(right.values())[offset : offset + k]
    assert len(found) == len(at_ranks)
    for (id_, distance), at_rank in zip(found, at_ranks, strict=True):
        assert abs(distance - right[id_]) <= 3e-6
        assert abs(distance - at_rank) <= 3e-6


@settings(max_examples=30, deadline=None)
@given(
    numbers=st.lists(st.integers(0, N - 1), min_size=2, max_size=3, unique=True),
    tags=tag_sets.filter(bool),
    weight=st.sampled_from([0.25, 0.7, 1.0]),
    first=st.sampled_from([2, 200]),
)
def test_the_image_may_be_a_weighted_mean(
    shelf: Shelf,
    run: Run[Any],
    numbers: list[int],
    tags: dict[str, float],
    weight: float,
    first: int,
) -> None:
    rows = [shelf.vectors[f"r{number}"].tolist() for number in numbers]
    shares = [3.0, 1.0, 1.0][: len(rows)]
    total, length = weighted_sum(rows, shares)
    asked: Any = {"vectors": (total,), "length": length, "tags": tags, "tag_weight": weight}
    with patch.multiple(hybrid, MIN_IMAGES=first, MIN_TAGGED=first):
        found = run(shelf.ranked(k=20, **asked))
    visual = [shelf.distances(row, list(shelf.records)) for row in rows]
    right = {
        id_: (1 - weight) * float(np.average([d[id_] for d in visual], weights=shares))
        + weight * tag_distance(tags, weights_of(record))
        for id_, record in shelf.records.items()
    }
    for (id_, distance), at_rank in zip(found, sorted(right.values())[:20], strict=True):
        assert abs(distance - right[id_]) <= 3e-6
        assert abs(distance - at_rank) <= 3e-6


def weights_by_rarity(tags: dict[str, float], records: list[Record]) -> dict[str, float]:
    """Of each tag its part of all; by the book."""
    weights = {}
    for tag, weight in tags.items():
        count = sum(tag in weights_of(record) for record in records)
        weights[tag] = weight * math.log(1 + (len(records) - count + 0.5) / (count + 0.5))
    return {tag: value / sum(weights.values()) for tag, value in weights.items()}


@settings(max_examples=40, deadline=None)
@given(
    number=st.integers(0, N - 1),
    tags=tag_sets.filter(bool),
    weight=st.sampled_from([0.1, 0.5, 1.0]),
    filter_=st.sampled_from(FILTERS),
    k=st.sampled_from([1, 10, 200, N]),
)
def test_by_rarity_it_is_brute_force_too(
    by_rarity: Shelf,
    run: Run[Any],
    number: int,
    tags: dict[str, float],
    weight: float,
    filter_: Any,
    k: int,
) -> None:
    row = by_rarity.vectors[f"r{number}"] + 0.05
    found = run(
        by_rarity.ranked(filter_, vectors=(row.tolist(),), tags=tags, tag_weight=weight, k=k)
    )
    shares = weights_by_rarity(tags, list(by_rarity.records.values()))
    visual = by_rarity.distances(row, by_rarity.matching(filter_))
    right = {}
    for id_, distance in visual.items():
        stored = weights_of(by_rarity.records[id_])
        shared = sum(shares.get(tag, 0) * weight_ for tag, weight_ in stored.items())
        right[id_] = (1 - weight) * distance + weight * (1 - shared)
    assert len(found) == min(k, len(right))
    for (id_, distance), at_rank in zip(found, sorted(right.values()), strict=False):
        assert abs(distance - right[id_]) <= 3e-6
        assert abs(distance - at_rank) <= 3e-6
        assert 0 <= distance <= 2


def test_a_rare_tag_outweighs_a_common_one() -> None:
    assert rarity(1, 1000) > rarity(500, 1000) > rarity(1000, 1000) > 0
    assert rarity(5, 0) > 0
