"""Filters as they travel to the worker: a part of `messages`.

The words are those of https://qdrant.tech/documentation/concepts/filtering/. A condition on a field
says one thing of it.
"""

from __future__ import annotations

import datetime as dt

from msgspec import Struct

PlainPointId = int | str
"""An unsigned integer of 64 bits, or a UUID."""


class MatchValue(Struct, frozen=True, array_like=True, tag="value"):
    key: str
    value: bool | int | str


class MatchAny(Struct, frozen=True, array_like=True, tag="any"):
    key: str
    values: list[int | str]


class MatchPrefix(Struct, frozen=True, array_like=True, tag="prefix"):
    key: str
    prefix: str


class MatchSubstring(Struct, frozen=True, array_like=True, tag="substring"):
    key: str
    substring: str


class Range(Struct, frozen=True, array_like=True, tag="range"):
    key: str
    gt: float | None
    gte: float | None
    lt: float | None
    lte: float | None


class DatetimeRange(Struct, frozen=True, array_like=True, tag="datetimes"):
    """Bounds without a zone are UTC."""

    key: str
    gt: dt.datetime | None
    gte: dt.datetime | None
    lt: dt.datetime | None
    lte: dt.datetime | None


class HasId(Struct, frozen=True, array_like=True, tag="ids"):
    ids: list[PlainPointId]


class HasVector(Struct, frozen=True, array_like=True, tag="vector"):
    name: str


class Filter(Struct, frozen=True, array_like=True, tag="filter"):
    """All of `must`, one of `should` (where there are any) and none of `must_not`."""

    must: list[Condition]
    should: list[Condition]
    must_not: list[Condition]


Condition = (
    MatchValue
    | MatchAny
    | MatchPrefix
    | MatchSubstring
    | Range
    | DatetimeRange
    | HasId
    | HasVector
    | Filter
)
