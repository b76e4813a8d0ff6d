"""The parser: what it refuses, where, and that it never does anything else."""

from __future__ import annotations

import json
import time
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lookalike.adapter.errors import InvalidFilter
from lookalike.adapter.filters import Node, match, parse, tree
from lookalike.adapter.filters.operators.logic import LOGICAL
from lookalike.adapter.filters.operators.table import OPERATORS, REFUSED
from tests.adapter.filters.vocabulary import filters, records

SECRET = "s3cr3t"

REFUSALS: dict[str, tuple[object, str, str]] = {
    "list": ([], "must be an object", "$.filter"),
    "null": (None, "must be an object", "$.filter"),
    "string": (SECRET, "must be an object", "$.filter"),
    "and-empty": ({"$and": []}, "$and", "$.filter.$and"),
    "or-empty": ({"$or": []}, "$or", "$.filter.$or"),
    "nor-empty": ({"$nor": []}, "$nor", "$.filter.$nor"),
    "or-object": ({"$or": {"a": 1}}, "$or", "$.filter.$or"),
    "or-scalar": ({"$or": [1]}, "must be an object", "$.filter.$or[0]"),
    "unknown": ({"a": {"$foo": SECRET}}, "$foo", "$.filter.a.$foo"),
    "unknown-top": ({"$foo": SECRET}, "$foo", "$.filter.$foo"),
    "unknown-nested": ({"$or": [{}, {"a": {"$x": 1}}]}, "$x", "$.filter.$or[1].a.$x"),
    "field-operator-top": ({"$gt": 1}, "$gt", "$.filter.$gt"),
    "logic-on-field": ({"a": {"$and": [{}]}}, "$and", "$.filter.a.$and"),
    "mixed": ({"a": {"$gt": 1, SECRET[:0] + "b": 2}}, "beside operators", "$.filter.a.b"),
    "mixed-other-order": ({"a": {"b": 2, "$gt": 1}}, "beside operators", "$.filter.a.b"),
    "operator-in-value": ({"a": {"b": {"$gt": 1}}}, "dots", "$.filter.a"),
    "operator-in-list": ({"a": {"$in": [{"$gt": 1}]}}, "dots", "$.filter.a.$in"),
    "pattern-in-list": ({"a": {"$in": [{"$regex": "x"}]}}, "by $or", "$.filter.a.$in"),
    "date": ({"a": {"$date": SECRET}}, "$date is MongoDB's", "$.filter.a.$date"),
    "date-in-value": ({"a": {"$lt": {"$date": SECRET}}}, "$date is MongoDB's", "$.filter.a.$lt"),
    "object-id": ({"_id": {"$oid": SECRET}}, "the text itself", "$.filter._id.$oid"),
    "long-in-list": (
        {"a": {"$all": [{"$numberLong": SECRET}]}},
        "a plain number",
        "$.filter.a.$all[0]",
    ),
    "in-scalar": ({"a": {"$in": SECRET}}, "list", "$.filter.a.$in"),
    "nin-object": ({"a": {"$nin": {}}}, "list", "$.filter.a.$nin"),
    "all-scalar": ({"a": {"$all": 1}}, "list", "$.filter.a.$all"),
    "all-mixed-elem": (
        {"a": {"$all": [{"$elemMatch": {"b": 1}, "c": 1}]}},
        "$elemMatch",
        "$.filter.a.$all[0]",
    ),
    "not-scalar": ({"a": {"$not": SECRET}}, "must be an object", "$.filter.a.$not"),
    "not-empty": ({"a": {"$not": {}}}, "empty", "$.filter.a.$not"),
    "not-value": ({"a": {"$not": {"b": 1}}}, "beside operators", "$.filter.a.$not.b"),
    "type-unknown": ({"a": {"$type": SECRET}}, "$type", "$.filter.a.$type"),
    "type-code": ({"a": {"$type": 99}}, "$type", "$.filter.a.$type"),
    "type-fraction": ({"a": {"$type": 1.5}}, "$type", "$.filter.a.$type"),
    "type-empty": ({"a": {"$type": []}}, "empty", "$.filter.a.$type"),
    "type-boolean": ({"a": {"$type": True}}, "$type", "$.filter.a.$type"),
    "size-negative": ({"a": {"$size": -1}}, "$size", "$.filter.a.$size"),
    "size-fraction": ({"a": {"$size": 1.5}}, "$size", "$.filter.a.$size"),
    "size-string": ({"a": {"$size": "2"}}, "$size", "$.filter.a.$size"),
    "size-boolean": ({"a": {"$size": True}}, "$size", "$.filter.a.$size"),
    "mod-short": ({"a": {"$mod": [2]}}, "$mod", "$.filter.a.$mod"),
    "mod-long": ({"a": {"$mod": [2, 1, 0]}}, "$mod", "$.filter.a.$mod"),
    "mod-zero": ({"a": {"$mod": [0.9, 1]}}, "$mod", "$.filter.a.$mod"),
    "mod-string": ({"a": {"$mod": ["2", 1]}}, "$mod", "$.filter.a.$mod"),
    "mod-large": ({"a": {"$mod": [1e30, 1]}}, "$mod", "$.filter.a.$mod"),
    "elem-scalar": ({"a": {"$elemMatch": 1}}, "$elemMatch", "$.filter.a.$elemMatch"),
    "elem-mixed": ({"a": {"$elemMatch": {"$gt": 1, "b": 1}}}, "beside", "$.filter.a.$elemMatch.b"),
    "regex-number": ({"a": {"$regex": 1}}, "$regex", "$.filter.a.$regex"),
    "regex-open": ({"a": {"$regex": f"({SECRET}"}}, "$regex", "$.filter.a.$regex"),
    "regex-lookahead": ({"a": {"$regex": "(?=x)"}}, "lookaround", "$.filter.a.$regex"),
    "regex-back-reference": ({"a": {"$regex": r"(a)\1"}}, "back-ref", "$.filter.a.$regex"),
    "regex-large": ({"a": {"$regex": r"\pL{1000}"}}, "too large", "$.filter.a.$regex"),
    "regex-long": ({"a": {"$regex": "x" * 513}}, "512", "$.filter.a.$regex"),
    "regex-null-byte": ({"a": {"$regex": "a\x00"}}, "$regex", "$.filter.a.$regex"),
    "options-unknown": ({"a": {"$regex": "x", "$options": "g"}}, "$options", "$.filter.a.$regex"),
    "options-alone": ({"a": {"$options": "i"}}, "$options", "$.filter.a.$options"),
    "options-number": ({"a": {"$regex": "x", "$options": 1}}, "$options", "$.filter.a.$regex"),
    "reserved": ({"_lookalike": 1}, "reserved", "$.filter._lookalike"),
    "reserved-inside": ({"_lookalike.shadow": 1}, "reserved", "$.filter._lookalike.shadow"),
    "nan": ({"a": float("nan")}, "range", "$.filter.a"),
    "infinity": ({"a": {"$gt": float("inf")}}, "range", "$.filter.a.$gt"),
    "huge-integer": ({"a": {"$in": [10**400]}}, "range", "$.filter.a.$in"),
    "surrogate": ({"a": "\ud800"}, "Unicode", "$.filter.a"),
    "surrogate-key": ({"\ud800": 1}, "Unicode", "$.filter"),
    "not-json": ({"a": {1, 2}}, "JSON", "$.filter.a"),
    "key-not-string": ({1: 2}, "key", "$.filter"),
    "long-path": ({"a" * 513: 1}, "512", "$.filter"),
    "many-steps": ({".".join("a" * 33): 1}, "32 steps", "$.filter." + ".".join("a" * 33)),
    "odd-place": ({"a b": {"$foo": 1}}, "$foo", '$.filter["a b"].$foo'),
}
for name in sorted(REFUSED):
    REFUSALS[f"refused-{name}"] = ({name: SECRET}, name, f"$.filter.{name}")
    REFUSALS[f"refused-on-field-{name}"] = ({"a": {name: SECRET}}, name, f"$.filter.a.{name}")


