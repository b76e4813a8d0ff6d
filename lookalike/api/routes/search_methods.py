"""The searches, under every service prefix."""

from __future__ import annotations

from typing import Any

from litestar import Controller, Response, post
from msgspec import structs

from lookalike.adapter.collections.defaults import near_duplicate_radius
from lookalike.adapter.collections.store import Collection
from lookalike.adapter.errors import InvalidRequest, RecordRefused
from lookalike.adapter.records.points import shown, shown_fields, tags_of
from lookalike.adapter.records.selection import select
from lookalike.adapter.search import service as queries
from lookalike.adapter.search.distances import values
from lookalike.adapter.search.facets import facets
from lookalike.adapter.search.nearest import Hits, Query
from lookalike.adapter.search.service import query_of
from lookalike.api import envelopes
from lookalike.api.bodies import JsonBody
from lookalike.api.envelopes import Clock, respond
from lookalike.api.paths import METHODS_ROOT
from lookalike.api.routes.record_methods import check_batch
from lookalike.api.schemas import (
    DEFAULT_FACET_VALUES,
    Answer,
    Descriptor,
    FacetsOf,
    NearDuplicatesInsert,
    RankRecords,
    Search,
)
from lookalike.api.services import Services

RANK_FIELDS = ["_id", "_url", "_file"]

READ: dict[str, Any] = {"status_code": 200, "opt": {"scope": "read"}}
SEARCH: dict[str, Any] = {"status_code": 200, "opt": {"scope": "read", "searches": True}}
WRITE: dict[str, Any] = {"status_code": 200, "opt": {"scope": "write"}}

EngineAnswer = Response[Answer]


