"""What a key with a dollar sign means that is no operator here, so that a refusal can name it.

Drivers of MongoDB write values that JSON does not have as objects with such a key. Records hold
JSON, so these values are in no record, and what to write instead depends on how they got there.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

_NUMBER: Final = "write a plain number"
_TEXT: Final = "write the text itself"

WRAPPERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "$date": "write the date as the records have it, as a text or a number",
        "$timestamp": "write the time as the records have it, as a text or a number",
        "$oid": _TEXT,
        "$uuid": _TEXT,
        "$symbol": _TEXT,
        "$binary": _TEXT,
        "$numberInt": _NUMBER,
        "$numberLong": _NUMBER,
        "$numberDouble": _NUMBER,
        "$numberDecimal": _NUMBER,
        "$regularExpression": "write $regex and $options",
    }
)
"""Of MongoDB's extended JSON, by key: what to write instead."""

_PATTERNS: Final = frozenset({"$regex", "$options", "$regularExpression"})


def wrapper_refusal(key: str) -> str | None:
    """What to say of a key in the place of an operator; None of one that is no such wrapper."""
    instead = WRAPPERS.get(key)
    return None if instead is None else f"{key} is MongoDB's extended JSON: {instead}"


def refusal_inside_value(key: str) -> str:
    """What to say of a key with a dollar sign inside a value to compare with."""
    if key in _PATTERNS:
        return f"{key} among values: join conditions with $regex by $or instead"
    return wrapper_refusal(key) or "an operator inside a value: write the path with dots instead"
