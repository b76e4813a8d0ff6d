"""Where the migrations of a collection stand, and what another embedder would take. Only reads."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from lookalike.adapter.collections import store
from lookalike.adapter.collections.collection_settings import Collection, EmbedderIdentity
from lookalike.adapter.engines.base import Engine
from lookalike.adapter.records.point_batches import count_lacking, scroll_points
from lookalike.migrations import layout
from lookalike.migrations.sources import GivenRecords

PLAN_PAGE = 1000


class MigrationStatus(msgspec.Struct, frozen=True):
    records: int
    pending: Sequence[layout.Migration]
    checkpoint: layout.Checkpoint
    """Of the one that is underway; its number is 0 where none is."""
    lacking_second: int
    """How many records are without the second vector; 0 where there is none."""


async def read_status(engine: Engine, collection: Collection) -> MigrationStatus:
    second = collection.second_vector
    return MigrationStatus(
        records=await store.count_stored(engine, collection),
        pending=layout.pending(collection),
        checkpoint=await layout.read_checkpoint_of(engine, collection),
        lacking_second=await count_lacking(engine, collection, second.vector) if second else 0,
    )


class ReembeddingPlan(msgspec.Struct, frozen=True):
    begun: bool
    """Whether the collection has a vector of this embedder; then only what lacks it counts."""
    records: int
    given_again: int
    with_url: int
    """Of the others."""

    @property
    def without_image(self) -> int:
        return self.records - self.given_again - self.with_url


async def plan_reembedding(
    engine: Engine, collection: Collection, target: EmbedderIdentity, given: GivenRecords
) -> ReembeddingPlan:
    """Counts the records to embed, by where their images are to be had."""
    second = collection.second_vector
    lacking = second.vector if second and second.revision == target.revision else None
    records = given_again = with_url = 0
    async for points, _ in scroll_points(
        engine, collection, lacking=lacking, payload=["_id", "_url"], page=PLAN_PAGE
    ):
        again = [str(point.payload.get("_id")) in given for point in points]
        records += len(points)
        given_again += sum(again)
        with_url += sum(
            bool(point.payload.get("_url")) and not given_too
            for point, given_too in zip(points, again, strict=True)
        )
    return ReembeddingPlan(lacking is not None, records, given_again, with_url)


def embedder_underway(collection: Collection) -> str | None:
    """The embedder whose vectors are still being filled."""
    second = collection.second_vector
    return None if second is None or second.complete else second.embedder
