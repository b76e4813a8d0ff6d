"""All operators, by name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from lookalike.adapter.filters.operators import (
    arrays,
    bson_types,
    comparison,
    existence,
    membership,
    modulo,
    negation,
    regex,
)
from lookalike.adapter.filters.operators.definition import Operator

OPERATORS: Final[Mapping[str, Operator]] = MappingProxyType(
    {
        "$eq": comparison.EQ,
        "$ne": comparison.NE,
        "$gt": comparison.GT,
        "$gte": comparison.GTE,
        "$lt": comparison.LT,
        "$lte": comparison.LTE,
        "$in": membership.IN,
        "$nin": membership.NIN,
        "$not": negation.NOT,
        "$exists": existence.EXISTS,
        "$type": bson_types.TYPE,
        "$all": arrays.ALL,
        "$elemMatch": arrays.ELEM_MATCH,
        "$size": arrays.SIZE,
        "$mod": modulo.MOD,
        "$regex": regex.REGEX,
        "$options": regex.OPTIONS,
    }
)

REFUSED: Final = frozenset(
    (
        *("$text", "$where", "$expr", "$jsonSchema", "$near", "$nearSphere"),
        *("$geoWithin", "$geoIntersects", "$comment", "$rand", "$sampleRate"),
        *("$bitsAllClear", "$bitsAllSet", "$bitsAnyClear", "$bitsAnySet"),
    )
)
"""Operators of MongoDB that we know and refuse; all others are unknown."""
