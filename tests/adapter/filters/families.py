"""Named families of records. Each is about one kind of value, kept in the field `v`.

Every query case is run over all of them, so a case about strings also meets numbers, arrays and
records without the field.
"""

from __future__ import annotations

from typing import Any, Final


def _values(*values: Any) -> list[dict[str, Any]]:
    return [{"v": value} for value in values]


FAMILIES: Final[dict[str, list[dict[str, Any]]]] = {
    "strings": _values("foo", "bar", "Foo", "foobar", "barfoo", "foo\n", " foo", "fo", "a.b"),
    "strings-empty": _values("", " ", "\n", "\t", "\x00", "0"),
    "strings-unicode": _values(
        "é", "e\u0301", "É", "žluťoučký", "日本語", "\N{ICE CREAM}", "ß", "ss"
    ),
    "strings-like-others": _values("1", "1.0", "true", "false", "null", "[]", "{}", "undefined"),
    "strings-dates": _values(
        *("2024-01-05", "2024-01-05T10:00:00Z", "2024-01-05T10:00:00+02:00", "2023-12-31"),
        *("2024-1-5", "2024-02-30", "05.01.2024", "2024-01-05 10:00:00", "20240105"),
    ),
    "integers": _values(0, 1, -1, 2, 3, 41, 42, 43, 100, -42),
    "integers-long": _values(
        *(2**31 - 1, 2**31, -(2**31), -(2**31) - 1, 2**53 - 1, 2**53, 2**53 + 1, -(2**53) - 1),
        *(2**62, 2**63 - 1, -(2**63)),
    ),
    "doubles": _values(0.0, -0.0, 1.0, 41.9, 42.0, 42.13, -1.5, 0.1, 5e-324, 1e300, -1e300),
    "doubles-large": _values(float(2**53), float(2**53 + 2), float(2**62), float(2**63), 1e19),
    "numbers-mixed": _values(1, 1.0, "1", True, [1], [1.0], {"a": 1}, None),
    "booleans": _values(True, False, [True], [False], [True, False], "True"),
    "booleans-and-numbers": _values(True, 1, 1.0, False, 0, 0.0, [True, 1], [False, 0]),
    "nulls": [{"v": None}, {"v": [None]}, {"v": [None, None]}, {"v": {"a": None}}, {"w": None}],
    "missing": [{}, {"w": 1}, {"V": 1}, {"": 1}, {"v ": 1}, {"w": {"v": 1}}],
    "arrays-empty": _values([], [[]], [[], []], {}, [{}], {"a": []}, [None], ""),
    "arrays-strings": _values(
        *(["foo"], ["foo", "bar"], ["bar", "foo"], ["foo", "foo"], ["Foo"], ["foobar", ""]),
        *(["a", "b", "c"], ["2024-01-05", "x"]),
    ),
    "arrays-numbers": _values(
        *([1], [1, 2], [2, 1], [0, 9], [42, 43, 44], [1.0], [-1, 42.13], [2**53 + 1], [3, 3, 3]),
    ),
    "arrays-mixed": _values(
        *([1, "foo"], ["foo", None], [True, 1], [{"a": 1}, 1], [[1], 1], ["", 0, False, None]),
        *([42, "foo", None, {"a": 1}, [42]],),
    ),
    "arrays-nested": _values(
        *([[1]], [[1, 2], [3]], [["foo"]], [[["foo"]]], [[None]], [[True]], [[1], 1], [[[]]]),
        *([[{"a": 1}]], [[42], ["foo"], {}]),
    ),
    "documents": _values(
        *({"a": 1}, {"a": 1.0}, {"a": 1, "b": 2}, {"b": 2, "a": 1}, {"a": "foo"}, {"a": None}),
        *({"a": True}, {"a": {"b": 1}}, {"b": 1}, {"a": [1]}, {"a": ""}),
    ),
    "documents-deep": _values(
        *({"a": {"b": {"c": 42}}}, {"a": {"b": {"c": "foo"}}}, {"a": {"b": 42}}, {"a": 42}),
        *({"a": {"b": {"c": None}}}, {"a": {"b": {"c": []}}}, {"a": {"b": []}}, {"a": []}),
        *({"a": {"b": [{"c": 42}, {"c": 1}]}}, {"a": [{"b": [{"c": 42}]}, {"b": {"c": 1}}]}),
    ),
    "arrays-of-documents": _values(
        *([{"a": 1}], [{"a": 1}, {"a": 2}], [{"a": 1, "b": 2}, {"a": 2, "b": 1}], [{"b": 1}]),
        *([{"a": 1}, {"b": 1}], [{"a": [1, 2]}], [{"a": "foo"}, 1, None], [{"a": None}], [{}]),
        *([{"a": {"b": 42}}, {"a": {"b": 1}}], [{"a": {"b": 42, "c": 1}}], [{"a": []}]),
    ),
    "documents-of-arrays": _values(
        *({"a": [1, 2, 3]}, {"a": ["foo", "bar"]}, {"a": []}, {"a": [None]}, {"a": [[1]]}),
        *({"a": [{"b": 1}, {"b": 42}]}, {"a": [{"b": [42]}]}, {"a": [True]}, {"a": [{}]}),
    ),
    "keys-odd": _values(
        *({"a b": 1}, {"a/b": "foo"}, {"é": 42}, {"\N{ICE CREAM}": 1}, {"": 1}, {"$x": 1}),
        *({'q"': 1}, {"back\\slash": 1}, {"a-b_c": 1}, {"[]": 1}, {"a[0]": 1}, {"*": 1}),
    ),
    "keys-dotted": [
        *({"v.a": 1}, {"v.a": 1, "v": {"a": 2}}, {"v": {"a.b": 42}}, {"v": {"a.b": 1, "a": 42}}),
        *({"v.a.b": "foo"}, {"v": {"a.": 1}}, {"v": {".a": 1}}),
    ],
    "keys-numeric": _values(
        *({"0": 1}, {"0": {"a": 1}}, {"1": 1}, {"0": [1]}, {"00": 1}, {"-1": 1}, [{"0": 1}]),
        *([5, {"1": 7}], [{"a": 1}, {"a": 42}], [[1, 42], [42]], {"10": "foo"}),
    ),
    "products": [
        {
            "_id": "p1",
            "v": "shoe",
            "brand": "Acme",
            "price": 59.9,
            "in_stock": True,
            "tags": ["new", "sale"],
            "variants": [{"size": "M", "stock": 3}, {"size": "L", "stock": 0}],
        },
        {"_id": "p2", "v": "shoe", "brand": "Bolt", "price": 60, "in_stock": False, "tags": []},
        {
            "_id": "p3",
            "v": "coat",
            "brand": "Acme",
            "price": None,
            "tags": ["sale"],
            "variants": [],
        },
        {
            "_id": "p4",
            "v": "hat",
            "price": 12,
            "in_stock": True,
            "variants": [{"size": "M", "stock": 0}, {"size": "S"}],
            "sizes": {"38": 2, "40": 0},
        },
    ],
}
