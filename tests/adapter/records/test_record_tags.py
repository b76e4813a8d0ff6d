"""The tags of a record, and the vector that keeps them."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.adapter.records.record_tags import tag_index, tag_vector, tags_of

TEXT = st.text(max_size=20)


@given(st.lists(TEXT | st.none() | st.integers(), max_size=8))
def test_tags_are_the_texts_each_once(tags: list[Any]) -> None:
    assert tags_of({"tags": tags}) == {tag for tag in tags if isinstance(tag, str)}


@pytest.mark.parametrize("record", [{}, {"tags": None}, {"tags": "red"}, {"tags": {"red": 1}}])
def test_no_tags(record: dict[str, Any]) -> None:
    assert tags_of(record) == frozenset()
    assert tag_vector(tags_of(record)) is None


@given(st.frozensets(TEXT, min_size=1, max_size=8), st.frozensets(TEXT, min_size=1, max_size=8))
def test_the_product_of_tag_vectors_is_the_cosine_of_the_sets(
    one: frozenset[str], other: frozenset[str]
) -> None:
    a, b = tag_vector(one), tag_vector(other)
    assert a is not None
    assert b is not None
    assert a.indices == sorted(set(a.indices))
    weights = dict(zip(b.indices, b.values, strict=True))
    product = sum(v * weights.get(i, 0) for i, v in zip(a.indices, a.values, strict=True))
    assert product == pytest.approx(len(one & other) / math.sqrt(len(one) * len(other)))


def test_a_tag_s_index_never_changes() -> None:
    assert tag_index("red") == 3333378283
    assert 0 <= tag_index("") < 2**32
