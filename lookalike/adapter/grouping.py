"""Answers by product instead of by photo: the nearest photo of each, in the photos' order.

The grouped ranking is the flat ranking with every photo left out whose product came before. Ours on
every engine: k groups are answered whenever k exist, photos without the field are products of their
own, and product ids may be strings, numbers or booleans.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from lookalike.adapter import listing
from lookalike.adapter.collection import Collection, values_at
from lookalike.adapter.engine import Engine
from lookalike.adapter.ranking import Hit
from lookalike.adapter.selection import Selection
from lookalike.adapter.stream import Stream

PHOTOS_PER_GROUP = 3
"""A first guess at how many photos have to be fetched for one more product."""

Key = tuple[str, Any]


class Grouping(msgspec.Struct, frozen=True):
    field: str
    """Dotted path of the field that holds the product id."""
    size: int = 1
    """How many photos of each product are answered, next to each other."""


PRODUCT_COUNT = "_product_count"
"""In `fields_to_return`: the number of photos of the record's product that match the filter."""


async def grouped(
    engine: Engine,
    collection: Collection,
    stream: Stream,
    grouping: Grouping,
    offset: int,
    k: int,
) -> list[Hit]:
    """The photos of the k products after the first `offset`."""
    wanted = offset + k
    limit = wanted * PHOTOS_PER_GROUP * grouping.size
    while True:
        hits = await stream.first(limit)
        groups = group(hits, grouping)
        full = sum(len(photos) >= grouping.size for photos in groups[:wanted])
        if stream.exhausted or (len(groups) >= wanted and full == wanted):
            return [hit for photos in groups[offset:wanted] for hit in photos]
        limit *= 2


async def add_counts(
    engine: Engine,
    collection: Collection,
    selection: Selection,
    grouping: Grouping,
    hits: Sequence[Hit],
) -> list[Hit]:
    """The hits with the number of photos of each one's product."""

    async def counted(hit: Hit) -> Hit:
        values = [value for _, value in group_keys(hit.payload, grouping.field)]
        count = 1
        if values:
            of_product: Any = {grouping.field: {"$in": values}}
            both = of_product if not selection.source else {"$and": [selection.source, of_product]}
            count = await listing.count(engine, collection, Selection.of(both, collection))
        return Hit(hit.distance, {**hit.payload, PRODUCT_COUNT: count})

    return list(await asyncio.gather(*map(counted, hits)))


def group(hits: Iterable[Hit], grouping: Grouping) -> list[list[Hit]]:
    """Products by their nearest photo, each with its nearest `size` photos."""
    groups: list[list[Hit]] = []
    known: dict[Key, list[Hit]] = {}
    for hit in hits:
        keys = group_keys(hit.payload, grouping.field)
        photos = next((known[key] for key in keys if key in known), None)
        if photos is None:
            photos = []
            groups.append(photos)
        for key in keys:
            known.setdefault(key, photos)
        if len(photos) < grouping.size:
            photos.append(hit)
    return groups


def group_keys(payload: Mapping[str, Any], field: str) -> list[Key]:
    """What identifies a record's product: the values at the field.

    1 and 1.0 are one product, "1" and true are others. A list of ids stands for all of them: the
    photo belongs to the first of its products that has come up. Null and objects identify nothing.
    """
    return [key for value in values_at(payload, field.split(".")) if (key := _key(value))]


def _key(value: Any) -> Key | None:
    if isinstance(value, bool):
        return "bool", value
    if isinstance(value, int | float):
        return "number", value
    return ("string", value) if isinstance(value, str) else None
