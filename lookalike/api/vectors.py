"""Which vector answers a search, where a collection has two: the one that a header names, or each
its share of the queries."""

from __future__ import annotations

from typing import Any

import msgspec

from lookalike.adapter.collections import second_vector
from lookalike.adapter.collections.store import Collection

HEADER = "lookalike-vector"


class LookedFor(msgspec.Struct):
    """What makes two requests the same query. Pages of one answer differ in everything else."""

    query_record: Any = None
    query_records: Any = None
    weights: Any = None
    positive: Any = None
    negative: Any = None


def chosen(collection: Collection, wanted: str | None, body: bytes) -> Collection:
    """The collection as this request searches it.

    Raises InvalidRequest for an unknown name in the header, CollectionConflict for a vector that is
    still being filled.
    """
    if wanted is not None:
        return second_vector.named(collection, wanted, HEADER)
    if collection.second_vector is None or collection.second_vector.share == 0:
        return collection
    try:
        looked_for = msgspec.json.decode(body, type=LookedFor)
    except msgspec.DecodeError:
        return collection  # Which the handler will answer.
    key = msgspec.json.encode(looked_for, order="deterministic")
    return second_vector.shared_out(collection, key)
