"""Cases about patterns."""

from __future__ import annotations

from typing import Final

from tests.adapter.filters.cases.case import Case, named

_PATTERNS: Final[dict[str, tuple[str, str]]] = {
    "literal": ("oo", ""),
    "literal-unicode": ("ť", ""),
    "literal-escaped": (r"a\.b", ""),
    "literal-quoted": (r"\Qa.b\E", ""),
    "prefix": ("^foo", ""),
    "prefix-any": ("^foo.*", ""),
    "prefix-escaped": (r"^2024\-01", ""),
    "prefix-A": (r"\Afoo", ""),
    "suffix": ("foo$", ""),
    "whole": ("^foo$", ""),
    "whole-any": ("^.*$", ""),
    "empty": ("", ""),
    "alternatives": ("foo|bar", ""),
    "alternatives-anchored": ("^foo|^bar", ""),
    "alternatives-group": ("^(foo|bar)$", ""),
    "optional": ("fob?", ""),
    "repeat": ("^fo{2}", ""),
    "class": ("^[fb]", ""),
    "class-unicode": (r"^\p{Lu}", ""),
    "digits": (r"^\d+$", ""),
    "dot": ("^f.o", ""),
    "dot-newline": ("^foo.", ""),
    "dot-newline-s": ("^foo.", "s"),
    "case": ("FOO", ""),
    "case-i": ("FOO", "i"),
    "case-i-unicode": ("É", "i"),
    "case-inline": ("(?i)^FOO", ""),
    "multiline": ("^$", "m"),
    "extended": ("^ f o o # all of it", "x"),
    "extended-class": ("^[ ]foo", "x"),
    "all-options": ("^ F O O $", "imsx"),
    "nothing": ("nothing", ""),
    "nothing-possible": ("$x", ""),
}

PATTERN_CASES: Final[list[Case]] = [
    *named(
        "regex",
        {
            name: {"v": {"$regex": pattern} | ({"$options": options} if options else {})}
            for name, (pattern, options) in _PATTERNS.items()
        },
        "case nothing nothing-possible",
    ),
    *named(
        "regex-at",
        {
            "dotted": {"v.a": {"$regex": "^fo"}},
            "dotted-substring": {"v.a": {"$regex": "oo"}},
            "deep": {"v.a.b.c": {"$regex": "^foo"}},
            "index": {"v.0": {"$regex": "^foo"}},
            "beside": {"v": {"$regex": "^foo", "$ne": "foo"}},
            "not": {"v": {"$not": {"$regex": "o"}}},
        },
    ),
]
