"""Filters in MongoDB's query language, exact on every engine.

parse        JSON -> an immutable tree, or InvalidFilter
match        tree, record -> bool: the definition of what a filter means
translate    tree -> a filter of the engine, and a residual for `match` where that is not exact
shadow_tokens  record -> what is stored beside it so that translations can be exact
"""

from __future__ import annotations

from lookalike.adapter.filters.field_paths import engine_key, split_path
from lookalike.adapter.filters.match import match
from lookalike.adapter.filters.parse import parse
from lookalike.adapter.filters.shadow import SHADOW_KEY, SHADOW_PATH, shadow_tokens
from lookalike.adapter.filters.translate import TRUNCATED_FILTER, Translation, translate
from lookalike.adapter.filters.tree import Node

__all__ = [
    "SHADOW_KEY",
    "SHADOW_PATH",
    "TRUNCATED_FILTER",
    "Node",
    "Translation",
    "engine_key",
    "match",
    "parse",
    "shadow_tokens",
    "split_path",
    "translate",
]
