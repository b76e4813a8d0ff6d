"""`docs/compatibility.md` says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from lookalike.adapter.filters import field_paths, patterns, shadow
from lookalike.adapter.filters.operators import membership
from lookalike.adapter.filters.operators.logic import LOGICAL
from lookalike.adapter.filters.operators.table import OPERATORS, REFUSED
from lookalike.adapter.filters.reading import (
    MAX_DEPTH,
    MAX_NODES,
    MAX_VALUES,
)
from lookalike.adapter.filters.translate import MAX_CONDITIONS
from tests.adapter.filters.differences import DIFFERENCES

PAGE = (Path(__file__).parents[2] / "docs" / "compatibility.md").read_text(encoding="utf-8")


def test_every_operator_has_one_row_and_no_other_has() -> None:
    rows = re.findall(r"^\| (?:`\{.*?\}`, )?`(\$\w+)`", PAGE, re.MULTILINE)
    assert sorted(rows) == sorted([*OPERATORS, *LOGICAL])


def test_every_refused_operator_is_named() -> None:
    section = PAGE.partition("### Refused")[2].partition("###")[0]
    assert [name for name in sorted(REFUSED) if f"`{name}`" not in section] == []


def test_each_difference_has_a_row_with_its_number_of_cases() -> None:
    for implementation, differences in DIFFERENCES.items():
        section = PAGE.partition(f"### {implementation}\n")[2].partition("\n### ")[0]
        rows = re.findall(r"^\| (.+?) \| .+ \| (\d+) \|$", section, re.MULTILINE)
        expected = {reason: str(len(names)) for reason, names in differences.items()}
        assert dict(rows) == expected


def test_the_limits_are_named() -> None:
    refused = PAGE.partition("### Refused")[2].partition("###")[0]
    limits = [MAX_NODES, MAX_VALUES, MAX_DEPTH, field_paths.MAX_PATH_CHARS, field_paths.MAX_STEPS]
    limits += [patterns.MAX_PATTERN_CHARS, patterns.MAX_PATTERN_COST]
    assert [limit for limit in limits if f"{limit:,}" not in refused] == []
    filters = PAGE.partition("## Filters")[2].partition("### Refused")[0]
    limits = [membership.MAX_EQUALITIES, MAX_CONDITIONS, shadow.MAX_TOKENS, shadow.MAX_BYTES]
    assert [limit for limit in limits if f"{limit:,}" not in filters] == []
    assert field_paths.MAX_VARIANTS == 2 ** (5 - 1), "the number of steps in the text"
