"""Cases about the operand: each operator that compares, with each kind of value."""

from __future__ import annotations

from typing import Any, Final

from tests.adapter.filters.cases.case import Case, named

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
    for case in named(
        f"comparison/{operator}",
        {name: {"v": {operator: operand}} for name, operand in OPERANDS.items()},
        empty,
    )
]

_IMPLICIT = named(
    "implicit",
    {name: {"v": operand} for name, operand in OPERANDS.items()},
)

_SETS = named(
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

_EXISTENCE = named(
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

_TYPES = named(
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

_NUMBERS = named(
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

OPERAND_CASES: Final[list[Case]] = [
    *_COMPARISONS,
    *_IMPLICIT,
    *_SETS,
    *_EXISTENCE,
    *_TYPES,
    *_NUMBERS,
]
