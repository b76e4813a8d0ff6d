"""How many records have each value of a field."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec

from lookalike.adapter.collections.collection_settings import Collection
from lookalike.adapter.collections.indexes import index_key
from lookalike.adapter.engines.base import Engine
from lookalike.adapter.engines.engine_facts import MAX_LIMIT
from lookalike.adapter.filters import split_path
from lookalike.adapter.records import listing
from lookalike.adapter.records.selection import Selection, Work
from lookalike.adapter.search.grouping import group_keys


class ValueCount(msgspec.Struct):
    value: Any
    count: int


class Facets(msgspec.Struct):
    values: list[ValueCount]
    """Most frequent first, then by value."""
    residual_records: int = 0


async def count_values(
    engine: Engine, collection: Collection, field: str, limit: int, selection: Selection
) -> Facets:
    """The values of `field` among the matching records, with the number of records of each.

    Strings, numbers and booleans count, in a list once each: a value's count is that of the records
    which match a filter for it. With a keyword index the engine counts the strings and only records
    with other values are read; without, all matching ones are.
    """
    work = Work()
    counts: Counter[tuple[str, Any]] = Counter()
    # A filter goes through the arrays on a path; the index of the engine does not.
    indexed = collection.indexes.get(field) == "keyword" and len(split_path(field)) == 1
    by_engine = indexed and selection.residual is None
    if by_engine:
        answer = await engine.facet(
            collection.physical,
            key=index_key(field),
            facet_filter=selection.filter,
            limit=MAX_LIMIT,
        )
        counts.update({("string", hit.value): hit.count for hit in answer.hits})
        others: Any = {field: {"$type": ["number", "bool"]}}
        both = others if not selection.source else {"$and": [selection.source, others]}
        selection = Selection.of(both, collection, complete=selection.complete)
    fields = frozenset({field.split(".")[0]})
    async for page in listing.scan_records(engine, collection, selection, fields, work=work):
        for entry in page:
            keys = set(group_keys(entry.record, field))
            counts.update(key for key in keys if not (by_engine and key[0] == "string"))
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0][0], item[0][1]))
    values = [ValueCount(value, count) for (_, value), count in ranked[:limit]]
    return Facets(values, work.residual_records)
