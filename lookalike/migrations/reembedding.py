"""Another embedder for a collection, while it is searched and written to.

    begin     the collection gets a second vector (`collections.second_vector`): from then on
              inserts are embedded by both embedders
    fill      every record without that vector gets it, made of its image: of the record given
              again, or of the stored `_url`. Repeated until nothing is left but what cannot be read
    verify    a sample is searched by both; what has no vector is listed
    switch    the second vector is searched and the former one becomes the second, in one write; the
              processes notice within seconds, and it can be taken back as easily

Nothing has to be remembered: what is left to do is what has no vector, so an interrupted migration
goes on by being started again, at any point.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import msgspec
from qdrant_client import models

from lookalike.adapter.collections import second_vector, store
from lookalike.adapter.collections.collection_settings import (
    Collection,
    EmbedderIdentity,
    SecondVector,
)
from lookalike.adapter.collections.second_vector import SETTLE_SECONDS
from lookalike.adapter.engines.base import Engine
from lookalike.adapter.errors import (
    CollectionConflict,
    CollectionNotFound,
    RecordRefused,
    RecordsNotFound,
)
from lookalike.adapter.point_layout import RESERVED_KEY
from lookalike.adapter.records import listing
from lookalike.adapter.records.bookkeeping import CROP, IMAGE
from lookalike.adapter.records.image_sources import Embedded, ImageSource
from lookalike.adapter.records.selection import EVERYTHING
from lookalike.adapter.search.nearest import Query, find_nearest
from lookalike.adapter.search.vectors import read_vectors
from lookalike.migrations.archive import scroll_points
from lookalike.migrations.sources import GivenRecords

PAGE = 64
"""Records that are embedded together."""
MAX_PASSES = 20
SAMPLE = 50
NEIGHBOURS = 10

NEEDED = ["_id", "_url", *(f"{RESERVED_KEY}.{name}" for name in (IMAGE, CROP))]
"""What of a payload says where the image is, and which it was."""

Embed = Callable[[Sequence[ImageSource]], Awaitable[list[Embedded | RecordRefused]]]


class Unreadable(msgspec.Struct, frozen=True):
    """A record without the vector, and why."""

    id: str
    code: int
    reason: str


class PassReports:
    """What a pass reports; the command line shows it."""

    def pass_begins(self, number: int, records: int) -> None:
        """A pass over so many records without the vector begins."""

    def looked_at(self, records: int) -> None:
        """So many more of them have been looked at."""


class Verdict(msgspec.Struct, frozen=True):
    """`overlap`: which part of the nearest ten of sampled records both vectors have in common, 0 to
    1."""

    records: int
    """Those that have the vector."""
    unreadable: list[Unreadable]
    overlap: float


class NotVerified(CollectionConflict):
    """The new vectors are not what they should be; the collection is searched as before."""

    def __init__(self, text: str, unreadable: Sequence[Unreadable] = ()) -> None:
        super().__init__(text)
        self.unreadable = unreadable


class Reembedding:
    """One collection on its way to another embedder. Every method may be called again."""

    def __init__(
        self,
        engine: Engine,
        collection_id: str,
        target: EmbedderIdentity,
        embed: Embed,
        given: GivenRecords,
        progress: PassReports | None = None,
        settle_seconds: float = SETTLE_SECONDS,
    ) -> None:
        self._engine = engine
        self._id = collection_id
        self.target = target
        self._embed = embed
        self._given = given
        self._progress = progress or PassReports()
        self._settle_seconds = settle_seconds
        self._failed: dict[tuple[str, str | None], Unreadable] = {}

    async def run(
        self, *, skip_unreadable: bool = False, min_overlap: float = 0.0
    ) -> tuple[Collection, Verdict]:
        """Everything from wherever it stands to the switch; the collection as it is then.

        Raises NotVerified, and with it nothing has changed for anybody.
        """
        verdict = await self.prepare(skip_unreadable=skip_unreadable, min_overlap=min_overlap)
        return await self.switch(), verdict

    async def prepare(self, *, skip_unreadable: bool = False, min_overlap: float = 0.0) -> Verdict:
        """Everything but the switch: both vectors are complete, and may be compared.

        Raises NotVerified where records cannot be read, unless those are to be skipped, and where
        less than `min_overlap` of the nearest ten of a sample are the same by both vectors.
        """
        collection = await self.begin()
        unreadable = await self.fill(collection, self._second(collection).vector)
        if unreadable and not skip_unreadable:
            raise NotVerified(
                f"{len(unreadable)} records have no vector of the new embedder: give them again, "
                "or leave them out on purpose.",
                unreadable,
            )
        collection = await self._present()
        complete = msgspec.structs.replace(self._second(collection), complete=True)
        collection = await second_vector.save_second_vector(self._engine, collection, complete)
        other = second_vector.swapped(collection)
        records = (await self._engine.count(collection.physical)).count
        records -= await count_lacking(self._engine, collection, other.vector)
        verdict = Verdict(
            records, unreadable, await measure_overlap(self._engine, collection, other)
        )
        if verdict.overlap < min_overlap:
            raise NotVerified(
                f"Only {verdict.overlap:.0%} of the nearest ten are the same.", unreadable
            )
        return verdict

    async def begin(self) -> Collection:
        """The collection with a second vector of the target's, made now or when this began."""
        present = await self._present()
        if present.revision == self.target.revision:
            raise CollectionConflict("The collection is searched by this embedder already.")
        if present.second_vector is None:
            return await second_vector.add_second_vector(self._engine, present, self.target)
        self._second(present)
        return present

    def _second(self, collection: Collection) -> SecondVector:
        found = collection.second_vector
        if found is None or found.revision != self.target.revision:
            other = found.embedder if found is not None else "no embedder"
            raise CollectionConflict(
                f"The collection has another vector, of {other}: finish with it, or drop it first."
            )
        return found

    async def switch(self) -> Collection:
        """Searches by the new vector from now on.

        Raises CollectionConflict unless it is complete.
        """
        present = await self._present()
        vector = self._second(present).vector
        done = await second_vector.switch_vectors(self._engine, present)
        # What a process has written that did not know of the vector yet is filled afterwards.
        await asyncio.sleep(self._settle_seconds)
        await self._pass(done, vector, MAX_PASSES)
        return done

    async def _present(self) -> Collection:
        found = await store.read_collection(self._engine, self._id)
        if found is None:
            raise CollectionNotFound
        return found

    async def fill(self, collection: Collection, vector: str) -> list[Unreadable]:
        """Passes until none finds a record to embed; those that are left cannot be read."""
        for number in range(1, MAX_PASSES + 1):
            embedded = await self._pass(collection, vector, number)
            if number == 1:
                # By then every process embeds what it inserts by both.
                await asyncio.sleep(self._settle_seconds)
            elif embedded == 0:
                return await self._unreadable(collection, vector)
        raise NotVerified(f"After {MAX_PASSES} passes records without the vector still come.")

    async def _pass(self, collection: Collection, vector: str, number: int) -> int:
        """Embeds the records without the vector, each tried once; how many got it."""
        self._progress.pass_begins(number, await count_lacking(self._engine, collection, vector))
        embedded = 0
        async for points, _ in self._left(collection, vector, PAGE):
            untried = [point for point in points if _image(point) not in self._failed]
            embedded += await self._embed_records(collection, vector, untried)
            self._progress.looked_at(len(points))
        return embedded

    def _left(
        self, collection: Collection, vector: str, page: int
    ) -> AsyncIterator[tuple[list[models.Record], Any]]:
        """Pages of the records without the vector."""
        return scroll_points(
            self._engine,
            collection.physical,
            condition=without(vector),
            payload=NEEDED,
            vectors=False,
            page=page,
        )

    async def _embed_records(
        self, collection: Collection, vector: str, points: Sequence[models.Record]
    ) -> int:
        sources: list[tuple[models.Record, ImageSource]] = []
        for point in points:
            try:
                sources.append((point, self._given.source(point.payload or {})))
            except RecordRefused as refusal:
                self._refuse(point, refusal)
        results = await self._embed([source for _, source in sources]) if sources else []
        updates: list[models.UpdateOperation] = []
        for (point, _), result in zip(sources, results, strict=True):
            if isinstance(result, RecordRefused):
                self._refuse(point, result)
            else:
                updates.append(_update(point, vector, result.vector))
        if updates:
            # A record that was deleted meanwhile may stop the rest, which the next pass finds.
            with contextlib.suppress(RecordsNotFound):
                await self._engine.batch_update_points(
                    collection.physical, update_operations=updates
                )
        return len(updates)

    def _refuse(self, point: models.Record, refusal: RecordRefused) -> None:
        id_ = str((point.payload or {}).get("_id", point.id))
        self._failed[_image(point)] = Unreadable(id_, refusal.code, refusal.text)

    async def _unreadable(self, collection: Collection, vector: str) -> list[Unreadable]:
        """Of those that could not be read, the ones that are still there."""
        found: list[Unreadable] = []
        async for points, _ in self._left(collection, vector, 1000):
            found += [self._failed[key] for p in points if (key := _image(p)) in self._failed]
        return found


