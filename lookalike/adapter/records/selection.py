"""Which records a request is about: a filter, translated, and what of it the engine cannot decide.

Every filter is exact. What the engine cannot decide is a *residual*: candidates are fetched in
pages and decided by `filters.match` on their records, up to a bound on the work, beyond which the
answer is an error and never a short list.

That is done in a thread, a page at a time whoever's it is, so that the event loop goes on answering
others: one page of long texts and many patterns takes a tenth of a second.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import msgspec
from qdrant_client import models

from lookalike.adapter.collections.collection_settings import Collection
from lookalike.adapter.engines.base import Engine
from lookalike.adapter.errors import FilterTooExpensive
from lookalike.adapter.filters import TRUNCATED_FILTER, Node, count_tests, match, parse, translate
from lookalike.adapter.records.points import PayloadSelector, Record, payload_selector

MAX_RESIDUAL_WORK = 300_000_000
"""The most that one request may look at for what the engine could not decide: characters of
records, times the conditions that are decided on each. 3 to 5 seconds of one core."""
CHARACTERS_OF_RECORD = 200
"""Each record costs as much as so many characters, beside its own."""

_DECIDING = ThreadPoolExecutor(max_workers=1, thread_name_prefix="residual")

T = TypeVar("T")


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
    """What a request has looked at for a residual."""

    def __init__(self) -> None:
        self.residual_records = 0
        self._left = MAX_RESIDUAL_WORK

    def add(self, record: Mapping[str, Any], conditions: int) -> None:
        """Raises FilterTooExpensive beyond `MAX_RESIDUAL_WORK`."""
        self.residual_records += 1
        self._left -= conditions * (CHARACTERS_OF_RECORD + len(msgspec.json.encode(record)))
        if self._left < 0:
            raise FilterTooExpensive(
                "The filter cannot be decided by an index, and to decide it on each record takes "
                f"too much work: after {self.residual_records} records more are left; add a "
                "condition on an indexed field",
                place="$.filter",
            )


async def keep_matching(
    selection: Selection, items: Sequence[T], record_of: Callable[[T], Record], work: Work | None
) -> list[T]:
    """Those whose records satisfy the residual; the engine has decided the rest.

    `work` bounds what that may cost, if there is one: then this raises FilterTooExpensive.
    """
    residual = selection.residual
    if residual is None or not items:
        return list(items)

    def decide() -> list[T]:
        conditions = count_tests(residual)
        kept = []
        for item in items:
            record = record_of(item)
            if work is not None:
                work.add(record, conditions)
            if match(residual, record):
                kept.append(item)
        return kept

    return await asyncio.get_running_loop().run_in_executor(_DECIDING, decide)
