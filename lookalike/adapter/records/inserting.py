"""Insert: an `_id` is inserted once, on every engine and with any number of API processes at work.

Points are written with "insert only", each with a token of the call that wrote it; reading the
token back tells whose insert it was.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

import msgspec
from qdrant_client import models

from lookalike.adapter.collections import store
from lookalike.adapter.collections.collection_settings import Collection
from lookalike.adapter.errors import (
    CapacityExceeded,
    DuplicateRecord,
    NearDuplicate,
    RecordRefused,
)
from lookalike.adapter.point_layout import TAGS_VECTOR
from lookalike.adapter.records.batch_outcome import Outcome
from lookalike.adapter.records.bookkeeping import CROP, IMAGE, WRITE_TOKEN, stored_payload
from lookalike.adapter.records.image_sources import Embed, Embedded, ImageSource, Vector
from lookalike.adapter.records.point_writes import NamedVectors, PointWrites, usable_id
from lookalike.adapter.records.points import (
    Record,
    metadata,
    point_id,
    shown,
    tag_vector,
    tags_of,
)
from lookalike.adapter.records.record_changes import UNSET

FindNearDuplicates = Callable[[Vector, Mapping[str, Vector]], Awaitable[list[tuple[str, float]]]]
"""(vector, vectors of the batch before it by `_id`) -> `_id`s and distances of what is as good as
the same, the nearest first."""


class _Candidate(msgspec.Struct):
    """A record on its way in. `refusal` is set as soon as something speaks against it."""

    record: Record
    point_id: str = ""
    payload: Record = {}
    source: ImageSource | None = None
    embedded: Embedded | None = None
    vectors: NamedVectors = {}
    refusal: RecordRefused | None = None


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
        candidates = [_candidate(record) for record in records]
        await self._refuse_existing(collection, candidates)
        await _embed(candidates, embed)
        _refuse_repeated(candidates)
        if near_duplicates is not None:
            await self._refuse_near_duplicates(candidates, near_duplicates)
        await self._add_vectors(collection, candidates)
        if collection.capacity is None:
            await self._write(collection, candidates)
        else:
            # Within this process the count and the write are one step. Several API processes may
            # together exceed a capacity by the batches that they have in flight.
            lock = self._capacity_locks.setdefault(collection.id, asyncio.Lock())
            async with lock:
                await self._refuse_over_capacity(collection, candidates, collection.capacity)
                await self._write(collection, candidates)
        return Outcome(
            done=[shown(c.payload, fields) for c in candidates if c.refusal is None],
            refused=[(c.record, c.refusal) for c in candidates if c.refusal is not None],
        )

    async def _refuse_existing(self, collection: Collection, candidates: list[_Candidate]) -> None:
        """Before the images are fetched, so that loading a file again costs next to nothing."""
        ids = [c.point_id for c in candidates if c.refusal is None]
        if not ids:
            return
        found = await self._engine.retrieve(collection.physical, ids, with_payload=False)
        existing = {str(point.id) for point in found}
        for candidate in candidates:
            if candidate.refusal is None and candidate.point_id in existing:
                candidate.refusal = DuplicateRecord()

    async def _refuse_near_duplicates(
        self, candidates: list[_Candidate], find: FindNearDuplicates
    ) -> None:
        taken: dict[str, Vector] = {}
        for candidate in candidates:
            if candidate.refusal is not None or candidate.embedded is None:
                continue
            vector = candidate.embedded.vector
            near = await find(vector, taken)
            if near:
                candidate.refusal = NearDuplicate(near)
            else:
                taken[str(candidate.payload["_id"])] = vector

    async def _add_vectors(self, collection: Collection, candidates: list[_Candidate]) -> None:
        accepted = [c for c in candidates if c.refusal is None]
        embedded = [(c.source, c.embedded) for c in accepted if c.source and c.embedded]
        vectors = await self._writes.add_second(collection, embedded)
        for candidate, names in zip(accepted, vectors, strict=True):
            candidate.vectors = names

    async def _refuse_over_capacity(
        self, collection: Collection, candidates: list[_Candidate], capacity: int
    ) -> None:
        count = await store.count_stored(self._engine, collection)
        accepted = [c for c in candidates if c.refusal is None]
        for candidate in accepted[max(capacity - count, 0) :]:
            candidate.refusal = CapacityExceeded()

    async def _write(self, collection: Collection, candidates: list[_Candidate]) -> None:
        accepted = [c for c in candidates if c.refusal is None]
        if not accepted:
            return
        await self._writes.index_new_fields(collection, [c.payload for c in accepted])
        token = uuid.uuid4().hex
        for candidate in accepted:
            candidate.vectors = self._writes.keep_present(collection, candidate.vectors)
        points = [_point(c, collection, token) for c in accepted]
        await self._engine.upsert(
            collection.physical,
            points=points,
            update_mode=models.UpdateMode.INSERT_ONLY,
        )
        # A point that is gone by now was inserted and then deleted by somebody else: still ours.
        tokens = await self._writes.read_tokens(collection, [c.point_id for c in accepted])
        for candidate in accepted:
            if tokens.get(candidate.point_id, token) != token:
                candidate.refusal = DuplicateRecord()


def _candidate(record: Record) -> _Candidate:
    candidate = _Candidate(record)
    try:
        if UNSET in record:
            raise RecordRefused(400, f"{UNSET} removes fields of stored records, in an update")
        id_ = str(uuid.uuid4()) if record.get("_id") is None else usable_id(record)
        candidate.payload = metadata({"_id": id_} | record | {"_id": id_})
        candidate.point_id = point_id(id_)
        candidate.source = ImageSource.of(record)
        if candidate.source is None:
            raise RecordRefused(400, "the record has neither _url nor _base64")
    except RecordRefused as refusal:
        candidate.refusal = refusal
    return candidate


async def _embed(candidates: Iterable[_Candidate], embed: Embed) -> None:
    waiting = [c for c in candidates if c.refusal is None]
    if not waiting:
        return
    results = await embed([c.source for c in waiting if c.source is not None])
    for candidate, result in zip(waiting, results, strict=True):
        if isinstance(result, RecordRefused):
            candidate.refusal = result
        else:
            candidate.embedded = result
            if result.dominant_colors is not None:
                candidate.payload["_dominant_colors"] = result.dominant_colors


def _refuse_repeated(candidates: Iterable[_Candidate]) -> None:
    seen: set[str] = set()
    for candidate in candidates:
        if candidate.refusal is None:
            if candidate.point_id in seen:
                candidate.refusal = DuplicateRecord()
            seen.add(candidate.point_id)


def _point(candidate: _Candidate, collection: Collection, token: str) -> models.PointStruct:
    assert candidate.embedded is not None
    vectors = dict(candidate.vectors)
    tags = tag_vector(tags_of(candidate.payload), by_rarity=collection.tag_idf)
    if tags is not None:
        vectors[TAGS_VECTOR] = tags
    bookkeeping: Record = {WRITE_TOKEN: token, IMAGE: candidate.embedded.content_hash}
    if candidate.source is not None and candidate.source.crop is not None:
        bookkeeping[CROP] = candidate.source.crop
    # Built without validation: 1280 floats that were checked when they were computed.
    return models.PointStruct.model_construct(
        id=candidate.point_id,
        vector=vectors,
        payload=stored_payload(candidate.payload, bookkeeping),
    )
