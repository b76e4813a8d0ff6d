"""Pages of a listing, by number and by cursor.

The order is that of the point ids, which are hashes of the `_id`s: a record that is added or
deleted moves no other. Page n of size s is the slice from position s * (n - 1) of the present
records, whoever asks and in whatever order; for a reader who follows the pages while records are
deleted it begins earlier (`reader_places`). A cursor is the id at which its page begins, so no
record comes twice or is missed that was there all along, and nothing has to be counted.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import logging
import uuid
from typing import Annotated

import msgspec
from msgspec import Meta
from qdrant_client import models

from lookalike.adapter.collections.collection_settings import Collection
from lookalike.adapter.engines.base import Engine
from lookalike.adapter.engines.engine_facts import MAX_LIMIT
from lookalike.adapter.errors import FilterTooExpensive, InvalidRequest, LookalikeError
from lookalike.adapter.records import reader_places
from lookalike.adapter.records.listing import (
    RECORDS_AT_ONCE,
    Fields,
    Listed,
    count_records,
    scan_records,
)
from lookalike.adapter.records.points import Record, shown
from lookalike.adapter.records.reader_places import Place
from lookalike.adapter.records.selection import Selection, Work

log = logging.getLogger("lookalike")

SKIPPED_AT_ONCE = MAX_LIMIT
"""Records that the engine passes over in one exchange, the most that it takes."""
IDS_AT_ONCE = 4096
"""Beyond, the ids are read in as many exchanges."""
ALWAYS_COUNTED = 10_000
"""Up to this position the beginning of a page is counted afresh. Beyond, a reader's place is good
enough while the listing has as many records as at the reader's last page: counting in every page
of a long listing would take a time that grows with its square."""


class PageWanted(msgspec.Struct, frozen=True):
    """`size` records: page `page` (from 1), or those from the cursor `after` on."""

    size: int
    page: int = 1
    after: str | None = None


class ListedPage(msgspec.Struct):
    records: list[Record]
    size: int
    """Of every page but the last."""
    next: str | None
    """The cursor of the next page; None on the last one."""
    total: int | None
    """How many records match; None where that would take more than the bound on the work."""
    residual_records: int


MAX_CURSOR_CHARACTERS = 100

TOO_FAR = (
    "The filter cannot be decided by an index, and counting up to this page would take too much "
    "work; follow `next` from the first page, or add a condition on an indexed field"
)

_Id = Annotated[bytes, Meta(min_length=16, max_length=16)]


class Cursor(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Where a page begins. As text it is opaque; what we did not write is refused."""

    begin: _Id
    place: _Id | None = None
    """What the page by number before it has noted, which is not needed any more."""
    total: Annotated[int, Meta(ge=0)] | None = None
    """Counted by the page by number before it, where counting means to look at every record."""

    def encode(self) -> str:
        return base64.urlsafe_b64encode(msgspec.msgpack.encode(self)).rstrip(b"=").decode()

    @classmethod
    def decode(cls, text: str) -> Cursor:
        """Raises InvalidRequest."""
        try:
            padded = text + "=" * (-len(text) % 4)
            cursor = msgspec.msgpack.decode(base64.urlsafe_b64decode(padded), type=cls)
        except (ValueError, binascii.Error):
            cursor = None
        if cursor is None or cursor.encode() != text:
            raise InvalidRequest("This is not a cursor that an answer has had", place="after")
        return cursor


async def list_page(
    engine: Engine,
    collection: Collection,
    selection: Selection,
    fields: Fields,
    wanted: PageWanted,
) -> ListedPage:
    """Raises InvalidRequest for a cursor that is none, FilterTooExpensive."""
    listing = _Listing(engine, collection, selection, wanted)
    if wanted.after is None:
        return await listing.read_by_number(fields)
    return await listing.read_by_cursor(fields, Cursor.decode(wanted.after))


