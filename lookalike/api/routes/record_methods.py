"""The methods on records, under every service prefix."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Controller, Request, post, route
from litestar.params import QueryParameter
from litestar.response import Stream

from lookalike.adapter.collections.collection_settings import Collection
from lookalike.adapter.collections.service import CollectionService
from lookalike.adapter.errors import InvalidRequest
from lookalike.adapter.records.numbered_pages import MAX_CURSOR_CHARACTERS, PageWanted
from lookalike.adapter.records.service import RecordService
from lookalike.api import envelopes
from lookalike.api.bodies import JsonBody
from lookalike.api.dependencies import READ, WRITE, find_named_collection
from lookalike.api.envelopes import Clock
from lookalike.api.request_paths import METHODS_ROOT
from lookalike.api.schemas import (
    AllIds,
    AllRecords,
    Answer,
    Delete,
    DeleteByFilter,
    Get,
    Insert,
    Pong,
    Random,
    Status,
    Update,
)
from lookalike.api.streaming import stream_document


class RecordMethods(Controller):
    path = METHODS_ROOT
    tags = ("records",)

    @route("/ping", http_method=["GET", "POST"], **READ)
    async def ping(
        self,
        request: Request[Any, Any, Any],
        collections: CollectionService,
    ) -> Pong:
        """Says that the service is there, and of a named collection what it is."""
        clock = Clock()
        collection = await find_named_collection(request, collections)
        if collection is None:
            return _pong("visual similarity search", clock)
        count = (await collections.make_view(collection)).records_count
        info = f"{collection.type} similarity, {count} records, {collection.distance} distance"
        return _pong(info, clock, total_records=count)

    @post("/insert", dto=JsonBody[Insert], **WRITE)
    async def insert(self, data: Insert, collection: Collection, records: RecordService) -> Answer:
        """Inserts records with new `_id`s; existing ones are never overwritten."""
        clock = Clock()
        outcome = await records.insert(
            collection, data.records, data.fields_to_return, colors=bool(data.extract_colors)
        )
        return envelopes.inserted(outcome, clock)

    @post("/update", dto=JsonBody[Update], **WRITE)
    async def update(self, data: Update, collection: Collection, records: RecordService) -> Answer:
        """Sets and removes fields of stored records; a picture that is another one is read."""
        clock = Clock()
        found = await records.update(collection, data.records, data.fields_to_return)
        return envelopes.found(found, clock, all_found=envelopes.OK)

    @post("/delete", dto=JsonBody[Delete], **WRITE)
    async def delete(self, data: Delete, collection: Collection, records: RecordService) -> Answer:
        """Deletes records by `_id` and answers those that existed."""
        clock = Clock()
        deleted = await records.delete(collection, data.records, data.fields_to_return)
        return envelopes.found(deleted, clock, all_found=envelopes.DELETED)

    @post("/deleteByFilter", dto=JsonBody[DeleteByFilter], **WRITE)
    async def delete_by_filter(
        self, data: DeleteByFilter, collection: Collection, records: RecordService
    ) -> Answer:
        """Deletes all records that match. An empty filter is refused."""
        clock = Clock()
        ids = await records.delete_by_filter(collection, data.filter)
        code = envelopes.DELETED if ids else envelopes.NOT_FOUND
        return envelopes.answer(code, [{"_id": id_} for id_ in ids], clock)

    @post("/get", dto=JsonBody[Get], **READ)
    async def get(self, data: Get, collection: Collection, records: RecordService) -> Answer:
        """Stored records by `_id`, in the order of the request."""
        clock = Clock()
        found = await records.get(collection, data.records, data.fields_to_return)
        return envelopes.found(found, clock, all_found=envelopes.RECORDS_FOUND)

    @post("/random", dto=JsonBody[Random], **READ)
    async def random(self, data: Random, collection: Collection, records: RecordService) -> Answer:
        """Up to `count` different records that match the filter."""
        clock = Clock()
        sampled = await records.sample(
            collection, data.count, data.filter, data.fields_to_return, data.seed
        )
        more = envelopes.residual(sampled.residual_records)
        return envelopes.answer(envelopes.OK, sampled.records, clock, **more)

    @post("/allRecords", dto=JsonBody[AllRecords], **READ)
    async def all_records(
        self,
        request: Request[Any, Any, Any],
        data: AllRecords,
        collection: Collection,
        records: RecordService,
        size: Annotated[int | None, QueryParameter(ge=0)] = None,
        page: Annotated[int, QueryParameter(ge=1)] = 1,
        after: Annotated[str | None, QueryParameter(max_length=MAX_CURSOR_CHARACTERS)] = None,
    ) -> Answer | Stream:
        """All records: a page with `?size=…&page=…`, else everything in one streamed answer.

        `next` has the cursor `after` too; with it, `page` is but the number that `next` counts on.
        """
        if not size:
            # Without a size everything is the first page, and there is no other.
            if after is not None or page > 1:
                raise InvalidRequest("A page needs its size", place="size")
            return await stream_document(
                await records.stream(collection, data.filter, data.fields_to_return)
            )
        clock = Clock()
        wanted = PageWanted(size, page, after)
        found = await records.list_page(collection, wanted, data.filter, data.fields_to_return)
        more = envelopes.residual(found.residual_records)
        if found.total is not None:
            more["total_records"] = found.total
        body = envelopes.answer(envelopes.OK, found.records, clock, **more)
        if found.next is not None:
            path = request.scope["state"]["asked_path"]
            body.next = f"{path}?size={found.size}&page={page + 1}&after={found.next}"
        return body

    @post("/allIDs", dto=JsonBody[AllIds], **READ)
    async def all_ids(self, data: AllIds, collection: Collection, records: RecordService) -> Stream:
        """The `_id` of every record."""
        return await stream_document(await records.stream(collection, data.filter))


def _pong(info: str, clock: Clock, **statistics: Any) -> Pong:
    return Pong(
        status=Status(*envelopes.OK),
        info=info,
        statistics=clock.statistics(**statistics),
        service_info={"_name": info, "_info": "Lookalike, self-hosted"},
    )
