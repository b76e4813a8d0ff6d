"""Translations: what is exact, what is left to `match`, and the forms that engines get wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qdrant_client import models

from lookalike.adapter.filters import SHADOW_PATH, Translation, parse, translate
from lookalike.adapter.filters.bounds import size_of
from lookalike.adapter.filters.translate import MAX_CONDITIONS, MAX_FILTER_DEPTH
from lookalike.adapter.filters.tree import Node
from tests.adapter.filters.vocabulary import filters


def of(
    query: object, indexed: Mapping[str, str] | None = None, *, complete: bool = True
) -> Translation:
    return translate(parse(query), indexed or {}, complete=complete)


def left(query: object, *, complete: bool = True) -> Node | None:
    return of(query, complete=complete).residual


EXACT: dict[str, dict[str, Any]] = {
    "string": {"a": "x"},
    "string-dotted": {"a.b.c": "x"},
    "number": {"a": 1.5},
    "boolean": {"a": True},
    "null": {"a": None},
    "null-dotted": {"a.b": None},
    "ne": {"a": {"$ne": "x"}},
    "range": {"a": {"$gte": 1, "$lt": 2}},
    "boolean-range": {"a": {"$gt": False}},
    "in": {"a": {"$in": ["x", "y", 1, None, True]}},
    "in-empty": {"a": {"$in": []}},
    "nin": {"a": {"$nin": ["x", 1]}},
    "exists": {"a.b": {"$exists": True}},
    "type": {"a": {"$type": ["int", "null"]}},
    "size": {"a": {"$size": 2}},
    "array-empty": {"a": []},
    "document-empty": {"a": {}},
    "all": {"a": {"$all": ["x", "y"]}},
    "elem": {"a": {"$elemMatch": {"$gte": 1}}},
    "prefix": {"a": {"$regex": "^x"}},
    "literal": {"a": {"$regex": "x"}},
    "whole": {"a": {"$regex": "^x$"}},
    "not": {"a": {"$not": {"$gt": 1}}},
    "logic": {"$or": [{"a": 1}, {"$nor": [{"b": "x"}, {"c": True}]}]},
    "odd-key": {"a b.$c": 1},
}

INEXACT: dict[str, dict[str, Any]] = {
    "string-range": {"a": {"$gt": "x"}},
    "array": {"a": [1, 2]},
    "document": {"a": {"b": 1}},
    "mod": {"a": {"$mod": [2, 1]}},
    "regex": {"a": {"$regex": "x+"}},
    "regex-i": {"a": {"$regex": "^x", "$options": "i"}},
    "index": {"a.0": 1},
    "large-integer": {"a": {"$gt": 2**53}},
    "elem-document": {"a": {"$elemMatch": {"b": 1, "c": 2}}},
    "elem-two": {"a": {"$elemMatch": {"$gte": 1, "$lt": 2}}},
    "key-with-quote": {'a"': 1},
    "key-with-backslash": {"a\\b": "x"},
    "empty-step": {"a.": "x"},
    "many-steps": {"a.b.c.d.e.f": "x"},
}


@pytest.mark.parametrize("case", EXACT)
def test_exact(case: str) -> None:
    assert left(EXACT[case]) is None


@pytest.mark.parametrize("case", INEXACT)
def test_inexact(case: str) -> None:
    assert left(INEXACT[case]) == parse(INEXACT[case])


def test_only_the_inexact_part_of_a_conjunction_is_left() -> None:
    exact = {"a": "x", "b": {"$gte": 1}}
    inexact = {"c": {"$mod": [2, 1]}}
    translation = of(exact | inexact)
    assert translation.residual == parse(inexact)
    assert translation.filter is not None
    assert isinstance(translation.filter.must, list)
    assert len(translation.filter.must) == 3
    assert left({"$nor": [exact, inexact]}) == parse({"$nor": [inexact]})
    assert left({"$nor": [{"$or": [{"a": "x"}, inexact]}]}) == parse({"$nor": [inexact]})
    assert left({"$or": [exact, inexact]}) == parse({"$or": [exact, inexact]})


def test_absent_tokens_are_trusted_only_in_a_complete_collection() -> None:
    read_from_absence: list[Any] = [{"$exists": True}, None, {"$size": 1}, []]
    for said in read_from_absence:
        assert left({"a": said}) is None
        assert left({"a": said}, complete=False) == parse({"a": said})
    read_from_presence: list[Any] = [True, {"$ne": False}, "x", {"$gt": 1}]
    for said in read_from_presence:
        assert left({"a": said}, complete=False) is None


def test_everything_and_nothing() -> None:
    assert of({}) == Translation(None, None)
    nothing = models.Filter(must=[models.HasIdCondition(has_id=[])])
    impossible: list[Any] = [{"a": {"$in": []}}, {"a": {"$type": "date"}}, {"$nor": [{}]}]
    for query in impossible:
        assert of(query) == Translation(nothing, None)
    # What is left does not matter where nothing can match.
    assert of({"a": {"$in": []}, "b": {"$mod": [2, 1]}}) == Translation(nothing, None)
    assert of({"a": {"$nin": []}}) == Translation(None, None)


def test_an_index_on_a_dotted_path_is_not_spoilt_by_the_spellings_through_arrays() -> None:
    plain = of({"a.b": "x"}).filter
    guarded = of({"a.b": "x"}, {"a.b": "keyword"}).filter
    assert plain is not None
    assert plain.should == [
        models.FieldCondition(key="a.b", match=models.MatchValue(value="x")),
        models.FieldCondition(key="a[].b", match=models.MatchValue(value="x")),
    ]
    assert guarded is not None
    _, through_arrays = guarded.should or []
    assert isinstance(through_arrays, models.Filter)
    assert SHADOW_PATH in str(through_arrays)


def test_what_is_too_large_for_the_engine_is_left_to_match() -> None:
    many = {"$or": [{"a.b.c.d": {"$in": [f"{i}", i, True]}} for i in range(100)]}
    translation = of({**many, "x": 1})
    assert translation.residual == parse(many)
    assert translation.filter is not None
    assert size_of(translation.filter)[0] == 2
    assert left({"a": {"$in": [0.5, *range(100)]}}) is not None


# --- Forms that an engine gets wrong ------------------------------------------------------------


def conditions(outer: models.Filter) -> Iterator[Any]:
    yield outer
    for part in (outer.must, outer.should, outer.must_not):
        assert part is None or isinstance(part, list)
        assert part != [], "an empty clause is read as no condition, or as none"
        for condition in part or []:
            if isinstance(condition, models.Filter):
                yield from conditions(condition)
            else:
                yield condition


SAFE_MATCHES = (models.MatchValue, models.MatchAny, models.MatchPrefix, models.MatchSubstring)


@settings(max_examples=500, deadline=None)
@given(filters, st.booleans())
def test_only_forms_are_sent_that_mean_the_same_on_every_engine(
    query: dict[str, Any], complete: bool
) -> None:
    translation = of(query, {"a": "keyword", "a.b": "number"}, complete=complete)
    if translation.filter is None:
        return
    count, depth = size_of(translation.filter)
    assert count <= MAX_CONDITIONS + 1
    assert depth <= MAX_FILTER_DEPTH + 1
    for condition in conditions(translation.filter):
        if isinstance(condition, models.FieldCondition):
            said = condition.model_dump(exclude_none=True, exclude={"key"})
            assert len(said) == 1, "the engine joins several with or"
            assert isinstance(condition.match, SAFE_MATCHES) or condition.range is not None
            if isinstance(condition.match, models.MatchAny):
                assert len({type(value) for value in condition.match.any}) == 1
        elif isinstance(condition, models.HasIdCondition):
            assert condition.has_id == []
        else:
            assert isinstance(condition, models.Filter)
            assert condition.min_should is None
