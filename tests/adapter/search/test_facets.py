"""Facets: the count of a value is that of the records which a filter for it matches."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lookalike.adapter.records.selection import Selection
from lookalike.adapter.search.facets import count_values
from tests.adapter.search.conftest import Run
from tests.shelf import Shelf, images

N = 260
MISSING = object()
VALUES: list[Any] = [
    *("red", "blue", "1", "true", "", 1, 1.0, 2.5, 0, True, False, None, MISSING),
    *(["red"], ["red", "blue", "red"], ["red", 1, 1.0, True], [["red"]], [], {"b": "red"}),
    *([{"b": "red"}, {"b": "blue"}], {"b": ["red", 3]}),
]
FILTERS: list[Any] = [
    None,
    {"n": {"$lt": 100}},
    {"n": {"$mod": [3, 1]}},
    {"plain": "red"},
    {"plain": {"$ne": "red"}},
]


@pytest.fixture(scope="module", params=["plain", "keyword index"])
def shelf(request: pytest.FixtureRequest, shared_engine: Any, run: Run[Shelf]) -> Shelf:
    random = np.random.default_rng(0)
    records = []
    for n in range(N):
        record: dict[str, Any] = {"_id": f"r{n}", "n": n}
        for field in ("plain", "a"):
            value = VALUES[random.integers(0, len(VALUES))]
            if value is not MISSING:
                record[field] = value
        records.append(record)
    # The first value of an index settles its type.
    records[0] |= {"plain": "red", "a": {"b": "red"}}
    indexes = [] if request.param == "plain" else ["plain", "a.b", "n"]
    return run(Shelf.of(shared_engine, records, images(N, 3), fields_to_index=indexes))


@settings(max_examples=30, deadline=None)
@given(
    field=st.sampled_from(["plain", "a", "a.b", "n", "nowhere"]), filter_=st.sampled_from(FILTERS)
)
def test_counts_are_those_of_filters(shelf: Shelf, run: Run[Any], field: str, filter_: Any) -> None:
    selection = Selection.of(filter_, shelf.collection)
    found = run(count_values(shelf.engine, shelf.collection, field, 1000, selection)).values
    counts = [(type(v.value) is bool, v.value, v.count) for v in found]
    assert len({(flag, value) for flag, value, _ in counts}) == len(counts)
    for value in found:
        both = {"$and": [filter_ or {}, {field: value.value}]}
        assert value.count == len(shelf.matching(both)), value
    assert [v.count for v in found] == sorted((v.count for v in found), reverse=True)
    # And none is missing.
    singles = {
        (isinstance(v, bool), v)
        for id_ in shelf.matching(filter_)
        if isinstance(v := shelf.records[id_].get(field), str | int | float)
    }
    assert singles <= {(flag, value) for flag, value, _ in counts}


def test_a_limit_keeps_the_most_frequent(shelf: Shelf, run: Run[Any]) -> None:
    whole = run(count_values(shelf.engine, shelf.collection, "plain", 1000, Selection())).values
    for limit in (1, 3, len(whole)):
        found = run(
            count_values(shelf.engine, shelf.collection, "plain", limit, Selection())
        ).values
        assert found == whole[:limit]
