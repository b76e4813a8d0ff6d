"""The searches, under every service prefix."""

from __future__ import annotations

from litestar import Controller, post

from lookalike.adapter.collections.collection_settings import Collection
from lookalike.adapter.records.service import RecordService
from lookalike.adapter.search.request import (
    DescriptorRequest,
    FacetRequest,
    RankRequest,
    SearchRequest,
    TagSearchRequest,
)
from lookalike.adapter.search.service import SearchService
from lookalike.api import envelopes
from lookalike.api.bodies import JsonBody
from lookalike.api.dependencies import READ, SEARCH, WRITE
from lookalike.api.envelopes import Clock
from lookalike.api.request_paths import METHODS_ROOT
from lookalike.api.schemas import (
    Answer,
    FacetAnswer,
    ModelAnswer,
    NearDuplicatesInsert,
    Status,
)


class SearchMethods(Controller):
    path = METHODS_ROOT
    tags = ("searches",)

    @post("/visualKNN", dto=JsonBody[SearchRequest], **SEARCH)
    async def visual_knn(
        self, data: SearchRequest, collection: Collection, searches: SearchService
    ) -> Answer:
        """The k records that look most like a stored record, an image or several."""
        clock = Clock()
        return envelopes.hits(await searches.find_similar(collection, data), clock)

    @post("/visualTagsKNN", dto=JsonBody[TagSearchRequest], **SEARCH)
    async def visual_tags_knn(
        self, data: TagSearchRequest, collection: Collection, searches: SearchService
    ) -> Answer:
        """As visualKNN, with the tags of the query or of the stored record in the distance."""
        clock = Clock()
        return envelopes.hits(await searches.find_similar_with_tags(collection, data), clock)

    @post("/visualRange", dto=JsonBody[SearchRequest], **SEARCH)
    async def visual_range(
        self, data: SearchRequest, collection: Collection, searches: SearchService
    ) -> Answer:
        """All records within `radius`, which is required."""
        clock = Clock()
        return envelopes.hits(await searches.find_within_radius(collection, data), clock)

    @post("/nearDuplicates", dto=JsonBody[SearchRequest], **SEARCH)
    async def near_duplicates(
        self, data: SearchRequest, collection: Collection, searches: SearchService
    ) -> Answer:
        """The records that are as good as the same image: within a small default `radius`."""
        clock = Clock()
        return envelopes.hits(await searches.find_near_duplicates(collection, data), clock)

    @post("/text", dto=JsonBody[SearchRequest], **SEARCH)
    async def text(
        self, data: SearchRequest, collection: Collection, searches: SearchService
    ) -> Answer:
        """The k records that a text describes best."""
        clock = Clock()
        return envelopes.hits(await searches.find_by_text(collection, data), clock)

    @post("/visualRankRecords", dto=JsonBody[RankRequest], **SEARCH)
    async def visual_rank_records(
        self, data: RankRequest, collection: Collection, searches: SearchService
    ) -> Answer:
        """Orders the given records, stored ones and others, by distance from the query."""
        clock = Clock()
        return envelopes.ranked(await searches.rank_records(collection, data), clock)

    @post("/nearDupsInsert", dto=JsonBody[NearDuplicatesInsert], **WRITE)
    async def near_dups_insert(
        self,
        data: NearDuplicatesInsert,
        collection: Collection,
        records: RecordService,
        searches: SearchService,
    ) -> Answer:
        """Inserts the records that have no near duplicate, stored or before them in the batch."""
        clock = Clock()
        outcome = await records.insert(
            collection,
            data.records,
            data.fields_to_return,
            near_duplicates=searches.near_duplicate_check(collection, data.radius),
        )
        return envelopes.inserted(outcome, clock)

    @post("/descriptor", dto=JsonBody[DescriptorRequest], **SEARCH)
    async def descriptor(
        self, data: DescriptorRequest, collection: Collection, searches: SearchService
    ) -> ModelAnswer:
        """The vector of each image, as `_descriptor`, in a collection's own space."""
        clock = Clock()
        found = await searches.describe_images(collection, data)
        records = envelopes.described(found.records, lambda vector: {"_descriptor": vector})
        return envelopes.of_model(records, clock, **envelopes.answered_by(found.collection))

    @post("/facets", dto=JsonBody[FacetRequest], **READ)
    async def facets(
        self, data: FacetRequest, collection: Collection, searches: SearchService
    ) -> FacetAnswer:
        """How many of the matching records have each value of a field."""
        clock = Clock()
        found = await searches.count_facets(collection, data)
        return FacetAnswer(
            status=Status(*envelopes.OK),
            statistics=clock.statistics(**envelopes.residual(found.residual_records)),
            facets=found.values,
        )
