"""How the engine is asked about one path: by the payload, or by the shadow tokens.

Strings and numbers are looked up in the payload, under every spelling of the path. What the engine
cannot tell, or not quickly, is looked up in the tokens (see `shadow`). What neither can tell is
enclosed by what they can, and left to `match`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from qdrant_client import models

from lookalike.adapter.filters import field_paths, shadow
from lookalike.adapter.filters.bounds import (
    UNKNOWN,
    Bounds,
    Condition,
    all_of,
    any_of,
    at_most,
    exactly,
)
from lookalike.adapter.filters.tree import Path


@dataclass(frozen=True, slots=True)
class IndexKnowledge:
    """What is known of the indexes and of the tokens of the records that are filtered.

    `indexed`: field path -> `keyword` or `number`. It may change the speed, never the result, as
    long as no field that is named here has an index of another type.
    `complete`: no record carries the token `TRUNCATED`, so that an absent token says something.
    """

    indexed: Mapping[str, str]
    complete: bool


def has_value(
    path: Path,
    known: IndexKnowledge,
    condition: Callable[[str], models.Condition],
    *,
    letters: str = "",
) -> Bounds:
    """The path leads to a scalar of which `condition(key)` holds, asked under every spelling.

    `letters`: the types of such scalars. Where the engine cannot spell the path, the records with a
    value of these types are the superset; without letters, `UNKNOWN`.
    """
    plain = field_paths.engine_key(path)
    if plain is None or 2 ** (len(path) - 1) > field_paths.MAX_VARIANTS:
        return at_most(has_type(path, letters, known).superset) if letters else UNKNOWN
    if len(path) == 1:
        return exactly(condition(plain))
    if field_paths.ambiguous(path):
        return at_most(any_of(condition(key) for key in field_paths.index_spellings(path)))
    branches: list[Condition] = [condition(plain)]
    # An index serves one spelling. The others would have the engine scan, unless the tokens
    # first say which records have arrays there: in most collections none.
    guarded = ".".join(path) in known.indexed
    for key, arrays in field_paths.array_spellings(path):
        guards = [has_type(array, "a", known).superset for array in arrays] if guarded else []
        branches.append(all_of([*guards, condition(key)]))
    return exactly(any_of(branches))


def has_type(path: Path, letters: str, known: IndexKnowledge) -> Bounds:
    """The path leads to a value of one of these types (see `shadow`)."""
    if not field_paths.ambiguous(path):
        return has_token([shadow.token(letter, path) for letter in letters], known)
    # Paths with possible indices have no tokens; ask for the path before the first such step.
    before = next(i for i, step in enumerate(path) if i and field_paths.is_index(step))
    return at_most(has_type(path[:before], "aAo", known).superset)


def has_token(names: list[str], known: IndexKnowledge) -> Bounds:
    """The record has one of the tokens. One that was truncated may have it."""
    if known.complete:
        return exactly(token_condition(names))
    return Bounds(token_condition([*names, shadow.TRUNCATED]), token_condition(names))


def token_condition(names: list[str]) -> models.FieldCondition:
    """The record has one of the tokens. One token alone is looked up twice as fast as a value."""
    match = models.MatchValue(value=names[0]) if len(names) == 1 else models.MatchAny(any=names)
    return models.FieldCondition(key=shadow.SHADOW_PATH, match=match)
