"""How each operator is asked of the engine: a test -> `Bounds`.

Strings and numbers are looked up in the payload, under every spelling of the path. What the engine
cannot tell, or not quickly, is looked up in the shadow tokens. What neither can tell is enclosed by
what they can, and left to `match`.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from qdrant_client import models

from lookalike.adapter.filters import field_paths, patterns, shadow
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
from lookalike.adapter.filters.json_values import Array, Document, Flag, Frozen
from lookalike.adapter.filters.tree import Path

EXACT_BELOW: Final = 2**53
EXACT_ABOVE: Final = 2**64
"""The engine compares numbers as doubles. Between these two an integer may be rounded."""

MAX_EQUALITIES: Final = 64
"""Numbers in an `$in` that are asked for one by one; longer lists are enclosed."""

MAX_HINTS: Final = 8
"""Parts of an array or a document that are asked for, to narrow a whole-value equality."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What is known of the collection.

    `indexed`: field path -> `keyword` or `number`. It may change the speed, never the result, as
    long as no field that is named here has an index of another type.
    `complete`: no record carries the token `TRUNCATED`, so that an absent token says something.
    """

    indexed: Mapping[str, str]
    complete: bool


# --- The two sources: payload and tokens -------------------------------------------------------


def spelled(path: Path, scope: Scope, make: Callable[[str], models.Condition]) -> Bounds:
    """`make(key)` under every spelling of the path: a scalar at its end satisfies the condition."""
    plain = field_paths.engine_key(path)
    if plain is None:
        return UNKNOWN
    if len(path) == 1:
        return exactly(make(plain))
    if 2 ** (len(path) - 1) > field_paths.MAX_VARIANTS:
        return UNKNOWN
    if field_paths.ambiguous(path):
        return at_most(any_of(make(key) for key in field_paths.index_spellings(path)))
    branches: list[Condition] = [make(plain)]
    # An index serves one spelling. The others would have the engine scan, unless the tokens
    # first say which records have arrays there: in most collections none.
    guarded = ".".join(path) in scope.indexed
    for key, arrays in field_paths.array_spellings(path):
        guards = [tokens(array, "a", scope).superset for array in arrays] if guarded else []
        branches.append(all_of([*guards, make(key)]))
    return exactly(any_of(branches))


def has_token(names: list[str]) -> models.FieldCondition:
    """The record has one of the tokens. One token alone is looked up twice as fast as a value."""
    match = models.MatchValue(value=names[0]) if len(names) == 1 else models.MatchAny(any=names)
    return models.FieldCondition(key=shadow.SHADOW_PATH, match=match)


def any_token(names: list[str], scope: Scope) -> Bounds:
    """The record has one of the tokens. One that was truncated may have it."""
    if scope.complete:
        return exactly(has_token(names))
    return Bounds(has_token([*names, shadow.TRUNCATED]), has_token(names))


def tokens(path: Path, letters: str, scope: Scope) -> Bounds:
    """The path leads to a value of one of these types (see `shadow`)."""
    if not field_paths.ambiguous(path):
        return any_token([shadow.token(letter, path) for letter in letters], scope)
    # Steps that may be indices have no tokens; whatever they lead to is inside of what is before.
    before = next(i for i, step in enumerate(path) if i and field_paths.is_index(step))
    return at_most(tokens(path[:before], "aAo", scope).superset)


# --- Comparisons, by the type of the operand ---------------------------------------------------


def _equals_text(path: Path, operand: str, scope: Scope) -> Bounds:
    found = spelled(
        path,
        scope,
        lambda key: models.FieldCondition(key=key, match=models.MatchValue(value=operand)),
    )
    return found if found is not UNKNOWN else at_most(tokens(path, "st", scope).superset)


def _in_range(path: Path, limits: Mapping[str, float], scope: Scope) -> Bounds:
    found = spelled(
        path,
        scope,
        lambda key: models.FieldCondition(key=key, range=models.Range(**limits)),
    )
    return found if found is not UNKNOWN else at_most(tokens(path, "ilf", scope).superset)


_LIMITS: Final = {
    "$eq": ("gte", "lte"),
    "$gt": ("gt",),
    "$gte": ("gte",),
    "$lt": ("lt",),
    "$lte": ("lte",),
}


def compare_number(path: Path, operator: str, operand: float, scope: Scope) -> Bounds:
    if not EXACT_BELOW <= abs(operand) <= EXACT_ABOVE:
        return _in_range(path, {limit: float(operand) for limit in _LIMITS[operator]}, scope)
    # One step wider than the rounding of either side, and inclusive.
    below, above = (math.nextafter(float(operand), end) for end in (-math.inf, math.inf))
    wide = {f"{limit[:2]}e": below if limit[0] == "g" else above for limit in _LIMITS[operator]}
    return at_most(_in_range(path, wide, scope).superset)


def _equals_flag(path: Path, operand: Flag, scope: Scope) -> Bounds:
    if scope.complete and not field_paths.ambiguous(path):
        return tokens(path, "T" if operand.value else "F", scope)
    native = spelled(
        path,
        scope,
        lambda key: models.FieldCondition(key=key, match=models.MatchValue(value=operand.value)),
    )
    if native is UNKNOWN or field_paths.ambiguous(path):
        return native
    token = exactly(tokens(path, "T" if operand.value else "F", scope).subset)
    return union([token, intersection([exactly(has_token([shadow.TRUNCATED])), native])])


_FLAGS: Final = {
    ("$gt", Flag.FALSE): (Flag.TRUE,),
    ("$gte", Flag.FALSE): (Flag.FALSE, Flag.TRUE),
    ("$lte", Flag.FALSE): (Flag.FALSE,),
    ("$lt", Flag.TRUE): (Flag.FALSE,),
    ("$lte", Flag.TRUE): (Flag.FALSE, Flag.TRUE),
    ("$gte", Flag.TRUE): (Flag.TRUE,),
}


def _compare_flag(path: Path, operator: str, operand: Flag, scope: Scope) -> Bounds:
    wanted = (operand,) if operator == "$eq" else _FLAGS.get((operator, operand), ())
    return union([_equals_flag(path, flag, scope) for flag in wanted])


def _compare_null(path: Path, operator: str, scope: Scope) -> Bounds:
    """Null, or a value that is missing: see the letters `u` and `A` in `shadow`."""
    if operator in ("$gt", "$lt"):
        return exactly(False)
    if field_paths.ambiguous(path):
        return UNKNOWN
    nowhere = [complement(tokens(path, shadow.PRESENT, scope))]
    nowhere += [complement(tokens(path[:i], "A", scope)) for i in range(1, len(path))]
    return union([tokens(path, "nu", scope), intersection(nowhere)])


def _compare_text(path: Path, operator: str, operand: str, scope: Scope) -> Bounds:
    if operator == "$eq":
        return _equals_text(path, operand, scope)
    dates = tokens(path, "t", scope).superset
    # A float index would answer for a range of dates, and wrongly; a keyword index leaves it to the
    # payload, and where there is one there is no other.
    keyword = scope.indexed.get(".".join(path)) == "keyword"
    if keyword and (day := shadow.first_day(operand)) is not None:
        dates = all_of([dates, _in_days(path, operator, day, scope)])
    return at_most(any_of([tokens(path, "s", scope).superset, dates]))


def _in_days(path: Path, operator: str, day: datetime.datetime, scope: Scope) -> Condition:
    """The dates that a comparison of texts can accept, as instants.

    Texts of the form of `shadow.is_iso` are in order up to their day. What follows the day may
    differ by a zone, and so by less than a day more.
    """
    earliest, latest = day - datetime.timedelta(days=1), day + datetime.timedelta(days=2)
    limits = {"gte": earliest} if operator in ("$gt", "$gte") else {"lt": latest}
    found = spelled(
        path,
        scope,
        lambda key: models.FieldCondition(key=key, range=models.DatetimeRange(**limits)),
    )
    return found.superset


def _compare_array(path: Path, operator: str, operand: Array, scope: Scope) -> Bounds:
    if operator != "$eq" or field_paths.ambiguous(path):
        return at_most(tokens(path, "aANE", scope).superset)
    if not operand.items:
        return any_token([shadow.size_token(0, path), shadow.token("E", path)], scope)
    parts = [any_token([shadow.size_token(len(operand.items), path)], scope).superset]
    parts += [
        compare(path, "$eq", item, scope).superset
        for item in operand.items[:MAX_HINTS]
        if isinstance(item, (str, int, float))
    ]
    return at_most(any_of([all_of(parts), tokens(path, "N", scope).superset]))


def _compare_document(path: Path, operator: str, operand: Document, scope: Scope) -> Bounds:
    if operator != "$eq" or field_paths.ambiguous(path):
        return at_most(tokens(path, "oO", scope).superset)
    if not operand.fields:
        return tokens(path, "O", scope)
    parts = [tokens(path, "o", scope).superset]
    parts += [
        compare((*path, key), "$eq", value, scope).superset
        for key, value in operand.fields[:MAX_HINTS]
        if isinstance(value, (str, int, float)) and "." not in key
    ]
    return at_most(all_of(parts))


def compare(path: Path, operator: str, operand: Frozen, scope: Scope) -> Bounds:
    """`$eq`, `$gt`, `$gte`, `$lt` and `$lte`, which compare values of one type only."""
    if isinstance(operand, str):
        return _compare_text(path, operator, operand, scope)
    if isinstance(operand, (int, float)):
        return compare_number(path, operator, operand, scope)
    if isinstance(operand, Flag):
        return _compare_flag(path, operator, operand, scope)
    if isinstance(operand, Array):
        return _compare_array(path, operator, operand, scope)
    if isinstance(operand, Document):
        return _compare_document(path, operator, operand, scope)
    return _compare_null(path, operator, scope)


# --- The other operators -----------------------------------------------------------------------


def among(path: Path, operand: frozenset[Frozen], scope: Scope) -> Bounds:
    """`$in`: one condition for all strings, one for each other value."""
    texts = sorted(value for value in operand if isinstance(value, str))
    numbers = sorted(value for value in operand if isinstance(value, (int, float)))
    others = [value for value in operand if not isinstance(value, (str, int, float))]
    parts = [_among_texts(path, texts, scope)] if texts else []
    if len(numbers) <= MAX_EQUALITIES:
        parts += [compare(path, "$eq", number, scope) for number in numbers]
    else:
        parts.append(_among_numbers(path, numbers, scope))
    if len(others) <= MAX_EQUALITIES:
        parts += [compare(path, "$eq", other, scope) for other in others]
    else:
        parts.append(UNKNOWN)
    return union(parts)


def _among_texts(path: Path, texts: list[str], scope: Scope) -> Bounds:
    found = spelled(
        path, scope, lambda key: models.FieldCondition(key=key, match=models.MatchAny(any=texts))
    )
    return found if found is not UNKNOWN else at_most(tokens(path, "st", scope).superset)


def _among_numbers(path: Path, numbers: list[int | float], scope: Scope) -> Bounds:
    """A long list: integers exactly, since a match of integers sees no floats; floats by range."""
    integers = [int(number) for number in numbers if float(number).is_integer()]
    limits = {
        "gte": math.nextafter(float(numbers[0]), -math.inf),
        "lte": math.nextafter(float(numbers[-1]), math.inf),
    }
    in_range = _in_range(path, limits, scope)
    found = spelled(
        path,
        scope,
        lambda key: models.FieldCondition(key=key, match=models.MatchAny(any=integers)),
    )
    if not integers or found is UNKNOWN:
        return at_most(in_range.superset)
    floats = all_of([tokens(path, "f", scope).superset, in_range.superset])
    return Bounds(any_of([found.superset, floats]), found.subset)


def exists(path: Path, operand: object, scope: Scope) -> Bounds:
    return tokens(path, shadow.PRESENT, scope)


_TYPE_LETTERS: Final = {
    "string": "st",
    "int": "i",
    "long": "l",
    "double": "f",
    "bool": "TF",
    "null": "n",
    "object": "oO",
    "array": "aANE",
}


def of_type(path: Path, operand: frozenset[str], scope: Scope) -> Bounds:
    return tokens(path, "".join(_TYPE_LETTERS[name] for name in sorted(operand)), scope)


def of_size(path: Path, operand: int, scope: Scope) -> Bounds:
    if field_paths.ambiguous(path):
        return tokens(path, "aA", scope)
    return any_token([shadow.size_token(operand, path)], scope)


def of_remainder(path: Path, operand: object, scope: Scope) -> Bounds:
    return at_most(tokens(path, "ilf", scope).superset)


def by_pattern(path: Path, operand: patterns.Pattern, scope: Scope) -> Bounds:
    anchor = patterns.anchor(operand)
    if anchor is None:
        return at_most(tokens(path, "st", scope).superset)
    if (
        scope.complete
        and anchor.exact
        and anchor.texts == ("",)
        and not field_paths.ambiguous(path)
    ):
        return tokens(path, "st", scope)
    found = spelled(path, scope, lambda key: _anchored(key, anchor))
    if found is UNKNOWN:
        return at_most(tokens(path, "st", scope).superset)
    return found if anchor.exact else at_most(found.superset)


def _anchored(key: str, anchor: patterns.Anchor) -> models.FieldCondition:
    match: models.Match
    if anchor.kind == "is":
        match = models.MatchAny(any=list(anchor.texts))
    elif anchor.kind == "prefix":
        match = models.MatchPrefix(prefix=anchor.texts[0])
    else:
        match = models.MatchSubstring(substring=anchor.texts[0])
    return models.FieldCondition(key=key, match=match)
