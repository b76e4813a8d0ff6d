"""JSON values as MongoDB compares them: types, equality and order.

A *frozen* value is immutable, hashable and equal to another exactly when MongoDB says so:
`1 == 1.0`, but a boolean equals no number, and `[]` is not `{}`. Hence the three wrappers.
Order: https://www.mongodb.com/docs/manual/reference/bson-type-comparison-order/
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType, NoneType
from typing import Any, Final, TypeAlias

INT32_MAX: Final = 2**31 - 1
INT64_MAX: Final = 2**63 - 1


class Missing(enum.Enum):
    """The value of a path that leads nowhere. It is not null: `$type: "null"` does not match it."""

    MISSING = "missing"


MISSING: Final = Missing.MISSING


class Flag(enum.Enum):
    """A boolean. Python holds `True == 1`; MongoDB does not."""

    FALSE = False
    TRUE = True


@dataclass(frozen=True, slots=True)
class Array:
    items: tuple[Frozen, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """Fields in their order: in MongoDB `{a: 1, b: 2}` does not equal `{b: 2, a: 1}`."""

    fields: tuple[tuple[str, Frozen], ...]


Frozen: TypeAlias = str | int | float | Flag | Array | Document | Missing | None


def is_whole(value: object) -> bool:
    """An integer, or a float without a fraction."""
    return isinstance(value, int) or (isinstance(value, float) and value.is_integer())


def _scalar(value: object) -> Frozen:
    return value  # type: ignore[return-value]  # only reached for these


_FREEZE: Final[dict[type, Callable[..., Frozen]]] = {
    NoneType: _scalar,
    str: _scalar,
    Missing: _scalar,
    bool: Flag,
    int: _scalar,
    float: _scalar,
    list: lambda items: Array(tuple(freeze(item) for item in items)),
    dict: lambda fields: Document(tuple((k, freeze(v)) for k, v in fields.items())),
}


def freeze(value: object) -> Frozen:
    """The frozen form of a decoded JSON value. Raises KeyError for what JSON cannot say."""
    return _FREEZE[type(value)](value)


_BRACKETS: Final[dict[type, int]] = {
    Missing: 0,
    NoneType: 5,
    int: 10,
    float: 10,
    str: 15,
    Document: 20,
    Array: 25,
    Flag: 40,
}


def bracket(value: Frozen) -> int:
    """The bracket of a value: only values of one bracket are ever compared."""
    return _BRACKETS[type(value)]


def _order_arrays(left: Array, right: Array) -> int:
    for a, b in zip(left.items, right.items, strict=False):
        if verdict := _sign(bracket(a), bracket(b)) or order(a, b):
            return verdict
    return _sign(len(left.items), len(right.items))


def _order_documents(left: Document, right: Document) -> int:
    for (a_key, a), (b_key, b) in zip(left.fields, right.fields, strict=False):
        if verdict := _sign(bracket(a), bracket(b)) or _sign(a_key, b_key) or order(a, b):
            return verdict
    return _sign(len(left.fields), len(right.fields))


def _sign(a: Any, b: Any) -> int:
    return int(a > b) - int(a < b)


def order(left: Frozen, right: Frozen) -> int:
    """-1, 0 or 1 for two values of one bracket. Strings compare by code point, as their UTF-8."""
    if isinstance(left, Array) and isinstance(right, Array):
        return _order_arrays(left, right)
    if isinstance(left, Document) and isinstance(right, Document):
        return _order_documents(left, right)
    if isinstance(left, Flag) and isinstance(right, Flag):
        return _sign(left.value, right.value)
    return 0 if left is None or left is MISSING else _sign(left, right)


def number_type(value: int | float) -> str:
    """`int`, `long` or `double`: the BSON type that a MongoDB driver gives to this number.

    BSON has no larger integers than 64 bits: JavaScript, which sends them, holds them as doubles.
    """
    if isinstance(value, float) or not -INT64_MAX - 1 <= value <= INT64_MAX:
        return "double"
    return "int" if -INT32_MAX - 1 <= value <= INT32_MAX else "long"


_TYPE_NAMES: Final[dict[type, str]] = {
    NoneType: "null",
    bool: "bool",
    str: "string",
    dict: "object",
    list: "array",
    Missing: "missing",
}


def type_name(value: object) -> str:
    """The BSON type alias of a decoded JSON value; `missing` for no value."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return number_type(value)
    return _TYPE_NAMES[type(value)]


JSON_TYPES: Final = MappingProxyType(
    {
        "double": 1,
        "string": 2,
        "object": 3,
        "array": 4,
        "bool": 8,
        "null": 10,
        "int": 16,
        "long": 18,
    }
)
"""The BSON types that a JSON value can have, by alias and code."""

OTHER_TYPES: Final = MappingProxyType(
    {
        "binData": 5,
        "undefined": 6,
        "objectId": 7,
        "date": 9,
        "regex": 11,
        "dbPointer": 12,
        "javascript": 13,
        "symbol": 14,
        "javascriptWithScope": 15,
        "timestamp": 17,
        "decimal": 19,
        "minKey": -1,
        "maxKey": 127,
    }
)
"""The BSON types that no JSON value has: `$type` with one of them matches nothing."""
