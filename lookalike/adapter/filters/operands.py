"""The JSON operand of each operator -> nodes of the tree. Wrong operands are refused here."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Protocol

import re2

from lookalike.adapter.filters import patterns
from lookalike.adapter.filters.json_values import INT64_MAX, JSON_TYPES, OTHER_TYPES
from lookalike.adapter.filters.tree import (
    NOTHING,
    ElemMatch,
    Node,
    Not,
    Test,
    conjunction,
)

if TYPE_CHECKING:
    from lookalike.adapter.filters.parse import Reader, Spot


class Builder(Protocol):
    """Makes the node of one operator. `siblings` are all operators of the same field."""

    def __call__(
        self, reader: Reader, operand: object, spot: Spot, siblings: Mapping[str, object], /
    ) -> Node: ...


def comparison(name: str) -> Builder:
    """`$eq`, `$gt`, `$gte`, `$lt`, `$lte`: any JSON value."""

    def build(reader: Reader, operand: object, spot: Spot, _: Mapping[str, object]) -> Node:
        return Test(spot.path, name, reader.literal(operand, spot))

    return build


def negated(builder: Builder) -> Builder:
    """`$ne` and `$nin`: what their counterpart does not match, missing fields included."""

    def build(reader: Reader, operand: object, spot: Spot, siblings: Mapping[str, object]) -> Node:
        return Not(builder(reader, operand, spot, siblings))

    return build


def membership(reader: Reader, operand: object, spot: Spot, _: Mapping[str, object]) -> Node:
    """`$in`, and below `$nin`: a list of values. An empty one matches nothing."""
    values = _items(reader, operand, spot)
    frozen = frozenset(reader.literal(value, spot) for value in values)
    return Test(spot.path, "$in", frozen) if frozen else NOTHING


def _items(reader: Reader, operand: object, spot: Spot) -> list[object]:
    if not isinstance(operand, list):
        raise spot.refuse("the operand must be a list")
    if len(operand) > reader.max_list:
        raise spot.refuse(f"a list of more than {reader.max_list} values")
    return operand


def negation(reader: Reader, operand: object, spot: Spot, _: Mapping[str, object]) -> Node:
    """`$not`: an object of operators."""
    return Not(reader.operators(operand, spot))


def existence(reader: Reader, operand: object, spot: Spot, _: Mapping[str, object]) -> Node:
    """`$exists`: any operand, read as MongoDB reads truth: null, false and 0 are false."""
    reader.literal(operand, spot)
    wanted = operand is not None and not (isinstance(operand, (int, float)) and operand == 0)
    test = Test(spot.path, "$exists", True)
    return test if wanted else Not(test)


_CODES: Final = {code: name for name, code in {**JSON_TYPES, **OTHER_TYPES}.items()}
_NUMBERS: Final = frozenset(["int", "long", "double"])


def types(reader: Reader, operand: object, spot: Spot, _: Mapping[str, object]) -> Node:
    """`$type`: an alias, a BSON type code, or a list of them that is not empty."""
    items = _items(reader, operand, spot) if isinstance(operand, list) else [operand]
    if not items:
        raise spot.refuse("the list of types is empty")
    names: frozenset[str] = frozenset()
    for item in items:
        names |= _type_names(item, spot)
    wanted = names & JSON_TYPES.keys()
    return Test(spot.path, "$type", wanted) if wanted else NOTHING


def _type_names(item: object, spot: Spot) -> frozenset[str]:
    if item == "number":
        return _NUMBERS
    name = item
    if isinstance(item, (int, float)) and not isinstance(item, bool):
        name = _CODES.get(int(item)) if _is_whole(item) else None
    if isinstance(name, str) and (name in JSON_TYPES or name in OTHER_TYPES):
        return frozenset([name])
    raise spot.refuse("an unknown type: $type takes the aliases and codes of BSON types")


def every(reader: Reader, operand: object, spot: Spot, _: Mapping[str, object]) -> Node:
    """`$all`: each value is found, or each `$elemMatch` holds. An empty list matches nothing."""
    items = _items(reader, operand, spot)
    reader.count(len(items), spot)
    children = []
    for index, item in enumerate(items):
        there = spot.item(index)
        if isinstance(item, dict) and "$elemMatch" in item:
            if len(item) > 1:
                raise there.refuse("$elemMatch in $all stands alone")
            inner = there.deeper().at("$elemMatch")
            children.append(element(reader, item["$elemMatch"], inner, item))
        else:
            children.append(Test(spot.path, "$eq", reader.literal(item, there)))
    return conjunction(tuple(children)) if children else NOTHING


def element(reader: Reader, operand: object, spot: Spot, _: Mapping[str, object]) -> Node:
    """`$elemMatch`: operators for the element itself, or a filter on its fields."""
    fields = reader.fields(operand, spot, "the operand of $elemMatch")
    logical = {"$and", "$or", "$nor"}
    if any(key.startswith("$") and key not in logical for key in fields):
        return ElemMatch(spot.path, reader.operators(operand, spot.of_element()), objects=False)
    return ElemMatch(spot.path, reader.document(operand, spot), objects=True)


def size(reader: Reader, operand: object, spot: Spot, _: Mapping[str, object]) -> Node:
    """`$size`: a whole number that is not negative."""
    if type(operand) not in (int, float) or not _is_whole(operand):
        raise spot.refuse("$size takes a whole number")
    count = int(operand)  # type: ignore[call-overload]  # a whole number
    if not 0 <= count <= INT64_MAX:
        raise spot.refuse("$size takes a number of elements, 0 or more")
    return Test(spot.path, "$size", count)


def _is_whole(number: object) -> bool:
    return isinstance(number, int) or (isinstance(number, float) and number.is_integer())


def modulo(reader: Reader, operand: object, spot: Spot, _: Mapping[str, object]) -> Node:
    """`$mod`: a list of divisor and remainder, both cut to whole numbers of 64 bits."""
    if not isinstance(operand, list) or len(operand) != 2:
        raise spot.refuse("$mod takes a list of a divisor and a remainder")
    divisor, remainder = (_truncated(item, spot) for item in operand)
    if divisor == 0:
        raise spot.refuse("the divisor of $mod is 0")
    return Test(spot.path, "$mod", (divisor, remainder))


def _truncated(item: object, spot: Spot) -> int:
    if isinstance(item, bool) or not isinstance(item, (int, float)):
        raise spot.refuse("$mod takes numbers")
    if not -INT64_MAX - 1 <= item <= INT64_MAX:  # also refuses NaN
        raise spot.refuse("a number of $mod is out of range")
    return math.trunc(item)


def pattern(reader: Reader, operand: object, spot: Spot, siblings: Mapping[str, object]) -> Node:
    """`$regex`, with the `$options` beside it."""
    options = siblings.get("$options", "")
    if not isinstance(operand, str):
        raise spot.refuse("$regex takes a string")
    if not isinstance(options, str) or not set(options) <= patterns.OPTIONS:
        raise spot.refuse("$options takes the letters i, m, s and x")
    if "\0" in operand:
        raise spot.refuse("$regex takes no null characters")
    reader.literal(operand, spot)
    reader.spend(operand, spot)
    made = patterns.Pattern(operand, "".join(sorted(set(options))))
    try:
        patterns.compiled(made)
    except re2.error:
        # RE2's own message quotes the pattern.
        text = (
            "$regex: RE2 does not take this pattern; it may be malformed or too large, and"
            " lookaround, back-references and possessive quantifiers are not supported"
        )
        raise spot.refuse(text) from None
    return Test(spot.path, "$regex", made)


def options(reader: Reader, operand: object, spot: Spot, siblings: Mapping[str, object]) -> Node:
    """`$options` says nothing of its own: `$regex` beside it has read it."""
    if "$regex" not in siblings:
        raise spot.refuse("$options without $regex")
    return conjunction(())
