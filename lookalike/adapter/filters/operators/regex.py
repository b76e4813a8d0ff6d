"""`$regex`, and the `$options` beside it. What a pattern means is in `patterns`."""

from __future__ import annotations

from typing import Final

import re2
from qdrant_client import models

from lookalike.adapter.filters import patterns
from lookalike.adapter.filters.bounds import Bounds, at_most
from lookalike.adapter.filters.field_paths import ambiguous
from lookalike.adapter.filters.lookups import IndexKnowledge, has_type, has_value
from lookalike.adapter.filters.operators.definition import Operator
from lookalike.adapter.filters.reading import JsonOperand
from lookalike.adapter.filters.tree import Node, Path, Test, conjunction


def _read(source: JsonOperand) -> Node:
    text, options = source.value, source.siblings.get("$options", "")
    if not isinstance(text, str):
        raise source.refuse("$regex takes a string")
    if not isinstance(options, str) or not set(options) <= patterns.OPTION_LETTERS:
        raise source.refuse("$options takes the letters i, m, s and x")
    if "\0" in text:
        raise source.refuse("$regex takes no null characters")
    source.read_value()
    source.descent.budget.count_pattern(text, source.location)
    pattern = patterns.Pattern(text, "".join(sorted(set(options))))
    try:
        patterns.compiled(pattern)
    except re2.error:
        # RE2's own message quotes the pattern.
        refusal = (
            "$regex: RE2 does not take this pattern; it may be malformed or too large, and"
            " lookaround, back-references and possessive quantifiers are not supported"
        )
        raise source.refuse(refusal) from None
    return Test(source.path, "$regex", pattern)


def _read_options(source: JsonOperand) -> Node:
    """`$options` says nothing of its own: `$regex` beside it has read it."""
    if "$regex" not in source.siblings:
        raise source.refuse("$options without $regex")
    return conjunction(())


def _match(value: object, operand: patterns.Pattern) -> bool:
    return isinstance(value, str) and patterns.pattern_matches(operand, value)


def _translate(path: Path, operand: patterns.Pattern, known: IndexKnowledge) -> Bounds:
    anchor = patterns.anchor(operand)
    if anchor is None:
        return at_most(has_type(path, "st", known).superset)
    every_text = anchor.exact and anchor.texts == ("",)
    if every_text and known.complete and not ambiguous(path):
        return has_type(path, "st", known)
    found = has_value(path, known, lambda key: _anchored(key, anchor), letters="st")
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


REGEX: Final = Operator(_read, _match, _translate, only_scalars=lambda operand: True)
OPTIONS: Final = Operator(_read_options)
