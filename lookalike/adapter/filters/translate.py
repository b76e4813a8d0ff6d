"""Tree -> a condition of the engine that no match escapes, and what is left to decide."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from qdrant_client import models

from lookalike.adapter.filters import field_paths
from lookalike.adapter.filters.bounds import (
    Bounds,
    Condition,
    all_of,
    any_of,
    as_filter,
    at_most,
    complement,
    intersection,
    size_of,
    union,
)
from lookalike.adapter.filters.operators import comparison as strategies
from lookalike.adapter.filters.operators.comparison import Scope, tokens
from lookalike.adapter.filters.operators.table import OPERATORS
from lookalike.adapter.filters.shadow import TRUNCATED
from lookalike.adapter.filters.tree import And, ElemMatch, Node, Not, Or, Path, Test, conjunction

MAX_CONDITIONS: Final = 1_000
MAX_FILTER_DEPTH: Final = 24
"""Below what the engines take. A part of a filter that asks for more is left to `match`."""


@dataclass(frozen=True, slots=True)
class Translation:
    """`filter`: matches every record that the tree matches; None matches all records.

    `residual`: what `match` must decide on the payload of each candidate; None if `filter` alone
    is exact. It is made of those conjuncts only that the filter does not decide.
    """

    filter: models.Filter | None
    residual: Node | None


def translate(node: Node, indexed: Mapping[str, str], *, complete: bool = False) -> Translation:
    """The filter to send and the rest to decide.

    `indexed`: the payload indexes of the collection, field path -> `keyword` or `number` (a float
    index). It may change the speed, never the result, if no field in it has another index.

    `complete`: the caller knows that no record of the collection has more shadow tokens than are
    kept, see `TRUNCATED_FILTER`. Without that knowledge, what is read from an absent token is
    decided by the residual.

    Pure; never raises.
    """
    scope = Scope(indexed, complete)
    conditions: list[Condition] = []
    residual: list[Node] = []
    room = MAX_CONDITIONS
    for conjunct in _conjuncts(node):
        enclosed = _bounds(conjunct, scope)
        count, depth = size_of(enclosed.superset)
        if count > room or depth > MAX_FILTER_DEPTH:
            residual.append(conjunct)
            continue
        room -= count
        conditions.append(enclosed.superset)
        if not enclosed.exact:
            residual.append(conjunct)
    superset = all_of(conditions)
    if superset is False:
        residual = []
    return Translation(as_filter(superset), conjunction(tuple(residual)) if residual else None)


def _conjuncts(node: Node) -> Iterator[Node]:
    """The parts of a tree that must all hold: the engine may decide some and leave the others."""
    if isinstance(node, And):
        for child in node.children:
            yield from _conjuncts(child)
    elif isinstance(node, Not) and isinstance(node.child, Or):
        for child in node.child.children:
            yield from _conjuncts(Not(child))
    elif isinstance(node, Not) and isinstance(node.child, Not):
        yield from _conjuncts(node.child.child)
    else:
        yield node


def _bounds(node: Node, scope: Scope) -> Bounds:
    if isinstance(node, And):
        return intersection(_bounds(child, scope) for child in node.children)
    if isinstance(node, Or):
        return union(_bounds(child, scope) for child in node.children)
    if isinstance(node, Not):
        return complement(_bounds(node.child, scope))
    if isinstance(node, ElemMatch):
        return _element_bounds(node, scope)
    return _test_bounds(node, scope)


def _test_bounds(node: Test, scope: Scope) -> Bounds:
    strategy = OPERATORS[node.operator].strategy
    assert strategy is not None  # `parse` makes tests only of entries that have one
    return strategy(node.path, node.operand, scope)


def _element_bounds(node: ElemMatch, scope: Scope) -> Bounds:
    if not node.objects and len(node.path) == 1 and _is_scalar_test(node.child):
        # The path leads to one value, and what satisfies the test is an element of it.
        found = _test_bounds(_placed(node.child, node.path), scope)
        return intersection([tokens(node.path, "aA", scope), found])
    return at_most(_around(node, (), scope))


def _is_scalar_test(node: Node) -> bool:
    """A test that no array and no missing value satisfies."""
    if not isinstance(node, Test):
        return False
    if node.operator in ("$eq", "$gt", "$gte", "$lt", "$lte"):
        return isinstance(node.operand, (str, int, float))
    if node.operator == "$in" and isinstance(node.operand, frozenset):
        return all(isinstance(value, (str, int, float)) for value in node.operand)
    return node.operator in ("$mod", "$regex")


def _placed(node: Node, path: Path) -> Test:
    assert isinstance(node, Test)
    return Test(path, node.operator, node.operand)


def _around(node: Node, prefix: Path, scope: Scope) -> Condition:
    """A superset of the records where an element of the value at `prefix` satisfies `node`.

    What an element has at a path, the record has at `prefix` and that path, because paths go
    through arrays. It does not hold for what an element lacks, so nothing is said of negations.
    """
    if isinstance(node, And):
        return all_of(_around(child, prefix, scope) for child in node.children)
    if isinstance(node, Or):
        return any_of(_around(child, prefix, scope) for child in node.children)
    if isinstance(node, Not):
        return True
    if not node.path and prefix and (isinstance(node, ElemMatch) or node.operator == "$size"):
        return tokens(prefix, "NE", scope).superset  # the element is itself an array
    path = (*prefix, *node.path)
    if isinstance(node, Test):
        return _test_bounds(Test(path, node.operator, node.operand), scope).superset
    inside = _around(node.child, path, scope)
    if field_paths.ambiguous(path):
        return tokens(path, "aA", scope).superset
    if not node.objects:
        return all_of([tokens(path, "aA", scope).superset, inside])
    in_objects = all_of([tokens(path, "a", scope).superset, inside])
    return any_of([in_objects, tokens(path, "NE", scope).superset])


TRUNCATED_FILTER: Final = models.Filter(must=[strategies.has_token([TRUNCATED])])
"""Matches the records whose shadow tokens are not all kept; see `complete` of `translate`."""
