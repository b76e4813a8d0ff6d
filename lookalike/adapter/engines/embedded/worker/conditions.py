"""Filters: the plain REST form -> `qdrant_edge`, checked on the way.

https://qdrant.tech/documentation/concepts/filtering/ defines the form. The depth and the number of
conditions are bounded: the engine recurses over them on its stack.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import qdrant_edge as edge

from lookalike.adapter.engines.embedded.worker import validation
from lookalike.adapter.engines.embedded.worker.validation import Refused

Plain = dict[str, Any]


def filter_of(plain: Plain | None) -> edge.Filter | None:
    """The engine's filter, or None for no filter."""
    return None if plain is None else _Conditions().filter(plain, validation.MAX_FILTER_DEPTH)


def condition_of(plain: Plain) -> Any:
    """One condition on its own, as formulas hold them."""
    return _Conditions().condition(plain, validation.MAX_FILTER_DEPTH)


class _Conditions:
    """One conversion; counts its conditions."""

    def __init__(self) -> None:
        self._left = validation.MAX_CONDITIONS

    def filter(self, plain: Plain, depth: int) -> edge.Filter:
        if depth == 0:
            raise Refused("a filter is nested too deep")
        if not isinstance(plain, dict) or not plain.keys() <= _CLAUSES:
            raise Refused("a filter has an unknown clause")
        minimum = plain.get("min_should")
        return edge.Filter(
            must=self._clause(plain.get("must"), depth),
            should=self._clause(plain.get("should"), depth),
            must_not=self._clause(plain.get("must_not"), depth),
            min_should=None
            if minimum is None
            else edge.MinShould(
                self._clause(minimum.get("conditions"), depth) or [],
                validation.integer(minimum.get("min_count"), low=0, high=validation.MAX_CONDITIONS),
            ),
        )

    def _clause(self, plain: Any, depth: int) -> list[Any] | None:
        if plain is None:
            return None
        return [
            self.condition(item, depth - 1)
            for item in (plain if isinstance(plain, list) else [plain])
        ]

    def condition(self, plain: Plain, depth: int) -> Any:
        self._left -= 1
        if self._left < 0:
            raise Refused("a filter has too many conditions")
        if not isinstance(plain, dict):
            raise Refused("a condition must be an object")
        if "key" in plain:
            return _field_condition(plain)
        if "nested" in plain:
            nested = plain["nested"]
            return edge.NestedCondition(
                validation.path(nested.get("key")), self.filter(nested.get("filter"), depth)
            )
        for name, convert in _OTHER_CONDITIONS.items():
            if name in plain:
                return convert(plain[name])
        return self.filter(plain, depth)


def _field_condition(plain: Plain) -> edge.FieldCondition:
    operators = [name for name in plain if name != "key"]
    if len(operators) != 1 or operators[0] not in _FIELD_OPERATORS:
        # Two operators in one condition are an OR in one engine and half ignored in another.
        raise Refused("a field condition needs exactly one operator")
    name = operators[0]
    return edge.FieldCondition(
        validation.path(plain["key"]), **{name: _FIELD_OPERATORS[name](plain[name])}
    )


def _match(plain: Plain) -> Any:
    if len(plain) != 1:
        raise Refused("a match needs exactly one operator")
    ((name, value),) = plain.items()
    if name not in _MATCHES:
        raise Refused("a match has an unknown operator")
    return _MATCHES[name](value)


def _match_value(value: Any) -> edge.MatchValue:
    if isinstance(value, bool):
        # The binding reads a Python bool as an integer; a numpy one it reads as what it is.
        return edge.MatchValue(cast(bool, np.bool_(value)))
    if isinstance(value, int):
        return edge.MatchValue(_int64(value))
    return edge.MatchValue(validation.text(value))


def _any_of(value: Any) -> list[str] | list[int]:
    if not isinstance(value, list) or len(value) > validation.MAX_VALUES:
        raise Refused("a match needs a list of bounded length")
    if all(isinstance(item, str) for item in value):
        return value
    if any(isinstance(item, bool) or not isinstance(item, int) for item in value):
        raise Refused("a match needs a list of strings or a list of integers")
    return [_int64(item) for item in value]


def _int64(value: int) -> int:
    return validation.integer(value, low=validation.INT64.start, high=validation.INT64.stop - 1)


