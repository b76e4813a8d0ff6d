"""Tags as sparse vectors whose dot product is how much two sets of tags have in common, 0 to 1.

By default it is the cosine of their weights: stored is each weight, over the length of all. Where
all weights are 1, that is 1/sqrt(n) at each of n tags, and the cosine of the sets.

In a collection with `tag_idf` rare tags count more, and it is the share of the query's tags, by
rarity and weight, that the record has, each by the weight that it has there: stored are the weights
as they are, and the rarities are in the query alone. They can then follow the collection as it
grows without any record being written again; a cosine would need the rarities of a record's other
tags too, in its length.
"""

from __future__ import annotations

import asyncio
import math

from msgspec import structs
from qdrant_client import models

from lookalike.adapter.collections.collection_settings import Collection
from lookalike.adapter.engines.base import Engine
from lookalike.adapter.records import listing
from lookalike.adapter.records.record_tags import TAG_NAMES_PATH, Tags, sparse, tag_vector
from lookalike.adapter.records.selection import EVERYTHING, Selection


async def make_tag_query(
    engine: Engine, collection: Collection, tags: Tags
) -> models.SparseVector | None:
    """The query's side of the product; None for no tags."""
    if not collection.tag_idf or not tags:
        return tag_vector(tags)
    records, *counts = await asyncio.gather(
        listing.count_records(engine, collection, EVERYTHING),
        *(listing.count_records(engine, collection, _with_tag(tag, collection)) for tag in tags),
    )
    weights = {
        tag: weight * rarity(count, records)
        for (tag, weight), count in zip(tags.items(), counts, strict=True)
    }
    total = sum(weights.values())
    return sparse({tag: weight / total for tag, weight in weights.items()})


def _with_tag(tag: str, collection: Collection) -> Selection:
    """The records that have a tag, in whatever form."""
    listed = Selection.of({"tags": tag}, collection)
    assert listed.filter is not None, "a text is found by the engine alone"
    unlisted = models.FieldCondition(key=TAG_NAMES_PATH, match=models.MatchValue(value=tag))
    return structs.replace(listed, filter=models.Filter(should=[listed.filter, unlisted]))


def rarity(count: int, records: int) -> float:
    """The inverse document frequency as in BM25, above 0 also for a tag of all records.

    Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009, with 1
    added within the logarithm.
    """
    return math.log(1 + (max(records - count, 0) + 0.5) / (count + 0.5))
