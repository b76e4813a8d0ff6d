"""Answers by product instead of by image: the nearest image of each, in the images' order.

The grouped ranking is the flat ranking with every image left out whose product came before. Ours on
every engine: k groups are answered whenever k exist, images without the field are products of their
own, and product ids may be strings, numbers or booleans.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

import msgspec

from lookalike.adapter.collections.collection_settings import Collection
from lookalike.adapter.collections.indexes import index_key
from lookalike.adapter.engines.base import Engine
from lookalike.adapter.engines.engine_facts import MAX_LIMIT
from lookalike.adapter.filters import split_path
from lookalike.adapter.filters.field_paths import candidates
from lookalike.adapter.records import listing
from lookalike.adapter.records.selection import Selection, Work
from lookalike.adapter.search.pages import RankedMatches
from lookalike.adapter.search.ranking import Hit

IMAGES_PER_GROUP = 5
"""A first guess at how many images have to be fetched for one more product."""

MAX_PRODUCTS_NAMED = 50
"""The most products in one `$in` or `$nin`. Must stay below `membership.MAX_EQUALITIES`: a
longer list of numbers is left to the residual."""

GroupKey = tuple[str, Any]


class Grouping(msgspec.Struct, frozen=True):
    field: str
    """Dotted path of the field that holds the product id."""
    size: int = 1
    """How many images of each product are answered, next to each other."""


PRODUCT_COUNT = "_product_count"
"""In `fields_to_return`: the number of images of the record's product that match the filter."""


Narrow = Callable[[Selection], Awaitable[RankedMatches]]
"""The same ranking, of the records of another selection."""


async def find_groups(
    narrow: Narrow,
    collection: Collection,
    selection: Selection,
    grouping: Grouping,
    offset: int,
    k: int,
) -> list[Hit]:
    """The images of the k products after the first `offset`."""
    groups = Groups(grouping)
    await _open(groups, offset + k, narrow, collection, selection)
    wanted = groups.images[offset : offset + k]
    if grouping.size > 1:
        await _fill(groups, wanted, narrow, collection, selection)
    return [hit for images in wanted for hit in images]


async def _open(
    groups: Groups, wanted: int, narrow: Narrow, collection: Collection, selection: Selection
) -> None:
    """Reads the ranking until there are as many groups as wanted, or no more.

    One product may have thousands of images, all nearer than those of the next: from the second
    round on, the largest are left out.
    """
    limit = wanted * IMAGES_PER_GROUP
    stream = await narrow(selection)
    while True:
        hits = await stream.fetch_first(limit)
        groups.add(hits)
        if len(hits) < limit or len(groups.images) >= wanted:
            return
        limit *= 2
        if crowded := groups.largest(MAX_PRODUCTS_NAMED):
            others = _among(crowded, groups.grouping, collection, selection, "$nin")
            if others.residual is None or selection.residual is not None:
                stream = await narrow(others)


async def _fill(
    groups: Groups,
    wanted: Sequence[list[Hit]],
    narrow: Narrow,
    collection: Collection,
    selection: Selection,
) -> None:
    """Reads on, among the images of the wanted products that are not full."""
    size = groups.grouping.size
    short = [images for images in wanted if len(images) < size and groups.keys_of(images[0])]
    for begin in range(0, len(short), MAX_PRODUCTS_NAMED):
        some = short[begin : begin + MAX_PRODUCTS_NAMED]
        keys = [key for images in some for key in groups.keys_of(images[0])]
        stream = await narrow(_among(keys, groups.grouping, collection, selection, "$in"))
        limit = size * len(some) * IMAGES_PER_GROUP
        while any(len(images) < size for images in some):
            hits = await stream.fetch_first(limit)
            groups.add(hits)
            if len(hits) < limit:
                break
            limit *= 2


def _among(
    keys: Iterable[GroupKey],
    grouping: Grouping,
    collection: Collection,
    selection: Selection,
    operator: str,
) -> Selection:
    """Those of the selection with, or without, one of the products."""
    condition: Any = {grouping.field: {operator: [value for _, value in keys]}}
    both = {"$and": [selection.source, condition]} if selection.source else condition
    return Selection.of(both, collection, complete=selection.complete)


