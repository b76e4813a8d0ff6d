"""Filters in MongoDB's query language, exact on every engine. Knows no collection.

`parse` reads JSON into a tree, `match` defines what the tree means, `translate` asks the engine and
says what is left to `match`; `shadow_tokens` are stored so that translations can be exact.
Imports: `adapter.errors` and `adapter.point_layout` of ours, `qdrant_client.models`, RE2.
"""

from __future__ import annotations

from lookalike.adapter.filters.engine_numbers import engine_value, may_be_misread
from lookalike.adapter.filters.field_paths import (
    RESERVED,
    check_field,
    engine_key,
    is_reserved,
    split_path,
)
from lookalike.adapter.filters.match import match
from lookalike.adapter.filters.parse import parse
from lookalike.adapter.filters.shadow import SHADOW_KEY, SHADOW_PATH, shadow_tokens
from lookalike.adapter.filters.translate import TRUNCATED_FILTER, Translation, translate
from lookalike.adapter.filters.tree import Node, count_tests

__all__ = [
    "RESERVED",
    "SHADOW_KEY",
    "SHADOW_PATH",
    "TRUNCATED_FILTER",
    "Node",
    "Translation",
    "check_field",
    "count_tests",
    "engine_key",
    "engine_value",
    "is_reserved",
    "match",
    "may_be_misread",
    "parse",
    "shadow_tokens",
    "split_path",
    "translate",
]
