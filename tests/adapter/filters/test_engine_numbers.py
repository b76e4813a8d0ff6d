"""Numbers as engines hold them: what they read exactly, and what is put in place of the others."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lookalike.adapter.filters.engine_numbers import (
    EXACT_FRACTION,
    EXACT_WHOLE,
    enclosing,
    engine_value,
    is_exact,
    may_be_misread,
)
from tests.adapter.filters.filter_engines import FilterEngine
from tests.adapter.filters.vocabulary import LONG, full_numbers

Number = int | float
ON_ENGINES = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

exact_numbers = st.one_of(
    st.integers(-EXACT_WHOLE, EXACT_WHOLE),
    st.integers(-EXACT_WHOLE, EXACT_WHOLE).map(float),
    st.builds(
        lambda digits, places: float(f"{digits}e-{places}"),
        st.integers(-(10**15) + 1, 10**15 - 1),
        st.integers(0, 20),
    ).filter(lambda n: n == 0 or abs(n) >= EXACT_FRACTION),
)
large_numbers = st.integers(-(10**40), 10**40)
any_numbers = st.one_of(full_numbers, exact_numbers, large_numbers)


def _order(left: Number, right: Number) -> int:
    return (left > right) - (left < right)


@given(exact_numbers)
def test_exact_numbers_are_what_it_says(number: Number) -> None:
    assert is_exact(number)
    assert engine_value(number) == number


@given(any_numbers, exact_numbers)
def test_the_number_in_its_place_compares_with_every_exact_one_as_the_number_does(
    number: Number, exact: Number
) -> None:
    assert _order(engine_value(number), exact) == _order(number, exact)


@given(st.sampled_from(LONG), st.integers(-30, 30))
def test_it_does_close_to_exact_numbers_too(number: float, steps: int) -> None:
    near = float(number)
    for _ in range(abs(steps)):
        near = math.nextafter(near, math.copysign(math.inf, steps))
    exact = float(f"{number:.15g}")
    if is_exact(exact):
        assert _order(engine_value(near), exact) == _order(near, exact)


@given(any_numbers)
def test_what_stands_for_a_number_is_within_its_bounds(number: Number) -> None:
    below, above = enclosing(number)
    assert below <= engine_value(number) <= above
    assert math.isfinite(below)
    assert math.isfinite(above)


def test_values_that_are_no_numbers_stay() -> None:
    value: dict[str, Any] = {
        "a": [True, False, None, "0.30000000000000004", {}],
        "b": {"c": [[1.5]]},
    }
    assert engine_value(value) == value
    assert engine_value(True) is True


@pytest.mark.parametrize("value", [0.1 + 0.2, [1, {"a": 1e-9}], 1e300, {"a": [8665977260342228.0]}])
def test_numbers_that_an_engine_may_have_changed(value: Any) -> None:
    assert may_be_misread(value)


@pytest.mark.parametrize("value", [0.3, 0, 0.0, 10**18 + 1, "1e-9", [True, 1.5], {"a": 1e20}])
def test_numbers_that_no_engine_has_changed(value: Any) -> None:
    assert not may_be_misread(value)


# On the engines


def _held(filter_engine: FilterEngine, numbers: list[Any]) -> list[Any]:
    found = filter_engine.scroll(None)
    return [found[i]["a"] for i in range(len(numbers))]


@ON_ENGINES
@given(st.lists(exact_numbers, min_size=1, max_size=100))
def test_engines_give_exact_numbers_back(
    filter_engine: FilterEngine, numbers: list[Number]
) -> None:
    filter_engine.clear()
    filter_engine.write({i: {"a": number} for i, number in enumerate(numbers)})
    assert _held(filter_engine, numbers) == numbers


@ON_ENGINES
@given(st.lists(any_numbers, min_size=1, max_size=100))
def test_what_stands_for_a_number_keeps_its_place_however_often_it_is_read_and_written(
    filter_engine: FilterEngine, numbers: list[Number]
) -> None:
    """Engines write payloads anew when they are rebuilt or copied."""
    filter_engine.clear()
    filter_engine.write({i: {"a": number} for i, number in enumerate(numbers)})
    held = _held(filter_engine, numbers)
    for _ in range(3):
        filter_engine.put({i: {"a": number} for i, number in enumerate(held)})
        held = _held(filter_engine, numbers)
    for number, found in zip(numbers, held, strict=True):
        for side in (*enclosing(number), number):
            exact = float(f"{side:.15g}")
            if is_exact(exact):
                assert _order(found, exact) == _order(number, exact)


OPERATORS = ["$eq", "$ne", "$gt", "$gte", "$lt", "$lte"]


@ON_ENGINES
@given(
    numbers=st.lists(any_numbers, min_size=1, max_size=20),
    others=st.lists(any_numbers, max_size=2),
    operator=st.sampled_from(OPERATORS),
)
def test_filters_decide_by_the_number_that_was_sent(
    filter_engine: FilterEngine, numbers: list[Number], others: list[Number], operator: str
) -> None:
    filter_engine.clear()
    filter_engine.write({i: {"a": number, "b": [number]} for i, number in enumerate(numbers)})
    for operand in (*numbers[:3], *others):
        for field in "ab":
            query = {field: {operator: operand}}
            assert filter_engine.find(query, complete=True) == filter_engine.expected(query), query
            denied = {field: {"$not": {operator: operand}}}
            assert filter_engine.find(denied, complete=True) == filter_engine.expected(denied)


@pytest.mark.parametrize("count", [3, 100])
def test_lists_of_numbers_too(filter_engine: FilterEngine, count: int) -> None:
    """Long lists are asked for in another way than short ones."""
    numbers: list[Number] = [*LONG, 2**63 + 1, 10**25, 1e25, 2**60 + 1, 1e300]
    filter_engine.clear()
    filter_engine.write({i: {"a": number} for i, number in enumerate(numbers)})
    padding = [n + 0.5 for n in range(count)]
    for begin in range(0, len(numbers), 3):
        for operator in ("$in", "$nin"):
            query = {"a": {operator: numbers[begin : begin + 3] + padding}}
            assert filter_engine.find(query, complete=True) == filter_engine.expected(query), query


def test_short_bounds_are_left_to_the_engine() -> None:
    """The prices and dates that people filter by cost no look at the records."""
    from lookalike.adapter.filters import parse, translate

    for bound in (0.3, 19.99, 100, 1764558090123457, -73.9856541):
        for operator in OPERATORS:
            assert translate(parse({"a": {operator: bound}}), {"a": "number"}).residual is None
