"""`$exists`: the path leads to a value, be it null."""

from __future__ import annotations

from typing import Final

from lookalike.adapter.filters import shadow
from lookalike.adapter.filters.bounds import Bounds
from lookalike.adapter.filters.json_values import MISSING
from lookalike.adapter.filters.lookups import IndexKnowledge, has_type
from lookalike.adapter.filters.operators.definition import Operator
from lookalike.adapter.filters.reading import JsonOperand
from lookalike.adapter.filters.tree import Node, Not, Path, Test


def _read(source: JsonOperand) -> Node:
    """Any operand, read as MongoDB reads truth: null, false and 0 are false."""
    value = source.value
    source.read_value()
    wanted = value is not None and not (isinstance(value, (int, float)) and value == 0)
    test = Test(source.path, "$exists", True)
    return test if wanted else Not(test)


def _match(value: object, operand: object) -> bool:
    return value is not MISSING


def _translate(path: Path, operand: object, known: IndexKnowledge) -> Bounds:
    return has_type(path, shadow.PRESENT, known)


EXISTS: Final = Operator(_read, _match, _translate)
