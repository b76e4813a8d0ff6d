"""What is done to the records of a collection: every request is checked here before any I/O."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from functools import partial

import msgspec

from lookalike.adapter.collections import store
from lookalike.adapter.collections.cache import CollectionCache
from lookalike.adapter.collections.collection_settings import Collection
from lookalike.adapter.engines.base import Engine
from lookalike.adapter.errors import InvalidRequest, RecordRefused
from lookalike.adapter.limits import Limits
from lookalike.adapter.records import listing, numbered_pages
from lookalike.adapter.records.batch_outcome import Outcome
from lookalike.adapter.records.image_sources import EmbeddingPort
from lookalike.adapter.records.listing import Sampled
from lookalike.adapter.records.numbered_pages import ListedPage, PageWanted
from lookalike.adapter.records.points import Record, record_id, shown, shown_fields
from lookalike.adapter.records.selection import select
from lookalike.adapter.records.undecided import FindNearDuplicates
from lookalike.adapter.records.updating import ReadImages
from lookalike.adapter.records.writer import Writer

DEFAULT_RANDOM_COUNT = 10


class Found(msgspec.Struct):
    """Those records of a batch that exist; `missing`: how many different ones do not."""

    records: list[Record]
    missing: int
    refused: list[tuple[Record, RecordRefused]] = []
    unread: list[str] = []
    """As `Updated.unread`."""


class RecordService:
    """The records of one engine. `fields_to_return` names the fields of answers; None: `_id`."""

    def __init__(
        self, engine: Engine, cache: CollectionCache, embedding: EmbeddingPort, limits: Limits
    ) -> None:
        self._engine = engine
        self._embedding = embedding
        self._limits = limits
        self._writer = Writer(engine, cache, embedding.embed_second)

    async def insert(
        self,
        collection: Collection,
        records: list[Record],
        fields_to_return: Sequence[str] | None = None,
        *,
        colors: bool = False,
        near_duplicates: FindNearDuplicates | None = None,
    ) -> Outcome[Record]:
        """As `Writer.insert`. `colors`: each record gets its image's `_dominant_colors`."""
        self._limits.check_batch(len(records), "$.records")
        embed = partial(self._embedding.embed, collection, colors=colors)
        fields = shown_fields(fields_to_return)
        return await self._writer.insert(
            collection, records, embed, fields, near_duplicates=near_duplicates
        )

    async def update(
        self,
        collection: Collection,
        records: list[Record],
        fields_to_return: Sequence[str] | None = None,
    ) -> Found:
        """As `Writer.update`; without `fields_to_return` the answer has all fields."""
        self._limits.check_batch(len(records), "$.records")
        embed = partial(self._embedding.embed, collection)
        read = ReadImages(embed, partial(embed, colors=True)) if collection.update_vectors else None
        outcome = await self._writer.update(
            collection,
            records,
            shown_fields(["*"] if fields_to_return is None else fields_to_return),
            read=read,
        )
        return Found(outcome.done, outcome.missing, outcome.refused, outcome.unread)

    async def delete(
        self,
        collection: Collection,
        records: list[Record],
        fields_to_return: Sequence[str] | None = None,
    ) -> Found:
        """Deletes records by `_id`. Raises InvalidRequest where none has one."""
        ids, refused = self._usable_ids(records)
        deleted = await self._writer.delete(collection, ids, shown_fields(fields_to_return))
        return Found(deleted, len(ids) - len(deleted), refused)

    async def delete_by_filter(self, collection: Collection, filter_: Record) -> list[str]:
        """Deletes all records that match; their `_id`s. An empty filter is refused."""
        if not filter_:
            raise InvalidRequest(
                "deleteByFilter needs a filter that is not empty", place="$.filter"
            )
        selection = await select(self._engine, collection, filter_)
        return await listing.delete_by_filter(self._engine, collection, selection)

    async def get(
        self,
        collection: Collection,
        records: list[Record],
        fields_to_return: Sequence[str] | None = None,
    ) -> Found:
        """Stored records by `_id`. Raises InvalidRequest where none has one."""
        ids, refused = self._usable_ids(records)
        found = await listing.get_records(
            self._engine, collection, ids, shown_fields(fields_to_return)
        )
        return Found(found, len(ids) - len(found), refused)

    async def sample(
        self,
        collection: Collection,
        count: int | None = None,
        filter_: Record | None = None,
        fields_to_return: Sequence[str] | None = None,
        seed: int | None = None,
    ) -> Sampled:
        """As `listing.sample_records`."""
        wanted = DEFAULT_RANDOM_COUNT if count is None else count
        selection = await select(self._engine, collection, filter_)
        return await listing.sample_records(
            self._engine,
            collection,
            min(wanted, self._limits.max_results),
            selection,
            shown_fields(fields_to_return),
            seed,
        )

    async def list_page(
        self,
        collection: Collection,
        wanted: PageWanted,
        filter_: Record | None = None,
        fields_to_return: Sequence[str] | None = None,
    ) -> ListedPage:
        """As `numbered_pages.list_page`; the size is cut to `Limits.max_results`."""
        selection = await select(self._engine, collection, filter_)
        size = min(wanted.size, self._limits.max_results)
        return await numbered_pages.list_page(
            self._engine,
            collection,
            selection,
            shown_fields(fields_to_return),
            msgspec.structs.replace(wanted, size=size),
        )

    async def count(self, collection: Collection) -> int:
        """The number of all records."""
        return await store.count_stored(self._engine, collection)

    async def stream(
        self,
        collection: Collection,
        filter_: Record | None = None,
        fields_to_return: Sequence[str] | None = None,
    ) -> AsyncIterator[list[Record]]:
        """All matching records in pages, read as they are asked for. Raises InvalidFilter."""
        selection = await select(self._engine, collection, filter_)
        fields = shown_fields(fields_to_return)
        pages = listing.scan_records(self._engine, collection, selection, fields)
        return ([shown(entry.record, fields) for entry in page] async for page in pages)

    def _usable_ids(
        self, records: list[Record]
    ) -> tuple[list[str], list[tuple[Record, RecordRefused]]]:
        """The `_id`s that a batch names, each once, in order; and the records that name none.

        Raises InvalidRequest, at the first of them, where all are such records.
        """
        self._limits.check_batch(len(records), "$.records")
        ids: dict[str, None] = {}
        faults: list[tuple[Record, InvalidRequest]] = []
        for number, record in enumerate(records):
            try:
                ids[record_id(record.get("_id"), f"$.records[{number}]._id")] = None
            except InvalidRequest as fault:
                faults.append((record, fault))
        if faults and not ids:
            raise faults[0][1]
        return list(ids), [(record, RecordRefused(400, fault.text)) for record, fault in faults]