def _range(plain: Plain) -> edge.RangeFloat | edge.RangeDateTime:
    if not plain.keys() <= {"gte", "gt", "lte", "lt"}:
        raise Refused("a range has an unknown bound")
    if any(isinstance(bound, str | dt.date) for bound in plain.values()):
        return edge.RangeDateTime(**{name: date(bound) for name, bound in plain.items()})
    return edge.RangeFloat(**{name: validation.number(bound) for name, bound in plain.items()})


def date(value: Any) -> str:
    """A date or time in ISO 8601 (the engine takes no other form; without a zone it is UTC)."""
    if isinstance(value, str):
        try:
            dt.datetime.fromisoformat(value)
        except ValueError:
            raise Refused("a date is not in ISO 8601") from None
        return value
    if isinstance(value, dt.date):
        return value.isoformat()
    raise Refused("a date was expected")


def _values_count(plain: Plain) -> edge.ValuesCount:
    if not plain.keys() <= {"gte", "gt", "lte", "lt"}:
        raise Refused("values_count has an unknown bound")
    return edge.ValuesCount(
        **{name: validation.integer(bound, low=0, high=2**32) for name, bound in plain.items()}
    )


def geo_point(plain: Plain) -> edge.GeoPoint:
    longitude, latitude = validation.number(plain.get("lon")), validation.number(plain.get("lat"))
    if not (-180 <= longitude <= 180 and -90 <= latitude <= 90):
        raise Refused("a geo point is out of bounds")
    return edge.GeoPoint(longitude, latitude)


def _geo_line(plain: Plain) -> list[edge.GeoPoint]:
    points = plain.get("points")
    if not isinstance(points, list) or not 4 <= len(points) <= validation.MAX_CONDITIONS:
        raise Refused("a polygon needs 4 points or more, and a bounded number")
    if points[0] != points[-1]:
        raise Refused("a polygon must end where it starts")
    return [geo_point(point) for point in points]


def _geo_radius(plain: Plain) -> edge.GeoRadius:
    return edge.GeoRadius(geo_point(plain["center"]), validation.number(plain.get("radius")))


def _geo_box(plain: Plain) -> edge.GeoBoundingBox:
    return edge.GeoBoundingBox(geo_point(plain["top_left"]), geo_point(plain["bottom_right"]))


def _geo_polygon(plain: Plain) -> edge.GeoPolygon:
    holes = plain.get("interiors") or []
    return edge.GeoPolygon(_geo_line(plain["exterior"]), [_geo_line(hole) for hole in holes])


def _slice(plain: Plain) -> Any:
    total = validation.integer(plain.get("total"), low=1, high=2**32 - 1)
    # The stubs of the binding leave this class out.
    return edge.SliceCondition(total, validation.integer(plain.get("index"), low=0, high=total - 1))  # type: ignore[attr-defined]


_CLAUSES = {"must", "should", "must_not", "min_should"}

_OTHER_CONDITIONS: dict[str, Callable[[Any], Any]] = {
    "is_empty": lambda plain: edge.IsEmptyCondition(validation.path(plain.get("key"))),
    "is_null": lambda plain: edge.IsNullCondition(validation.path(plain.get("key"))),
    "has_id": lambda plain: edge.HasIdCondition(set(validation.point_ids(plain))),
    "has_vector": lambda plain: edge.HasVectorCondition(validation.text(plain)),
    "slice": _slice,
}

_FIELD_OPERATORS: dict[str, Callable[[Any], Any]] = {
    "match": _match,
    "range": _range,
    "values_count": _values_count,
    "geo_radius": _geo_radius,
    "geo_bounding_box": _geo_box,
    "geo_polygon": _geo_polygon,
    "is_empty": bool,
    "is_null": bool,
}

_MATCHES: dict[str, Callable[[Any], Any]] = {
    "value": _match_value,
    "any": lambda value: edge.MatchAny(_any_of(value)),
    "except": lambda value: edge.MatchExcept(_any_of(value)),
    "text": lambda value: edge.MatchText(validation.text(value)),
    "text_any": lambda value: edge.MatchTextAny(validation.text(value)),
    "phrase": lambda value: edge.MatchPhrase(validation.text(value)),
    "prefix": lambda value: edge.MatchPrefix(validation.text(value)),
    "substring": lambda value: edge.MatchSubstring(validation.text(value)),
}