class Searches(Controller):
    path = METHODS_ROOT
    tags = ("searches",)

    @post("/visualKNN", dto=JsonBody[Search], **SEARCH)
    async def visual_knn(
        self, data: Search, collection: Collection, services: Services
    ) -> EngineAnswer:
        """The k records that look most like a stored record, an image or several."""
        return await _search(data, await query_of(data, collection, services), collection, services)

    @post("/visualTagsKNN", dto=JsonBody[Search], **SEARCH)
    async def visual_tags_knn(
        self, data: Search, collection: Collection, services: Services
    ) -> EngineAnswer:
        """As visualKNN, with the tags of the query or of the stored record mixed in."""
        record = data.query_record or {}
        query = structs.replace(
            await query_of(data, collection, services),
            tags=None if record.get("tags") is None else tags_of(record),
            tag_weight=collection.tag_weight if data.tag_weight is None else data.tag_weight,
        )
        return await _search(data, query, collection, services)

    @post("/visualRange", dto=JsonBody[Search], **SEARCH)
    async def visual_range(
        self, data: Search, collection: Collection, services: Services
    ) -> EngineAnswer:
        """All records within `radius`, which is required."""
        if data.radius is None:
            raise InvalidRequest("radius is needed", place="$.radius")
        query = await query_of(data, collection, services, k=services.settings.max_results)
        return await _search(data, query, collection, services)

    @post("/nearDuplicates", dto=JsonBody[Search], **SEARCH)
    async def near_duplicates(
        self, data: Search, collection: Collection, services: Services
    ) -> EngineAnswer:
        """The records that are as good as the same image: within a small default `radius`."""
        query = await query_of(data, collection, services)
        if query.radius is None:
            query = structs.replace(query, radius=near_duplicate_radius(collection))
        if data.group_by is None:  # photos are what is duplicated, not products
            query = structs.replace(query, grouping=None)
        return await _search(data, query, collection, services)

    @post("/text", dto=JsonBody[Search], **SEARCH)
    async def text(self, data: Search, collection: Collection, services: Services) -> EngineAnswer:
        """The k records that a text describes best."""
        text = queries.text_of(data.query_record or {}, queries.QUERY_RECORD)
        if text is None:
            place = f"{queries.QUERY_RECORD}._text_data"
            raise InvalidRequest("_text_data is needed", place=place)
        alone = structs.replace(
            data,
            query_record={"_text_data": text},
            query_records=None,
            positive=None,
            negative=None,
        )
        return await _search(
            alone, await query_of(alone, collection, services), collection, services
        )

    @post("/visualRankRecords", dto=JsonBody[RankRecords], **SEARCH)
    async def visual_rank_records(
        self, data: RankRecords, collection: Collection, services: Services
    ) -> EngineAnswer:
        """Orders the given records, stored ones and others, by distance from the query."""
        clock = Clock()
        check_batch(data.records, services)
        ((query, _),) = await queries.examples(
            [data.query_record], queries.QUERY_RECORD, collection, services
        )
        records = await queries.described(data.records, collection, services, query=True)
        known, refused = queries.split(records)
        ranked = sorted(
            zip(
                values(query, [v for _, v in known], collection.distance),
                range(len(known)),
                strict=True,
            )
        )
        kept = [(d, i) for d, i in ranked if data.radius is None or d <= data.radius][: data.k]
        fields = shown_fields(data.fields_to_return or RANK_FIELDS)
        body = envelopes.answer(
            envelopes.OK,
            [shown(known[index][0], fields) for _, index in kept],
            clock,
            refused=refused,
            **envelopes.answered_by(collection),
        )
        body.answer_distances = [max(0.0, value) for value, _ in kept]
        return respond(body, services.settings.mirror_status)

    @post("/nearDupsInsert", dto=JsonBody[NearDuplicatesInsert], **WRITE)
    async def near_dups_insert(
        self, data: NearDuplicatesInsert, collection: Collection, services: Services
    ) -> EngineAnswer:
        """Inserts the records that have no near duplicate, stored or before them in the batch."""
        clock = Clock()
        check_batch(data.records, services)

        async def embed(sources: Any) -> Any:
            return await services.embed(collection, sources)

        radius = near_duplicate_radius(collection) if data.radius is None else data.radius
        outcome = await services.writer.insert(
            collection,
            data.records,
            embed,
            shown_fields(data.fields_to_return),
            unless_within=radius,
        )
        return respond(envelopes.inserted(outcome, clock), services.settings.mirror_status)

    @post("/descriptor", dto=JsonBody[Descriptor], **SEARCH)
    async def descriptor(
        self, data: Descriptor, collection: Collection, services: Services
    ) -> dict[str, Any]:
        """The vector of each image, as `_descriptor`, in a collection's own space."""
        clock = Clock()
        check_batch(data.records, services)
        described = await queries.described(data.records, collection, services)
        records = [
            {**one.record, "_status": one.status}
            | ({} if isinstance(one.vector, RecordRefused) else {"_descriptor": one.vector})
            for one in described
        ]
        return {
            "records": records,
            "status": {"code": 200, "text": "OK"},
            "statistics": clock.statistics(**envelopes.answered_by(collection)),
        }

    @post("/facets", dto=JsonBody[FacetsOf], **READ)
    async def facets_of(
        self, data: FacetsOf, collection: Collection, services: Services
    ) -> dict[str, Any]:
        """How many of the matching records have each value of a field."""
        clock = Clock()
        selection = await select(services.engine, collection, data.filter)
        limit = min(data.limit or DEFAULT_FACET_VALUES, services.settings.max_results)
        found = await facets(services.engine, collection, data.field, limit, selection)
        return {
            "status": {"code": 200, "text": "OK"},
            "statistics": clock.statistics(**envelopes.residual(found.residual_records)),
            "facets": found.values,
        }


async def _search(
    data: Search, query: Query, collection: Collection, services: Services
) -> EngineAnswer:
    clock = Clock()
    outcome: Hits = await queries.answer(data, query, collection, services)
    body = envelopes.hits(outcome, clock, **envelopes.answered_by(collection))
    return respond(body, services.settings.mirror_status)
