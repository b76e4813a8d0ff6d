"""`match` against MongoDB's manual and matcher: what independent implementations get wrong."""

from __future__ import annotations

from typing import Any

import pytest

from lookalike.adapter.filters import match, parse

MANUAL = "https://www.mongodb.com/docs/manual"

# filter, records that match, records that do not
RULES: dict[str, tuple[dict[str, Any], list[Any], list[Any]]] = {
    # /reference/operator/query/eq, /tutorial/query-for-null-fields
    "null": (
        {"a": None},
        [{"a": None}, {}, {"b": 1}, {"a": [None]}, {"a": [1, None]}],
        [{"a": []}, {"a": 0}, {"a": ""}, {"a": False}, {"a": {}}, {"a": [[None]]}],
    ),
    "null-dotted": (
        {"a.b": None},
        [
            {},
            {"a": 1},
            {"a": None},
            {"a": {}},
            {"a": {"b": None}},
            {"a": [{}]},
            {"a": [{"b": 1}, {}]},
        ],
        [{"a": []}, {"a": [1]}, {"a": [[{}]]}, {"a": {"b": []}}, {"a": [{"b": 1}, 2]}],
    ),
    "not-null": ({"a": {"$ne": None}}, [{"a": 1}, {"a": []}], [{}, {"a": None}, {"a": [None]}]),
    "gte-null": ({"a": {"$gte": None}}, [{}, {"a": None}, {"a": [None]}], [{"a": 0}, {"a": []}]),
    "lte-null": ({"a": {"$lte": None}}, [{}, {"a": None}], [{"a": 0}]),
    "gt-null": ({"a": {"$gt": None}}, [], [{}, {"a": None}, {"a": 1}]),
    "number-equals-number": ({"a": 1}, [{"a": 1.0}, {"a": [1.0]}], [{"a": True}, {"a": "1"}]),
    "boolean-is-no-number": ({"a": True}, [{"a": True}, {"a": [True]}], [{"a": 1}, {"a": "true"}]),
    "boolean-deep": ({"a": [True]}, [{"a": [True]}, {"a": [[True]]}], [{"a": [1]}, {"a": True}]),
    "array-whole": (
        {"a": [1, 2]},
        [{"a": [1, 2]}, {"a": [1.0, 2]}, {"a": [[1, 2], 3]}],
        [{"a": [2, 1]}, {"a": [1, 2, 3]}, {"a": [[[1, 2]]]}, {"a": 1}],
    ),
    "array-empty": ({"a": []}, [{"a": []}, {"a": [[]]}], [{}, {"a": None}, {"a": {}}, {"a": [1]}]),
    "document-whole": (
        {"a": {"b": 1, "c": 2}},
        [{"a": {"b": 1, "c": 2.0}}, {"a": [{"b": 1, "c": 2}]}],
        [{"a": {"c": 2, "b": 1}}, {"a": {"b": 1, "c": 2, "d": 3}}, {"a": {"b": 1}}],
    ),
    "document-empty": ({"a": {}}, [{"a": {}}, {"a": [{}]}], [{}, {"a": []}, {"a": None}]),
    # /reference/bson-type-comparison-order: only values of one type are compared
    "gt-number": ({"a": {"$gt": 1}}, [{"a": 2}, {"a": [0, 2]}], [{"a": "2"}, {"a": True}, {}]),
    "gt-text": ({"a": {"$gt": "b"}}, [{"a": "c"}, {"a": "ba"}], [{"a": "B"}, {"a": 3}, {"a": "b"}]),
    "gt-boolean": ({"a": {"$gt": False}}, [{"a": True}], [{"a": False}, {"a": 1}]),
    "gt-document": (
        {"a": {"$gt": {"b": 1}}},
        [{"a": {"b": 2}}, {"a": {"b": 1, "c": 0}}, {"a": {"b": "x"}}, {"a": {"c": 1}}],
        [{"a": {"b": 1}}, {"a": {}}, {"a": {"b": None}}, {"a": {"a": 9}}, {"a": [1]}],
    ),
    "gt-array": (
        {"a": {"$gt": [1, 2]}},
        [{"a": [1, 3]}, {"a": [1, 2, 0]}, {"a": ["x"]}, {"a": [[2]]}],
        [{"a": [1, 2]}, {"a": [1]}, {"a": [None, 9]}, {"a": 3}],
    ),
    "code-points": ({"a": {"$gt": "\uffff"}}, [{"a": "\U00010000"}], [{"a": "\uffff"}]),
    "integers-are-exact": (
        {"a": {"$gt": 2**53}},
        [{"a": 2**53 + 1}],
        [{"a": 2**53}, {"a": float(2**53)}],
    ),
    "integer-and-double": ({"a": float(2**53)}, [{"a": 2**53}], [{"a": 2**53 + 1}]),
    "range-by-two-elements": ({"a": {"$gt": 8, "$lt": 1}}, [{"a": [0, 9]}], [{"a": [5]}, {"a": 0}]),
    # /reference/operator/query/in, nin, all
    "in": ({"a": {"$in": [1, None]}}, [{"a": 1.0}, {}, {"a": [2, 1]}], [{"a": True}, {"a": []}]),
    "nin": ({"a": {"$nin": [1, "x"]}}, [{}, {"a": 2}, {"a": []}], [{"a": [1, 2]}, {"a": "x"}]),
    "all": ({"a": {"$all": [1, 2]}}, [{"a": [2, 3, 1]}], [{"a": [1]}, {"a": 1}, {}]),
    "all-one": ({"a": {"$all": [1]}}, [{"a": 1}, {"a": [1, 2]}], [{"a": []}]),
    "all-null": ({"a": {"$all": [None]}}, [{}, {"a": [None]}], [{"a": []}, {"a": 1}]),
    "all-array": ({"a": {"$all": [[1, 2]]}}, [{"a": [1, 2]}, {"a": [[1, 2]]}], [{"a": [2, 1]}]),
    "all-empty": ({"a": {"$all": []}}, [], [{}, {"a": []}, {"a": 1}]),
    "all-elements": (
        {"a": {"$all": [{"$elemMatch": {"b": 1}}, {"$elemMatch": {"b": 2}}]}},
        [{"a": [{"b": 1}, {"b": 2}]}],
        [{"a": [{"b": 1}]}, {"a": {"b": [1, 2]}}],
    ),
    # /reference/operator/query/exists
    "exists": (
        {"a.b": {"$exists": True}},
        [{"a": {"b": None}}, {"a": [{}, {"b": 1}]}],
        [{"a": [1]}],
    ),
    "exists-not": ({"a": {"$exists": False}}, [{}, {"b": 1}], [{"a": None}, {"a": []}]),
    "exists-number": ({"a": {"$exists": 0}}, [{}], [{"a": 1}]),
    "exists-string": ({"a": {"$exists": "false"}}, [{"a": 1}], [{}]),
    # /reference/operator/query/type
    "type-null": ({"a": {"$type": "null"}}, [{"a": None}, {"a": [None]}], [{}, {"a": []}]),
    "type-array": ({"a": {"$type": "array"}}, [{"a": []}, {"a": [[1]]}, {"a": [1]}], [{"a": {}}]),
    "type-of-element": ({"a": {"$type": "string"}}, [{"a": ["x", 1]}], [{"a": [["x"]]}]),
    "type-int": ({"a": {"$type": "int"}}, [{"a": 2**31 - 1}], [{"a": 2**31}, {"a": 1.0}]),
    "type-long": ({"a": {"$type": 18}}, [{"a": 2**31}], [{"a": 1}, {"a": True}]),
    "type-double": ({"a": {"$type": "double"}}, [{"a": 1.0}, {"a": [1, 0.5]}], [{"a": 1}]),
    "type-number": ({"a": {"$type": "number"}}, [{"a": 1}, {"a": 0.5}], [{"a": True}, {"a": "1"}]),
    "type-other": ({"a": {"$type": "date"}}, [], [{"a": "2024-01-01"}, {}]),
    # /reference/operator/query/size
    "size": (
        {"a": {"$size": 1}},
        [{"a": [[1, 2]]}, {"a": [1]}],
        [{"a": 1}, {"a": {"b": 1}}, {"a": "x"}],
    ),
    "size-empty": ({"a": {"$size": 0}}, [{"a": []}], [{}, {"a": None}, {"a": {}}, {"a": [[]]}]),
    "size-dotted": ({"a.b": {"$size": 1}}, [{"a": [{"b": [1]}]}], [{"a": [{"b": 1}]}]),
    # /reference/operator/query/mod
    "mod": ({"a": {"$mod": [4, 0]}}, [{"a": 8}, {"a": 8.9}, {"a": [1, 4]}], [{"a": 2}, {"a": "8"}]),
    "mod-negative": ({"a": {"$mod": [3, -2]}}, [{"a": -5}, {"a": -5.9}], [{"a": 5}, {"a": 1}]),
    "mod-divisor": ({"a": {"$mod": [-3, 2]}}, [{"a": 5}], [{"a": -5}]),
    "mod-cut": ({"a": {"$mod": [2.9, 1.9]}}, [{"a": 3}], [{"a": 2}]),
    "mod-boolean": ({"a": {"$mod": [2, 1]}}, [{"a": 1}], [{"a": True}, {"a": None}]),
    "mod-large": ({"a": {"$mod": [2, 0]}}, [{"a": 2**62}, {"a": 2.0**60}], [{"a": 1e300}]),
    # /reference/operator/query/elemMatch
    "elem-one-element": (
        {"a": {"$elemMatch": {"$gt": 1, "$lt": 5}}},
        [{"a": [9, 3]}],
        [{"a": [0, 9]}, {"a": 3}, {"a": [[3]]}, {}],
    ),
    "elem-negation": ({"a": {"$elemMatch": {"$ne": 1}}}, [{"a": [1, 2]}], [{"a": [1]}, {"a": []}]),
    "elem-nested": (
        {"a": {"$elemMatch": {"$elemMatch": {"$gt": 1}}}},
        [{"a": [[2]]}],
        [{"a": [2]}],
    ),
    "elem-document": (
        {"a": {"$elemMatch": {"b": 1, "c": 2}}},
        [{"a": [{"b": 1, "c": 2}]}, {"a": [{"b": [1, 3], "c": 2}]}],
        [{"a": [{"b": 1}, {"c": 2}]}, {"a": {"b": 1, "c": 2}}],
    ),
    "elem-document-negation": (
        {"a": {"$elemMatch": {"b": {"$ne": 1}}}},
        [{"a": [{"b": 1}, {}]}, {"a": [[]]}],
        [{"a": [{"b": 1}]}, {"a": [1, None]}, {"a": {}}],
    ),
    "elem-array-as-document": ({"a": {"$elemMatch": {"0": 1}}}, [{"a": [[1]]}], [{"a": [1]}]),
    # /core/document/#dot-notation
    "index": ({"a.0": 1}, [{"a": [1, 2]}, {"a": {"0": 1}}, {"a": [{"0": 1}]}], [{"a": [2, 1]}]),
    "index-finds-itself": ({"a.0": [1]}, [{"a": [[1]]}], [{"a": [[[1]]]}]),
    "index-looks-not-inside": ({"a.0": 1}, [{"a": {"0": [1]}}], [{"a": [[1]]}]),
    "index-then-field": ({"a.1.b": 1}, [{"a": [0, {"b": 1}]}], [{"a": [{"b": 1}]}]),
    "index-nested": ({"a.0.1": 2}, [{"a": [[1, 2]]}], [{"a": [1, 2]}]),
    "index-null": ({"a.0": None}, [{"a": [None]}, {"a": 5}, {"a": [{}]}], [{"a": []}, {"a": [1]}]),
    "index-zeros": ({"a.00": 1}, [{"a": {"00": 1}}], [{"a": [1]}]),
    "one-level-of-arrays": ({"a.b": 1}, [{"a": [{"b": 1}]}], [{"a": [[{"b": 1}]]}]),
    "literal-dots": ({"a.b": 1}, [{"a": {"b": 1}}], [{"a.b": 1}]),
    "empty-steps": ({"a.": 1}, [{"a": {"": 1}}], [{"a": 1}, {"": 1}]),
    # /reference/operator/query/not, nor
    "not": ({"a": {"$not": {"$gt": 1}}}, [{}, {"a": 1}, {"a": "x"}, {"a": []}], [{"a": [0, 2]}]),
    "not-two": ({"a": {"$not": {"$gt": 1, "$lt": 5}}}, [{"a": 5}, {}], [{"a": 3}, {"a": [0, 9]}]),
    "nor": ({"$nor": [{"a": 1}, {"b": 1}]}, [{}, {"a": 2}], [{"b": 1}, {"a": [1]}]),
    # /reference/operator/query/regex
    "regex": (
        {"a": {"$regex": "b"}},
        [{"a": "abc"}, {"a": ["x", "b"]}],
        [{"a": "B"}, {"a": 1}, {}],
    ),
    "regex-dollar": (
        {"a": {"$regex": "^b$"}},
        [{"a": "b"}, {"a": "b\n"}],
        [{"a": "b\nb"}, {"a": "bb"}],
    ),
    "regex-dollar-branch": ({"a": {"$regex": "(a|b$)"}}, [{"a": "b\n"}], [{"a": "b\n\n"}]),
    "regex-m": ({"a": {"$regex": "^b$", "$options": "m"}}, [{"a": "a\nb\nc"}], [{"a": "ab"}]),
    "regex-s": ({"a": {"$regex": "a.b", "$options": "s"}}, [{"a": "a\nb"}], [{"a": "ab"}]),
    "regex-not-s": ({"a": {"$regex": "a.b"}}, [{"a": "axb"}], [{"a": "a\nb"}]),
    "regex-x": ({"a": {"$regex": "a b # c\n d", "$options": "x"}}, [{"a": "abd"}], [{"a": "a b"}]),
    "regex-x-class": ({"a": {"$regex": "a[ ]b", "$options": "x"}}, [{"a": "a b"}], [{"a": "ab"}]),
    "regex-x-escape": ({"a": {"$regex": r"a\ b", "$options": "x"}}, [{"a": "a b"}], [{"a": "ab"}]),
    "regex-i": ({"a": {"$regex": "É", "$options": "i"}}, [{"a": "é"}], [{"a": "e"}]),
    "regex-unicode": (
        {"a": {"$regex": "^.$"}},
        [{"a": "é"}, {"a": "\U0001f368"}],
        [{"a": "e\u0301"}],
    ),
}


@pytest.mark.parametrize("rule", RULES)
def test_rule(rule: str) -> None:
    query, matching, others = RULES[rule]
    node = parse(query)
    assert [record for record in matching if not match(node, record)] == []
    assert [record for record in others if match(node, record)] == []


def test_the_reserved_key_is_invisible() -> None:
    record = {"a": 1, "_lookalike": {"shadow": ["ia"]}}
    assert match(parse({"a": 1}), record)
    assert not match(parse({"a._lookalike": 1}), record)
