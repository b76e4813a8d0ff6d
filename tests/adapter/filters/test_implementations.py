"""`match` is held to independent implementations of MongoDB's language."""

from __future__ import annotations

import contextlib
import copy
import sys
from collections.abc import Callable, Iterator
from typing import Any

import mongomock.filtering
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lookalike.adapter.filters import match, parse
from tests.adapter.filters.cases import CASES, Case
from tests.adapter.filters.differences import DIFFERENCES
from tests.adapter.filters.families import FAMILIES

Implementation = Callable[[dict[str, Any], dict[str, Any]], bool]
RECORDS = [record for records in FAMILIES.values() for record in records]


def by_mongomock(query: dict[str, Any], record: dict[str, Any]) -> bool:
    applies: Any = mongomock.filtering.filter_applies  # it has no types
    return bool(applies(query, record))


def by_montydb(query: dict[str, Any], record: dict[str, Any]) -> bool:
    queries = pytest.importorskip("montydb.engine.queries")
    with _unheard_complaints():
        return bool(queries.QueryFilter(query)(record))


@contextlib.contextmanager
def _unheard_complaints() -> Iterator[None]:
    """montydb leaves generators behind that do not end when they are told to."""
    before, sys.unraisablehook = sys.unraisablehook, lambda _: None
    try:
        yield
    finally:
        sys.unraisablehook = before


def answer(implementation: str, query: dict[str, Any], record: dict[str, Any]) -> bool | None:
    """What an implementation says; None if it raises."""
    try:
        # Copies, for neither promises to leave its arguments alone.
        return IMPLEMENTATIONS[implementation](copy.deepcopy(query), copy.deepcopy(record))
    except Exception:
        return None


IMPLEMENTATIONS: dict[str, Implementation] = {"mongomock": by_mongomock, "montydb": by_montydb}


def _cases() -> list[Any]:
    marked = []
    for implementation, differences in DIFFERENCES.items():
        reasons = {name: reason for reason, names in differences.items() for name in names}
        assert reasons.keys() <= {case.name for case in CASES}
        for case in CASES:
            reason = reasons.get(case.name)
            marks = [pytest.mark.xfail(strict=True, reason=reason)] if reason else []
            name = f"{implementation}-{case.name}"
            marked.append(pytest.param(implementation, case, id=name, marks=marks))
    return marked


# montydb's $elemMatch leaves generators behind that yield while they are being closed.
@pytest.mark.filterwarnings(
    "ignore:Exception ignored in.*LogicBox:pytest.PytestUnraisableExceptionWarning"
)
@pytest.mark.parametrize(("implementation", "case"), _cases())
def test_case(implementation: str, case: Case) -> None:
    node = parse(case.filter)
    for record in RECORDS:
        assert match(node, record) is answer(implementation, case.filter, record), record


# The part of the language that both implement as MongoDB does, on random records.

_scalars = st.sampled_from(["", "a", "ab", "b", "é", 0, 1, 1.0, -1, 2.5, 2**53, 2**53 + 1])
_values = st.one_of(
    _scalars,
    st.none(),
    st.lists(_scalars, max_size=3),
    st.dictionaries(st.sampled_from("ab"), st.one_of(_scalars, st.lists(_scalars)), max_size=2),
    st.lists(st.dictionaries(st.sampled_from("ab"), _scalars, min_size=1), max_size=2),
)
_records = st.dictionaries(st.sampled_from("abc"), _values, max_size=3)
_operators = st.one_of(
    *(
        st.builds(lambda v, name=name: {name: v}, _scalars)
        for name in ("$eq", "$ne", "$gt", "$gte", "$lt", "$lte")
    ),
    *(
        st.builds(lambda v, name=name: {name: v}, st.lists(_scalars, min_size=1, max_size=3))
        for name in ("$in", "$nin", "$all")
    ),
    st.builds(lambda v: {"$exists": v}, st.booleans()),
    st.builds(lambda v: {"$regex": v}, st.sampled_from(["^a", "b", "a$", "^$", "[ab]b"])),
)
_negations = _operators.filter(lambda operator: "$regex" not in operator).map(
    lambda operator: {"$not": operator}
)


def _filters(dotted: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Filters; `dotted` is what may be said of a dotted path."""
    plain = st.tuples(st.sampled_from("abc"), st.one_of(_scalars, _operators, _negations))
    nested = st.tuples(st.sampled_from(["a.b", "b.a", "a.c", "c.b"]), dotted)
    fields = st.lists(st.one_of(plain, nested), min_size=1, max_size=2).map(dict)
    return st.recursive(
        fields,
        lambda inner: st.builds(
            lambda name, filters: {name: filters},
            st.sampled_from(["$and", "$or", "$nor"]),
            st.lists(inner, min_size=1, max_size=3),
        ),
        max_leaves=4,
    )


FILTERS = {
    # On a dotted path its $not is false where the path ends at a scalar, and its $exists false is
    # true of an array with one element that lacks the field; see the reasons in `differences`.
    "mongomock": _filters(
        st.one_of(_scalars, _operators.filter(lambda operator: operator != {"$exists": False}))
    ),
    "montydb": _filters(st.one_of(_scalars, _operators, _negations)),
}


@settings(max_examples=400, deadline=None)
@given(data=st.data(), records=st.lists(_records, min_size=1, max_size=5))
@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_random_filters(
    implementation: str, data: st.DataObject, records: list[dict[str, Any]]
) -> None:
    query = data.draw(FILTERS[implementation])
    node = parse(query)
    for record in records:
        assert match(node, record) is answer(implementation, query, record), record