async def add_counts(
    engine: Engine,
    collection: Collection,
    selection: Selection,
    grouping: Grouping,
    hits: Sequence[Hit],
) -> list[Hit]:
    """The hits with the number of images of each one's product."""

    products = [frozenset(group_keys(hit.record, grouping.field)) for hit in hits]
    counts: Counter[frozenset[GroupKey]] = Counter({frozenset(): 1})
    named = [product for product in dict.fromkeys(products) if product]
    for begin in range(0, len(named), MAX_PRODUCTS_NAMED):
        some = named[begin : begin + MAX_PRODUCTS_NAMED]
        counts += await _count_images(engine, collection, selection, grouping, some)
    return [
        Hit(hit.value, {**hit.record, PRODUCT_COUNT: counts[product]})
        for hit, product in zip(hits, products, strict=True)
    ]


async def _count_images(
    engine: Engine,
    collection: Collection,
    selection: Selection,
    grouping: Grouping,
    products: Sequence[frozenset[GroupKey]],
) -> Counter[frozenset[GroupKey]]:
    """The number of images of each product, by all of its ids.

    One exchange where each product has one id and an index has the ids; else the ids of all images
    of these products are read.
    """
    keys = list(chain.from_iterable(products))
    images = _among(keys, grouping, collection, selection, "$in")
    counts: Counter[frozenset[GroupKey]] = Counter()
    plain = all(kind == "string" for kind, _ in keys) and len(keys) == len(products)
    if plain and images.residual is None and is_counted_by_engine(collection, grouping.field):
        found = await count_strings(engine, collection, grouping.field, images)
        return Counter({product: found[key[1]] for product in products for key in product})
    of_key: dict[GroupKey, list[frozenset[GroupKey]]] = {}
    for product in products:
        for key in product:
            of_key.setdefault(key, []).append(product)
    fields = frozenset({grouping.field.split(".")[0]})
    async for page in listing.scan_records(engine, collection, images, fields, work=Work()):
        for entry in page:
            keys_there = group_keys(entry.record, grouping.field)
            counts.update({product for key in keys_there for product in of_key.get(key, ())})
    return counts


def is_counted_by_engine(collection: Collection, field: str) -> bool:
    """Whether the engine can count the strings at a field. A filter goes through the arrays on a
    path; the index of the engine does not."""
    return collection.indexes.get(field) == "keyword" and len(split_path(field)) == 1


async def count_strings(
    engine: Engine, collection: Collection, field: str, selection: Selection
) -> Counter[str]:
    """How many records have each string at a field that `is_counted_by_engine`."""
    answer = await engine.facet(
        collection.physical,
        key=index_key(field),
        facet_filter=selection.filter,
        limit=MAX_LIMIT,
    )
    return Counter({str(hit.value): hit.count for hit in answer.hits})


class Groups:
    """Products by their nearest image, each with its nearest images, `size` at most.

    Images are added in the order of their ranking; one that is known is passed over.
    """

    def __init__(self, grouping: Grouping) -> None:
        self.grouping = grouping
        self.images: list[list[Hit]] = []
        self._of_key: dict[GroupKey, int] = {}
        self._seen: set[str] = set()
        self._numbers: Counter[int] = Counter()

    def add(self, hits: Iterable[Hit]) -> None:
        for hit in hits:
            if hit.id not in self._seen:
                self._seen.add(hit.id)
                self._place(hit)

    def _place(self, hit: Hit) -> None:
        keys = self.keys_of(hit)
        known = [self._of_key[key] for key in keys if key in self._of_key]
        if known:
            index = min(known)
            if len(self.images[index]) < self.grouping.size:
                self.images[index].append(hit)
        else:
            index = len(self.images)
            self.images.append([hit])
            self._of_key |= dict.fromkeys(keys, index)
        self._numbers[index] += 1

    def largest(self, most: int) -> list[GroupKey]:
        """Products with more images so far than were reckoned with, the largest first."""
        usual = 2 * IMAGES_PER_GROUP
        crowded = [i for i, number in self._numbers.most_common(most) if number > usual]
        return [key for index in crowded for key in self.keys_of(self.images[index][0])]

    def keys_of(self, hit: Hit) -> list[GroupKey]:
        return group_keys(hit.record, self.grouping.field)


def group_keys(record: Mapping[str, Any], field: str) -> list[GroupKey]:
    """What identifies a record's product: the values that a filter finds at the field.

    1 and 1.0 are one product, "1" and true are others. A list of ids stands for all of them: the
    image belongs to that of its products which came up first, and is a new product, with all of the
    ids, only if none has. Null and objects identify nothing.
    """
    values = candidates(record, split_path(field), leaf=True)
    return list(dict.fromkeys(key for value in values if (key := _key(value))))


def _key(value: Any) -> GroupKey | None:
    if isinstance(value, bool):
        return "bool", value
    if isinstance(value, int | float):
        return "number", value
    return ("string", value) if isinstance(value, str) else None
