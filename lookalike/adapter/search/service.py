"""The searches: a request and a collection become a plan, the plan an answer.

A fault that the request alone shows is found before the engine or an embedder is asked for
anything. What a fault needs more for (an unknown `_id`, an image that cannot be read, the tags of a
stored record in a collection without cosine distance) is found when that is known.
"""

from __future__ import annotations

import msgspec
from msgspec import structs

from lookalike.adapter.collections import second_vector
from lookalike.adapter.collections.collection_settings import Collection
from lookalike.adapter.collections.defaults import near_duplicate_radius
from lookalike.adapter.engines.base import Engine
from lookalike.adapter.errors import InvalidRequest, RecordRefused, RecordsNotFound
from lookalike.adapter.filters import check_field, match, parse
from lookalike.adapter.limits import Limits
from lookalike.adapter.records.image_sources import EmbeddingPort
from lookalike.adapter.records.points import Record, shown_fields
from lookalike.adapter.records.record_tags import Tags, read_tags
from lookalike.adapter.records.selection import select
from lookalike.adapter.search.distances import greatest_distance, signed_distances
from lookalike.adapter.search.facets import Facets, count_values
from lookalike.adapter.search.grouping import Grouping
from lookalike.adapter.search.near_duplicates import NearDuplicateCheck
from lookalike.adapter.search.nearest import Hits, Query, find_nearest
from lookalike.adapter.search.query_vectors import (
    Described,
    QueryVectors,
    shown_given,
    split_refused,
)
from lookalike.adapter.search.ranking import MAX_RANKS, TOO_MANY_RANKS
from lookalike.adapter.search.request import (
    DEFAULT_FACET_VALUES,
    DEFAULT_K,
    QUERY_RECORD,
    DescriptorRequest,
    FacetRequest,
    RankRequest,
    SearchRequest,
    TagSearchRequest,
    check_looked_for,
    check_radius,
    check_tags_wanted,
    has_content,
    id_of,
    looked_for,
    named_tag_fields,
    text_of,
)
from lookalike.adapter.search.vectors import recommended, weighted_sum

CANCELLED = "the pictures cancel each other out, which leaves nothing to look for"

MAX_FROM = 50_000
"""The deepest page: what the engine ranks before it is thrown away."""

RANK_FIELDS = ["_id", "_url", "_file"]


class RankedRecords(msgspec.Struct):
    """Given records by rising distance; those without a vector are refused."""

    records: list[Record]
    distances: list[float]
    refused: list[tuple[Record, RecordRefused]]
    collection: Collection
    """As its vectors were compared: see `second_vector`."""


class Descriptors(msgspec.Struct):
    """The vectors of given records, in their order."""

    records: list[Described]
    collection: Collection
    """As it was embedded for: see `second_vector`."""


