"""Insert: an `_id` is inserted once, on every engine and with any number of API processes at work.

Points are written with "insert only", each with a token of the call that wrote it; reading the
token back tells whose insert it was.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from functools import partial

from qdrant_client import models

from lookalike.adapter.collections import store
from lookalike.adapter.collections.collection_settings import Collection
from lookalike.adapter.errors import CapacityExceeded, DuplicateRecord
from lookalike.adapter.records.batch_outcome import Outcome
from lookalike.adapter.records.image_sources import Embed
from lookalike.adapter.records.incoming import Incoming, embed_incoming, refuse_repeated
from lookalike.adapter.records.point_writes import PointWrites
from lookalike.adapter.records.points import Record, shown
from lookalike.adapter.records.undecided import FindNearDuplicates, NearDuplicateDecision


class Inserter:
    """Inserts into the collections of one engine."""

    def __init__(self, writes: PointWrites) -> None:
        self._writes = writes
        self._engine = writes.engine
        self._capacity_locks: dict[str, asyncio.Lock] = {}

    async def insert(
        self,
        collection: Collection,
        records: Sequence[Record],
        embed: Embed,
        fields: frozenset[str] | None,
        near_duplicates: FindNearDuplicates | None,
    ) -> Outcome[Record]:
        """As `Writer.insert`."""
        # Before the work of embedding, which would be for nothing.
        await self._engine.check_room()
        candidates = [Incoming.of(record) for record in records]
        await self._refuse_existing(collection, candidates)
        await embed_incoming(candidates, embed)
        if near_duplicates is None:
            refuse_repeated(candidates)
            await self._add_vectors(collection, candidates)
            await self._write(collection, candidates)
        else:
            await self._add_vectors(collection, candidates)
            write = partial(self._write, collection)
            decision = NearDuplicateDecision(self._writes, collection, near_duplicates, write)
            await decision.run(candidates)
        return Outcome(
            done=[shown(c.payload, fields) for c in candidates if c.refusal is None],
            refused=[(c.record, c.refusal) for c in candidates if c.refusal is not None],
        )

    async def _refuse_existing(self, collection: Collection, candidates: list[Incoming]) -> None:
        """Before the images are fetched, so that loading a file again costs next to nothing."""
        ids = [c.point_id for c in candidates if c.refusal is None]
        if not ids:
            return
        found = await self._engine.retrieve(collection.physical, ids, with_payload=False)
        existing = {str(point.id) for point in found}
        for candidate in candidates:
            if candidate.refusal is None and candidate.point_id in existing:
                candidate.refusal = DuplicateRecord()

    async def _add_vectors(self, collection: Collection, candidates: list[Incoming]) -> None:
        accepted = [c for c in candidates if c.refusal is None]
        embedded = [(c.source, c.embedded) for c in accepted if c.source and c.embedded]
        vectors = await self._writes.add_second(collection, embedded)
        for candidate, names in zip(accepted, vectors, strict=True):
            candidate.vectors = names

    async def _write(self, collection: Collection, candidates: list[Incoming]) -> None:
        if collection.capacity is None:
            await self._write_points(collection, candidates)
            return
        # Within this process the count and the write are one step. Several API processes may
        # together exceed a capacity by the batches that they have in flight.
        async with self._capacity_locks.setdefault(collection.id, asyncio.Lock()):
            await self._refuse_over_capacity(collection, candidates, collection.capacity)
            await self._write_points(collection, candidates)

    async def _refuse_over_capacity(
        self, collection: Collection, candidates: list[Incoming], capacity: int
    ) -> None:
        count = await store.count_stored(self._engine, collection)
        accepted = [c for c in candidates if c.refusal is None]
        for candidate in accepted[max(capacity - count, 0) :]:
            candidate.refusal = CapacityExceeded()

    async def _write_points(self, collection: Collection, candidates: list[Incoming]) -> None:
        accepted = [c for c in candidates if c.refusal is None]
        if not accepted:
            return
        await self._writes.index_new_fields(collection, [c.payload for c in accepted])
        token = uuid.uuid4().hex
        for candidate in accepted:
            candidate.vectors = self._writes.keep_present(collection, candidate.vectors)
            candidate.token = token
        await self._engine.upsert(
            collection.physical,
            points=[c.point(collection) for c in accepted],
            update_mode=models.UpdateMode.INSERT_ONLY,
        )
        # A point that is gone by now was inserted and then deleted by somebody else: still ours.
        tokens = await self._writes.read_tokens(collection, [c.point_id for c in accepted])
        for candidate in accepted:
            if tokens.get(candidate.point_id, token) != token:
                candidate.refusal = DuplicateRecord()
