"""`$all`, `$elemMatch` and `$size`: what is said of arrays.

`$all` and `$elemMatch` are read as nodes of other operators; `translate` and `match` know
`ElemMatch` as a form of the tree.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from lookalike.adapter.filters import shadow
from lookalike.adapter.filters.bounds import Bounds
from lookalike.adapter.filters.field_paths import ambiguous
from lookalike.adapter.filters.json_values import INT64_MAX, is_whole
from lookalike.adapter.filters.lookups import IndexKnowledge, has_token, has_type
from lookalike.adapter.filters.operators.definition import Operator
from lookalike.adapter.filters.operators.logic import LOGICAL
from lookalike.adapter.filters.reading import JsonOperand, read_fields
from lookalike.adapter.filters.tree import NOTHING, ElemMatch, Node, Path, Test, conjunction


def _read_all(source: JsonOperand) -> Node:
    """Each value is found, or each `$elemMatch` holds. An empty list matches nothing."""
    items = source.read_list()
    source.descent.budget.count_nodes(len(items), source.location)
    children = tuple(
        _read_all_item(replace(source, value=item, location=source.location.item(index)))
        for index, item in enumerate(items)
    )
    return conjunction(children) if children else NOTHING


def _read_all_item(source: JsonOperand) -> Node:
    item = source.value
    if not (isinstance(item, dict) and "$elemMatch" in item):
        return Test(source.path, "$eq", source.read_value())
    if len(item) > 1:
        raise source.refuse("$elemMatch in $all stands alone")
    inner = source.location.deeper().at("$elemMatch")
    return _read_element(replace(source, value=item["$elemMatch"], location=inner))


def _read_element(source: JsonOperand) -> Node:
    """Operators for the element itself, or a filter on its fields."""
    location, descent = source.location, source.descent
    fields = read_fields(source.value, location, "the operand of $elemMatch")
    of_element = location.of_element()
    if any(key.startswith("$") and key not in LOGICAL for key in fields):
        operators = descent.read_operators(source.value, of_element)
        return ElemMatch(source.path, operators, objects=False)
    return ElemMatch(source.path, descent.read_filter(source.value, of_element), objects=True)


def _read_size(source: JsonOperand) -> Node:
    """A whole number that is not negative."""
    if type(source.value) not in (int, float) or not is_whole(source.value):
        raise source.refuse("$size takes a whole number")
    count = int(source.value)  # type: ignore[call-overload]  # a whole number
    if not 0 <= count <= INT64_MAX:
        raise source.refuse("$size takes a number of elements, 0 or more")
    return Test(source.path, "$size", count)


def _match_size(value: object, operand: int) -> bool:
    return isinstance(value, list) and len(value) == operand


def _translate_size(path: Path, operand: int, known: IndexKnowledge) -> Bounds:
    if ambiguous(path):
        return has_type(path, "aA", known)
    return has_token([shadow.size_token(operand, path)], known)


ALL: Final = Operator(_read_all)
ELEM_MATCH: Final = Operator(_read_element)
SIZE: Final = Operator(_read_size, _match_size, _translate_size, only_arrays=True)
