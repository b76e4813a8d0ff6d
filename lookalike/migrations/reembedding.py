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
from collections.abc import AsyncIterator, Sequence

import msgspec

from lookalike.adapter.collections import second_vector, store
from lookalike.adapter.collections.collection_settings import (
    Collection,
    EmbedderIdentity,
    SecondVector,
)
from lookalike.adapter.collections.second_vector import SETTLE_SECONDS
from lookalike.adapter.engines.base import Engine
from lookalike.adapter.errors import CollectionConflict, CollectionNotFound, RecordRefused
from lookalike.adapter.point_layout import RESERVED_KEY
from lookalike.adapter.records.bookkeeping import CROP, IMAGE
from lookalike.adapter.records.image_sources import Embed, ImageSource
from lookalike.adapter.records.point_batches import (
    StoredId,
    StoredPoint,
    count_lacking,
    sample_ids,
    scroll_points,
    set_vectors,
)
from lookalike.adapter.search.nearest import Query, find_nearest
from lookalike.adapter.search.vectors import read_vectors
from lookalike.migrations.sources import GivenRecords

PAGE = 64
"""Records that are embedded together."""
MAX_PASSES = 20
SAMPLE = 50
NEIGHBOURS = 10

NEEDED = ["_id", "_url", *(f"{RESERVED_KEY}.{name}" for name in (IMAGE, CROP))]
"""What of a payload says where the image is, and which it was."""


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


class Overlap(msgspec.Struct, frozen=True):
    """What a sample of records says of two vectors."""

    records: int
    """Those of the sample that have both vectors, and a neighbour."""
    share: float | None
    """Which part of their nearest ten both vectors have in common, 0 to 1; None of no record."""


class Verdict(msgspec.Struct, frozen=True):
    records: int
    """Those that have the vector."""
    unreadable: list[Unreadable]
    overlap: Overlap


class Skip(msgspec.Struct, frozen=True):
    """How many records may be left out because they cannot be read: a number, or a share."""

    records: int = 0
    share: float = 0.0

    def most(self, stored: int) -> float:
        return max(self.records, self.share * stored)

    @property
    def words(self) -> str:
        return f"{100 * self.share:g} % of them" if self.share else str(self.records or "none")


