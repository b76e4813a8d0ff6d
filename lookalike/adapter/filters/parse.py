"""JSON -> tree. Every fault of a filter is found here, before anything is asked of the engine."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from lookalike.adapter.filters.extended_json import wrapper_refusal
from lookalike.adapter.filters.operators.logic import LOGICAL
from lookalike.adapter.filters.operators.table import OPERATORS, REFUSED
from lookalike.adapter.filters.reading import Budget, JsonOperand, Location, read_fields
from lookalike.adapter.filters.tree import Node, conjunction

ORDERED: Final = frozenset({"$gt", "$gte", "$lt", "$lte"})

_NAME: Final = re.compile(r"\$[A-Za-z]{1,24}")


@dataclass(frozen=True, slots=True)
class _Parser:
    """The descent through one filter: a `Descent` for the operators that it meets."""

    budget: Budget = field(default_factory=Budget)

    def read_filter(self, value: object, location: Location, /) -> Node:
        """A filter: fields and logical operators, all of which must hold."""
        fields = read_fields(value, location, "a filter")
        inner = location.deeper()
        children = []
        for key, operand in fields.items():
            there = inner.at(key)
            if key in LOGICAL:
                children.append(self._read_logical(key, operand, there))
            elif key.startswith("$"):
                raise there.refuse(_unknown(key, "at the top of a filter"))
            else:
                children.append(self._read_field(key, operand, there))
        return conjunction(tuple(children))

    def _read_logical(self, name: str, operand: object, location: Location) -> Node:
        """`$and`, `$or`, `$nor`: a list of filters, not empty."""
        if not isinstance(operand, list) or not operand:
            raise location.refuse(f"{name} takes a list of filters that is not empty")
        self.budget.count_nodes(len(operand), location)
        inner = location.deeper()
        children = tuple(self.read_filter(item, inner.item(i)) for i, item in enumerate(operand))
        return LOGICAL[name](children)

    def _read_field(self, dotted: str, value: object, location: Location) -> Node:
        """What is said of one field: operators, or a value that it must equal."""
        there = location.of_field(dotted)
        self.budget.count_nodes(1, there)
        if isinstance(value, dict) and any(isinstance(k, str) and k.startswith("$") for k in value):
            return self.read_operators(value, there)
        return OPERATORS["$eq"].read(JsonOperand(value, there, {}, self))

    def read_operators(self, value: object, location: Location, /) -> Node:
        """An object of operators, all of which must hold for one field."""
        fields = read_fields(value, location, "operators")
        if not fields:
            raise location.refuse("an object of operators is empty")
        inner = location.deeper()
        children = []
        for name, operand in fields.items():
            there = inner.at(name)
            if name not in OPERATORS:
                where = "on a field" if name.startswith("$") else "beside operators"
                raise there.refuse(_unknown(name, where))
            if name in ORDERED and there.is_record_id and type(operand) in (int, float):
                raise there.refuse("an _id is a text, and texts are not in the order of numbers")
            self.budget.count_nodes(1, there)
            children.append(OPERATORS[name].read(JsonOperand(operand, there, fields, self)))
        return conjunction(tuple(children))


def _unknown(name: str, where: str) -> str:
    """What to say of a key that is no operator here; it is named only if it looks like one."""
    if name in REFUSED:
        return f"{name} is not supported"
    if name in OPERATORS or name in LOGICAL:
        return f"{name} does not stand {where}"
    if wrapped := wrapper_refusal(name):
        return wrapped
    if not name.startswith("$"):
        return f"a field {where}"
    return f"unknown operator {name}" if _NAME.fullmatch(name) else "unknown operator"


def parse(decoded: object) -> Node:
    """The tree of a filter in MongoDB's language, given as decoded JSON.

    `{}` matches everything. Raises `InvalidFilter`, and nothing else, for whatever we do not take:
    unknown operators, wrong operands, paths to the reserved key, more than the limits of `reading`
    allow. Takes at most 50 ms for 64 KiB of JSON.
    """
    return _Parser().read_filter(decoded, Location((), "$.filter", 0))
