"""Finds records whose image is a near duplicate of a given vector's image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from lookalike.adapter.collections.collection_settings import Collection
from lookalike.adapter.engines.base import Engine
from lookalike.adapter.records.image_sources import Vector
from lookalike.adapter.records.selection import EVERYTHING
from lookalike.adapter.records.undecided import Near
from lookalike.adapter.search.distances import distances
from lookalike.adapter.search.ranking import SearchScope, by_id, vector_request

MAX_NAMED = 10
"""Stored near duplicates that are named, the nearest first."""


class NearDuplicateCheck(msgspec.Struct, frozen=True):
    """For an insert: `records.undecided.FindNearDuplicates` within a radius."""

    engine: Engine
    collection: Collection
    radius: float

    async def find_stored(self, vectors: Sequence[Vector]) -> list[Near]:
        scope = SearchScope(
            engine=self.engine,
            collection=self.collection,
            selection=EVERYTHING,
            radius=self.radius,
            payload=["_id"],
        )
        found = await scope.rank_each(
            [vector_request(scope, vector, 0, MAX_NAMED) for vector in vectors]
        )
        return [[(hit.id, hit.distance) for hit in sorted(hits, key=by_id)] for hits in found]

    def find_among(self, vector: Vector, others: Mapping[str, Vector]) -> Near:
        apart = distances(vector, list(others.values()), self.collection.distance)
        near = [
            (id_, distance)
            for id_, distance in zip(others, apart, strict=True)
            if distance <= self.radius
        ]
        return sorted(near, key=lambda pair: pair[1])
