"""Ranked searches: executes the plan that `service` has made of a request and a collection."""

from __future__ import annotations

import msgspec

from lookalike.adapter.collections.collection_settings import Collection
from lookalike.adapter.engines.base import Engine
from lookalike.adapter.errors import RecordsNotFound
from lookalike.adapter.records.image_sources import Vector
from lookalike.adapter.records.points import (
    Record,
    payload_selector,
    point_id,
    shown,
    stored_record,
)
from lookalike.adapter.records.record_tags import TAG_FIELDS, Tags, tags_of
from lookalike.adapter.records.selection import EVERYTHING, Selection, Work
from lookalike.adapter.search.grouping import PRODUCT_COUNT, Grouping, add_counts, find_groups
from lookalike.adapter.search.hybrid import ByVectorAndTags, by_point
from lookalike.adapter.search.mmr import diverse
from lookalike.adapter.search.pages import RankedMatches
from lookalike.adapter.search.ranking import (
    ByNearestOf,
    ByRecord,
    ByVector,
    Hit,
    InOrder,
    Ranking,
    SearchScope,
    by_id,
)
from lookalike.adapter.search.tags import make_tag_query
from lookalike.adapter.search.vectors import read_vectors, vector_of

DIVERSITY_WINDOW = 300
"""A diverse answer is chosen among this many of the nearest, then among as many after them. The
windows do not depend on `k` and `from`, so that pages fit together."""


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """One search. What is looked for: `record_id`, or one or more `vectors`."""

    record_id: str | None = None
    vectors: tuple[Vector, ...] = ()
    """Several: the distance from a record is that from the nearest of them."""
    length: float = 1.0
    """Of a single vector that is a weighted sum; see `ranking.ByVector`."""
    excluded: frozenset[str] = frozenset()
    """`_id`s of stored records that are left out."""
    tags: Tags | None = None
    """Tags of a hybrid search; None takes those of the record of `record_id`."""
    tag_weight: float | None = None
    """None for a search without tags."""
    k: int
    offset: int = 0
    radius: float | None = None
    selection: Selection = EVERYTHING
    fields: frozenset[str] | None = frozenset({"_id"})
    grouping: Grouping | None = None
    diversity: float | None = None
    """0 to 1: how much a record's difference from those before it counts, beside its nearness."""


class Hits(msgspec.Struct):
    """Records by rising distance. `residual_records` were looked at for the filter's residual."""

    records: list[Record]
    distances: list[float]
    residual_records: int = 0
    collection: Collection | None = None
    """As it was searched: see `collections.second_vector`."""
    ignored: list[str] = []
    """Fields of the request that have no meaning in this collection."""


async def find_nearest(engine: Engine, collection: Collection, query: Query) -> Hits:
    """The k records nearest to what the query looks for, by rising distance.

    Of a stored record, that record is at 0 and the first there, unless the filter excludes it. With
    grouping, k counts groups; with diversity, the order is that of the choice. With a tag weight,
    the distance is `(1 - weight) * visual + weight * tags`, also that of the stored record; the
    distance of two sets of tags is one minus what `tags` says they have in common. Without tags in
    the query it is the visual distance.

    Raises RecordsNotFound for a `record_id` that is not stored.
    """
    if query.k == 0:
        return Hits([], [], collection=collection)
    work = Work()
    if query.grouping is not None:
        hits = await _find_grouped(engine, collection, query, query.grouping, work)
    elif query.diversity is not None:
        hits = await _find_diverse(engine, collection, query, query.diversity, work)
    else:
        ranking = await _make_ranking(engine, collection, query)
        if query.selection.residual is None:
            hits = await _fetch_exact(ranking, query.offset, query.k)
        else:
            stream = RankedMatches(ranking, query.selection, work)
            hits = (await stream.fetch_first(query.offset + query.k))[query.offset :]
    if query.grouping is not None and query.fields and PRODUCT_COUNT in query.fields:
        hits = await add_counts(engine, collection, query.selection, query.grouping, hits)
    return Hits(
        records=[shown(hit.record, query.fields) for hit in hits],
        distances=[hit.distance for hit in hits],
        residual_records=work.residual_records,
        collection=collection,
    )