class SearchService:
    """The searches of one engine. Where a collection has two vectors, each answers its share."""

    def __init__(self, engine: Engine, embedding: EmbeddingPort, limits: Limits) -> None:
        self._engine = engine
        self._vectors = QueryVectors(engine, embedding)
        self._limits = limits

    async def find_similar(self, collection: Collection, request: SearchRequest) -> Hits:
        """The k records that look most like a stored record, an image or several.

        Raises InvalidRequest for a query without content or with an image that cannot be read, and
        RecordsNotFound for an unknown `_id` without an image.
        """
        collection = second_vector.share_out(collection, looked_for(request))
        return await self._answer(collection, request, await self._plan(collection, request))

    async def find_similar_with_tags(
        self, collection: Collection, request: TagSearchRequest
    ) -> Hits:
        """As `find_similar`, with the tags of the query in the distance.

        They are those of `query_record`, given or stored, or of all the records of a query of
        several together. Only cosine distances mix with tags: in another collection it is a search
        without them, and they are named as ignored.
        """
        collection = second_vector.share_out(collection, looked_for(request))
        check_tags_wanted(request)
        tags = read_tags(request.query_record or {}, QUERY_RECORD)
        query = await self._plan(collection, request)
        if collection.distance != "cosine":
            hits = await self._answer(collection, request, query)
            return structs.replace(hits, ignored=named_tag_fields(request))
        if tags is None and (request.query_records or request.positive):
            tags = await self._tags_of_several(collection, request)
        weight = collection.tag_weight if request.tag_weight is None else request.tag_weight
        query = structs.replace(query, tags=tags, tag_weight=weight)
        return await self._answer(collection, request, query)

    async def find_within_radius(self, collection: Collection, request: SearchRequest) -> Hits:
        """All records within `radius`, which is required."""
        if request.radius is None:
            raise InvalidRequest("radius is needed", place="$.radius")
        collection = second_vector.share_out(collection, looked_for(request))
        query = await self._plan(collection, request, k=self._limits.max_results)
        return await self._answer(collection, request, query)

    async def find_near_duplicates(self, collection: Collection, request: SearchRequest) -> Hits:
        """The records that are as good as the same image: within a small default `radius`."""
        collection = second_vector.share_out(collection, looked_for(request))
        if request.group_by is None:  # Images are what is duplicated, not products.
            request = structs.replace(request, group_by="")
        query = await self._plan(collection, request)
        if query.radius is None:
            query = structs.replace(query, radius=near_duplicate_radius(collection))
        return await self._answer(collection, request, query)

    async def find_by_text(self, collection: Collection, request: SearchRequest) -> Hits:
        """The k records that a text describes best."""
        text = text_of(request.query_record or {}, QUERY_RECORD)
        if text is None:
            raise InvalidRequest("_text_data is needed", place=f"{QUERY_RECORD}._text_data")
        alone = structs.replace(request, query_record={"_text_data": text})
        collection = second_vector.share_out(collection, looked_for(request))
        return await self._answer(collection, alone, await self._plan(collection, alone))

    async def rank_records(self, collection: Collection, request: RankRequest) -> RankedRecords:
        """The given records, stored ones and others, by distance from the query."""
        self._limits.check_batch(len(request.records), "$.records")
        collection = second_vector.share_out(collection, looked_for(request))
        check_radius(request.radius, greatest_distance(collection))
        named = request.fields_to_return
        fields = shown_fields(RANK_FIELDS if named is None else named)
        selected = parse(request.filter or {})
        query = await self._vectors.find_example(collection, request.query_record, QUERY_RECORD)
        described = await self._vectors.describe(collection, request.records, query=True)
        known, refused = split_refused(described)
        known = [(record, vector) for record, vector in known if match(selected, record)]
        apart = signed_distances(query, [vector for _, vector in known], collection.distance)
        ranked = sorted(zip(apart, range(len(known)), strict=True))
        radius = request.radius
        kept = [(d, i) for d, i in ranked if radius is None or d <= radius][: request.k]
        return RankedRecords(
            records=[shown_given(known[index][0], fields) for _, index in kept],
            distances=[max(0.0, value) for value, _ in kept],
            refused=refused,
            collection=collection,
        )

    async def describe_images(
        self, collection: Collection, request: DescriptorRequest
    ) -> Descriptors:
        """The vector of each record's image, in the collection's own space."""
        self._limits.check_batch(len(request.records), "$.records")
        collection = second_vector.share_out(collection, looked_for(request))
        return Descriptors(await self._vectors.describe(collection, request.records), collection)

    async def count_facets(self, collection: Collection, request: FacetRequest) -> Facets:
        """How many of the matching records have each value of a field."""
        check_field(request.field, "$.field")
        selection = await select(self._engine, collection, request.filter)
        limit = min(request.limit or DEFAULT_FACET_VALUES, self._limits.max_results)
        return await count_values(self._engine, collection, request.field, limit, selection)

    def near_duplicate_check(
        self, collection: Collection, radius: float | None = None
    ) -> NearDuplicateCheck:
        """For an insert that refuses near duplicates; the default radius is the collection's."""
        check_radius(radius, greatest_distance(collection))
        within = near_duplicate_radius(collection) if radius is None else radius
        return NearDuplicateCheck(self._engine, collection, within)

    async def _plan(
        self, collection: Collection, request: SearchRequest, *, k: int = DEFAULT_K
    ) -> Query:
        """All of the request but what it looks for; `k` is the default. Raises InvalidFilter."""
        grouping = grouping_of(request, collection)
        if grouping is not None and request.diversity is not None:
            raise InvalidRequest("diversity cannot be combined with grouping", place="$.diversity")
        if request.from_ is not None and request.from_ > MAX_FROM:
            raise InvalidRequest(f"from must not be larger than {MAX_FROM}", place="$.from")
        check_radius(request.radius, greatest_distance(collection))
        check_looked_for(request, collection, self._limits)
        ranks = min(k if request.k is None else request.k, self._limits.max_results)
        offset = request.from_ or 0
        # With weights they are one picture; within a radius it may be fewer, which is found later.
        one = request.weights is not None or request.radius is not None
        pictures = 1 if one else len(request.query_records or ())
        if pictures * (ranks + offset) > MAX_RANKS:
            raise InvalidRequest(TOO_MANY_RANKS, place="$.query_records")
        return Query(
            k=ranks,
            offset=offset,
            radius=request.radius,
            selection=await select(self._engine, collection, request.filter),
            fields=shown_fields(request.fields_to_return),
            grouping=grouping,
            diversity=request.diversity,
        )

    async def _answer(self, collection: Collection, request: SearchRequest, query: Query) -> Hits:
        """The plan with what is looked for, executed. Raises as `find_similar`."""
        if request.positive or request.negative:
            query = await self._by_examples(collection, request, query)
        elif request.query_records:
            query = await self._by_several(collection, request, query)
        else:
            return await self._by_record(collection, request.query_record or {}, query)
        return await find_nearest(self._engine, collection, query)

    async def _by_record(self, collection: Collection, record: Record, query: Query) -> Hits:
        """By the stored vector of the record's `_id`, else by its image or text."""
        id_ = id_of(record, QUERY_RECORD)
        if id_ is not None:
            try:
                by_id = structs.replace(query, record_id=id_)
                return await find_nearest(self._engine, collection, by_id)
            except RecordsNotFound:
                if not has_content(record, QUERY_RECORD):
                    raise
        vector = await self._vectors.embed(collection, record, QUERY_RECORD)
        return await find_nearest(
            self._engine, collection, structs.replace(query, vectors=(vector,))
        )

    async def _by_examples(
        self, collection: Collection, request: SearchRequest, query: Query
    ) -> Query:
        examples = self._vectors.find_examples
        positive = await examples(collection, request.positive or [], "$.positive")
        negative = await examples(collection, request.negative or [], "$.negative")
        stored = frozenset(id_ for _, id_ in positive + negative if id_ is not None)
        vector = recommended([v for v, _ in positive], [v for v, _ in negative])
        if collection.distance == "cosine" and not any(vector):
            raise InvalidRequest(CANCELLED, place="$.negative")
        return structs.replace(query, vectors=(vector,), excluded=stored)

    async def _tags_of_several(self, collection: Collection, request: TagSearchRequest) -> Tags:
        if request.positive:
            return await self._vectors.find_tags(collection, request.positive, "$.positive")
        records = request.query_records or []
        return await self._vectors.find_tags(collection, records, "$.query_records")

    async def _by_several(
        self, collection: Collection, request: SearchRequest, query: Query
    ) -> Query:
        records = request.query_records or []
        found = await self._vectors.find_examples(collection, records, "$.query_records")
        vectors = [vector for vector, _ in found]
        weights = request.weights
        if weights is None:
            return structs.replace(query, vectors=tuple(vectors))
        total, length = weighted_sum(vectors, weights)
        if length == 0:
            raise InvalidRequest(CANCELLED, place="$.query_records")
        return structs.replace(query, vectors=(total,), length=length)


def grouping_of(request: SearchRequest, collection: Collection) -> Grouping | None:
    """By the request's field, else by the collection's product field; an empty name for none."""
    if request.group_by is None and request.diversity is not None and request.group_size is None:
        return None
    field = collection.product_id_field if request.group_by is None else request.group_by
    if field:
        check_field(field, "$.group_by")
        return Grouping(field, request.group_size or 1)
    if request.group_size is not None:
        raise InvalidRequest("group_size needs a field to group by", place="$.group_by")
    return None