async def count_lacking(engine: Engine, collection: Collection, vector: str) -> int:
    """How many records are without this vector."""
    found = await engine.count(collection.physical, count_filter=without(vector))
    return found.count


async def measure_overlap(engine: Engine, one: Collection, other: Collection) -> float:
    """The mean share of the nearest ten that both have in common, over some random records.

    1 where nothing can differ: no record has a neighbour.
    """
    sampled = await listing.sample_records(engine, one, SAMPLE, EVERYTHING, frozenset({"_id"}))
    ids = [str(record["_id"]) for record in sampled.records]
    sides = [(side, await read_vectors(engine, side, ids)) for side in (one, other)]
    shares = []
    for id_ in sorted(sides[0][1].keys() & sides[1][1].keys()):
        # By its vectors and not by its id, for it may be deleted at any moment.
        near = [
            await find_nearest(
                engine,
                side,
                Query(vectors=(vectors[id_],), excluded=frozenset({id_}), k=NEIGHBOURS),
            )
            for side, vectors in sides
        ]
        before, after = ({record["_id"] for record in hits.records} for hits in near)
        if before:
            shares.append(len(before & after) / len(before))
    return sum(shares) / len(shares) if shares else 1.0


def without(vector: str) -> models.Filter:
    """The records that do not have this vector."""
    return models.Filter(must_not=[models.HasVectorCondition(has_vector=vector)])


def _bookkeeping(point: models.Record) -> dict[str, Any]:
    kept: dict[str, Any] = (point.payload or {}).get(RESERVED_KEY) or {}
    return kept


def _image(point: models.Record) -> tuple[str, str | None]:
    return str(point.id), _bookkeeping(point).get(IMAGE)


def _update(point: models.Record, name: str, vector: list[float]) -> models.UpdateOperation:
    """Sets the vector, unless the record has another image by now (deleted, inserted again)."""
    id_, image = _image(point)
    same_image = models.Filter(
        must=[
            models.HasIdCondition(has_id=[id_]),
            models.FieldCondition(
                key=f"{RESERVED_KEY}.{IMAGE}", match=models.MatchValue(value=image or "")
            ),
        ]
    )
    return models.UpdateVectorsOperation.model_construct(
        update_vectors=models.UpdateVectors.model_construct(
            points=[models.PointVectors.model_construct(id=id_, vector={name: vector})],
            update_filter=same_image,
        )
    )
