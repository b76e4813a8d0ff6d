"""`$in` and `$nin`: equal to one of the values of a list."""

from __future__ import annotations

from typing import Final

from qdrant_client import models

from lookalike.adapter.filters.bounds import UNKNOWN, Bounds, all_of, any_of, at_most, union
from lookalike.adapter.filters.engine_numbers import enclosing
from lookalike.adapter.filters.json_values import INT64_MAX, MISSING, Frozen, freeze, is_whole
from lookalike.adapter.filters.lookups import IndexKnowledge, has_type, has_value
from lookalike.adapter.filters.operators.comparison import in_range, is_scalar, translate_comparison
from lookalike.adapter.filters.operators.definition import Operator, negated
from lookalike.adapter.filters.reading import JsonOperand
from lookalike.adapter.filters.tree import NOTHING, Node, Path, Test

MAX_EQUALITIES: Final = 64
"""Numbers of a list that are asked for one by one; longer lists are enclosed."""


def _read(source: JsonOperand) -> Node:
    """A list of values. An empty one matches nothing."""
    budget, location = source.descent.budget, source.location
    values = frozenset(budget.read_value(item, location) for item in source.read_list())
    return Test(source.path, "$in", values) if values else NOTHING


def _match(value: object, operand: frozenset[Frozen]) -> bool:
    return (freeze(value) if value is not MISSING else None) in operand


def _translate(path: Path, operand: frozenset[Frozen], known: IndexKnowledge) -> Bounds:
    """One condition for all strings, one for each other value."""
    texts = sorted(value for value in operand if isinstance(value, str))
    numbers = sorted(value for value in operand if isinstance(value, (int, float)))
    others = [value for value in operand if not isinstance(value, (str, int, float))]
    parts = [_translate_texts(path, texts, known)] if texts else []
    if len(numbers) <= MAX_EQUALITIES:
        parts += [translate_comparison(path, "$eq", number, known) for number in numbers]
    else:
        parts.append(_translate_numbers(path, numbers, known))
    if len(others) <= MAX_EQUALITIES:
        parts += [translate_comparison(path, "$eq", other, known) for other in others]
    else:
        parts.append(UNKNOWN)
    return union(parts)


def _translate_texts(path: Path, texts: list[str], known: IndexKnowledge) -> Bounds:
    return has_value(
        path,
        known,
        lambda key: models.FieldCondition(key=key, match=models.MatchAny(any=texts)),
        letters="st",
    )


def _translate_numbers(path: Path, numbers: list[int | float], known: IndexKnowledge) -> Bounds:
    """A long list: integers exactly, since a match of integers sees no floats; floats by range."""
    integers = [int(n) for n in numbers if abs(n) <= INT64_MAX and is_whole(n)]
    limits = {"gte": enclosing(numbers[0])[0], "lte": enclosing(numbers[-1])[1]}
    enclosed = in_range(path, limits, known)
    found = has_value(
        path,
        known,
        lambda key: models.FieldCondition(key=key, match=models.MatchAny(any=integers)),
    )
    if not integers or found is UNKNOWN:
        return at_most(enclosed.superset)
    floats = all_of([has_type(path, "f", known).superset, enclosed.superset])
    return Bounds(any_of([found.superset, floats]), found.subset)


IN: Final = Operator(
    _read, _match, _translate, only_scalars=lambda operand: all(map(is_scalar, operand))
)
NIN: Final = negated(IN)