@pytest.mark.parametrize("case", REFUSALS)
def test_what_is_refused_names_the_operator_and_the_place(case: str) -> None:
    query, text, place = REFUSALS[case]
    with pytest.raises(InvalidFilter) as caught:
        parse(query)
    assert text in caught.value.text
    assert caught.value.place == place
    assert SECRET not in str(caught.value)


def _nested(levels: int) -> object:
    value: object = 1
    for _ in range(levels):
        value = [value]
    return value


TOO_LARGE = {
    "values-deep": {"a": _nested(40)},
    "values-very-deep": {"a": _nested(100_000)},
    "filters-deep": msgspec.json.decode(b'{"$and":[' * 40 + b"{}" + b"]}" * 40),
    "not-deep": msgspec.json.decode(b'{"a":' + b'{"$not":' * 40 + b'{"$gt":1}' + b"}" * 41),
    "elements-deep": msgspec.json.decode(b'{"a":' * 1 + b'{"$elemMatch":' * 40 + b"{}" + b"}" * 41),
    "many-conditions": {"$or": [{"a": 1}] * 1001},
    "many-fields": {f"a{i}": 1 for i in range(1001)},
    "many-values": {"a": {"$in": list(range(10_001))}},
    "many-patterns": {"$or": [{"a": {"$regex": "x" * 100 + str(i)}} for i in range(20)]},
}


@pytest.mark.parametrize("case", TOO_LARGE)
def test_what_is_too_large_is_refused(case: str) -> None:
    with pytest.raises(InvalidFilter):
        parse(TOO_LARGE[case])


