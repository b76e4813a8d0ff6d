"""The `_id` of a record is a text; an integer in a filter is this text, as in every request."""

from __future__ import annotations

from typing import Any

import pytest

from lookalike.adapter.errors import InvalidFilter
from lookalike.adapter.filters import match, parse

IDS = ["1", "2", "7", "1.5", "-3", str(2**70)]

CASES: list[tuple[Any, list[str]]] = [
    ({"_id": 1}, ["1"]),
    ({"_id": {"$eq": 7}}, ["7"]),
    ({"_id": {"$ne": 7}}, ["1", "2", "1.5", "-3", str(2**70)]),
    ({"_id": {"$in": [1, "2", -3, None, True]}}, ["1", "2", "-3"]),
    ({"_id": {"$nin": [1, 2]}}, ["7", "1.5", "-3", str(2**70)]),
    ({"_id": {"$all": [1]}}, ["1"]),
    ({"_id": {"$not": {"$in": [1, 2]}}}, ["7", "1.5", "-3", str(2**70)]),
    ({"$nor": [{"_id": 1}, {"$and": [{"_id": 2}, {"_id": {"$exists": True}}]}]}, IDS[2:]),
    ({"$or": [{"_id": 1}, {"_id": {"$eq": 2.0}}]}, ["1", "2"]),
    ({"_id": 2**70}, [str(2**70)]),
    ({"_id": 1.5}, []),
    ({"_id": True}, []),
    ({"_id": [1]}, []),
    ({"_id": {"$gt": "2"}}, ["7"]),
]


@pytest.mark.parametrize(("filter_", "expected"), CASES, ids=str)
def test_an_integer_is_the_text_that_is_stored(filter_: Any, expected: list[str]) -> None:
    node = parse(filter_)
    assert [id_ for id_ in IDS if match(node, {"_id": id_})] == expected


def test_an_id_further_in_is_a_field_like_others() -> None:
    record = {"_id": "1", "parts": [{"_id": 1}, {"_id": "2"}], "owner": {"_id": 1}}
    for filter_ in (
        {"parts._id": 1},
        {"owner._id": {"$in": [1]}},
        {"parts": {"$elemMatch": {"_id": 1}}},
        {"parts": {"$elemMatch": {"$or": [{"_id": {"$eq": 1}}]}}},
        {"parts": {"$all": [{"$elemMatch": {"_id": 1}}]}},
    ):
        assert match(parse(filter_), record), filter_
    assert not match(parse({"parts": {"$elemMatch": {"_id": 2}}}), record)


@pytest.mark.parametrize("operator", ["$gt", "$gte", "$lt", "$lte"])
def test_numbers_are_no_bounds_of_ids(operator: str) -> None:
    for filter_ in ({"_id": {operator: 7}}, {"_id": {"$not": {operator: 7.5}}}):
        with pytest.raises(InvalidFilter) as refusal:
            parse(filter_)
        assert refusal.value.place is not None
        assert refusal.value.place.endswith(operator)
