"""Filters: messages -> `qdrant_edge`, checked on the way.

The depth and the number of conditions are bounded: the engine recurses over them on its stack.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
import qdrant_edge as edge

from lookalike.adapter.engines.embedded import condition_messages
from lookalike.adapter.engines.embedded.worker import validation
from lookalike.adapter.engines.embedded.worker.validation import Refused

MAX_ENGINE_FILTER_DEPTH = 32
MAX_ENGINE_CONDITIONS = 4000


def edge_filter(message: condition_messages.Filter | None) -> edge.Filter | None:
    """The engine's filter, or None for no filter."""
    return None if message is None else _Conversion().filter(message, MAX_ENGINE_FILTER_DEPTH)


class _Conversion:
    """One filter on its way to the engine; counts its condition_messages."""

    def __init__(self) -> None:
        self._left = MAX_ENGINE_CONDITIONS

    def filter(self, message: condition_messages.Filter, depth: int) -> edge.Filter:
        if depth == 0:
            raise Refused("a filter is nested too deep")
        return edge.Filter(
            must=self._clause(message.must, depth),
            should=self._clause(message.should, depth),
            must_not=self._clause(message.must_not, depth),
        )

    def _clause(self, clause: list[condition_messages.Condition], depth: int) -> list[Any] | None:
        return [self._condition(item, depth - 1) for item in clause] or None

    def _condition(self, message: condition_messages.Condition, depth: int) -> Any:
        self._left -= 1
        if self._left < 0:
            raise Refused("a filter has too many conditions")
        if isinstance(message, condition_messages.Filter):
            return self.filter(message, depth)
        return _CONDITIONS[type(message)](message)


def _match_value(message: condition_messages.MatchValue) -> edge.FieldCondition:
    value = message.value
    if isinstance(value, bool):
        # The binding reads a Python bool as an integer; a numpy one it reads as what it is.
        value = cast(bool, np.bool_(value))
    elif isinstance(value, int):
        validation.check_int64(value)
    return _matching(message.key, edge.MatchValue(value))


def _match_any(message: condition_messages.MatchAny) -> edge.FieldCondition:
    values: Any = message.values
    if len(values) > validation.MAX_LIST_LENGTH:
        raise Refused("a match needs a list of bounded length")
    if not all(isinstance(value, str) for value in values):
        if any(isinstance(value, str) for value in values):
            raise Refused("a match needs a list of strings or a list of integers")
        for value in values:
            validation.check_int64(value)
    return _matching(message.key, edge.MatchAny(values))


def _matching(key: str, match: Any) -> edge.FieldCondition:
    return edge.FieldCondition(validation.check_path(key), match=match)


def _range(message: condition_messages.Range) -> edge.FieldCondition:
    bounds = {
        name: validation.check_finite(bound)
        for name in BOUNDS
        if (bound := getattr(message, name)) is not None
    }
    return edge.FieldCondition(validation.check_path(message.key), range=edge.RangeFloat(**bounds))


def _datetime_range(message: condition_messages.DatetimeRange) -> edge.FieldCondition:
    bounds = {
        name: bound.isoformat() for name in BOUNDS if (bound := getattr(message, name)) is not None
    }
    return edge.FieldCondition(
        validation.check_path(message.key), range=edge.RangeDateTime(**bounds)
    )


BOUNDS = ("gt", "gte", "lt", "lte")

_CONDITIONS: dict[type, Callable[[Any], Any]] = {
    condition_messages.MatchValue: _match_value,
    condition_messages.MatchAny: _match_any,
    condition_messages.MatchPrefix: lambda m: _matching(m.key, edge.MatchPrefix(m.prefix)),
    condition_messages.MatchSubstring: lambda m: _matching(m.key, edge.MatchSubstring(m.substring)),
    condition_messages.Range: _range,
    condition_messages.DatetimeRange: _datetime_range,
    condition_messages.HasId: lambda m: edge.HasIdCondition(set(validation.check_point_ids(m.ids))),
    condition_messages.HasVector: lambda m: edge.HasVectorCondition(m.name),
}
