"""JSON -> tree. Every fault of a filter is found here, before anything is asked of the engine."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import ClassVar, Final

from lookalike.adapter.errors import InvalidFilter
from lookalike.adapter.filters import field_paths, patterns
from lookalike.adapter.filters.json_values import Frozen, freeze
from lookalike.adapter.filters.operators import OPERATORS
from lookalike.adapter.filters.tree import Node, Not, Or, Path, conjunction
from lookalike.adapter.point_layout import RESERVED_KEY

MAX_DEPTH: Final = 16
"""Objects and lists inside one another, the filter itself included."""
MAX_NODES: Final = 1_000
"""Conditions and logical operators together."""
MAX_VALUES: Final = 10_000
"""Values in all operands together, those in lists and sub-documents included."""
CONTAINER_VALUES: Final = 4
"""A list or a sub-document counts as this many values: it takes as long to read."""
MAX_LIST: Final = 10_000
MAX_PATH_CHARS: Final = 512
MAX_STEPS: Final = 32
MAX_PLACE_CHARS: Final = 200

_PLAIN: Final = re.compile(r"\$?[\w.-]+")
_NAME: Final = re.compile(r"\$[A-Za-z]{1,24}")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Spot:
    """Where the parser is: the path of the field, the place in the request, the depth."""

    path: Path
    place: str
    depth: int

    def at(self, step: str) -> Spot:
        plain = _PLAIN.fullmatch(step) is not None
        place = self.place + (f".{step}" if plain else f"[{json.dumps(step, ensure_ascii=False)}]")
        # Not more than a reader needs: a place is repeated for every node below it.
        return replace(self, place=place if len(place) <= MAX_PLACE_CHARS else self.place)

    def item(self, index: int) -> Spot:
        return replace(self, place=f"{self.place}[{index}]")

    def of_element(self) -> Spot:
        return replace(self, path=())

    def deeper(self) -> Spot:
        if self.depth >= MAX_DEPTH:
            raise self.too_deep()
        return replace(self, depth=self.depth + 1)

    def too_deep(self) -> InvalidFilter:
        return self.refuse(f"nested more than {MAX_DEPTH} levels deep")

    def refuse(self, text: str) -> InvalidFilter:
        return InvalidFilter(text, place=self.place)


@dataclass(slots=True)
class Reader:
    """One run of the parser: what it has used of the limits."""

    max_list: ClassVar[int] = MAX_LIST

    nodes: int = 0
    values: int = 0
    pattern_cost: int = 0

    def document(self, value: object, spot: Spot) -> Node:
        """A filter: fields and logical operators, all of which must hold."""
        fields = self.fields(value, spot, "a filter")
        inner = spot.deeper()
        children = []
        for key, operand in fields.items():
            there = inner.at(key)
            if key in LOGICAL:
                children.append(self.logical(key, operand, there))
            elif key.startswith("$"):
                raise there.refuse(unknown(key, "at the top of a filter"))
            else:
                children.append(self.predicate(operand, self.enter(key, there)))
        return conjunction(tuple(children))

    def logical(self, name: str, operand: object, spot: Spot) -> Node:
        """`$and`, `$or`, `$nor`: a list of filters, not empty."""
        if not isinstance(operand, list) or not operand:
            raise spot.refuse(f"{name} takes a list of filters that is not empty")
        self.count(len(operand), spot)
        inner = spot.deeper()
        children = tuple(self.document(item, inner.item(i)) for i, item in enumerate(operand))
        return LOGICAL[name](children)

    def predicate(self, value: object, spot: Spot) -> Node:
        """What is said of one field: operators, or a value that it must equal."""
        if isinstance(value, dict) and any(isinstance(k, str) and k.startswith("$") for k in value):
            return self.operators(value, spot)
        return OPERATORS["$eq"].build(self, value, spot, {})

    def operators(self, value: object, spot: Spot) -> Node:
        """An object of operators, all of which must hold for one field."""
        fields = self.fields(value, spot, "operators")
        if not fields:
            raise spot.refuse("an object of operators is empty")
        inner = spot.deeper()
        children = []
        for name, operand in fields.items():
            there = inner.at(name)
            if name not in OPERATORS:
                where = "on a field" if name.startswith("$") else "beside operators"
                raise there.refuse(unknown(name, where))
            self.count(1, there)
            children.append(OPERATORS[name].build(self, operand, there, fields))
        return conjunction(tuple(children))

    def enter(self, dotted: str, spot: Spot) -> Spot:
        """The spot of a field, its path checked."""
        if len(dotted) > MAX_PATH_CHARS:
            raise spot.refuse(f"a path of more than {MAX_PATH_CHARS} characters")
        path = field_paths.split_path(dotted)
        if len(path) > MAX_STEPS:
            raise spot.refuse(f"a path of more than {MAX_STEPS} steps")
        if path[0] == RESERVED_KEY:
            raise spot.refuse("a path to a reserved key")
        self.count(1, spot)
        return replace(spot, path=path)

    def literal(self, value: object, spot: Spot) -> Frozen:
        """A value to compare with, frozen. Its own keys are no operators."""
        self._check_value(value, spot, spot.depth)
        return freeze(value)

    def _check_value(self, value: object, spot: Spot, depth: int) -> None:
        kind = type(value)
        self.values += CONTAINER_VALUES if kind is list or kind is dict else 1
        if self.values > MAX_VALUES:
            raise spot.refuse(f"more than {MAX_VALUES} values in one filter")
        if kind is str:
            self._check_text(str(value), spot)
        elif kind is list or kind is dict:
            self._check_container(value, spot, depth + 1)
        elif kind is int or kind is float:
            self._check_number(value, spot)
        elif value is not None and kind is not bool:
            raise spot.refuse("not a JSON value")

    def _check_number(self, value: object, spot: Spot) -> None:
        # The comparison is false for NaN too.
        if not (isinstance(value, (int, float)) and abs(value) <= 1e308):
            raise spot.refuse("a number out of range")

    def _check_container(self, value: object, spot: Spot, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise spot.too_deep()
        if isinstance(value, list):
            for item in value:
                self._check_value(item, spot, depth)
            return
        for key, item in self.fields(value, spot, "a value").items():
            if key.startswith("$"):
                text = "an operator inside a value: write the path with dots instead"
                raise spot.refuse(text)
            self._check_value(item, spot, depth)

    def fields(self, value: object, spot: Spot, what: str) -> Mapping[str, object]:
        if not isinstance(value, dict):
            raise spot.refuse(f"{what} must be an object")
        for key in value:
            if not isinstance(key, str):
                raise spot.refuse("a key that is not a string")
            self._check_text(key, spot)
        return value

    def _check_text(self, text: str, spot: Spot) -> None:
        if not text.isascii() and _SURROGATE.search(text):
            raise spot.refuse("text that is not valid Unicode")

    def count(self, nodes: int, spot: Spot) -> None:
        self.nodes += nodes
        if self.nodes > MAX_NODES:
            raise spot.refuse(f"more than {MAX_NODES} conditions in one filter")

    def spend(self, source: str, spot: Spot) -> None:
        """Take a pattern's cost from what the filter may spend on patterns."""
        if len(source) > patterns.MAX_PATTERN_CHARS:
            raise spot.refuse(f"a pattern of more than {patterns.MAX_PATTERN_CHARS} characters")
        self.pattern_cost += patterns.cost(source)
        if self.pattern_cost > patterns.MAX_PATTERN_COST:
            raise spot.refuse("too many or too large patterns in one filter")


