"""Named query cases. Each is asked of every engine, over all families of records together."""

from __future__ import annotations

from typing import Final

from tests.adapter.filters.cases.case import Case
from tests.adapter.filters.cases.operands import OPERAND_CASES
from tests.adapter.filters.cases.patterns import PATTERN_CASES
from tests.adapter.filters.cases.structure import STRUCTURE_CASES

__all__ = ["CASES", "Case"]

CASES: Final[list[Case]] = [*OPERAND_CASES, *STRUCTURE_CASES, *PATTERN_CASES]
