"""`$eq`, `$ne`, `$gt`, `$gte`, `$lt` and `$lte`: only values of one type are ever compared."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from qdrant_client import models

from lookalike.adapter.filters import shadow
from lookalike.adapter.filters.bounds import (
    UNKNOWN,
    Bounds,
    Condition,
    all_of,
    any_of,
    at_most,
    complement,
    exactly,
    intersection,
    union,
)
from lookalike.adapter.filters.engine_numbers import enclosing, is_exact
from lookalike.adapter.filters.field_paths import ambiguous
from lookalike.adapter.filters.json_values import (
    MISSING,
    Array,
    Document,
    Flag,
    Frozen,
    bracket,
    freeze,
    order,
)
from lookalike.adapter.filters.lookups import (
    IndexKnowledge,
    has_token,
    has_type,
    has_value,
    token_condition,
)
from lookalike.adapter.filters.operators.definition import Operator, negated
from lookalike.adapter.filters.reading import JsonOperand
from lookalike.adapter.filters.tree import Node, Path, Test

MAX_HINTS: Final = 8
"""Parts of an array or a document that are asked for, to narrow a whole-value equality."""

# --- Match -------------------------------------------------------------------------------------


def _comparable(value: object, operand: Frozen) -> bool:
    """Whether both are in one bracket, so that it is worth freezing the value."""
    if isinstance(value, list):
        return isinstance(operand, Array)
    if isinstance(value, dict):
        return isinstance(operand, Document)
    return bracket(freeze(value)) == bracket(operand)


def _equals(value: object, operand: Frozen) -> bool:
    if operand is None:
        return value is None or value is MISSING
    return _comparable(value, operand) and freeze(value) == operand


def _compares(accepts: Callable[[int], bool], value: object, operand: Frozen) -> bool:
    if operand is None:
        return accepts(0) and (value is None or value is MISSING)
    return _comparable(value, operand) and accepts(order(freeze(value), operand))


def is_scalar(operand: Frozen) -> bool:
    """True if only strings and numbers compare with it, and so no array and no missing value."""
    return isinstance(operand, (str, int, float))


# --- Translate, by the type of the operand -----------------------------------------------------


def translate_comparison(
    path: Path, operator: str, operand: Frozen, known: IndexKnowledge
) -> Bounds:
    """The records with a value at `path` that compares so, for `$eq` and all but `$ne`."""
    if isinstance(operand, str):
        return _compare_text(path, operator, operand, known)
    if isinstance(operand, (int, float)):
        return _compare_number(path, operator, operand, known)
    if isinstance(operand, Flag):
        return _compare_flag(path, operator, operand, known)
    if isinstance(operand, Array):
        return _compare_array(path, operator, operand, known)
    if isinstance(operand, Document):
        return _compare_document(path, operator, operand, known)
    return _compare_null(path, operator, known)


def in_range(path: Path, limits: Mapping[str, float], known: IndexKnowledge) -> Bounds:
    """A number within limits, as the engine compares numbers: see `engine_numbers`."""
    return has_value(
        path,
        known,
        lambda key: models.FieldCondition(key=key, range=models.Range(**limits)),
        letters="ilf",
    )


_LIMITS: Final = {
    "$eq": ("gte", "lte"),
    "$gt": ("gt",),
    "$gte": ("gte",),
    "$lt": ("lt",),
    "$lte": ("lte",),
}


def _compare_number(path: Path, operator: str, operand: float, known: IndexKnowledge) -> Bounds:
    if is_exact(operand):
        return in_range(path, {limit: float(operand) for limit in _LIMITS[operator]}, known)
    below, above = enclosing(operand)
    wide = {f"{limit[:2]}e": below if limit[0] == "g" else above for limit in _LIMITS[operator]}
    superset = in_range(path, wide, known).superset
    if operator == "$eq":
        return at_most(superset)
    narrow = {"gt": above} if operator in ("$gt", "$gte") else {"lt": below}
    return Bounds(superset, in_range(path, narrow, known).subset)


def _equals_flag(path: Path, operand: Flag, known: IndexKnowledge) -> Bounds:
    letter = "T" if operand.value else "F"
    if known.complete and not ambiguous(path):
        return has_type(path, letter, known)
    native = has_value(
        path,
        known,
        lambda key: models.FieldCondition(key=key, match=models.MatchValue(value=operand.value)),
    )
    if native is UNKNOWN or ambiguous(path):
        return native
    token = exactly(has_type(path, letter, known).subset)
    truncated = exactly(token_condition([shadow.TRUNCATED]))
    return union([token, intersection([truncated, native])])


_FLAGS: Final = {
    ("$gt", Flag.FALSE): (Flag.TRUE,),
    ("$gte", Flag.FALSE): (Flag.FALSE, Flag.TRUE),
    ("$lte", Flag.FALSE): (Flag.FALSE,),
    ("$lt", Flag.TRUE): (Flag.FALSE,),
    ("$lte", Flag.TRUE): (Flag.FALSE, Flag.TRUE),
    ("$gte", Flag.TRUE): (Flag.TRUE,),
}


def _compare_flag(path: Path, operator: str, operand: Flag, known: IndexKnowledge) -> Bounds:
    wanted = (operand,) if operator == "$eq" else _FLAGS.get((operator, operand), ())
    return union([_equals_flag(path, flag, known) for flag in wanted])


def _compare_null(path: Path, operator: str, known: IndexKnowledge) -> Bounds:
    """Null, or a value that is missing: see the letters `u` and `A` in `shadow`."""
    if operator in ("$gt", "$lt"):
        return exactly(False)
    if ambiguous(path):
        return UNKNOWN
    nowhere = [complement(has_type(path, shadow.PRESENT, known))]
    nowhere += [complement(has_type(path[:i], "A", known)) for i in range(1, len(path))]
    return union([has_type(path, "nu", known), intersection(nowhere)])


def _compare_text(path: Path, operator: str, operand: str, known: IndexKnowledge) -> Bounds:
    if operator == "$eq":
        return _equals_text(path, operand, known)
    dates = has_type(path, "t", known).superset
    # A float index answers date ranges wrongly. A path has one index at most, so a keyword index is
    # safe.
    keyword = known.indexed.get(".".join(path)) == "keyword"
    if keyword and (day := shadow.first_day(operand)) is not None:
        dates = all_of([dates, _in_days(path, operator, day, known)])
    return at_most(any_of([has_type(path, "s", known).superset, dates]))


def _equals_text(path: Path, operand: str, known: IndexKnowledge) -> Bounds:
    return has_value(
        path,
        known,
        lambda key: models.FieldCondition(key=key, match=models.MatchValue(value=operand)),
        letters="st",
    )


def _in_days(path: Path, operator: str, day: datetime.datetime, known: IndexKnowledge) -> Condition:
    """The dates that a comparison of texts can accept, as instants.

    Texts of the form of `shadow.is_iso` are in order up to their day. What follows the day may
    differ by a zone, and so by less than a day more.
    """
    earliest, latest = day - datetime.timedelta(days=1), day + datetime.timedelta(days=2)
    limits = {"gte": earliest} if operator in ("$gt", "$gte") else {"lt": latest}
    found = has_value(
        path,
        known,
        lambda key: models.FieldCondition(key=key, range=models.DatetimeRange(**limits)),
    )
    return found.superset


def _compare_array(path: Path, operator: str, operand: Array, known: IndexKnowledge) -> Bounds:
    if operator != "$eq" or ambiguous(path):
        return at_most(has_type(path, "aANE", known).superset)
    if not operand.items:
        return has_token([shadow.size_token(0, path), shadow.token("E", path)], known)
    parts = [has_token([shadow.size_token(len(operand.items), path)], known).superset]
    parts += [
        translate_comparison(path, "$eq", item, known).superset
        for item in operand.items[:MAX_HINTS]
        if isinstance(item, (str, int, float))
    ]
    return at_most(any_of([all_of(parts), has_type(path, "N", known).superset]))


def _compare_document(
    path: Path, operator: str, operand: Document, known: IndexKnowledge
) -> Bounds:
    if operator != "$eq" or ambiguous(path):
        return at_most(has_type(path, "oO", known).superset)
    if not operand.fields:
        return has_type(path, "O", known)
    parts = [has_type(path, "o", known).superset]
    parts += [
        translate_comparison((*path, key), "$eq", value, known).superset
        for key, value in operand.fields[:MAX_HINTS]
        if isinstance(value, (str, int, float)) and "." not in key
    ]
    return at_most(all_of(parts))


# --- The operators -----------------------------------------------------------------------------


def _comparison(name: str, match: Callable[[object, Frozen], bool]) -> Operator:
    def read(source: JsonOperand) -> Node:
        return Test(source.path, name, source.read_value())

    def translate(path: Path, operand: Frozen, known: IndexKnowledge) -> Bounds:
        return translate_comparison(path, name, operand, known)

    return Operator(read, match, translate, only_scalars=is_scalar)


EQ: Final = _comparison("$eq", _equals)
NE: Final = negated(EQ)
GT: Final = _comparison("$gt", partial(_compares, lambda sign: sign > 0))
GTE: Final = _comparison("$gte", partial(_compares, lambda sign: sign >= 0))
LT: Final = _comparison("$lt", partial(_compares, lambda sign: sign < 0))
LTE: Final = _comparison("$lte", partial(_compares, lambda sign: sign <= 0))
