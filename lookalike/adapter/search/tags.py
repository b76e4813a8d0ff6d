"""Tags as sparse vectors whose dot product is how much two sets of tags have in common, 0 to 1.

By default all tags count alike, and it is the cosine of the sets: stored are 1/sqrt(n) at each of n
tags. In a collection with `tag_idf` rare tags count more, and it is the share of the query's tags,
by weight, that the record has: stored is 1 at each tag, and the weights are in the query alone.
They can then follow the collection as it grows without any record being written again; a cosine
would need the weights of a record's other tags too, in its length.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable

from qdrant_client import models

from lookalike.adapter.collections.collection_settings import Collection
from lookalike.adapter.engines.base import Engine
from lookalike.adapter.records import listing
from lookalike.adapter.records.record_tags import tag_index, tag_vector
from lookalike.adapter.records.selection import EVERYTHING, Selection


async def make_tag_query(
    engine: Engine, collection: Collection, tags: Iterable[str]
) -> models.SparseVector | None:
    """The query's side of the product; None for no tags."""
    tags = sorted(tags)
    if not collection.tag_idf or not tags:
        return tag_vector(tags)
    records, *counts = await asyncio.gather(
        listing.count_records(engine, collection, EVERYTHING),
        *(
            listing.count_records(engine, collection, Selection.of({"tags": t}, collection))
            for t in tags
        ),
    )
    weights = [rarity(count, records) for count in counts]
    of_index = {
        tag_index(tag): weight / sum(weights) for tag, weight in zip(tags, weights, strict=True)
    }
    return models.SparseVector(
        indices=sorted(of_index), values=[of_index[index] for index in sorted(of_index)]
    )


def rarity(count: int, records: int) -> float:
    """The inverse document frequency as in BM25, above 0 also for a tag of all records.

    Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009, with 1
    added within the logarithm.
    """
    return math.log(1 + (max(records - count, 0) + 0.5) / (count + 0.5))