async def _fetch_exact(ranking: Ranking, offset: int, k: int) -> list[Hit]:
    """The page in one exchange: the engine decides everything."""
    if offset == 0:
        own, others = await ranking.fetch(0, k)
        return (own + others)[:k]
    # The query record, if it is there, has taken the first of the places before this page.
    own, others = await ranking.fetch(offset - 1, k + 1)
    return others[:k] if own else others[1:]


async def _find_grouped(
    engine: Engine, collection: Collection, query: Query, grouping: Grouping, work: Work
) -> list[Hit]:
    async def narrow(selection: Selection) -> RankedMatches:
        of_selection = msgspec.structs.replace(query, selection=selection)
        return RankedMatches(await _make_ranking(engine, collection, of_selection), selection, work)

    return await find_groups(narrow, collection, query.selection, grouping, query.offset, query.k)


async def _find_diverse(
    engine: Engine, collection: Collection, query: Query, diversity: float, work: Work
) -> list[Hit]:
    stream = RankedMatches(await _make_ranking(engine, collection, query), query.selection, work)
    end = query.offset + query.k
    chosen: list[Hit] = []
    before: list[Vector] = []
    for begin in range(0, end, DIVERSITY_WINDOW):
        window = (await stream.fetch_first(begin + DIVERSITY_WINDOW))[begin:]
        vectors = await read_vectors(engine, collection, [hit.id for hit in window])
        known = [hit for hit in window if hit.id in vectors]
        rows = [vectors[hit.id] for hit in known]
        order = diverse(rows, [hit.distance for hit in known], diversity, before)
        chosen += [known[index] for index in order]
        before += rows
        if len(window) < DIVERSITY_WINDOW:
            break
    return chosen[query.offset : end]


async def _make_ranking(engine: Engine, collection: Collection, query: Query) -> Ranking:
    scope = SearchScope(
        engine=engine,
        collection=collection,
        selection=query.selection,
        radius=query.radius,
        payload=query.selection.payload(collection, _needed_fields(query)),
        excluded=query.excluded,
    )
    if query.tag_weight is not None:
        hybrid = await _make_hybrid(scope, query, query.tag_weight)
        if hybrid is not None:
            return hybrid
    if query.record_id is not None:
        return InOrder(ByRecord(scope, query.record_id))
    if len(query.vectors) == 1:
        return InOrder(ByVector(scope, query.vectors[0], query.length))
    rankings = [InOrder(ByVector(scope.only_ids, vector)) for vector in query.vectors]
    return ByNearestOf(scope, rankings, by_id)


def _needed_fields(query: Query) -> frozenset[str] | None:
    """What of a payload is needed: the fields of the answer, and the one that is grouped by."""
    if query.fields is None or query.grouping is None:
        return query.fields
    return query.fields | {query.grouping.field.split(".")[0]}


async def _make_hybrid(scope: SearchScope, query: Query, weight: float) -> Ranking | None:
    """None where the query has no tags."""
    own: str | None = None
    tags, vectors = query.tags, query.vectors
    if query.record_id is not None:
        own = point_id(query.record_id)
        stored, vector = await _read_stored(scope, own)
        tags, vectors = stored if tags is None else tags, (vector,)
    sparse = await make_tag_query(scope.engine, scope.collection, tags or {})
    if sparse is None:
        return None

    def rank(within: SearchScope, vector: Vector) -> ByVectorAndTags:
        return ByVectorAndTags(within, vector, sparse, weight, length=query.length, own=own)

    if len(vectors) == 1:
        return rank(scope, vectors[0])
    return ByNearestOf(scope, [rank(scope.only_ids, vector) for vector in vectors], by_point)


async def _read_stored(scope: SearchScope, point: str) -> tuple[Tags, Vector]:
    found = await scope.engine.retrieve(
        scope.collection.physical,
        [point],
        with_payload=payload_selector(scope.collection, frozenset(TAG_FIELDS)),
        with_vectors=[scope.collection.vector],
    )
    vector = vector_of(found[0], scope.collection.vector) if found else None
    if vector is None:
        raise RecordsNotFound
    return tags_of(stored_record(found[0].payload)), vector