class _Listing:
    """One request for a page."""

    def __init__(
        self, engine: Engine, collection: Collection, selection: Selection, wanted: PageWanted
    ) -> None:
        self._engine = engine
        self._collection = collection
        self._selection = selection
        self._size, self._page = wanted.size, wanted.page
        asked = msgspec.json.encode((collection.id, wanted.size, selection.source))
        self._topic = hashlib.blake2b(asked, digest_size=16).hexdigest()
        self._residual_records = 0

    async def read_by_number(self, fields: Fields) -> ListedPage:
        places = await self._read_places()
        total, ids = await self._count()
        begin = await self._find_begin(places, total, ids)
        if begin is None:
            return self._answer([], fields, total)
        found, end = await self._read(begin, fields)
        answer = self._answer(found, fields, total)
        place = await self._move_on(places, begin, end, total or 0)
        if end is not None:
            noted = None if place is None else uuid.UUID(place.id).bytes
            counted = None if ids is None else total
            answer.next = Cursor(uuid.UUID(end).bytes, noted, counted).encode()
        return answer

    async def read_by_cursor(self, fields: Fields, cursor: Cursor) -> ListedPage:
        begin = str(uuid.UUID(bytes=cursor.begin))
        if cursor.place is not None:
            place = str(uuid.UUID(bytes=cursor.place))
            await self._forget(place, begin)
        total = cursor.total
        if self._selection.residual is None:
            total = await count_records(self._engine, self._collection, self._selection)
        found, end = await self._read(begin, fields)
        answer = self._answer(found, fields, total)
        if end is not None:
            answer.next = Cursor(uuid.UUID(end).bytes, None, cursor.total).encode()
        return answer

    def _answer(self, found: list[Listed], fields: Fields, total: int | None) -> ListedPage:
        records = [shown(entry.record, fields) for entry in found]
        return ListedPage(records, self._size, None, total, self._residual_records)

    async def _read(self, begin: str, fields: Fields) -> tuple[list[Listed], str | None]:
        """The records of the page, and the id at which the next one begins, if there is one."""
        found: list[Listed] = []
        work = Work()
        # What a residual leaves of a page of the engine may be little.
        wide = self._selection.residual is not None
        pages = scan_records(
            self._engine,
            self._collection,
            self._selection,
            fields,
            start=begin or None,
            page=RECORDS_AT_ONCE if wide else min(self._size + 1, RECORDS_AT_ONCE),
            work=work,
        )
        async for page in pages:
            found += page
            if len(found) > self._size:
                break
        self._residual_records += work.residual_records
        end = found[self._size].point_id if len(found) > self._size else None
        return found[: self._size], end

    async def _count(self) -> tuple[int | None, list[str] | None]:
        """How many records match. Where every record has to be looked at, their ids too."""
        if self._selection.residual is None:
            return await count_records(self._engine, self._collection, self._selection), None
        work = Work()
        only_id = frozenset({"_id"})
        try:
            pages = scan_records(
                self._engine, self._collection, self._selection, only_id, work=work
            )
            ids = [entry.point_id async for page in pages for entry in page]
        except FilterTooExpensive:
            return None, None
        self._residual_records += work.residual_records
        return len(ids), ids

    async def _find_begin(
        self, places: list[Place], total: int | None, ids: list[str] | None
    ) -> str | None:
        """The id at which the page begins: "" for the first one, None beyond the end.

        Raises FilterTooExpensive where its position cannot be counted.
        """
        if self._page == 1:
            return ""
        needed = [at for place in places if (at := place.begin_of(self._page)) is not None]
        position = self._size * (self._page - 1)
        if total is None:
            if not needed:
                raise FilterTooExpensive(TOO_FAR, place="$.filter")
            return min(needed)
        unchanged = all(place.total == total for place in places)
        if needed and unchanged and position > ALWAYS_COUNTED:
            return min(needed)
        if position < total:
            there = await self._id_at(position) if ids is None else ids[position]
            needed += [] if there is None else [there]
        return min(needed, default=None)

    async def _id_at(self, position: int) -> str | None:
        """The id of the record before which there are `position` records."""
        skipped = min(position, SKIPPED_AT_ONCE)
        request = models.QueryRequest(
            filter=self._selection.filter,
            offset=skipped,
            limit=1,
            with_payload=False,
            # Without it a server asks each of several shards for less than it takes.
            params=models.SearchParams(exact=True),
        )
        (found,) = await self._engine.query_batch_points(self._collection.physical, [request])
        at: models.ExtendedPointId | None = found.points[0].id if found.points else None
        while at is not None and skipped < position:
            step = min(position - skipped, IDS_AT_ONCE)
            points, _ = await self._engine.scroll(
                self._collection.physical,
                scroll_filter=self._selection.filter,
                limit=step + 1,
                offset=at,
                with_payload=False,
            )
            at = points[step].id if len(points) > step else None
            skipped += step
        return None if at is None else str(at)

    async def _read_places(self) -> list[Place]:
        try:
            return await reader_places.read_places(self._engine, self._topic)
        except LookalikeError as error:
            log.warning("the ledger cannot be read: %s", error)
            return []

    async def _forget(self, place: str, end: str) -> None:
        with contextlib.suppress(LookalikeError):
            await reader_places.forget_place(self._engine, self._topic, place, end)

    async def _move_on(
        self, places: list[Place], begin: str, end: str | None, total: int
    ) -> Place | None:
        """Without the ledger a listing is still right for whoever reads what does not change."""
        at = reader_places.new_place(self._topic, self._page, begin, end or "", total)
        try:
            return await reader_places.move_on(self._engine, places, at, last=end is None)
        except LookalikeError as error:
            log.warning("the ledger cannot be written: %s", error)
            return None
