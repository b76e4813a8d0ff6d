"""The tree of a filter: made by `parse`, evaluated by `match`, asked of the engine by `translate`.

    Node = And | Or | Not | Test | ElemMatch

Sugar is gone here: `$nor`, `$ne`, `$nin` and `$not` are `Not`, `$all` is `And`, and a field with
several operators is an `And` of tests. Everything is immutable and hashable.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

Path: TypeAlias = tuple[str, ...]
"""The steps of a dotted path. The empty path is the value itself: an element of `$elemMatch`."""


@dataclass(frozen=True, slots=True)
class And:
    """All children hold. Without children: everything matches."""

    children: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """At least one child holds. Without children: nothing matches."""

    children: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Not:
    child: Node


@dataclass(frozen=True, slots=True)
class Test:
    """One operator on one path: it holds if any candidate value of the path satisfies it.

    `operator` is a key of the operator table, `operand` what that entry made of the JSON operand.
    """

    path: Path
    operator: str
    operand: object


@dataclass(frozen=True, slots=True)
class ElemMatch:
    """One element of an array at `path` satisfies `child` on its own.

    `objects`: `child` is a filter on the element's fields, so only objects (and, as in MongoDB,
    arrays seen as objects) count; otherwise `child` tests the element itself.
    """

    path: Path
    child: Node
    objects: bool


Node: TypeAlias = And | Or | Not | Test | ElemMatch

NOTHING = Or(())


def conjunction(children: tuple[Node, ...]) -> Node:
    """`And`, flattened: an `And` of `And`s is one, and one child stands for itself."""
    flat: list[Node] = []
    for child in children:
        flat.extend(child.children if isinstance(child, And) else (child,))
    return flat[0] if len(flat) == 1 else And(tuple(flat))


def count_tests(node: Node) -> int:
    """How many tests a record may be put to."""
    if isinstance(node, And | Or):
        return sum(map(count_tests, node.children))
    if isinstance(node, Not | ElemMatch):
        return count_tests(node.child)
    return 1
