"""Dates as texts: compared as texts, and narrowed by the engine as instants."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lookalike.adapter.filters import shadow
from tests.adapter.filters.filter_engines import FilterEngine

_days = st.builds(
    "{:04}-{:02}-{:02}".format, st.integers(0, 9999), st.integers(1, 12), st.integers(1, 31)
) | st.sampled_from(["2024-01-05", "2024-01-06", "2024-01-04", "2023-12-31", "2024-02-30"])
_times = st.sampled_from(
    [
        *("", "T00:00:00", "T00:00:00Z", "T23:59:59Z", "T23:59:59.999999Z", "T00:00:00.5"),
        *("T00:00:00+23:59", "T23:59:59-23:59", "T12:00:00+02:00", " 10:00:00", "T10:00", "x"),
        *("T10:00:00z", "T24:00:00Z", "T10:00:60Z", "t10:00:00Z"),
    ]
)
_texts = st.builds(lambda day, time: day + time, _days, _times)
_bounds = st.builds(lambda text, cut: text[:cut], _texts, st.sampled_from([4, 5, 7, 9, 10, 40]))
_values = st.one_of(_texts, st.lists(st.one_of(_texts, st.text(max_size=2)), max_size=2))


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    values=st.lists(_values, min_size=1, max_size=20),
    bounds=st.lists(
        st.tuples(st.sampled_from(["$gt", "$gte", "$lt", "$lte"]), _bounds), max_size=8
    ),
)
def test_ranges_of_dates(
    filter_engine: FilterEngine, values: list[Any], bounds: list[tuple[str, str]]
) -> None:
    filter_engine.clear()
    filter_engine.write({i: {"d": {"t": value}} for i, value in enumerate(values)})
    for operator, bound in bounds:
        query = {"d.t": {operator: bound}}
        assert filter_engine.find(query, complete=True) == filter_engine.expected(query), query


def test_the_engine_leaves_out_other_dates(filter_engine: FilterEngine) -> None:
    filter_engine.clear()
    filter_engine.write({i: {"t": f"2024-{i:02}-15T10:00:00Z"} for i in range(1, 13)})
    assert all(shadow.is_iso(record["t"]) for record in filter_engine.records.values())
    if filter_engine.indexed.get("t") != "keyword":
        return
    assert filter_engine.candidates({"t": {"$gte": "2024-06"}}) == set(range(6, 13))
    assert filter_engine.candidates({"t": {"$gte": "2024-06-17", "$lt": "2024-08"}}) == {7}
