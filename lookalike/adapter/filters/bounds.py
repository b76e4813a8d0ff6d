"""Conditions of the engine that enclose a node: one that matches no less, one that matches no more.

Negation turns a superset into a subset, so every node is carried as both. Where the two are the
same condition, the engine decides the node alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, TypeAlias

from qdrant_client import models

Condition: TypeAlias = models.Condition | bool
"""A condition of the engine; True for every record, False for none."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Every record of `subset` matches the node; every record that matches is in `superset`."""

    superset: Condition
    subset: Condition

    @property
    def exact(self) -> bool:
        return self.superset is self.subset


def exactly(condition: Condition) -> Bounds:
    return Bounds(condition, condition)


def at_most(condition: Condition) -> Bounds:
    """A superset, of which nothing is known to match."""
    return Bounds(condition, False)


UNKNOWN: Final = Bounds(True, False)


def all_of(conditions: Iterable[Condition]) -> Condition:
    """All hold. Conjunctions inside are opened, so that the engine sees one flat list."""
    must: list[models.Condition] = []
    must_not: list[models.Condition] = []
    for condition in conditions:
        if condition is False:
            return False
        if condition is True:
            continue
        if isinstance(condition, models.Filter) and not condition.should:
            must += _listed(condition.must)
            must_not += _listed(condition.must_not)
        else:
            must.append(condition)
    if not must and not must_not:
        return True
    if len(must) == 1 and not must_not:
        return must[0]
    return models.Filter(must=must or None, must_not=must_not or None)


def any_of(conditions: Iterable[Condition]) -> Condition:
    """At least one holds. Never an empty `should`, which the engine reads as no condition."""
    should: list[models.Condition] = []
    for condition in conditions:
        if condition is True:
            return True
        if condition is False:
            continue
        if isinstance(condition, models.Filter) and not (condition.must or condition.must_not):
            should += _listed(condition.should)
        else:
            should.append(condition)
    if not should:
        return False
    return should[0] if len(should) == 1 else models.Filter(should=should)


def opposite(condition: Condition) -> Condition:
    if isinstance(condition, bool):
        return not condition
    if isinstance(condition, models.Filter) and not (condition.must or condition.should):
        denied = _listed(condition.must_not)
        return denied[0] if len(denied) == 1 else models.Filter(should=denied)
    return models.Filter(must_not=[condition])


def _listed(part: object) -> list[models.Condition]:
    if part is None:
        return []
    return part if isinstance(part, list) else [part]  # type: ignore[list-item]  # one condition


def intersection(parts: Iterable[Bounds]) -> Bounds:
    parts = list(parts)
    superset = all_of(part.superset for part in parts)
    if all(part.exact for part in parts):
        return exactly(superset)
    return Bounds(superset, all_of(part.subset for part in parts))


def union(parts: Iterable[Bounds]) -> Bounds:
    parts = list(parts)
    superset = any_of(part.superset for part in parts)
    if all(part.exact for part in parts):
        return exactly(superset)
    return Bounds(superset, any_of(part.subset for part in parts))


def complement(part: Bounds) -> Bounds:
    superset = opposite(part.subset)
    return exactly(superset) if part.exact else Bounds(superset, opposite(part.superset))


def as_filter(condition: Condition) -> models.Filter | None:
    """The condition as a filter of the engine; None for every record."""
    if condition is True:
        return None
    if condition is False:
        return models.Filter(must=[models.HasIdCondition(has_id=[])])
    if isinstance(condition, models.Filter):
        return condition
    return models.Filter(must=[condition])


def size_of(condition: Condition) -> tuple[int, int]:
    """The number of conditions, filters inside one another included, and how deep these go."""
    if isinstance(condition, bool):
        return 0, 0
    if not isinstance(condition, models.Filter):
        return 1, 1
    parts = (condition.must, condition.should, condition.must_not)
    sizes = [size_of(inner) for part in parts for inner in _listed(part)]
    return 1 + sum(count for count, _ in sizes), 1 + max(depth for _, depth in sizes)
