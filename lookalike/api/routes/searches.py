"""The searches, under every service prefix."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from litestar import Controller, Response, post
from msgspec import structs

from lookalike.adapter import search
from lookalike.adapter.collection import Collection
from lookalike.adapter.errors import InvalidRequest, RecordRefused, RecordsNotFound
from lookalike.adapter.records import record_id, shown_fields, tags_of
from lookalike.adapter.search import Hits, Query
from lookalike.adapter.selection import Selection
from lookalike.adapter.writes import ImageSource
from lookalike.api import envelopes
from lookalike.api.bodies import JsonBody
from lookalike.api.envelopes import Clock, respond
from lookalike.api.paths import METHODS_ROOT
from lookalike.api.schemas import DEFAULT_K, Answer, Search, SearchWithTags
from lookalike.api.services import Services

QUERY_RECORD = "$.query_record"


class Searches(Controller):
    path = METHODS_ROOT
    tags = ("searches",)

    @post("/visualKNN", status_code=200, opt={"scope": "read"}, dto=JsonBody[Search])
    async def visual_knn(
        self, data: Search, collection: Collection, services: Services
    ) -> Response[Answer]:
        """The k records that look most like a stored record or a picture."""
        clock = Clock()

        def run(query: Query) -> Awaitable[Hits]:
            return search.nearest(services.engine, collection, query)

        outcome = await answer_query(
            data, query_of(data, collection, services), run, collection, services
        )
        return respond(envelopes.hits(outcome, clock), services.settings.mirror_status)

    @post("/visualTagsKNN", status_code=200, opt={"scope": "read"}, dto=JsonBody[SearchWithTags])
    async def visual_tags_knn(
        self, data: SearchWithTags, collection: Collection, services: Services
    ) -> Response[Answer]:
        """As visualKNN, with the tags of the query or of the stored record mixed in."""
        clock = Clock()
        weight = collection.tag_weight if data.tag_weight is None else data.tag_weight
        tags = tags_of(data.query_record) if "tags" in data.query_record else None
        query = structs.replace(query_of(data, collection, services), tags=tags)

        def run(query: Query) -> Awaitable[Hits]:
            return search.nearest_with_tags(services.engine, collection, query, weight)

        outcome = await answer_query(data, query, run, collection, services)
        return respond(envelopes.hits(outcome, clock), services.settings.mirror_status)


def query_of(data: Search, collection: Collection, services: Services) -> Query:
    """All of the request but what it looks for. Raises InvalidFilter."""
    most = services.settings.max_results
    return Query(
        k=min(DEFAULT_K if data.k is None else data.k, most),
        offset=data.from_ or 0,
        radius=data.radius,
        selection=Selection.of(data.filter, collection),
        fields=shown_fields(data.fields_to_return),
    )


async def answer_query(
    data: Search,
    query: Query,
    run: Callable[[Query], Awaitable[Hits]],
    collection: Collection,
    services: Services,
) -> Hits:
    """By the stored record where the query names one that exists, else by its picture.

    Raises InvalidRequest for a query without either or with a picture that cannot be read, and
    RecordsNotFound for an unknown `_id` without a picture.
    """
    source = query_source(data.query_record)
    id_ = data.query_record.get("_id")
    if id_ is None and source is None:
        raise InvalidRequest("_id, _url or _base64 is needed", place=QUERY_RECORD)
    if id_ is not None:
        try:
            return await run(
                structs.replace(query, record_id=record_id(id_, f"{QUERY_RECORD}._id"))
            )
        except RecordsNotFound:
            if source is None:
                raise
    assert source is not None
    (embedded,) = await services.embed(collection, [source], query=True)
    if isinstance(embedded, RecordRefused):
        raise InvalidRequest(embedded.text, place=QUERY_RECORD)
    return await run(structs.replace(query, vector=embedded.vector))


def query_source(record: dict[str, Any]) -> ImageSource | None:
    try:
        return ImageSource.of(record)
    except RecordRefused as refusal:
        raise InvalidRequest(refusal.text, place=QUERY_RECORD) from None
