"""The tags of a record, in whatever form, and the vector that keeps them."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.adapter.errors import InvalidRequest, RecordRefused
from lookalike.adapter.records.record_tags import (
    check_tags,
    merge_tags,
    read_tags,
    tag_index,
    tag_vector,
    tags_of,
    unlisted_tags,
)
from tests.shelf import tag_distance

NAMES = st.text(max_size=20).filter(str.strip)
WEIGHTS = st.floats(0.001, 1.0) | st.just(1.0)
TAGS = st.dictionaries(NAMES, WEIGHTS, min_size=1, max_size=8)

FORMS: list[tuple[Any, dict[str, float]]] = [
    ("a", {"a": 1}),
    (["a", "b", "a"], {"a": 1, "b": 1}),
    ([{"name": "a", "prob": 0.9}, {"name": "b"}, "c"], {"a": 0.9, "b": 1, "c": 1}),
    ({"name": "a", "prob": 0.5, "id": "x"}, {"a": 0.5}),
    ({"a": 0.9, "b": 1}, {"a": 0.9, "b": 1}),
    ({"name": 0.5}, {"name": 0.5}),
    ({"a": 0, "b": 0.25}, {"b": 0.25}),
    (38, {"38": 1}),
    ([38, 38.0, 38.5], {"38": 1, "38.5": 1}),
    (
        {
            "Colour": [{"name": "red", "prob": 0.9, "id": "1"}, {"name": "pink", "prob": 0.4}],
            "Style": {"name": "retro", "prob": 0.8},
            "Material": "wool",
            "Also": [{"name": "red", "prob": 0.95}],
            "Size": None,
            "Length": [],
        },
        {"red": 0.95, "pink": 0.4, "retro": 0.8, "wool": 1},
    ),
    ([{"name": "a", "prob": None}], {"a": 1}),
    ([], {}),
    ({}, {}),
    ("", {}),
    (["", " ", "a"], {"a": 1}),
]

FAULTS: list[tuple[Any, str]] = [
    (True, "tags"),
    (["a", None], "tags[1]"),
    (["a", ["b"]], "tags[1]"),
    ([{"a": 1}], "tags[0]"),
    ([{"name": None}], "tags[0]"),
    ([{"name": "a", "prob": 1.5}], "tags[0]"),
    ([{"name": "a", "prob": "0.9"}], "tags[0]"),
    ({"a": -0.1}, "tags.a"),
    ({"a": 90}, "tags.a"),
    ({"sale": True}, "tags.sale"),
    ({"Colour": {"red": 0.9}}, "tags.Colour"),
    ({"Colour": ["a", False]}, "tags.Colour[1]"),
    ({"the colour": [None]}, 'tags["the colour"][0]'),
]


@pytest.mark.parametrize(("value", "expected"), FORMS, ids=str)
@pytest.mark.parametrize("field", ["tags", "_tags", "_tags_simple"])
def test_every_form_is_read(field: str, value: Any, expected: dict[str, float]) -> None:
    assert read_tags({field: value}) == expected
    assert tags_of({field: value}) == expected


@pytest.mark.parametrize(("value", "place"), FAULTS, ids=str)
def test_what_is_no_tag_is_refused_with_its_place(value: Any, place: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        read_tags({"tags": value}, "$.query_record")
    assert refusal.value.place == f"$.query_record.{place}"
    with pytest.raises(RecordRefused) as refused:
        check_tags({"tags": value})
    assert f"(at {place})" in refused.value.text


def test_what_was_kept_before_it_was_refused_is_passed_over() -> None:
    assert tags_of({"tags": ["x", None, {"a": 1}, True, "y"]}) == {"x": 1, "y": 1}
    assert tags_of({"tags": True}) == {}


def test_the_first_field_that_is_there_counts() -> None:
    assert read_tags({}) is None
    assert read_tags({"tags": None, "_tags": None}) is None
    both = {"_tags_simple": ["c"], "_tags": {"b": 0.5}, "tags": ["a"]}
    assert read_tags(both) == {"a": 1}
    assert read_tags(both | {"tags": None}) == {"b": 0.5}
    assert read_tags(both | {"tags": []}) == {}
    # A field that does not count is one like any other.
    assert read_tags({"tags": "a", "_tags": {"x": True}}) == {"a": 1}


@given(TAGS, TAGS)
def test_the_product_of_tag_vectors_is_the_cosine_of_the_weights(
    one: dict[str, float], other: dict[str, float]
) -> None:
    a, b = tag_vector(one), tag_vector(other)
    assert a is not None
    assert b is not None
    assert a.indices == sorted(set(a.indices))
    assert math.hypot(*a.values) == pytest.approx(1)
    weights = dict(zip(b.indices, b.values, strict=True))
    product = sum(v * weights.get(i, 0) for i, v in zip(a.indices, a.values, strict=True))
    assert product == pytest.approx(1 - tag_distance(one, other))


@given(st.sets(NAMES, min_size=1, max_size=8))
def test_without_weights_the_vector_is_as_it_always_was(tags: set[str]) -> None:
    vector = tag_vector(tags_of({"tags": sorted(tags)}))
    assert vector is not None
    assert vector.indices == sorted(map(tag_index, tags))
    assert vector.values == pytest.approx([len(tags) ** -0.5] * len(tags))


def test_the_smallest_weights_are_weights() -> None:
    assert tag_vector({}) is None
    vector = tag_vector({"a": 5e-324})
    assert vector is not None
    assert vector.values == [1.0]


def test_tags_of_several_records() -> None:
    assert merge_tags([{"a": 0.5, "b": 1}, {}, {"a": 0.7}]) == {"a": 0.7, "b": 1}


def test_tags_that_a_filter_on_them_does_not_find() -> None:
    assert unlisted_tags({"tags": ["a", {"name": "b"}, 5]}) == ["5", "b"]
    assert unlisted_tags({"_tags": {"Colour": [{"name": "red", "prob": 0.9}]}}) == ["red"]
    assert unlisted_tags({"tags": "a"}) == unlisted_tags({"tags": ["a"]}) == unlisted_tags({}) == []


def test_a_tag_s_index_never_changes() -> None:
    assert tag_index("red") == 3333378283
    assert 0 <= tag_index("") < 2**32
