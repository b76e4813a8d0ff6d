"""The methods on records, under every service prefix: thin, one plan and one answer each."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

import msgspec
from litestar import Controller, Request, Response, post, route
from litestar.params import QueryParameter
from litestar.response import Stream

from lookalike.adapter import deadline
from lookalike.adapter.collections.store import Collection
from lookalike.adapter.errors import InvalidRequest
from lookalike.adapter.records import listing
from lookalike.adapter.records.points import Record, record_id, shown, shown_fields
from lookalike.adapter.records.selection import select
from lookalike.api import envelopes
from lookalike.api.auth import Grant
from lookalike.api.bodies import JsonBody
from lookalike.api.envelopes import Clock, respond
from lookalike.api.paths import METHODS_ROOT
from lookalike.api.schemas import (
    DEFAULT_RANDOM_COUNT,
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
from lookalike.api.services import Services

EngineAnswer = Response[Answer]


class RecordMethods(Controller):
    path = METHODS_ROOT
    tags = ("records",)

    @route("/ping", http_method=["GET", "POST"], status_code=200, opt={"scope": "read"})
    async def ping(self, request: Request[Any, Any, Any], services: Services, grant: Grant) -> Pong:
        """Says that the service is there, and of a named collection what it is."""
        clock = Clock()
        wanted = services.collection_named_by(request.headers)
        if wanted is None:
            return _pong("visual similarity search", clock)
        collection = await services.collection(wanted, grant)
        count = (await services.engine.count(collection.physical, exact=True)).count
        info = f"{collection.type} similarity, {count} records, {collection.distance} distance"
        return _pong(info, clock, total_records=count)

    @post("/insert", status_code=200, opt={"scope": "write"}, dto=JsonBody[Insert])
    async def insert(
        self, data: Insert, collection: Collection, services: Services
    ) -> EngineAnswer:
        """Inserts records with new `_id`s; existing ones are never overwritten."""
        clock = Clock()
        check_batch(data.records, services)

        async def embed(sources: Any) -> Any:
            return await services.embed(collection, sources, colors=bool(data.extract_colors))

        outcome = await services.writer.insert(
            collection, data.records, embed, shown_fields(data.fields_to_return)
        )
        return respond(envelopes.inserted(outcome, clock), services.settings.mirror_status)

    @post("/update", status_code=200, opt={"scope": "write"}, dto=JsonBody[Update])
    async def update(
        self, data: Update, collection: Collection, services: Services
    ) -> EngineAnswer:
        """Sets fields of stored records; vectors and other fields stay."""
        clock = Clock()
        check_batch(data.records, services)
        fields = shown_fields(data.fields_to_return or ["*"])
        outcome = await services.writer.update(collection, data.records, fields)
        asked = len({str(record.get("_id")) for record in data.records})
        body = envelopes.found(
            outcome.done, asked, clock, all_found=envelopes.OK, refused=outcome.refused
        )
        return respond(body, services.settings.mirror_status)

    @post("/delete", status_code=200, opt={"scope": "write"}, dto=JsonBody[Delete])
    async def delete(
        self, data: Delete, collection: Collection, services: Services
    ) -> EngineAnswer:
        """Deletes records by `_id` and answers those that existed."""
        clock = Clock()
        check_batch(data.records, services)
        ids = ids_of(data.records)
        deleted = await services.writer.delete(collection, ids, shown_fields(data.fields_to_return))
        body = envelopes.found(deleted, len(ids), clock, all_found=envelopes.DELETED)
        return respond(body, services.settings.mirror_status)

    @post("/deleteByFilter", status_code=200, opt={"scope": "write"}, dto=JsonBody[DeleteByFilter])
    async def delete_by_filter(
        self, data: DeleteByFilter, collection: Collection, services: Services
    ) -> EngineAnswer:
        """Deletes all records that match. An empty filter is refused."""
        clock = Clock()
        if not data.filter:
            raise InvalidRequest(
                "deleteByFilter needs a filter that is not empty", place="$.filter"
            )
        ids = await listing.delete_by_filter(
            services.engine,
            collection,
            await select(services.engine, collection, data.filter),
        )
        code = envelopes.DELETED if ids else envelopes.NOT_FOUND
        body = envelopes.answer(code, [{"_id": id_} for id_ in ids], clock)
        return respond(body, services.settings.mirror_status)

    @post("/get", status_code=200, opt={"scope": "read"}, dto=JsonBody[Get])
    async def get(self, data: Get, collection: Collection, services: Services) -> EngineAnswer:
        """Stored records by `_id`, in the order of the request."""
        clock = Clock()
        check_batch(data.records, services)
        ids = ids_of(data.records)
        fields = shown_fields(data.fields_to_return)
        records = await listing.get(services.engine, collection, ids, fields)
        body = envelopes.found(records, len(ids), clock, all_found=envelopes.RECORDS_FOUND)
        return respond(body, services.settings.mirror_status)

    @post("/random", status_code=200, opt={"scope": "read"}, dto=JsonBody[Random])
    async def random(
        self, data: Random, collection: Collection, services: Services
    ) -> EngineAnswer:
        """Up to `count` different records that match the filter."""
        clock = Clock()
        count = DEFAULT_RANDOM_COUNT if data.count is None else data.count
        sampled = await listing.random(
            services.engine,
            collection,
            min(count, services.settings.max_results),
            await select(services.engine, collection, data.filter),
            shown_fields(data.fields_to_return),
            data.seed,
        )
        more = envelopes.residual(sampled.residual_records)
        body = envelopes.answer(envelopes.OK, sampled.records, clock, **more)
        return respond(body, services.settings.mirror_status)

    @post("/allRecords", status_code=200, opt={"scope": "read"}, dto=JsonBody[AllRecords])
    async def all_records(
        self,
        request: Request[Any, Any, Any],
        data: AllRecords,
        collection: Collection,
        services: Services,
        size: Annotated[int | None, QueryParameter(ge=0)] = None,
        page: Annotated[int, QueryParameter(ge=1)] = 1,
    ) -> EngineAnswer | Stream:
        """All records: a page with `?size=…&page=…`, else everything in one streamed answer."""
        if not size:
            return await stream_all(
                data.filter, shown_fields(data.fields_to_return), collection, services
            )
        clock = Clock()
        size = min(size, services.settings.max_results)
        name = msgspec.json.encode((collection.id, size, data.filter)).decode()
        found = await listing.list_page(
            services.engine,
            collection,
            await select(services.engine, collection, data.filter),
            shown_fields(data.fields_to_return),
            size=size,
            page=page,
            cursors=services.cursors,
            listing=name,
        )
        total = (await services.engine.count(collection.physical, exact=True)).count
        more = envelopes.residual(found.residual_records)
        body = envelopes.answer(envelopes.OK, found.records, clock, total_records=total, **more)
        if found.has_next:
            path = request.scope["state"]["asked_path"]
            body.next = f"{path}?size={size}&page={page + 1}"
        return respond(body, services.settings.mirror_status)

    @post("/allIDs", status_code=200, opt={"scope": "read"}, dto=JsonBody[AllIds])
    async def all_ids(self, data: AllIds, collection: Collection, services: Services) -> Stream:
        """The `_id` of every record."""
        return await stream_all(data.filter, shown_fields(None), collection, services)


def _pong(info: str, clock: Clock, **statistics: Any) -> Pong:
    return Pong(
        status=Status(*envelopes.OK),
        info=info,
        statistics=clock.statistics(**statistics),
        service_info={"_name": info, "_info": "Lookalike, self-hosted"},
    )


def check_batch(records: list[Record], services: Services) -> None:
    most = services.settings.effective_max_records
    if len(records) > most:
        raise InvalidRequest(f"A request has at most {most} records", place="$.records")


def ids_of(records: list[Record]) -> list[str]:
    """The `_id`s that a batch names, each once, in order."""
    return list(
        dict.fromkeys(
            record_id(record.get("_id"), f"$.records[{number}]._id")
            for number, record in enumerate(records)
        )
    )


async def stream_all(
    filter_: Record | None,
    fields: frozenset[str] | None,
    collection: Collection,
    services: Services,
) -> Stream:
    """All matching records as one JSON document, written while the engine is being read.

    Where the first page cannot be read, the answer is an error. Where reading fails midway, the
    connection is closed before the document is complete: a client sees broken JSON and never a
    short list.
    """
    selection = await select(services.engine, collection, filter_)

    async def chunks() -> AsyncIterator[bytes]:
        clock, count = Clock(), 0
        before = b'{"status":{"code":200,"text":"OK"},"answer_records":['
        async for page in listing.scan(services.engine, collection, selection, fields):
            records = [shown(entry.payload, fields) for entry in page]
            yield before + msgspec.json.encode(records)[1:-1]
            before = b","
            count += len(records)
            # A client may take its time over a long answer; each page has the whole deadline.
            deadline.start(services.settings.request_timeout_s)
        tail = {"answer_count": count, "statistics": clock.statistics(total_records=count)}
        yield (b"" if count else before) + b"]," + msgspec.json.encode(tail)[1:]

    written = chunks()
    first = await anext(written)

    async def all_chunks() -> AsyncIterator[bytes]:
        yield first
        async for chunk in written:
            yield chunk

    return Stream(all_chunks, media_type="application/json", status_code=200)
