"""`$type`: the value has one of the types that a MongoDB driver would store it with."""

from __future__ import annotations

from typing import Final

from lookalike.adapter.filters.bounds import Bounds
from lookalike.adapter.filters.json_values import JSON_TYPES, OTHER_TYPES, is_whole, type_name
from lookalike.adapter.filters.lookups import IndexKnowledge, has_type
from lookalike.adapter.filters.operators.definition import Operator
from lookalike.adapter.filters.reading import JsonOperand
from lookalike.adapter.filters.tree import NOTHING, Node, Path, Test

_NAMES_BY_CODE: Final = {code: name for name, code in {**JSON_TYPES, **OTHER_TYPES}.items()}
_NUMBERS: Final = frozenset(["int", "long", "double"])

_TYPE_LETTERS: Final = {
    "string": "st",
    "int": "i",
    "long": "l",
    "double": "f",
    "bool": "TF",
    "null": "n",
    "object": "oO",
    "array": "aANE",
}
"""The letters of each type's shadow tokens."""


def _read(source: JsonOperand) -> Node:
    """An alias, a BSON type code, or a list of them that is not empty."""
    items = source.read_list() if isinstance(source.value, list) else [source.value]
    if not items:
        raise source.refuse("the list of types is empty")
    names: frozenset[str] = frozenset()
    for item in items:
        names |= _read_names(item, source)
    wanted = names & JSON_TYPES.keys()
    return Test(source.path, "$type", wanted) if wanted else NOTHING


def _read_names(item: object, source: JsonOperand) -> frozenset[str]:
    if item == "number":
        return _NUMBERS
    name = item
    if isinstance(item, (int, float)) and not isinstance(item, bool):
        name = _NAMES_BY_CODE.get(int(item)) if is_whole(item) else None
    if isinstance(name, str) and (name in JSON_TYPES or name in OTHER_TYPES):
        return frozenset([name])
    raise source.refuse("an unknown type: $type takes the aliases and codes of BSON types")


def _match(value: object, operand: frozenset[str]) -> bool:
    return type_name(value) in operand


def _translate(path: Path, operand: frozenset[str], known: IndexKnowledge) -> Bounds:
    return has_type(path, "".join(_TYPE_LETTERS[name] for name in sorted(operand)), known)


TYPE: Final = Operator(_read, _match, _translate)
