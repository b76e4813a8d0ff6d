"""What an operator is made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lookalike.adapter.filters.bounds import Bounds
from lookalike.adapter.filters.lookups import IndexKnowledge
from lookalike.adapter.filters.reading import JsonOperand
from lookalike.adapter.filters.tree import Node, Not, Path


@dataclass(frozen=True, slots=True)
class Operator:
    """One operator in its three parts.

    `read(source)` makes a node of the JSON operand, or raises `InvalidFilter`. An operator that is
    read as `Test`s of its own name has the other two parts; what it keeps in `Test.operand` is
    handed to them. `match(value, operand)` decides one candidate value. `translate(path, operand,
    known)` encloses the records that have such a value.

    `only_scalars(operand)`: True if no array and no missing value can match.
    `only_arrays`: nothing but an array can match, and an array at the end of the path does not
    stand for its elements.
    """

    read: Callable[[JsonOperand], Node]
    match: Callable[[object, Any], bool] | None = None
    translate: Callable[[Path, Any, IndexKnowledge], Bounds] | None = None
    only_scalars: Callable[[Any], bool] = lambda operand: False
    only_arrays: bool = False


def negated(operator: Operator) -> Operator:
    """The operator that matches what `operator` does not, missing fields included."""
    return Operator(lambda source: Not(operator.read(source)))
