"""What a filter means: the definition that the engines are held to."""

from __future__ import annotations

from collections.abc import Mapping

from lookalike.adapter.filters.field_paths import candidates
from lookalike.adapter.filters.operators.table import OPERATORS
from lookalike.adapter.filters.tree import And, ElemMatch, Node, Not, Or


def match(node: Node, record: Mapping[str, object]) -> bool:
    """Whether a record, as decoded JSON, satisfies a filter.

    The record's reserved key is no part of it: no filter that `parse` takes can name it.
    """
    return _holds(node, record)


def _holds(node: Node, value: object) -> bool:
    if isinstance(node, And):
        return all(_holds(child, value) for child in node.children)
    if isinstance(node, Or):
        return any(_holds(child, value) for child in node.children)
    if isinstance(node, Not):
        return not _holds(node.child, value)
    if isinstance(node, ElemMatch):
        return _holds_element(node, value)
    operator = OPERATORS[node.operator]
    decide, operand = operator.match, node.operand
    assert decide is not None  # `parse` makes tests only of operators that decide values
    found = candidates(value, node.path, leaf=not operator.only_arrays)
    return any(decide(each, operand) for each in found)


def _holds_element(node: ElemMatch, value: object) -> bool:
    for array in candidates(value, node.path, leaf=False):
        if not isinstance(array, list):
            continue
        for item in array:
            if node.objects and not isinstance(item, (dict, list)):
                continue
            if _holds(node.child, item):
                return True
    return False
