"""Where independent implementations of MongoDB's language are known to differ from MongoDB.

Implementation -> reason -> the query cases that show it. Each is a strict expected failure: when an
implementation is mended, or `match` changes, the list has to change. The reasons are the rows of
`docs/compatibility.md`. What MongoDB does is settled by its manual
(https://www.mongodb.com/docs/manual/reference/operator/query/) and, where that is silent, by its
matcher (https://github.com/mongodb/mongo/tree/master/src/mongo/db/matcher).
"""

from __future__ import annotations

from typing import Final


def _names(group: str, names: str) -> list[str]:
    return [f"{group}/{name}" for name in names.split()]


DIFFERENCES: Final[dict[str, dict[str, list[str]]]] = {
    "mongomock": {
        "booleans equal the numbers 0 and 1": [
            *_names("comparison/$eq", "true false zero one array-nested"),
            *_names("comparison/$ne", "true false zero one array-nested"),
            *_names("comparison/$gt", "array array-nested"),
            *_names("comparison/$gte", "array"),
            *_names("implicit", "true false zero one array-nested"),
            *_names("set", "in-numbers in-booleans in-documents in-dotted nin-numbers nin-dotted"),
            *_names("logic", "and-one or-half-exact beside-fields"),
            *_names("array", "elem-true elem-array elem-all elem-document-index elem-boolean"),
            *_names("path", "object object-true object-ne document-number"),
            *_names("path", "index index-ne index-nested index-in-object index-array"),
        ],
        "an array is not found as an element of an array": [
            *_names("comparison/$eq", "array array-empty array-null"),
            *_names("comparison/$ne", "array array-empty array-null"),
            *_names("comparison/$lt", "array array-nested array-null"),
            *_names("comparison/$lte", "array array-empty array-nested array-null"),
            *_names("set", "in-arrays all-array"),
        ],
        "the order of fields in a sub-document is ignored": [
            *_names("comparison/$eq", "document"),
            *_names("comparison/$ne", "document"),
            *_names("implicit", "document"),
            *_names("path", "document-order"),
        ],
        "$gte and $lte null do not match a missing field": [
            *_names("comparison/$gte", "null"),
            *_names("comparison/$lte", "null"),
            *_names("path", "object-gte-null"),
        ],
        "an empty sub-document equals a missing field": [
            *_names("implicit", "document-empty"),
            *_names("path", "object-empty-object"),
        ],
        "null does not match where a path ends at a scalar": [
            *_names("set", "in-dotted-null"),
            *_names("path", "object-null object-not-null deep-null deep-not-null deep-null-2"),
            *_names("path", "too-deep-null index-null index-object-null"),
        ],
        "$exists false fails if one of several elements lacks the field": [
            *_names("existence", "exists-dotted-not"),
        ],
        "$all with null does not match a missing field": _names("set", "all-null"),
        "$all with an empty list matches everything": _names("set", "all-empty"),
        "$elemMatch matches an object that is not in an array": _names("set", "all-elements"),
        "$mod is not implemented": [
            *_names("logic", "or-inexact nor-inexact not-mod"),
            *_names("array", "elem-mod"),
            *_names("number", "mod-2-0 mod-2-1 mod-negative mod-negative-divisor mod-double"),
            *_names("number", "mod-int64 mod-nothing mod-dotted"),
        ],
        "$elemMatch looks into arrays inside of the array": [
            *_names("logic", "not-elem"),
            *_names("array", "elem-gt elem-range elem-eq elem-in elem-ne elem-nin elem-null"),
            *_names("array", "elem-not elem-text elem-type elem-regex elem-document"),
        ],
        "$elemMatch with a filter takes scalars for objects, and arrays for none": [
            *_names("array", "elem-document-ne elem-document-null elem-document-empty"),
            *_names("array", "elem-document-nor elem-document-exists"),
        ],
        "$size counts the fields of objects and the letters of strings": [
            *_names("logic", "not-size"),
            *_names("array", "size-0 size-1 size-2 size-double size-dotted size-index elem-size"),
        ],
        "$type knows few types, no codes and no lists": [
            *_names("type", "null int long decimal regex minKey list list-codes dotted-null"),
            *_names("type", "code-1 code-2 code-3 code-4 code-8 code-10 code-16 code-18 code-19"),
        ],
        "patterns are Python's": _names("regex", "literal-quoted class-unicode"),
        "an index step looks into the array that it finds": [
            *_names("regex-at", "index"),
            *_names("path", "index-string index-gt"),
        ],
        "any integer is an index": _names("path", "index-leading-zero index-negative"),
        "the empty key means the whole document": [
            *_names("existence", "exists-odd-empty exists-key-empty"),
            *_names("path", "empty-step empty-key"),
        ],
    },
    "montydb": {
        "inside of arrays and sub-documents, booleans equal the numbers 0 and 1": [
            *_names("comparison/$eq", "array-nested"),
            *_names("comparison/$ne", "array-nested"),
            *_names("implicit", "array-nested"),
            *_names("set", "all-array"),
            *_names("array", "elem-array"),
            *_names("path", "index-array document-number"),
        ],
        "$gte and $lte null do not match a missing field": [
            *_names("comparison/$gte", "null"),
            *_names("comparison/$lte", "null"),
            *_names("path", "object-gte-null"),
        ],
        "an empty sub-document as operand raises an error": [
            *_names("implicit", "document-empty"),
            *_names("set", "in-documents"),
            *_names("path", "object-empty-object"),
        ],
        "$all with null does not match a missing field": _names("set", "all-null"),
        "$all with an empty list raises an error": _names("set", "all-empty"),
        "$all with $elemMatch matches too much": _names("set", "all-elements"),
        "$mod rounds towards minus infinity, and does not cut fractions": [
            *_names("logic", "or-inexact nor-inexact not-mod"),
            *_names("number", "mod-2-0 mod-2-1 mod-negative mod-negative-divisor mod-double"),
        ],
        "$type does not know `number`": [
            *_names("logic", "nor"),
            *_names("type", "number dotted"),
        ],
        "$type takes every integer for an `int`": _names("type", "int long code-16 code-18"),
        "$not refuses $regex, as MongoDB did before version 4": [
            *_names("logic", "not-regex not-regex-inexact"),
            *_names("regex-at", "not"),
        ],
        "$size refuses 2.0": _names("array", "size-double"),
        "$elemMatch looks into arrays inside of the array": [
            *_names("logic", "not-elem"),
            *_names("array", "elem-gt elem-range elem-eq elem-in elem-ne elem-nin elem-not"),
            *_names("array", "elem-true elem-text elem-type elem-size elem-regex elem-mod"),
            *_names("array", "elem-all elem-elem elem-document"),
        ],
        "$elemMatch with a filter takes scalars for objects, and arrays for none": [
            *_names("array", "elem-document-ne elem-document-null elem-document-empty"),
            *_names("array", "elem-document-nor elem-document-exists"),
        ],
        "patterns are Python's": _names("regex", "literal-quoted class-unicode"),
        "any integer is an index": _names("path", "index-leading-zero"),
    },
}
