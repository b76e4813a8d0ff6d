"""Finds records whose image is a near duplicate of a given vector's image."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from lookalike.adapter.collections.collection_settings import Collection
from lookalike.adapter.engines.base import Engine
from lookalike.adapter.records.image_sources import Vector
from lookalike.adapter.search.distances import distances
from lookalike.adapter.search.nearest import Query, find_nearest

MAX_NAMED = 10
"""Stored near duplicates that are named, the nearest first."""


class NearDuplicateCheck(msgspec.Struct, frozen=True):
    """For an insert: `records.undecided.FindNearDuplicates` within a radius."""

    engine: Engine
    collection: Collection
    radius: float

    async def __call__(
        self, vector: Vector, before: Mapping[str, Vector]
    ) -> list[tuple[str, float]]:
        """`_id`s and distances of stored records and of those `before`, the nearest first."""
        query = Query(vectors=(vector,), radius=self.radius, k=MAX_NAMED)
        hits = await find_nearest(self.engine, self.collection, query)
        near = [
            (str(record["_id"]), distance)
            for record, distance in zip(hits.records, hits.distances, strict=True)
        ]
        in_batch = distances(vector, list(before.values()), self.collection.distance)
        near += [
            (id_, distance)
            for id_, distance in zip(before, in_batch, strict=True)
            if distance <= self.radius
        ]
        return sorted(near, key=lambda pair: pair[1])
