"""Tree -> a condition of the engine that no match escapes, and what is left to decide."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final, TypeGuard

from qdrant_client import models

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
from lookalike.adapter.filters.field_paths import ambiguous
from lookalike.adapter.filters.lookups import IndexKnowledge, has_type, token_condition
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
    known = IndexKnowledge(indexed, complete)
    conditions: list[Condition] = []
    residual: list[Node] = []
    room = MAX_CONDITIONS
    for conjunct in _conjuncts(node):
        enclosed = _bounds(conjunct, known)
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


def _bounds(node: Node, known: IndexKnowledge) -> Bounds:
    if isinstance(node, And):
        return intersection(_bounds(child, known) for child in node.children)
    if isinstance(node, Or):
        return union(_bounds(child, known) for child in node.children)
    if isinstance(node, Not):
        return complement(_bounds(node.child, known))
    if isinstance(node, ElemMatch):
        return _element_bounds(node, known)
    return _test_bounds(node, known)


def _test_bounds(node: Test, known: IndexKnowledge) -> Bounds:
    enclose = OPERATORS[node.operator].translate
    assert enclose is not None  # `parse` makes tests only of operators that can be asked for
    return enclose(node.path, node.operand, known)


def _element_bounds(node: ElemMatch, known: IndexKnowledge) -> Bounds:
    if not node.objects and len(node.path) == 1 and _only_scalars(node.child):
        # The path leads to one value, and what satisfies the test is an element of it.
        found = _test_bounds(replace(node.child, path=node.path), known)
        return intersection([has_type(node.path, "aA", known), found])
    return at_most(_around(node, (), known))


def _only_scalars(node: Node) -> TypeGuard[Test]:
    """A test that no array and no missing value satisfies."""
    return isinstance(node, Test) and OPERATORS[node.operator].only_scalars(node.operand)


def _only_arrays(node: Test | ElemMatch) -> bool:
    """A node that nothing but an array satisfies."""
    return isinstance(node, ElemMatch) or OPERATORS[node.operator].only_arrays


def _around(node: Node, prefix: Path, known: IndexKnowledge) -> Condition:
    """A superset of the records where an element of the value at `prefix` satisfies `node`.

    What an element has at a path, the record has at `prefix` and that path, because paths go
    through arrays. It does not hold for what an element lacks, so nothing is said of negations.
    """
    if isinstance(node, And):
        return all_of(_around(child, prefix, known) for child in node.children)
    if isinstance(node, Or):
        return any_of(_around(child, prefix, known) for child in node.children)
    if isinstance(node, Not):
        return True
    if not node.path and prefix and _only_arrays(node):
        return has_type(prefix, "NE", known).superset  # the element is itself an array
    path = (*prefix, *node.path)
    if isinstance(node, Test):
        return _test_bounds(replace(node, path=path), known).superset
    inside = _around(node.child, path, known)
    if ambiguous(path):
        return has_type(path, "aA", known).superset
    if not node.objects:
        return all_of([has_type(path, "aA", known).superset, inside])
    in_objects = all_of([has_type(path, "a", known).superset, inside])
    return any_of([in_objects, has_type(path, "NE", known).superset])


TRUNCATED_FILTER: Final = models.Filter(must=[token_condition([TRUNCATED])])
"""Matches the records whose shadow tokens are not all kept; see `complete` of `translate`."""
