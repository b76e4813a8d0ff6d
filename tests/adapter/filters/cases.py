"""Named query cases. Each is asked of every engine, over all families of records together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True)
class Case:
    """`empty`: no record may be found. Otherwise one must be, or the case proves nothing."""

    name: str
    filter: dict[str, Any]
    empty: bool = False


def _of(group: str, cases: dict[str, dict[str, Any]], empty: str = "") -> list[Case]:
    unknown = set(empty.split()) - cases.keys()
    assert not unknown, unknown
    return [Case(f"{group}/{name}", f, name in empty.split()) for name, f in cases.items()]


OPERANDS: Final[dict[str, Any]] = {
    "null": None,
    "true": True,
    "false": False,
    "zero": 0,
    "one": 1,
    "double": 42.13,
    "double-whole": 42.0,
    "int64": 2**53 + 1,
    "int64-max": 2**63 - 1,
    "double-2-53": float(2**53),
    "huge": 1e300,
    "string": "foo",
    "string-empty": "",
    "string-unicode": "é",
    "string-digits": "1",
    "string-date": "2024-01-05",
    "array": [1, 2],
    "array-empty": [],
    "array-nested": [[1]],
    "array-null": [None],
    "document": {"a": 1, "b": 2},
    "document-empty": {},
    "document-nested": {"a": {"b": 1}},
}

_COMPARISONS = [
    case
    for operator, empty in {
        "$eq": "",
        "$ne": "",
        "$gt": "null true huge",
        "$gte": "",
        "$lt": "null false string-empty array-empty document-empty",
        "$lte": "",
    }.items()
    for case in _of(
        f"comparison/{operator}",
        {name: {"v": {operator: operand}} for name, operand in OPERANDS.items()},
        empty,
    )
]

_IMPLICIT = _of(
    "implicit",
    {name: {"v": operand} for name, operand in OPERANDS.items()},
)

_SETS = _of(
    "set",
    {
        "in-strings": {"v": {"$in": ["foo", "bar", "nothing"]}},
        "in-numbers": {"v": {"$in": [1, 42.13]}},
        "in-int64": {"v": {"$in": [2**53 + 1, 2**63 - 1]}},
        "in-mixed": {"v": {"$in": ["foo", 1, True, None]}},
        "in-null": {"v": {"$in": [None]}},
        "in-booleans": {"v": {"$in": [False, True]}},
        "in-arrays": {"v": {"$in": [[1, 2], [], ["foo"]]}},
        "in-documents": {"v": {"$in": [{"a": 1}, {}]}},
        "in-empty": {"v": {"$in": []}},
        "in-one": {"v": {"$in": ["foo"]}},
        "in-nothing": {"v": {"$in": ["nothing", 12345]}},
        "in-many-numbers": {"v": {"$in": list(range(40, 140))}},
        "in-many-doubles": {"v": {"$in": [n + 0.13 for n in range(40, 140)]}},
        "in-many-strings": {"v": {"$in": [f"x{n}" for n in range(200)] + ["foo"]}},
        "in-dotted": {"v.a": {"$in": [1, "foo"]}},
        "in-dotted-null": {"v.a": {"$in": [None, 1]}},
        "nin-strings": {"v": {"$nin": ["foo", "bar"]}},
        "nin-numbers": {"v": {"$nin": [1, 42]}},
        "nin-null": {"v": {"$nin": [None]}},
        "nin-mixed": {"v": {"$nin": ["foo", 1, True, None]}},
        "nin-empty": {"v": {"$nin": []}},
        "nin-many-numbers": {"v": {"$nin": list(range(40, 140))}},
        "nin-dotted": {"v.a": {"$nin": [1]}},
        "all-strings": {"v": {"$all": ["foo", "bar"]}},
        "all-one": {"v": {"$all": ["foo"]}},
        "all-numbers": {"v": {"$all": [1, 2]}},
        "all-null": {"v": {"$all": [None]}},
        "all-array": {"v": {"$all": [[1]]}},
        "all-mixed": {"v": {"$all": [1, "foo"]}},
        "all-empty": {"v": {"$all": []}},
        "all-elements": {"v": {"$all": [{"$elemMatch": {"a": 1}}, {"$elemMatch": {"a": 2}}]}},
        "all-dotted": {"v.a": {"$all": [1, 2]}},
        "all-nothing": {"v": {"$all": ["foo", "nothing"]}},
    },
    "in-empty in-nothing all-empty all-nothing",
)

_LOGIC = _of(
    "logic",
    {
        "and": {"$and": [{"v": {"$gt": 1}}, {"v": {"$lt": 42}}]},
        "and-one": {"$and": [{"v": 1}]},
        "and-everything": {"$and": [{}]},
        "and-contradiction": {"$and": [{"v": {"$exists": True}}, {"v": {"$exists": False}}]},
        "or": {"$or": [{"v": "foo"}, {"v": 42}]},
        "or-everything": {"$or": [{"v": "foo"}, {}]},
        "or-inexact": {"$or": [{"v": {"$mod": [2, 1]}}, {"v": {"$regex": "fo+"}}]},
        "or-half-exact": {"$or": [{"v": True}, {"v": {"$regex": "o{2}b"}}]},
        "nor": {"$nor": [{"v": "foo"}, {"v": {"$type": "number"}}]},
        "nor-everything": {"$nor": [{}]},
        "nor-inexact": {"$nor": [{"v": {"$mod": [2, 0]}}, {"v": {"$gt": "b"}}]},
        "nested": {"$or": [{"$and": [{"v": {"$gte": 0}}, {"$nor": [{"v": 1}]}]}, {"v": None}]},
        "beside-fields": {"v": {"$exists": True}, "$or": [{"v": 1}, {"v": "foo"}]},
        "not-eq": {"v": {"$not": {"$eq": "foo"}}},
        "not-gt": {"v": {"$not": {"$gt": 1}}},
        "not-text-gt": {"v": {"$not": {"$gt": "a"}}},
        "not-exists": {"v": {"$not": {"$exists": True}}},
        "not-regex": {"v": {"$not": {"$regex": "^fo"}}},
        "not-regex-inexact": {"v": {"$not": {"$regex": "^f.*o$"}}},
        "not-not": {"v": {"$not": {"$not": {"$type": "string"}}}},
        "not-two": {"v": {"$not": {"$gt": 1, "$lt": 42}}},
        "not-elem": {"v": {"$not": {"$elemMatch": {"$gt": 1}}}},
        "not-mod": {"v": {"$not": {"$mod": [2, 0]}}},
        "not-size": {"v": {"$not": {"$size": 2}}},
        "not-in": {"v": {"$not": {"$in": ["foo", None]}}},
        "empty": {},
    },
    "and-contradiction nor-everything",
)

_EXISTENCE = _of(
    "existence",
    {
        "exists": {"v": {"$exists": True}},
        "exists-not": {"v": {"$exists": False}},
        "exists-one": {"v": {"$exists": 1}},
        "exists-zero": {"v": {"$exists": 0}},
        "exists-null": {"v": {"$exists": None}},
        "exists-dotted": {"v.a": {"$exists": True}},
        "exists-dotted-not": {"v.a": {"$exists": False}},
        "exists-deep": {"v.a.b": {"$exists": True}},
        "exists-deep-not": {"v.a.b": {"$exists": False}},
        "exists-index": {"v.1": {"$exists": True}},
        "exists-index-not": {"v.1": {"$exists": False}},
        "exists-index-deep": {"v.0.a": {"$exists": True}},
        "exists-unknown": {"nothing": {"$exists": True}},
        "exists-unknown-not": {"nothing": {"$exists": False}},
        "exists-odd": {"v.a b": {"$exists": True}},
        "exists-odd-quote": {'v.q"': {"$exists": True}},
        "exists-odd-backslash": {"v.back\\slash": {"$exists": True}},
        "exists-odd-empty": {"v.": {"$exists": True}},
        "exists-odd-dollar": {"v.$x": {"$exists": True}},
        "exists-odd-brackets": {"v.a[0]": {"$exists": True}},
        "exists-key-empty": {"": {"$exists": True}},
    },
    "exists-unknown",
)

_TYPES = _of(
    "type",
    {
        **{
            name: {"v": {"$type": name}}
            for name in (
                *("double", "string", "object", "array", "bool", "null", "int", "long"),
                *("number", "decimal", "date", "objectId", "regex", "minKey"),
            )
        },
        **{f"code-{code}": {"v": {"$type": code}} for code in (1, 2, 3, 4, 8, 10, 16, 18, 19)},
        "list": {"v": {"$type": ["string", "null"]}},
        "list-codes": {"v": {"$type": [2, "bool"]}},
        "not": {"v": {"$not": {"$type": "string"}}},
        "dotted": {"v.a": {"$type": "number"}},
        "dotted-null": {"v.a": {"$type": "null"}},
        "dotted-array": {"v.a": {"$type": "array"}},
        "index": {"v.0": {"$type": "array"}},
    },
    "decimal date objectId regex minKey code-19",
)

_ARRAYS = _of(
    "array",
    {
        **{f"size-{n}": {"v": {"$size": n}} for n in (0, 1, 2, 3, 5)},
        "size-large": {"v": {"$size": 2**40}},
        "size-double": {"v": {"$size": 2.0}},
        "size-dotted": {"v.a": {"$size": 2}},
        "size-dotted-0": {"v.a": {"$size": 0}},
        "size-index": {"v.0": {"$size": 1}},
        "elem-gt": {"v": {"$elemMatch": {"$gt": 1}}},
        "elem-range": {"v": {"$elemMatch": {"$gt": 1, "$lt": 9}}},
        "elem-eq": {"v": {"$elemMatch": {"$eq": "foo"}}},
        "elem-in": {"v": {"$elemMatch": {"$in": ["foo", 42]}}},
        "elem-ne": {"v": {"$elemMatch": {"$ne": 1}}},
        "elem-nin": {"v": {"$elemMatch": {"$nin": [1, "foo"]}}},
        "elem-not": {"v": {"$elemMatch": {"$not": {"$gt": 1}}}},
        "elem-null": {"v": {"$elemMatch": {"$eq": None}}},
        "elem-true": {"v": {"$elemMatch": {"$eq": True}}},
        "elem-text": {"v": {"$elemMatch": {"$gt": "c", "$lt": "g"}}},
        "elem-type": {"v": {"$elemMatch": {"$type": "object"}}},
        "elem-type-array": {"v": {"$elemMatch": {"$type": "array"}}},
        "elem-exists": {"v": {"$elemMatch": {"$exists": True}}},
        "elem-exists-not": {"v": {"$elemMatch": {"$exists": False}}},
        "elem-size": {"v": {"$elemMatch": {"$size": 1}}},
        "elem-mod": {"v": {"$elemMatch": {"$mod": [2, 0]}}},
        "elem-regex": {"v": {"$elemMatch": {"$regex": "^foo"}}},
        "elem-array": {"v": {"$elemMatch": {"$eq": [1]}}},
        "elem-all": {"v": {"$elemMatch": {"$all": [1]}}},
        "elem-elem": {"v": {"$elemMatch": {"$elemMatch": {"$gt": 0}}}},
        "elem-document": {"v": {"$elemMatch": {"a": 1}}},
        "elem-document-two": {"v": {"$elemMatch": {"a": 1, "b": 2}}},
        "elem-document-cross": {"v": {"$elemMatch": {"a": 2, "b": 2}}},
        "elem-document-ne": {"v": {"$elemMatch": {"a": {"$ne": 1}}}},
        "elem-document-null": {"v": {"$elemMatch": {"a": None}}},
        "elem-document-empty": {"v": {"$elemMatch": {}}},
        "elem-document-or": {"v": {"$elemMatch": {"$or": [{"a": 2}, {"b": 1}]}}},
        "elem-document-nor": {"v": {"$elemMatch": {"$nor": [{"a": 1}]}}},
        "elem-document-exists": {"v": {"$elemMatch": {"b": {"$exists": False}}}},
        "elem-document-deep": {"v": {"$elemMatch": {"a.b": 42}}},
        "elem-document-index": {"v": {"$elemMatch": {"0": 1}}},
        "elem-dotted": {"v.a": {"$elemMatch": {"$gte": 2}}},
        "elem-dotted-document": {"v.a": {"$elemMatch": {"b": 42}}},
        "elem-boolean": {"v": {"$elemMatch": {"a": True}}},
    },
    "size-large elem-document-cross elem-exists-not elem-boolean",
)

_NUMBERS = _of(
    "number",
    {
        "mod-2-0": {"v": {"$mod": [2, 0]}},
        "mod-2-1": {"v": {"$mod": [2, 1]}},
        "mod-negative": {"v": {"$mod": [2, -1]}},
        "mod-negative-divisor": {"v": {"$mod": [-2, 1]}},
        "mod-double": {"v": {"$mod": [2.9, 0.5]}},
        "mod-int64": {"v": {"$mod": [2**53, 1]}},
        "mod-nothing": {"v": {"$mod": [2, 5]}},
        "mod-dotted": {"v.a": {"$mod": [2, 1]}},
        "range": {"v": {"$gte": 1, "$lte": 42}},
        "range-across-elements": {"v": {"$gt": 8, "$lt": 1}},
        "range-int64": {"v": {"$gt": 2**53, "$lt": 2**62}},
        "range-2-53": {"v": {"$gt": 2**53 - 1, "$lte": 2**53}},
        "range-nothing": {"v": {"$gt": 44, "$lt": 45}},
        "range-negative-zero": {"v": {"$gte": -0.0, "$lte": 0}},
        "ne-range": {"v": {"$ne": 42, "$gte": 42}},
        "above-int64": {"v": {"$gt": 2**63 - 1}},
        "equals-2-64": {"v": 2**64},
    },
    "mod-nothing range-nothing equals-2-64",
)

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

_REGEX = [
    *_of(
        "regex",
        {
            name: {"v": {"$regex": pattern} | ({"$options": options} if options else {})}
            for name, (pattern, options) in _PATTERNS.items()
        },
        "case nothing nothing-possible",
    ),
    *_of(
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

_PATHS = _of(
    "path",
    {
        "object": {"v.a": 1},
        "object-string": {"v.a": "foo"},
        "object-true": {"v.a": True},
        "object-null": {"v.a": None},
        "object-not-null": {"v.a": {"$ne": None}},
        "object-empty-array": {"v.a": []},
        "object-empty-object": {"v.a": {}},
        "object-gt": {"v.a": {"$gt": 1}},
        "object-gte-null": {"v.a": {"$gte": None}},
        "object-text": {"v.a": {"$gte": "f"}},
        "object-ne": {"v.a": {"$ne": 1}},
        "deep": {"v.a.b.c": 42},
        "deep-null": {"v.a.b.c": None},
        "deep-not-null": {"v.a.b.c": {"$ne": None}},
        "deep-array": {"v.a.b": 42},
        "deep-null-2": {"v.a.b": None},
        "too-deep": {"v.a.b.c.d.e.f.g": 1},
        "too-deep-null": {"v.a.b.c.d.e.f.g": None},
        "index": {"v.0": 1},
        "index-string": {"v.0": "foo"},
        "index-null": {"v.0": None},
        "index-second": {"v.1": 2},
        "index-far": {"v.99": {"$exists": True}},
        "index-huge": {"v.99999999999999999999": 1},
        "index-leading-zero": {"v.00": 1},
        "index-negative": {"v.-1": 1},
        "index-nested": {"v.0.0": 1},
        "index-object": {"v.0.a": 1},
        "index-object-null": {"v.0.a": None},
        "index-in-object": {"v.a.0": 1},
        "index-then-array": {"v.a.0.b": 1},
        "index-ne": {"v.0": {"$ne": 1}},
        "index-array": {"v.0": [1]},
        "index-gt": {"v.0": {"$gt": 0}},
        "odd-space": {"v.a b": 1},
        "odd-slash": {"v.a/b": "foo"},
        "odd-unicode": {"v.é": 42},
        "odd-emoji": {"v.\N{ICE CREAM}": 1},
        "odd-dollar": {"v.$x": 1},
        "odd-quote": {'v.q"': 1},
        "odd-backslash": {"v.back\\slash": 1},
        "odd-quote-ne": {'v.q"': {"$ne": 1}},
        "odd-star": {"v.*": 1},
        "odd-brackets": {"v.[]": 1},
        "odd-index": {"v.a[0]": 1},
        "empty-step": {"v.": 1},
        "empty-key": {"": 1},
        "trailing-space": {"v ": 1},
        "case": {"V": 1},
        "dotted-key": {"v.a.b": "foo"},
        "unknown": {"nothing.at.all": 1},
        "unknown-null": {"nothing.at.all": None},
        "document": {"v.a": {"b": 1}},
        "document-order": {"v": {"b": 2, "a": 1}},
        "document-number": {"v": {"a": 1.0}},
        "document-dotted-key": {"v": {"a.b": 42}},
    },
    "too-deep index-far index-huge dotted-key unknown",
)

_SHOP = _of(
    "shop",
    {
        "category-brand": {"v": "shoe", "brand": "Acme"},
        "in-brands": {"brand": {"$in": ["Acme", "Bolt"]}, "in_stock": True},
        "price": {"price": {"$gte": 50, "$lt": 60}},
        "price-or-missing": {"$or": [{"price": {"$lt": 20}}, {"price": None}]},
        "out-of-stock": {"in_stock": {"$ne": True}, "brand": {"$exists": True}},
        "tag": {"tags": "sale"},
        "tags-all": {"tags": {"$all": ["new", "sale"]}},
        "no-tags": {"tags": []},
        "no-tags-size": {"tags": {"$size": 0}},
        "untagged": {"brand": {"$exists": True}, "tags.0": {"$exists": False}},
        "variant": {"variants": {"$elemMatch": {"size": "M", "stock": {"$gt": 0}}}},
        "variant-cross": {"variants": {"$elemMatch": {"size": "L", "stock": {"$gt": 0}}}},
        "variant-dotted": {"variants.size": "L", "variants.stock": {"$gt": 0}},
        "variant-unknown-stock": {"variants.stock": None, "variants.size": "S"},
        "size-38": {"sizes.38": {"$gt": 0}},
        "size-40": {"sizes.40": {"$gt": 0}},
        "ids": {"_id": {"$in": ["p1", "p4"]}},
        "brand-like": {"brand": {"$regex": "^ac", "$options": "i"}},
    },
    "variant-cross size-40",
)

CASES: Final[list[Case]] = [
    *_COMPARISONS,
    *_IMPLICIT,
    *_SETS,
    *_LOGIC,
    *_EXISTENCE,
    *_TYPES,
    *_ARRAYS,
    *_NUMBERS,
    *_REGEX,
    *_PATHS,
    *_SHOP,
]
