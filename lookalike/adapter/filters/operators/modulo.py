"""`$mod`: a number that leaves this remainder. Everything is cut to whole numbers of 64 bits."""

from __future__ import annotations

import math
from typing import Final

from lookalike.adapter.filters.bounds import Bounds, at_most
from lookalike.adapter.filters.json_values import INT64_MAX
from lookalike.adapter.filters.lookups import IndexKnowledge, has_type
from lookalike.adapter.filters.operators.definition import Operator
from lookalike.adapter.filters.reading import JsonOperand
from lookalike.adapter.filters.tree import Node, Path, Test


def _read(source: JsonOperand) -> Node:
    """A list of divisor and remainder."""
    if not isinstance(source.value, list) or len(source.value) != 2:
        raise source.refuse("$mod takes a list of a divisor and a remainder")
    divisor, remainder = (_read_whole(item, source) for item in source.value)
    if divisor == 0:
        raise source.refuse("the divisor of $mod is 0")
    return Test(source.path, "$mod", (divisor, remainder))


def _read_whole(item: object, source: JsonOperand) -> int:
    if isinstance(item, bool) or not isinstance(item, (int, float)):
        raise source.refuse("$mod takes numbers")
    if not -INT64_MAX - 1 <= item <= INT64_MAX:  # also refuses NaN
        raise source.refuse("a number of $mod is out of range")
    return math.trunc(item)


def _match(value: object, operand: tuple[int, int]) -> bool:
    """Towards zero, as C does: -5 modulo 3 is -2."""
    divisor, expected = operand
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    if not -INT64_MAX - 1 <= value <= INT64_MAX:
        return False
    whole = math.trunc(value)
    return int(math.copysign(1, whole)) * (abs(whole) % abs(divisor)) == expected


def _translate(path: Path, operand: object, known: IndexKnowledge) -> Bounds:
    return at_most(has_type(path, "ilf", known).superset)


MOD: Final = Operator(_read, _match, _translate, only_scalars=lambda operand: True)
