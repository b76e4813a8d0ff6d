"""`$not`: what the operators inside do not match, missing fields included."""

from __future__ import annotations

from typing import Final

from lookalike.adapter.filters.operators.definition import Operator
from lookalike.adapter.filters.reading import JsonOperand
from lookalike.adapter.filters.tree import Node, Not


def _read(source: JsonOperand) -> Node:
    return Not(source.descent.read_operators(source.value, source.location))


NOT: Final = Operator(_read)