def _nor(children: tuple[Node, ...]) -> Node:
    return conjunction(tuple(Not(child) for child in children))


LOGICAL: Final[Mapping[str, Callable[[tuple[Node, ...]], Node]]] = MappingProxyType(
    {"$and": conjunction, "$or": Or, "$nor": _nor}
)

REFUSED: Final = frozenset(
    (
        *("$text", "$where", "$expr", "$jsonSchema", "$near", "$nearSphere"),
        *("$geoWithin", "$geoIntersects", "$comment", "$rand", "$sampleRate"),
        *("$bitsAllClear", "$bitsAllSet", "$bitsAnyClear", "$bitsAnySet"),
    )
)
"""Operators of MongoDB that we know and refuse; all others are unknown."""


def unknown(name: str, where: str) -> str:
    """What to say of a key that is no operator here; it is named only if it looks like one."""
    if name in REFUSED:
        return f"{name} is not supported"
    if name in OPERATORS or name in LOGICAL:
        return f"{name} does not stand {where}"
    if not name.startswith("$"):
        return f"a field {where}"
    return f"unknown operator {name}" if _NAME.fullmatch(name) else "unknown operator"


def parse(filter: object) -> Node:
    """The tree of a filter in MongoDB's language, given as decoded JSON.

    `{}` matches everything. Raises `InvalidFilter`, and nothing else, for whatever we do not take:
    unknown operators, wrong operands, more depth, nodes, values or patterns than the limits of
    this module, paths to the reserved key. Takes at most 50 ms for 64 KiB of JSON.
    """
    return Reader().document(filter, Spot((), "$.filter", 0))
