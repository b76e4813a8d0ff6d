"""Another embedder for a collection, while it is searched and written to.

    begin     the successor is named in the metadata of the present physical collection: from then
              on inserts go into it as well (`adapter.succession`)
    copy      every record whose write token the successor does not have is copied, with a vector
              made of its picture, from the record given again or the stored `_url`; what is gone
              is deleted. Repeated until little has changed meanwhile
    close     writes are held for some seconds, and the rest is copied
    verify    the counts agree; what has no vector is listed
    switch    the alias moves, in one write; the processes notice within seconds

Nothing has to be remembered but the successor's name: a pass compares what is there with what
should be, so an interrupted migration goes on by being started again, at any point.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec
from qdrant_client import models

from lookalike.adapter import collection as collections
from lookalike.adapter import listing
from lookalike.adapter.bookkeeping import WRITE_TOKEN
from lookalike.adapter.collection import Collection
from lookalike.adapter.engine import Engine
from lookalike.adapter.errors import CollectionConflict, CollectionNotFound, RecordRefused
from lookalike.adapter.pictures import Embedded, ImageSource
from lookalike.adapter.records import RESERVED_KEY, TAGS_VECTOR, VISUAL_VECTOR
from lookalike.adapter.search import Query, nearest
from lookalike.adapter.selection import EVERYTHING
from lookalike.adapter.succession import MADE_FROM, Successor, successor_point
from lookalike.migrations.archive import scroll
from lookalike.migrations.sources import GivenRecords

PAGE = 64
"""Records that are embedded together."""
COMPARED = 1000
"""Records whose write tokens are compared together."""
FEW = 100
"""So few changed records are copied while writes are held."""
MAX_PASSES = 20
SETTLE_SECONDS = 6.0
"""Every process reads the collections anew every 2 s; and a write that has begun must end."""
CLOSED_SECONDS = 120.0
SWITCH_MARGIN_SECONDS = 10.0
"""The switch happens this long before writes are let in again, whatever the clocks say."""
SAMPLE = 50
NEIGHBOURS = 10

STATE = [f"{RESERVED_KEY}.{name}" for name in (WRITE_TOKEN, "image", MADE_FROM)]
"""What of a payload tells whether a copy is up to date."""

Embed = Callable[[Sequence[ImageSource]], Awaitable[list[Embedded | RecordRefused]]]


class Target(msgspec.Struct, frozen=True):
    """The embedder that is moved to."""

    embedder: str
    revision: str
    dimension: int
    distance: collections.Distance


class Unreadable(msgspec.Struct, frozen=True):
    """A record without a vector in the successor, and why."""

    id: str
    code: int
    reason: str


class Progress:
    """What a pass reports; the command line shows it."""

    def pass_begins(self, number: int, records: int) -> None:
        """A pass over so many records begins."""

    def looked_at(self, records: int) -> None:
        """So many more records have been looked at."""


class Pass(msgspec.Struct):
    """What one pass has found and done."""

    copied: int = 0
    deleted: int = 0
    unreadable: list[Unreadable] = []

    @property
    def changed(self) -> int:
        return self.copied + self.deleted


class Verdict(msgspec.Struct, frozen=True):
    """`overlap`: which part of the nearest ten of sampled records is the same as before, 0 to 1."""

    records: int
    unreadable: list[Unreadable]
    overlap: float


class NotVerified(CollectionConflict):
    """The successor is not what it should be; the collection stays as it was."""


class Reembedding:
    """One collection on its way to another embedder. Every method may be called again."""

    def __init__(
        self,
        engine: Engine,
        collection_id: str,
        target: Target,
        embed: Embed,
        given: GivenRecords,
        progress: Progress | None = None,
        settle_seconds: float = SETTLE_SECONDS,
    ) -> None:
        self._engine = engine
        self._id = collection_id
        self._target = target
        self._embed = embed
        self._given = given
        self._progress = progress or Progress()
        self._settle_seconds = settle_seconds
        self._failed: dict[tuple[str, str], RecordRefused] = {}

    async def run(
        self, *, skip_unreadable: bool = False, min_overlap: float = 0.0
    ) -> tuple[Collection, Verdict]:
        """Everything from wherever it stands to the switch; the collection as it is then.

        Raises NotVerified, and with it nothing has changed for anybody.
        """
        old, new = await self.begin()
        await self.fill(old, new)
        return await self.finish(skip_unreadable=skip_unreadable, min_overlap=min_overlap)

    async def begin(self) -> tuple[Collection, Collection]:
        """The present physical collection and its successor, made now or when this began."""
        old = await self._present()
        if old.successor is None:
            if old.revision == self._target.revision:
                raise CollectionConflict("The collection has the vectors of this embedder already.")
            number = max(await collections.physicals(self._engine, old.id), default=0) + 1
            successor = Successor(
                physical=collections.physical_name(old.id, number),
                embedder=self._target.embedder,
                revision=self._target.revision,
            )
            await collections.save_successor(self._engine, old, successor)
            old = await self._present()
        assert old.successor is not None
        if old.successor.revision != self._target.revision:
            raise CollectionConflict(
                f"A migration to {old.successor.embedder} has begun: finish it or abandon it first."
            )
        return old, await self._successor_of(old, old.successor)

    async def _successor_of(self, old: Collection, successor: Successor) -> Collection:
        new = msgspec.structs.replace(
            old,
            physical=successor.physical,
            embedder=successor.embedder,
            revision=successor.revision,
            dimension=self._target.dimension,
            distance=self._target.distance,
            successor=None,
        )
        if not await self._engine.collection_exists(new.physical):
            await collections.create_physical(self._engine, new)
        await collections.ensure_indexes(self._engine, new)
        return new

    async def _present(self) -> Collection:
        found = await collections.read(self._engine, self._id)
        if found is None:
            raise CollectionNotFound
        return found

    async def fill(self, old: Collection, new: Collection) -> Pass:
        """Passes until little has changed during the last; what that one has found."""
        for number in range(1, MAX_PASSES + 1):
            made = await self.copy(old, new, number)
            if made.changed <= FEW:
                return made
        raise NotVerified(f"After {MAX_PASSES} passes more is written than can be copied.")

    async def copy(self, old: Collection, new: Collection, number: int = 1) -> Pass:
        """One pass: makes the successor what the present collection is at this time."""
        made = Pass()
        records = (await self._engine.count(old.physical, exact=True)).count
        self._progress.pass_begins(number, records)
        pages = scroll(self._engine, old.physical, payload=STATE, vectors=False, page=COMPARED)
        async for points, _ in pages:
            copies = await self._states(new.physical, points)
            behind = [p for p in points if not _same(p, copies.get(str(p.id)))]
            self._progress.looked_at(len(points) - len(behind))
            for begin in range(0, len(behind), PAGE):
                some = behind[begin : begin + PAGE]
                await self._copy_records(old, new, some, copies, made)
                self._progress.looked_at(len(some))
        await self._delete_gone(old, new, made)
        return made

    async def _states(
        self, physical: str, points: Sequence[models.Record]
    ) -> dict[str, models.Record]:
        ids: list[Any] = [point.id for point in points]
        if not ids:
            return {}
        found = await self._engine.retrieve(physical, ids, with_payload=STATE)
        return {str(point.id): point for point in found}

    async def _copy_records(
        self,
        old: Collection,
        new: Collection,
        behind: Sequence[models.Record],
        copies: dict[str, models.Record],
        made: Pass,
    ) -> None:
        ids: list[Any] = [point.id for point in behind]
        points = await self._engine.retrieve(
            old.physical, ids, with_payload=True, with_vectors=[TAGS_VECTOR]
        )
        kept = [p.id for p in points if _same_picture(p, copies.get(str(p.id)))]
        vectors = await self._stored(new.physical, kept)
        vectors |= await self._embedded([p for p in points if str(p.id) not in vectors], made)
        successor = Successor(physical=new.physical, embedder=new.embedder, revision=new.revision)
        upserts = [
            successor_point(point, vectors[str(point.id)], successor)
            for point in points
            if str(point.id) in vectors
        ]
        if upserts:
            await self._engine.upsert(new.physical, points=upserts)
        made.copied += len(upserts)

    async def _stored(self, physical: str, ids: list[Any]) -> dict[str, Any]:
        if not ids:
            return {}
        found = await self._engine.retrieve(
            physical, ids, with_payload=False, with_vectors=[VISUAL_VECTOR]
        )
        vectors: dict[str, Any] = {str(point.id): point.vector for point in found}
        return {id_: vector[VISUAL_VECTOR] for id_, vector in vectors.items()}

    async def _embedded(self, points: Sequence[models.Record], made: Pass) -> dict[str, Any]:
        """Vectors by point id; the records without one are put on the list."""
        sources: list[tuple[models.Record, ImageSource]] = []
        for point in points:
            known = self._failed.get(_state(point))
            try:
                if known is not None:
                    raise known
                sources.append((point, self._given.source(point.payload or {})))
            except RecordRefused as refusal:
                self._refuse(point, refusal, made)
        results = await self._embed([source for _, source in sources]) if sources else []
        vectors: dict[str, Any] = {}
        for (point, _), result in zip(sources, results, strict=True):
            if isinstance(result, RecordRefused):
                self._refuse(point, result, made)
            else:
                vectors[str(point.id)] = result.vector
        return vectors

    def _refuse(self, point: models.Record, refusal: RecordRefused, made: Pass) -> None:
        # Not tried again in the next pass, which may be the one that holds writes.
        self._failed[_state(point)] = refusal
        id_ = str((point.payload or {}).get("_id", point.id))
        made.unreadable.append(Unreadable(id_, refusal.code, refusal.text))

    async def _delete_gone(self, old: Collection, new: Collection, made: Pass) -> None:
        async for copies, _ in scroll(
            self._engine, new.physical, payload=False, vectors=False, page=1000
        ):
            ids: list[Any] = [copy.id for copy in copies]
            if not ids:
                continue
            found = await self._engine.retrieve(old.physical, ids, with_payload=False)
            kept = {str(point.id) for point in found}
            gone = [id_ for id_ in ids if str(id_) not in kept]
            if gone:
                await self._engine.delete(new.physical, points_selector=gone)
                made.deleted += len(gone)

    async def finish(
        self, *, skip_unreadable: bool = False, min_overlap: float = 0.0
    ) -> tuple[Collection, Verdict]:
        """Holds writes, copies the rest, verifies, and moves the alias. Raises NotVerified."""
        old, new = await self.begin()
        assert old.successor is not None
        opened = msgspec.structs.replace(old.successor, closed_until=0.0)
        closed_until = time.time() + CLOSED_SECONDS + self._settle_seconds
        closed = msgspec.structs.replace(opened, closed_until=closed_until)
        await collections.save_successor(self._engine, old, closed)
        try:
            await asyncio.sleep(self._settle_seconds)
            last = await self.copy(old, new)
            new = await self._with_present_settings(opened)
            verdict = await self._verify(old, new, last.unreadable)
            _check(verdict, skip_unreadable, min_overlap)
            if time.time() > closed_until - SWITCH_MARGIN_SECONDS:
                raise NotVerified("The last pass took too long; start again.")
        except BaseException:
            await collections.save_successor(self._engine, old, opened)
            raise
        await collections.point_alias(self._engine, new)
        return new, verdict

    async def _with_present_settings(self, successor: Successor) -> Collection:
        """Settings may have been changed, and indexes added, since the successor was made."""
        before = await collections.read_physical(self._engine, successor.physical)
        new = await self._successor_of(await self._present(), successor)
        await collections.save(self._engine, before or new, new)
        return new

    async def _verify(
        self, old: Collection, new: Collection, unreadable: list[Unreadable]
    ) -> Verdict:
        records = await listing.count(self._engine, new, EVERYTHING)
        expected = await listing.count(self._engine, old, EVERYTHING) - len(unreadable)
        if records != expected:
            raise NotVerified(f"The successor has {records} records instead of {expected}.")
        return Verdict(records, unreadable, await overlap(self._engine, old, new))


def _check(verdict: Verdict, skip_unreadable: bool, min_overlap: float) -> None:
    if verdict.unreadable and not skip_unreadable:
        raise NotVerified(
            f"{len(verdict.unreadable)} records have no vector of the new embedder: give them "
            "again, or leave them out on purpose."
        )
    if verdict.overlap < min_overlap:
        raise NotVerified(f"Only {verdict.overlap:.0%} of the nearest ten are the same.")


async def overlap(engine: Engine, old: Collection, new: Collection) -> float:
    """The mean share of the nearest ten that both have in common, over some random records."""
    sampled = await listing.random(engine, new, SAMPLE, EVERYTHING, frozenset({"_id"}))
    shares = []
    for record in sampled.records:
        query = Query(record_id=record["_id"], k=NEIGHBOURS + 1)
        before, after = [
            {hit["_id"] for hit in (await nearest(engine, each, query)).records[1:]}
            for each in (old, new)
        ]
        shares.append(len(before & after) / max(1, len(before)))
    return sum(shares) / max(1, len(shares))


async def abandon(engine: Engine, collection: Collection) -> None:
    """Forgets a migration that has not switched, with what it has made."""
    if collection.successor is not None:
        await collections.save_successor(engine, collection, None)
        await engine.delete_collection(collection.successor.physical)


async def predecessors(engine: Engine, collection: Collection) -> list[str]:
    """Physical collections that are in use no more, oldest first."""
    successor = collection.successor.physical if collection.successor else None
    in_use = {collection.physical, successor}
    found = sorted((await collections.physicals(engine, collection.id)).items())
    return [name for _, name in found if name not in in_use]


async def drop_predecessors(engine: Engine, collection: Collection) -> list[str]:
    """Deletes them; their names."""
    dropped = await predecessors(engine, collection)
    for name in dropped:
        await engine.delete_collection(name)
    return dropped


def _bookkeeping(point: models.Record | None) -> dict[str, Any]:
    kept: dict[str, Any] = ((point.payload if point else None) or {}).get(RESERVED_KEY) or {}
    return kept


def _state(point: models.Record) -> tuple[str, str]:
    return str(point.id), str(_bookkeeping(point).get(WRITE_TOKEN))


def _same(point: models.Record, copy: models.Record | None) -> bool:
    return copy is not None and _state(point) == _state(copy)


def _same_picture(point: models.Record, copy: models.Record | None) -> bool:
    """Whether the copy's vector is that of the picture which the record has now."""
    made_from = _bookkeeping(copy).get(MADE_FROM)
    return made_from is not None and made_from == _bookkeeping(point).get("image")
