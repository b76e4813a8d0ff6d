"""Every query case, over all families of records, on every engine."""

from __future__ import annotations

import pytest

from tests.adapter.filters.cases import CASES, Case
from tests.adapter.filters.families import FAMILIES
from tests.adapter.filters.filter_engines import FilterEngine

NUMBERED = {
    1000 * family + at: record
    for family, records in enumerate(FAMILIES.values())
    for at, record in enumerate(records)
}


@pytest.fixture(scope="module")
def filled(filter_engine: FilterEngine) -> FilterEngine:
    filter_engine.write(NUMBERED)
    return filter_engine


def names(points: set[int]) -> list[str]:
    families = list(FAMILIES)
    return [f"{families[point // 1000]}/{point % 1000}" for point in sorted(points)]


def test_there_are_enough_of_both() -> None:
    assert len(FAMILIES) >= 25
    assert len(CASES) >= 250
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case(filled: FilterEngine, case: Case) -> None:
    expected = names(filled.expected(case.filter))
    assert bool(expected) is not case.empty, "what the case says of its answer"
    for complete in (True, False):
        assert names(filled.find(case.filter, complete=complete)) == expected
