"""The JSON operand of each operator -> nodes of the tree. Wrong operands are refused here."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final, Protocol

import re2

from lookalike.adapter.filters import patterns
from lookalike.adapter.filters.json_values import INT64_MAX, JSON_TYPES, OTHER_TYPES
from lookalike.adapter.filters.reading import Descent, Location, read_fields, read_list
from lookalike.adapter.filters.tree import (
    NOTHING,
    ElemMatch,
    Node,
    Not,
    Test,
    conjunction,
)


class Builder(Protocol):
    """Makes the node of one operator. `siblings` are all operators of the same field."""

    def __call__(
        self,
        descent: Descent,
        operand: object,
        location: Location,
        siblings: Mapping[str, object],
        /,
    ) -> Node: ...


def comparison(name: str) -> Builder:
    """`$eq`, `$gt`, `$gte`, `$lt`, `$lte`: any JSON value."""

    def build(
        descent: Descent, operand: object, location: Location, _: Mapping[str, object]
    ) -> Node:
        return Test(location.path, name, descent.budget.read_value(operand, location))

    return build


def negated(builder: Builder) -> Builder:
    """`$ne` and `$nin`: what their counterpart does not match, missing fields included."""

    def build(
        descent: Descent, operand: object, location: Location, siblings: Mapping[str, object]
    ) -> Node:
        return Not(builder(descent, operand, location, siblings))

    return build


def membership(
    descent: Descent, operand: object, location: Location, _: Mapping[str, object]
) -> Node:
    """`$in`, and below `$nin`: a list of values. An empty one matches nothing."""
    values = read_list(operand, location)
    frozen = frozenset(descent.budget.read_value(value, location) for value in values)
    return Test(location.path, "$in", frozen) if frozen else NOTHING


def negation(
    descent: Descent, operand: object, location: Location, _: Mapping[str, object]
) -> Node:
    """`$not`: an object of operators."""
    return Not(descent.read_operators(operand, location))


def existence(
    descent: Descent, operand: object, location: Location, _: Mapping[str, object]
) -> Node:
    """`$exists`: any operand, read as MongoDB reads truth: null, false and 0 are false."""
    descent.budget.read_value(operand, location)
    wanted = operand is not None and not (isinstance(operand, (int, float)) and operand == 0)
    test = Test(location.path, "$exists", True)
    return test if wanted else Not(test)


_CODES: Final = {code: name for name, code in {**JSON_TYPES, **OTHER_TYPES}.items()}
_NUMBERS: Final = frozenset(["int", "long", "double"])


def types(descent: Descent, operand: object, location: Location, _: Mapping[str, object]) -> Node:
    """`$type`: an alias, a BSON type code, or a list of them that is not empty."""
    items = read_list(operand, location) if isinstance(operand, list) else [operand]
    if not items:
        raise location.refuse("the list of types is empty")
    names: frozenset[str] = frozenset()
    for item in items:
        names |= _type_names(item, location)
    wanted = names & JSON_TYPES.keys()
    return Test(location.path, "$type", wanted) if wanted else NOTHING


def _type_names(item: object, location: Location) -> frozenset[str]:
    if item == "number":
        return _NUMBERS
    name = item
    if isinstance(item, (int, float)) and not isinstance(item, bool):
        name = _CODES.get(int(item)) if _is_whole(item) else None
    if isinstance(name, str) and (name in JSON_TYPES or name in OTHER_TYPES):
        return frozenset([name])
    raise location.refuse("an unknown type: $type takes the aliases and codes of BSON types")


def every(descent: Descent, operand: object, location: Location, _: Mapping[str, object]) -> Node:
    """`$all`: each value is found, or each `$elemMatch` holds. An empty list matches nothing."""
    items = read_list(operand, location)
    descent.budget.count_nodes(len(items), location)
    children = []
    for index, item in enumerate(items):
        there = location.item(index)
        if isinstance(item, dict) and "$elemMatch" in item:
            if len(item) > 1:
                raise there.refuse("$elemMatch in $all stands alone")
            inner = there.deeper().at("$elemMatch")
            children.append(element(descent, item["$elemMatch"], inner, item))
        else:
            children.append(Test(location.path, "$eq", descent.budget.read_value(item, there)))
    return conjunction(tuple(children)) if children else NOTHING


def element(descent: Descent, operand: object, location: Location, _: Mapping[str, object]) -> Node:
    """`$elemMatch`: operators for the element itself, or a filter on its fields."""
    fields = read_fields(operand, location, "the operand of $elemMatch")
    logical = {"$and", "$or", "$nor"}
    if any(key.startswith("$") and key not in logical for key in fields):
        return ElemMatch(
            location.path, descent.read_operators(operand, location.of_element()), objects=False
        )
    return ElemMatch(location.path, descent.read_filter(operand, location), objects=True)


def size(descent: Descent, operand: object, location: Location, _: Mapping[str, object]) -> Node:
    """`$size`: a whole number that is not negative."""
    if type(operand) not in (int, float) or not _is_whole(operand):
        raise location.refuse("$size takes a whole number")
    count = int(operand)  # type: ignore[call-overload]  # a whole number
    if not 0 <= count <= INT64_MAX:
        raise location.refuse("$size takes a number of elements, 0 or more")
    return Test(location.path, "$size", count)


def _is_whole(number: object) -> bool:
    return isinstance(number, int) or (isinstance(number, float) and number.is_integer())


def modulo(descent: Descent, operand: object, location: Location, _: Mapping[str, object]) -> Node:
    """`$mod`: a list of divisor and remainder, both cut to whole numbers of 64 bits."""
    if not isinstance(operand, list) or len(operand) != 2:
        raise location.refuse("$mod takes a list of a divisor and a remainder")
    divisor, remainder = (_truncated(item, location) for item in operand)
    if divisor == 0:
        raise location.refuse("the divisor of $mod is 0")
    return Test(location.path, "$mod", (divisor, remainder))


def _truncated(item: object, location: Location) -> int:
    if isinstance(item, bool) or not isinstance(item, (int, float)):
        raise location.refuse("$mod takes numbers")
    if not -INT64_MAX - 1 <= item <= INT64_MAX:  # also refuses NaN
        raise location.refuse("a number of $mod is out of range")
    return math.trunc(item)


def pattern(
    descent: Descent, operand: object, location: Location, siblings: Mapping[str, object]
) -> Node:
    """`$regex`, with the `$options` beside it."""
    options = siblings.get("$options", "")
    if not isinstance(operand, str):
        raise location.refuse("$regex takes a string")
    if not isinstance(options, str) or not set(options) <= patterns.OPTIONS:
        raise location.refuse("$options takes the letters i, m, s and x")
    if "\0" in operand:
        raise location.refuse("$regex takes no null characters")
    descent.budget.read_value(operand, location)
    descent.budget.count_pattern(operand, location)
    made = patterns.Pattern(operand, "".join(sorted(set(options))))
    try:
        patterns.compiled(made)
    except re2.error:
        # RE2's own message quotes the pattern.
        text = (
            "$regex: RE2 does not take this pattern; it may be malformed or too large, and"
            " lookaround, back-references and possessive quantifiers are not supported"
        )
        raise location.refuse(text) from None
    return Test(location.path, "$regex", made)


def options(
    descent: Descent, operand: object, location: Location, siblings: Mapping[str, object]
) -> Node:
    """`$options` says nothing of its own: `$regex` beside it has read it."""
    if "$regex" not in siblings:
        raise location.refuse("$options without $regex")
    return conjunction(())
