"""The account of a filter that is being read: where the reader is, and what it has used.

`Location` says where: every refusal names a place in the request. `Budget` says how much: a filter
may hold only so many conditions, values and patterns. `JsonOperand` is what an operator is given to
read, with `Descent`, what it may ask of the parser: so operators need not import the parser.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Protocol

from lookalike.adapter.errors import InvalidFilter
from lookalike.adapter.filters import patterns
from lookalike.adapter.filters.extended_json import refusal_inside_value
from lookalike.adapter.filters.field_paths import fault_of_path, split_path
from lookalike.adapter.filters.json_values import Frozen, freeze
from lookalike.adapter.filters.tree import Node, Path

MAX_DEPTH: Final = 16
"""Objects and lists inside one another, the filter itself included."""
MAX_NODES: Final = 1_000
"""Conditions and logical operators together."""
MAX_VALUES: Final = 10_000
"""Values in all operands together, those in lists and sub-documents included."""
CONTAINER_VALUES: Final = 4
"""A list or a sub-document counts as this many values: it takes as long to read."""
MAX_LIST: Final = 10_000
MAX_PLACE_CHARS: Final = 200

RECORD_ID: Final = ("_id",)
EXACT_BELOW: Final = 2**53
"""Doubles of whole numbers below this stand for one integer each."""

_PLAIN: Final = re.compile(r"\$?[\w.-]+")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Location:
    """Where the reader is: the path of the field, the place in the request, the depth."""

    path: Path
    place: str
    depth: int
    in_element: bool = False
    """Whether the path begins at an element of an array, and not at the record."""

    @property
    def is_record_id(self) -> bool:
        """Whether the path is that of a record's `_id`: an `_id` further in is a field."""
        return self.path == RECORD_ID and not self.in_element

    def at(self, step: str) -> Location:
        plain = _PLAIN.fullmatch(step) is not None
        place = self.place + (f".{step}" if plain else f"[{json.dumps(step, ensure_ascii=False)}]")
        # Not more than a reader needs: a place is repeated for every node below it.
        return replace(self, place=place if len(place) <= MAX_PLACE_CHARS else self.place)

    def item(self, index: int) -> Location:
        return replace(self, place=f"{self.place}[{index}]")

    def of_field(self, dotted: str) -> Location:
        """The same place, of the field at this path. Refuses paths that no filter may have."""
        if (fault := fault_of_path(dotted)) is not None:
            raise self.refuse(fault)
        return replace(self, path=split_path(dotted))

    def of_element(self) -> Location:
        return replace(self, path=(), in_element=True)

    def deeper(self) -> Location:
        if self.depth >= MAX_DEPTH:
            raise self.too_deep()
        return replace(self, depth=self.depth + 1)

    def too_deep(self) -> InvalidFilter:
        return self.refuse(f"nested more than {MAX_DEPTH} levels deep")

    def refuse(self, text: str) -> InvalidFilter:
        return InvalidFilter(text, place=self.place)


@dataclass(slots=True)
class Budget:
    """What one filter has used of the limits so far. Each method refuses what exceeds them."""

    nodes: int = 0
    values: int = 0
    pattern_cost: int = 0

    def count_nodes(self, nodes: int, location: Location) -> None:
        self.nodes += nodes
        if self.nodes > MAX_NODES:
            raise location.refuse(f"more than {MAX_NODES} conditions in one filter")

    def count_pattern(self, source: str, location: Location) -> None:
        if len(source) > patterns.MAX_PATTERN_CHARS:
            raise location.refuse(f"a pattern of more than {patterns.MAX_PATTERN_CHARS} characters")
        self.pattern_cost += patterns.cost(source)
        if self.pattern_cost > patterns.MAX_PATTERN_COST:
            raise location.refuse("too many or too large patterns in one filter")

    def read_value(self, value: object, location: Location) -> Frozen:
        """A value to compare with, frozen. Its own keys are no operators."""
        if location.is_record_id:
            value = _stored_id(value)
        self._check_value(value, location, location.depth)
        return freeze(value)

    def _check_value(self, value: object, location: Location, depth: int) -> None:
        kind = type(value)
        self.values += CONTAINER_VALUES if kind is list or kind is dict else 1
        if self.values > MAX_VALUES:
            raise location.refuse(f"more than {MAX_VALUES} values in one filter")
        if kind is str:
            _check_text(str(value), location)
        elif kind is list or kind is dict:
            self._check_container(value, location, depth + 1)
        elif kind is int or kind is float:
            _check_number(value, location)
        elif value is not None and kind is not bool:
            raise location.refuse("not a JSON value")

    def _check_container(self, value: object, location: Location, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise location.too_deep()
        if isinstance(value, list):
            for item in value:
                self._check_value(item, location, depth)
            return
        for key, item in read_fields(value, location, "a value").items():
            if key.startswith("$"):
                raise location.refuse(refusal_inside_value(key))
            self._check_value(item, location, depth)


def _stored_id(value: object) -> object:
    """An integer as the text that `_id`s are stored as; all else as it is."""
    if isinstance(value, float) and value.is_integer() and abs(value) < EXACT_BELOW:
        value = int(value)
    return str(value) if type(value) is int else value


def _check_number(value: object, location: Location) -> None:
    # The comparison is false for NaN too.
    if not (isinstance(value, (int, float)) and abs(value) <= sys.float_info.max):
        raise location.refuse("a number out of range")


def _check_text(text: str, location: Location) -> None:
    if not text.isascii() and _SURROGATE.search(text):
        raise location.refuse("text that is not valid Unicode")


def read_fields(value: object, location: Location, what: str) -> Mapping[str, object]:
    """The fields of an object, the keys checked. `what` names the object in a refusal."""
    if not isinstance(value, dict):
        raise location.refuse(f"{what} must be an object")
    for key in value:
        if not isinstance(key, str):
            raise location.refuse("a key that is not a string")
        _check_text(key, location)
    return value


class Descent(Protocol):
    """The parser as an operator sees it, whose operand holds operators or a filter of its own."""

    @property
    def budget(self) -> Budget: ...

    def read_operators(self, value: object, location: Location, /) -> Node:
        """An object of operators, all of which must hold for the value at the location's path."""

    def read_filter(self, value: object, location: Location, /) -> Node:
        """A filter: fields and logical operators, all of which must hold."""


@dataclass(frozen=True, slots=True)
class JsonOperand:
    """The JSON operand of one operator. `siblings` are all operators of the same field."""

    value: object
    location: Location
    siblings: Mapping[str, object]
    descent: Descent

    @property
    def path(self) -> Path:
        return self.location.path

    def refuse(self, text: str) -> InvalidFilter:
        return self.location.refuse(text)

    def read_value(self) -> Frozen:
        """The operand as a value to compare with."""
        return self.descent.budget.read_value(self.value, self.location)

    def read_list(self) -> list[object]:
        """The items of an operand that must be a list, not yet checked themselves."""
        if not isinstance(self.value, list):
            raise self.refuse("the operand must be a list")
        if len(self.value) > MAX_LIST:
            raise self.refuse(f"a list of more than {MAX_LIST} values")
        return self.value
