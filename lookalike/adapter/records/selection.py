"""Which records a request is about: a filter, translated, and what of it the engine cannot decide.

Every filter is exact. What the engine cannot decide is a *residual*: candidates are fetched in
pages and decided by `filters.match` on their records, up to a bound on the work, beyond which the
answer is an error and never a short list.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from qdrant_client import models

from lookalike.adapter.collections.collection_settings import Collection
from lookalike.adapter.engines.base import Engine
from lookalike.adapter.errors import FilterTooExpensive
from lookalike.adapter.filters import TRUNCATED_FILTER, Node, match, parse, translate
from lookalike.adapter.records.points import PayloadSelector, payload_selector

MAX_RESIDUAL_RECORDS = 100_000
"""The most records that one request has looked at for what the engine could not decide."""


class Selection(msgspec.Struct, frozen=True):
    """A parsed filter, translated for one collection."""

    filter: models.Filter | None = None
    residual: Node | None = None
    source: Any = None
    """The filter as it was given."""
    complete: bool = False
    """Whether all shadow tokens of all records are known to be kept."""

    @classmethod
    def of(
        cls, filter_: object | None, collection: Collection, *, complete: bool = False
    ) -> Selection:
        """Raises InvalidFilter."""
        if filter_ is None:
            return cls(complete=complete)
        translation = translate(parse(filter_), collection.indexes, complete=complete)
        return cls(translation.filter, translation.residual, filter_, complete)

    def matches(self, record: Mapping[str, Any]) -> bool:
        """Decides the residual; the engine has decided the rest."""
        return self.residual is None or match(self.residual, record)

    def payload(self, collection: Collection, fields: frozenset[str] | None) -> PayloadSelector:
        """What to ask the engine for: the fields of the answer, or all that a residual may need."""
        return payload_selector(collection, fields if self.residual is None else None)


EVERYTHING = Selection()


async def select(engine: Engine, collection: Collection, filter_: object | None) -> Selection:
    """The selection of a request. Raises InvalidFilter.

    Where a filter asks for what is absent (`$exists`, null, `[]`), the engine alone can decide it
    only if no record has more shadow tokens than are kept. Such records are rare, so it is worth
    asking whether there are any.
    """
    cautious = Selection.of(filter_, collection)
    if cautious.residual is None:
        return cautious
    trusting = Selection.of(filter_, collection, complete=True)
    if (trusting.filter, trusting.residual) == (cautious.filter, cautious.residual):
        return cautious
    cut = await engine.count(collection.physical, count_filter=TRUNCATED_FILTER)
    return cautious if cut.count else trusting


class Work:
    """Counts the records that were looked at for a residual."""

    def __init__(self) -> None:
        self.residual_records = 0

    def add(self, looked_at: int) -> None:
        """Raises FilterTooExpensive beyond `MAX_RESIDUAL_RECORDS`."""
        self.residual_records += looked_at
        if self.residual_records > MAX_RESIDUAL_RECORDS:
            raise FilterTooExpensive(
                "The filter cannot be decided by an index and would have to look at more than "
                f"{MAX_RESIDUAL_RECORDS} records; add a condition on an indexed field",
                place="$.filter",
            )
