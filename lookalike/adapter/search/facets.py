"""How many records have each value of a field."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec

from lookalike.adapter.collections.collection_settings import Collection
from lookalike.adapter.engines.base import Engine
from lookalike.adapter.records import listing
from lookalike.adapter.records.selection import Selection, Work
from lookalike.adapter.search.grouping import count_strings, group_keys, is_counted_by_engine


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
    by_engine = is_counted_by_engine(collection, field) and selection.residual is None
    if by_engine:
        strings = await count_strings(engine, collection, field, selection)
        counts.update({("string", value): count for value, count in strings.items()})
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
