"""The words that records and filters of the property tests are both made of.

They share few keys and few values, so that filters meet records: a random filter over a random
record would match nothing, and prove nothing.
"""

from __future__ import annotations

import math
from typing import Any

from hypothesis import strategies as st

Record = dict[str, Any]

KEYS = ["a", "b", "c", "0", "1", "é x", "a.b", "", "$d", "\N{ICE CREAM}", 'q"', "back\\slash"]
STEPS = ["a", "b", "c", "a", "b", "0", "1", "é x", "", "$d", "\N{ICE CREAM}", 'q"']

NUMBERS: list[int | float] = [
    *(0, 1, 1.0, -1, 2, 2.5, 3, -0.0, 0.1, 1e300, -1e300, 5e-324),
    *(2**31 - 1, 2**31, 2**53 - 1, 2**53, 2**53 + 1, float(2**53), 2**62 + 1, 2**63 - 1, -(2**63)),
    *(2**63, 2**64 + 1, float(2**64), 10**22 + 1, 10**30, -(10**30) - 1),
]

LONG: list[int | float] = [
    *(0.3, 0.1 + 0.2, math.nextafter(0.3, 0), 0.300000000000001, 0.40159101448507484),
    *(19.99, math.nextafter(19.99, 0), math.nextafter(19.99, 99), 1e-7, math.nextafter(1e-6, 0)),
    *(8665977260342228.0, 8665977260342227, 1700000000000000.5, 1700000000000001, 9e15, 9e15 + 2),
    *(1764558090.123457, 1764558090.1234572, -73.98565410000001, -73.9856541),
]
"""Numbers of more digits than engines read exactly, and some beside them."""


@st.composite
def _full_numbers(draw: st.DrawFn) -> int | float:
    beside = [math.nextafter(n, end) for n in LONG for end in (-math.inf, math.inf)]
    rounded = st.builds(round, st.floats(-1000, 1000), st.integers(0, 17))
    any_double = st.floats(allow_nan=False, allow_infinity=False)
    return draw(st.one_of(st.sampled_from(LONG + beside), any_double, rounded))


full_numbers = _full_numbers()
"""Doubles of full precision."""

TEXTS = [
    *("", "a", "b", "ab", "aB", "AB", "a\n", "é", "e\u0301", "\N{ICE CREAM}", "1", "true"),
    *("null", "2024-01-05", "2024-01-06", "2024-01-06T10:00:00Z", "2024-01-06T12:00:00+02:00"),
    *("2024-1-7", "2024-02-30", "2024-01-06 10:00:00"),
]


@st.composite
def _scalars(draw: st.DrawFn) -> Any:
    """Composite, so that the description of what holds it stays short."""
    words: list[list[Any]] = [[None, True, False], NUMBERS, TEXTS]
    return draw(st.one_of(full_numbers, *map(st.sampled_from, words)))


scalars = _scalars()

values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(KEYS), inner, max_size=3),
    ),
    max_leaves=5,
)
"""Any JSON value. In operands, keys may not begin with `$`: filters use `operands` instead."""

records = st.dictionaries(st.sampled_from(KEYS), values, max_size=4)

operands = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from([k for k in KEYS if k[:1] != "$"]), inner, max_size=3),
    ),
    max_leaves=4,
)

paths = st.builds(
    lambda first, rest: ".".join([first, *rest]),
    st.sampled_from(["a", "b", "c", "a", "b", "0", "é x", "", "\N{ICE CREAM}", 'q"']),
    st.lists(st.sampled_from(STEPS), max_size=2),
)

PATTERNS = [
    *("a", "^a", "^a$", "b|a", "^", "", "A", "^.", "ab?", "a.*", "^a.*", "^2024-01", r"\d", "a$"),
    *(r"^\.", "[ab]", "(?i)a", "é", "^(a|b)", "^a|b", r"\Aa", "a b", "^a{1}", r"\Qa\E"),
]
TYPES = ["string", "number", "int", "long", "double", "bool", "null", "array", "object", "date"]
CODES = [1, 2, 3, 4, 8, 9, 10, 16, 18, 19]


def _one(name: str, operand: st.SearchStrategy[Any]) -> st.SearchStrategy[Record]:
    return operand.map(lambda value: {name: value})


def _without_empty(filters: st.SearchStrategy[Record]) -> st.SearchStrategy[Record]:
    return filters.filter(bool)


plain_operators = st.one_of(
    *(_one(name, operands) for name in ("$eq", "$ne", "$gt", "$gte", "$lt", "$lte")),
    *(_one(name, st.lists(operands, max_size=4)) for name in ("$in", "$nin", "$all")),
    _one("$exists", st.booleans()),
    _one("$type", st.sampled_from([*TYPES, *CODES])),
    _one("$type", st.lists(st.sampled_from(TYPES), min_size=1, max_size=2)),
    _one("$size", st.integers(0, 3)),
    _one(
        "$mod", st.tuples(st.sampled_from([2, 3, -3, 2.9]), st.sampled_from([0, 1, -1])).map(list)
    ),
    st.fixed_dictionaries(
        {"$regex": st.sampled_from(PATTERNS)}, optional={"$options": st.sampled_from("imsx")}
    ),
)


def _wrapped(inner: st.SearchStrategy[Record]) -> st.SearchStrategy[Record]:
    """Operators around operators, or two of them on one field."""
    return st.one_of(
        _one("$not", inner),
        _one("$elemMatch", inner),
        _one("$elemMatch", st.dictionaries(paths, inner, max_size=2)),
        st.builds(lambda a, b: {**a, **b}, inner, inner),
        _one("$all", st.lists(_one("$elemMatch", inner), min_size=1, max_size=2)),
    )


operators = st.recursive(plain_operators, _wrapped, max_leaves=3)

fields = st.dictionaries(paths, st.one_of(operands, operators, operators), max_size=2)

filters = st.recursive(
    fields,
    lambda inner: st.one_of(
        _one("$and", st.lists(inner, min_size=1, max_size=2)),
        _one("$or", st.lists(inner, min_size=1, max_size=3)),
        _one("$nor", st.lists(inner, min_size=1, max_size=2)),
    ),
    max_leaves=3,
)