def test_a_value_may_not_be_repeated_but_a_short_list_may_be_long() -> None:
    node = parse({"_id": {"$in": [f"id-{i}" for i in range(10_000)]}})
    assert match(node, {"_id": "id-9999"})


def test_sugar_leaves_no_trace_in_the_tree() -> None:
    assert parse({"a": 1}) == parse({"a": {"$eq": 1.0}}) == tree.Test(("a",), "$eq", 1)
    assert parse({"$and": [{"a": 1}, {"$and": [{"b": 2}]}]}) == parse({"a": 1, "b": 2})
    assert parse({}) == tree.And(())
    assert hash(parse({"a": {"b": [1, {"c": None}]}, "d": {"$in": [[], {}]}}))


@given(filters, records)
def test_every_filter_of_the_vocabulary_is_taken(query: Any, record: Any) -> None:
    node = parse(query)
    assert match(node, record) in (True, False)
    # A negation of the whole is always the opposite.
    assert match(parse({"$nor": [query]}), record) is not match(node, record)


# --- Anything at all ---------------------------------------------------------------------------

_words = st.one_of(
    st.sampled_from([*OPERATORS, *LOGICAL, *sorted(REFUSED), "$", "", ".", "a.b", "_lookalike"]),
    st.text(max_size=8),
    st.text(st.characters(codec=None), max_size=3),
)
_anything = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        _words,
        st.sampled_from([10**400, -0.0]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(_words, inner, max_size=4)
    ),
    max_leaves=20,
)


def outcome(query: object) -> Node | InvalidFilter:
    try:
        return parse(query)
    except InvalidFilter as refused:
        str(refused).encode()  # what is said can be sent
        return refused


@settings(max_examples=500, deadline=None)
@given(_anything)
@example({"a": {"$size": float("inf")}})
@example({"a": {"$mod": [10**400, 1]}})
@example({"a": {"$type": 10**400}})
def test_nothing_but_our_own_error_is_raised(query: object) -> None:
    outcome(query)


def _fill(unit: str, wrap: str = "%s", size: int = 65_536) -> object:
    return json.loads(wrap % ",".join([unit] * (size // (len(unit) + 1))))


LARGE = {
    "fields": {f"a{i}": 1 for i in range(6_000)},
    "one-field": {"a" * 65_000: 1},
    "numbers": _fill("1", '{"a":{"$in":[%s]}}'),
    "strings": _fill('"é"', '{"a":{"$in":[%s]}}'),
    "objects": _fill("{}", '{"$or":[%s]}'),
    "conditions": _fill('{"a":1}', '{"$or":[%s]}'),
    "negations": _fill('{"a":{"$not":{"$gt":1}}}', '{"$nor":[%s]}'),
    "documents": _fill('{"a":{"b":1}}', '{"a":{"$in":[%s]}}'),
    "elements": _fill('{"$elemMatch":{"b":1}}', '{"a":{"$all":[%s]}}'),
    "patterns": _fill(r'{"a":{"$regex":"\\pL{9}"}}', '{"$or":[%s]}'),
    "folded-classes": _fill(
        r'{"a":{"$regex":"[\\x{80}-\\x{10ffff}]","$options":"i"}}', '{"$or":[%s]}'
    ),
    "unicode-classes": {"a": {"$regex": r"\pL" * 44, "$options": "i"}},
    "too-many-classes": {"a": {"$regex": r"\pL" * 92, "$options": "i"}},
    "negated-classes": {"a": {"$regex": r"[^\PN]" * 38, "$options": "i"}},
    "ranges": {"a": {"$regex": r"[\x{80}-\x{10ffff}]" * 26, "$options": "i"}},
    "repetition": {"a": {"$regex": r"(?:\pL{30}){30}", "$options": "i"}},
    "allowed-conditions": _fill(
        '{"a":{"$not":{"$elemMatch":{"b.c.d":{"$in":[1,2,"xxx"]}}}}}', '{"$or":[%s]}', 19_000
    ),
    "allowed-patterns": _fill('{"a":{"$regex":"(a|b)*c?[x-z]"}}', '{"$or":[%s]}', 2_500),
    "allowed-documents": _fill('{"a":{"b":1}}', '{"a":{"$in":[%s]}}', 30_000),
    "open-classes": {"a": {"$regex": "[" * 512}},
    "open-quotes": {"a": {"$regex": r"\Q" * 256}},
    "open-groups": {"a": {"$regex": "(" * 512}},
    "long-keys": {("k" * 60_000): {"$or": [{}] * 100}},
    "keys-of-values": {"a": {f"k{i}": 1 for i in range(6_000)}},
    "deep-lists": {"a": _nested(20_000)},
    "text": {"a": "é" * 32_000},
}


@pytest.mark.parametrize("case", LARGE)
def test_64_kib_cost_little(case: str) -> None:
    # Of the processor, so that other work does not count; anything quadratic takes minutes.
    start = time.process_time()
    outcome(LARGE[case])
    assert time.process_time() - start < 1
