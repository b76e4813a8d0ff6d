"""The operators of a field: one entry each.

An entry says how the operand is read (`build`), which values satisfy it (`holds`), and how the
engine is asked (`strategy`). A new operator is one entry here and one row in
`docs/compatibility.md`. The entries without `holds` are built from others.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any, Final

from lookalike.adapter.filters import patterns
from lookalike.adapter.filters.bounds import Bounds
from lookalike.adapter.filters.json_values import (
    INT64_MAX,
    MISSING,
    Array,
    Document,
    Frozen,
    bracket,
    freeze,
    order,
    type_name,
)
from lookalike.adapter.filters.operators import arrays as operands
from lookalike.adapter.filters.operators import comparison as strategies
from lookalike.adapter.filters.operators.comparison import Scope
from lookalike.adapter.filters.tree import Path


@dataclass(frozen=True, slots=True)
class Operator:
    """`holds(value, operand)` decides one candidate value; `strategy(path, operand, scope)` asks.

    `leaf`: an array at the end of the path stands for its elements too.
    """

    build: operands.Builder
    holds: Callable[[object, Any], bool] | None = None
    strategy: Callable[[Path, Any, Scope], Bounds] | None = None
    leaf: bool = True


def _comparable(value: object, operand: Frozen) -> bool:
    """Whether both are in one bracket, so that it is worth freezing the value."""
    if isinstance(value, list):
        return isinstance(operand, Array)
    if isinstance(value, dict):
        return isinstance(operand, Document)
    return bracket(freeze(value)) == bracket(operand)


def equal(value: object, operand: Frozen) -> bool:
    if operand is None:
        return value is None or value is MISSING
    return _comparable(value, operand) and freeze(value) == operand


def _compares(accepts: Callable[[int], bool], value: object, operand: Frozen) -> bool:
    if operand is None:
        return accepts(0) and (value is None or value is MISSING)
    return _comparable(value, operand) and accepts(order(freeze(value), operand))


def contained(value: object, operand: frozenset[Frozen]) -> bool:
    return (freeze(value) if value is not MISSING else None) in operand


def present(value: object, operand: object) -> bool:
    return value is not MISSING


def of_type(value: object, operand: frozenset[str]) -> bool:
    return type_name(value) in operand


def of_size(value: object, operand: int) -> bool:
    return isinstance(value, list) and len(value) == operand


def remainder(value: object, operand: tuple[int, int]) -> bool:
    """Towards zero, as C does: -5 modulo 3 is -2."""
    divisor, expected = operand
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    if not -INT64_MAX - 1 <= value <= INT64_MAX:
        return False
    whole = math.trunc(value)
    return int(math.copysign(1, whole)) * (abs(whole) % abs(divisor)) == expected


def matches(value: object, operand: patterns.Pattern) -> bool:
    return isinstance(value, str) and patterns.pattern_matches(operand, value)


def _comparison(name: str, accepts: Callable[[int], bool]) -> Operator:
    return Operator(
        operands.comparison(name),
        partial(_compares, accepts),
        lambda path, operand, scope: strategies.compare(path, name, operand, scope),
    )


_EQ: Final = Operator(
    operands.comparison("$eq"),
    equal,
    lambda path, operand, scope: strategies.compare(path, "$eq", operand, scope),
)

OPERATORS: Final[Mapping[str, Operator]] = MappingProxyType(
    {
        "$eq": _EQ,
        "$ne": Operator(operands.negated(_EQ.build)),
        "$gt": _comparison("$gt", lambda sign: sign > 0),
        "$gte": _comparison("$gte", lambda sign: sign >= 0),
        "$lt": _comparison("$lt", lambda sign: sign < 0),
        "$lte": _comparison("$lte", lambda sign: sign <= 0),
        "$in": Operator(operands.membership, contained, strategies.among),
        "$nin": Operator(operands.negated(operands.membership)),
        "$not": Operator(operands.negation),
        "$exists": Operator(operands.existence, present, strategies.exists),
        "$type": Operator(operands.types, of_type, strategies.of_type),
        "$all": Operator(operands.every),
        "$elemMatch": Operator(operands.element),
        "$size": Operator(operands.size, of_size, strategies.of_size, leaf=False),
        "$mod": Operator(operands.modulo, remainder, strategies.of_remainder),
        "$regex": Operator(operands.pattern, matches, strategies.by_pattern),
        "$options": Operator(operands.options),
    }
)