SKIP_NONE = Skip()
SKIP_FEW = Skip(share=0.01)
"""What a wish to skip means that names no number: more would be missed by whoever searches."""


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
        self._failed: dict[tuple[StoredId, str | None], Unreadable] = {}

    async def run(
        self, *, skip: Skip = SKIP_NONE, min_overlap: float = 0.0
    ) -> tuple[Collection, Verdict]:
        """Everything from wherever it stands to the switch; the collection as it is then.

        Raises NotVerified, and with it nothing has changed for anybody.
        """
        verdict = await self.prepare(skip=skip, min_overlap=min_overlap)
        return await self.switch(), verdict

    async def prepare(self, *, skip: Skip = SKIP_NONE, min_overlap: float = 0.0) -> Verdict:
        """Everything but the switch: both vectors are complete, and may be compared.

        Raises NotVerified where more records cannot be read than `skip` allows, where no record has
        the new vector, and where less than `min_overlap` of the nearest ten of a sample are the
        same by both vectors or nothing could be compared.
        """
        collection = await self.begin()
        unreadable = await self.fill(collection, self._second(collection).vector)
        await self.check_unreadable(unreadable, skip)
        collection = await self._read_present()
        second = second_vector.swapped(collection)
        stored = await store.count_stored(self._engine, collection)
        records = stored - await count_lacking(self._engine, collection, second.vector)
        if stored and not records:
            raise NotVerified(
                "No record has a vector of the new embedder: nothing can be measured, and nothing "
                "would be found.",
                unreadable,
            )
        complete = msgspec.structs.replace(self._second(collection), complete=True)
        collection = await second_vector.save_second_vector(self._engine, collection, complete)
        overlap = await measure_overlap(self._engine, collection, second)
        if min_overlap and overlap.share is None:
            raise NotVerified("No record has a neighbour: nothing can be measured.", unreadable)
        if overlap.share is not None and overlap.share < min_overlap:
            raise NotVerified(
                f"Only {overlap.share:.1%} of the nearest ten are the same, of {overlap.records} "
                "records.",
                unreadable,
            )
        return Verdict(records, unreadable, overlap)

    async def check_unreadable(self, unreadable: Sequence[Unreadable], skip: Skip) -> None:
        """Raises NotVerified for more of them than `skip` allows."""
        stored = await store.count_stored(self._engine, await self._read_present())
        if len(unreadable) > skip.most(stored):
            raise NotVerified(
                f"{len(unreadable)} of {stored} records cannot be read, and so have no vector of "
                f"the embedder {self.target.embedder}; {skip.words} may be left out.",
                unreadable,
            )

    async def begin(self) -> Collection:
        """The collection with a second vector of the target's, made now or when this began."""
        present = await self._read_present()
        if present.revision == self.target.revision:
            raise CollectionConflict("The collection is searched by this embedder already.")
        if present.second_vector is None:
            return await second_vector.add_second_vector(self._engine, present, self.target)
        self._second(present)
        return present

    def _second(self, collection: Collection) -> SecondVector:
        second = collection.second_vector
        if second is None or second.revision != self.target.revision:
            embedder = second.embedder if second is not None else "no embedder"
            raise CollectionConflict(
                f"The collection has another vector, of {embedder}: finish with it, "
                "or drop it first."
            )
        return second

    async def switch(self) -> Collection:
        """Searches by the new vector from now on.

        Raises CollectionConflict unless it is complete.
        """
        present = await self._read_present()
        vector = self._second(present).vector
        done = await switch_and_settle(self._engine, present, self._settle_seconds)
        # A process that did not know the vector yet may have inserted records without it; fill
        # them now.
        await self._embed_lacking(done, vector, MAX_PASSES)
        return done

    async def _read_present(self) -> Collection:
        found = await store.read_collection(self._engine, self._id)
        if found is None:
            raise CollectionNotFound
        return found

    async def fill(self, collection: Collection, vector: str) -> list[Unreadable]:
        """Passes until none finds a record to embed; those that are left cannot be read."""
        for number in range(1, MAX_PASSES + 1):
            embedded = await self._embed_lacking(collection, vector, number)
            if number == 1:
                # By then every process embeds what it inserts by both.
                await asyncio.sleep(self._settle_seconds)
            elif embedded == 0:
                return await self._list_unreadable(collection, vector)
        raise NotVerified(f"After {MAX_PASSES} passes records without the vector still come.")

    async def _embed_lacking(self, collection: Collection, vector: str, number: int) -> int:
        """Embeds the records without the vector, each tried once; how many got it."""
        self._progress.pass_begins(number, await count_lacking(self._engine, collection, vector))
        embedded = 0
        async for points, _ in self._scroll_lacking(collection, vector, PAGE):
            untried = [point for point in points if _image_key(point) not in self._failed]
            embedded += await self._embed_records(collection, vector, untried)
            self._progress.looked_at(len(points))
        return embedded

    def _scroll_lacking(
        self, collection: Collection, vector: str, page: int
    ) -> AsyncIterator[tuple[list[StoredPoint], StoredId | None]]:
        """Pages of the records without the vector."""
        return scroll_points(self._engine, collection, lacking=vector, payload=NEEDED, page=page)

    async def _embed_records(
        self, collection: Collection, vector: str, points: Sequence[StoredPoint]
    ) -> int:
        sources: list[tuple[StoredPoint, ImageSource]] = []
        for point in points:
            try:
                sources.append((point, self._given.find_source(point.payload)))
            except RecordRefused as refusal:
                self._refuse(point, refusal)
        results = await self._embed([source for _, source in sources]) if sources else []
        vectors: list[tuple[StoredPoint, list[float]]] = []
        for (point, _), result in zip(sources, results, strict=True):
            if isinstance(result, RecordRefused):
                self._refuse(point, result)
            else:
                vectors.append((point, result.vector))
        await set_vectors(self._engine, collection, vector, vectors)
        return len(vectors)

    def _refuse(self, point: StoredPoint, refusal: RecordRefused) -> None:
        id_ = str(point.payload.get("_id", point.id))
        self._failed[_image_key(point)] = Unreadable(id_, refusal.code, refusal.text)

    async def _list_unreadable(self, collection: Collection, vector: str) -> list[Unreadable]:
        """Of those that could not be read, the ones that are still there."""
        found: list[Unreadable] = []
        async for points, _ in self._scroll_lacking(collection, vector, 1000):
            found += [self._failed[key] for p in points if (key := _image_key(p)) in self._failed]
        return found


async def switch_and_settle(
    engine: Engine, collection: Collection, settle_seconds: float = SETTLE_SECONDS
) -> Collection:
    """Searches by the second vector from now on, and returns once every process does.

    Raises CollectionConflict without a second vector that is complete.
    """
    done = await second_vector.switch_vectors(engine, collection)
    await asyncio.sleep(settle_seconds)
    return done


async def measure_overlap(engine: Engine, first: Collection, second: Collection) -> Overlap:
    """How alike both vectors order some random records that have the second one."""
    ids = await sample_ids(engine, first, second.vector, SAMPLE)
    sides = [(side, await read_vectors(engine, side, ids)) for side in (first, second)]
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
    return Overlap(len(shares), sum(shares) / len(shares) if shares else None)


def _image_key(point: StoredPoint) -> tuple[StoredId, str | None]:
    """The record and which image it has: another image of it is tried again."""
    return point.id, point.image_hash
