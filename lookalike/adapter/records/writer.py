"""Insert, update and delete: batches in which one bad record never sinks the others.

Two rules hold on every engine and with any number of API processes at work: an `_id` is inserted
once (`inserting`), and an update merges into the newest state (`updating`).
"""

from __future__ import annotations

from collections.abc import Sequence

from lookalike.adapter.collections.cache import CollectionCache
from lookalike.adapter.collections.collection_settings import Collection
from lookalike.adapter.engines.base import Engine
from lookalike.adapter.records.batch_outcome import Outcome, Updated
from lookalike.adapter.records.image_sources import Embed, EmbedSecond
from lookalike.adapter.records.inserting import Inserter
from lookalike.adapter.records.point_writes import PointWrites
from lookalike.adapter.records.points import (
    Record,
    payload_selector,
    point_id,
    shown,
    stored_record,
)
from lookalike.adapter.records.undecided import FindNearDuplicates
from lookalike.adapter.records.updating import ReadImages, Updater


class Writer:
    """Writes to the collections of one engine."""

    def __init__(
        self,
        engine: Engine,
        cache: CollectionCache,
        embed_second: EmbedSecond | None = None,
    ) -> None:
        """Without `embed_second`, a migration alone makes the vectors of a second vector."""
        self._engine = engine
        writes = PointWrites(engine, cache, embed_second)
        self._inserter = Inserter(writes)
        self._updater = Updater(writes)

    async def insert(
        self,
        collection: Collection,
        records: Sequence[Record],
        embed: Embed,
        fields: frozenset[str] | None,
        *,
        near_duplicates: FindNearDuplicates | None = None,
    ) -> Outcome[Record]:
        """Inserts the records whose `_id` is new and whose image can be read.

        A record without `_id` gets a UUID. Of two with the same `_id` in one batch the first that
        can be inserted wins. With `near_duplicates`, a record is refused that has one, stored or
        before it in the batch.
        """
        return await self._inserter.insert(collection, records, embed, fields, near_duplicates)

    async def update(
        self,
        collection: Collection,
        records: Sequence[Record],
        fields: frozenset[str] | None,
        *,
        read: ReadImages | None = None,
    ) -> Updated:
        """Sets the given fields of stored records, removes those of `$unset`, and keeps the others.

        With `read`, an image that is another one than before is read, and changes together with
        the record, or refuses the change. Unknown `_id`s are left out of `done`. A value of null is
        stored as null. The same `_id` twice in a batch is applied in order.
        """
        return await self._updater.update(collection, records, fields, read)

    async def delete(
        self, collection: Collection, ids: Sequence[str], fields: frozenset[str] | None
    ) -> list[Record]:
        """Deletes the records and answers those that existed, in the order of the request."""
        points = [point_id(id_) for id_ in dict.fromkeys(ids)]
        if not points:
            return []
        found = await self._engine.retrieve(
            collection.physical, points, with_payload=payload_selector(collection, fields)
        )
        stored = {str(point.id): stored_record(point.payload) for point in found}
        if stored:
            await self._engine.delete(collection.physical, points_selector=list(stored))
        return [shown(stored[id_], fields) for id_ in points if id_ in stored]
