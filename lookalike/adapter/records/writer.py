"""Insert, update and delete: batches in which one bad record never sinks the others.

Two rules hold on every engine and with any number of API processes at work:

- An `_id` is inserted once. Points are written with "insert only", each with a token of the call
  that wrote it; reading the token back tells whose insert it was.
- An update merges into the newest state. It is written on the condition that the point still
  carries the token that was read, and tried again when somebody was faster.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Generic, TypeVar

import msgspec
from qdrant_client import models

from lookalike.adapter.collections import indexes, store
from lookalike.adapter.collections.cache import CollectionCache
from lookalike.adapter.collections.collection_settings import Collection
from lookalike.adapter.collections.second_vector import swapped
from lookalike.adapter.engines.base import Engine
from lookalike.adapter.errors import (
    CapacityExceeded,
    DuplicateRecord,
    InvalidRequest,
    NearDuplicate,
    RecordRefused,
    RecordsNotFound,
    Unavailable,
)
from lookalike.adapter.point_layout import TAGS_VECTOR
from lookalike.adapter.records.bookkeeping import (
    CROP,
    IMAGE,
    WRITE_TOKEN,
    WRITE_TOKEN_PATH,
    stored_payload,
    token_of,
    update_operations,
)
from lookalike.adapter.records.image_sources import (
    Embed,
    Embedded,
    EmbedSecond,
    ImageSource,
    Vector,
)
from lookalike.adapter.records.points import (
    Record,
    metadata,
    payload_selector,
    point_id,
    record_id,
    shown,
    stored_record,
    tag_vector,
    tags_of,
)

UPDATE_ATTEMPTS = 20

FindNearDuplicates = Callable[[Vector, Mapping[str, Vector]], Awaitable[list[tuple[str, float]]]]
"""(vector, vectors of the batch before it by `_id`) -> `_id`s and distances of what is as good as
the same, the nearest first."""


T = TypeVar("T")


class Outcome(msgspec.Struct, Generic[T]):
    """What became of a batch: `done` in the order of the request, `refused` with the reasons."""

    done: list[T]
    refused: list[tuple[Record, RecordRefused]]


class _Candidate(msgspec.Struct):
    """A record on its way in. `refusal` is set as soon as something speaks against it."""

    record: Record
    point_id: str = ""
    payload: Record = {}
    source: ImageSource | None = None
    embedded: Embedded | None = None
    vectors: dict[str, Any] = {}
    """By name: that of the collection, and its second vector where it could be made."""
    refusal: RecordRefused | None = None


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
        self._embed_second = embed_second
        self._cache = cache
        self._capacity_locks: dict[str, asyncio.Lock] = {}

    # Insert

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
        for candidate in accepted:
            assert candidate.embedded is not None
            candidate.vectors = {collection.vector: candidate.embedded.vector}
        second = collection.second_vector
        if second is None or self._embed_second is None or not accepted:
            return
        sources = [c.source for c in accepted if c.source is not None]
        vectors = await self._embed_second(swapped(collection), sources)
        for candidate, vector in zip(accepted, vectors, strict=True):
            if vector is not None:
                candidate.vectors[second.vector] = vector

    def _keep_present_vectors(self, collection: Collection, accepted: list[_Candidate]) -> None:
        """Since the request began, the vectors may have been switched, or one have been dropped.

        Raises Unavailable where a record lacks the vector that is searched now.
        """
        present = self._cache.present(collection)
        second = present.second_vector
        names = {present.vector} | ({second.vector} if second is not None else set())
        for candidate in accepted:
            if present.vector not in candidate.vectors:
                raise Unavailable("The embedder of the collection was just replaced; try again.")
            candidate.vectors = {n: v for n, v in candidate.vectors.items() if n in names}

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
        await self._index_new_fields(collection, [c.payload for c in accepted])
        token = uuid.uuid4().hex
        self._keep_present_vectors(collection, accepted)
        points = [_point(c, collection, token) for c in accepted]
        await self._engine.upsert(
            collection.physical,
            points=points,
            update_mode=models.UpdateMode.INSERT_ONLY,
        )
        # A point that is gone by now was inserted and then deleted by somebody else: still ours.
        tokens = await self._read_tokens(collection, [c.point_id for c in accepted])
        for candidate in accepted:
            if tokens.get(candidate.point_id, token) != token:
                candidate.refusal = DuplicateRecord()

    async def _read_tokens(self, collection: Collection, ids: list[str]) -> dict[str, str]:
        found = await self._engine.retrieve(
            collection.physical, ids, with_payload=[WRITE_TOKEN_PATH]
        )
        return {str(point.id): token_of(point.payload) for point in found}

    async def _index_new_fields(self, collection: Collection, payloads: list[Record]) -> None:
        if indexes.infer_index_types(collection, payloads) is collection:
            return
        newest = await self._cache.read_newest(collection)
        changed = indexes.infer_index_types(newest, payloads)
        if changed is not newest:
            await store.save_collection(self._engine, newest, changed)
            self._cache.put(changed)

    # Update

    async def update(
        self, collection: Collection, records: Sequence[Record], fields: frozenset[str] | None
    ) -> Outcome[Record]:
        """Sets the given fields of stored records and keeps the others; vectors stay as they are.

        Unknown `_id`s are left out of `done`. A value of null is stored as null. The same `_id`
        twice in a batch is applied in order.
        """
        changes: dict[str, Record] = {}
        refused: list[tuple[Record, RecordRefused]] = []
        for record in records:
            try:
                id_ = _id_of(record)
                change = metadata(record | {"_id": id_})
            except RecordRefused as refusal:
                refused.append((record, refusal))
                continue
            changes[id_] = changes.get(id_, {}) | change
        done: dict[str, Record] = {}
        pending = {point_id(id_): change for id_, change in changes.items()}
        for _ in range(UPDATE_ATTEMPTS):
            if not pending:
                break
            pending = await self._update_once(collection, pending, done, refused)
        if pending:
            raise Unavailable("The records are being changed by others; try again.")
        return Outcome(
            done=[shown(done[id_], fields) for id_ in changes if id_ in done], refused=refused
        )

    async def _update_once(
        self,
        collection: Collection,
        pending: dict[str, Record],
        done: dict[str, Record],
        refused: list[tuple[Record, RecordRefused]],
    ) -> dict[str, Record]:
        """One attempt; returns those that somebody else changed meanwhile."""
        token = uuid.uuid4().hex
        operations: list[models.UpdateOperation] = []
        written: dict[str, Record] = {}
        for point in await self._engine.retrieve(
            collection.physical, list(pending), with_payload=True
        ):
            old = point.payload or {}
            change = pending[str(point.id)]
            try:
                new = metadata(stored_record(old) | change)
            except RecordRefused as refusal:
                refused.append((change, refusal))
                continue
            operations += update_operations(collection, str(point.id), old, new, token)
            written[str(point.id)] = new
        if not operations:
            return {}
        await self._index_new_fields(collection, list(written.values()))
        # One that was deleted meanwhile stops a server's batch: the tokens tell what was written.
        with contextlib.suppress(RecordsNotFound):
            await self._engine.batch_update_points(
                collection.physical, update_operations=operations
            )
        tokens = await self._read_tokens(collection, list(written))
        for id_, new in written.items():
            if tokens.get(id_) == token:
                done[new["_id"]] = new
        # Deleted meanwhile: the next attempt does not find it, which is the truth.
        return {id_: pending[id_] for id_ in written if tokens.get(id_) != token}

    # Delete

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


def _candidate(record: Record) -> _Candidate:
    candidate = _Candidate(record)
    try:
        id_ = str(uuid.uuid4()) if record.get("_id") is None else _id_of(record)
        candidate.payload = metadata({"_id": id_} | record | {"_id": id_})
        candidate.point_id = point_id(id_)
        candidate.source = ImageSource.of(record)
        if candidate.source is None:
            raise RecordRefused(400, "the record has neither _url nor _base64")
    except RecordRefused as refusal:
        candidate.refusal = refusal
    return candidate


def _id_of(record: Record) -> str:
    try:
        return record_id(record.get("_id"), "_id")
    except InvalidRequest as error:
        raise RecordRefused(error.code, error.text) from None


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
