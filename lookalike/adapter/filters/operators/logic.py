"""`$and`, `$or` and `$nor`: they stand at the top of a filter and join filters, not values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from lookalike.adapter.filters.tree import Node, Not, Or, conjunction


def _nor(children: tuple[Node, ...]) -> Node:
    return conjunction(tuple(Not(child) for child in children))


LOGICAL: Final[Mapping[str, Callable[[tuple[Node, ...]], Node]]] = MappingProxyType(
    {"$and": conjunction, "$or": Or, "$nor": _nor}
)
