"""The engines are held to `match`: what they find, after the residual, is what `match` says."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lookalike.adapter.filters import TRUNCATED_FILTER, shadow
from tests.adapter.filters.filter_engines import FilterEngine
from tests.adapter.filters.vocabulary import filters, records

EXAMPLES = settings(
    max_examples=75,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

many_records = st.lists(records, min_size=1, max_size=12)
many_filters = st.lists(filters, min_size=1, max_size=8)


def check(filter_engine: FilterEngine, filters: list[dict[str, Any]], *, complete: bool) -> None:
    for query in filters:
        assert filter_engine.find(query, complete=complete) == filter_engine.expected(query), query


@EXAMPLES
@given(records=many_records, filters=many_filters, complete=st.booleans())
def test_the_engine_finds_exactly_what_matches(
    filter_engine: FilterEngine, records: list[Any], filters: list[Any], complete: bool
) -> None:
    filter_engine.clear()
    filter_engine.write(dict(enumerate(records)))
    check(filter_engine, filters, complete=complete)


@EXAMPLES
@given(
    records=many_records,
    changed=st.dictionaries(st.integers(0, 5), records, max_size=4),
    overwritten=records,
    deleted=st.sets(st.integers(0, 11), max_size=6),
    filters=many_filters,
)
def test_it_still_does_after_updates_and_deletes(
    filter_engine: FilterEngine,
    records: list[Any],
    changed: dict[int, Any],
    overwritten: dict[str, Any],
    deleted: set[int],
    filters: list[Any],
) -> None:
    filter_engine.clear()
    filter_engine.write(dict(enumerate(records)))
    filter_engine.write(changed)
    filter_engine.overwrite(0, overwritten)
    filter_engine.delete(deleted & filter_engine.records.keys())
    check(filter_engine, filters, complete=True)


@EXAMPLES
@given(records=many_records, filters=many_filters)
def test_records_with_more_tokens_than_are_kept_are_found_too(
    filter_engine: FilterEngine,
    monkeypatch: pytest.MonkeyPatch,
    records: list[Any],
    filters: list[Any],
) -> None:
    monkeypatch.setattr(shadow, "MAX_TOKENS", 4)
    filter_engine.clear()
    filter_engine.write(dict(enumerate(records)))
    truncated = {i for i, record in filter_engine.records.items() if _truncated(record)}
    assert filter_engine.scroll(TRUNCATED_FILTER).keys() == truncated
    check(filter_engine, filters, complete=False)


def _truncated(record: dict[str, Any]) -> bool:
    return shadow.TRUNCATED in shadow.shadow_tokens(record)
